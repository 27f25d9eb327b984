import { type Activation, prefixesOf } from '../../passes/tables/activation.ts';
import type { SumLayer, TableProgram, Trees } from '../../passes/tables/program.ts';
import type { LookupFamily } from '../common/table-model.ts';
import { type Chip, stageLimits, TCAM_ROWS } from './chips.ts';

/** Layers as tables of a chip: which activations are matched together, and what their sums stand in. */

/** One table of the program. */
export interface TnaTable {
  readonly layer: number;
  readonly index: number;
  readonly keys: readonly TnaKey[];
  /** `sums` adds to those of its layer, `output` sets one element, `codes` the words of an activation. */
  readonly result:
    | { readonly kind: 'sums' }
    | { readonly kind: 'output'; readonly element: number }
    | { readonly kind: 'codes'; readonly words: readonly CodeWord[] };
  /** Entries of one version: what the keys match, and the values for them. */
  readonly rows: readonly TnaRow[];
  readonly isTernary: boolean;
}

/** What a table matches: an activation, or a code of one, which stands in a byte of a word. */
export type TnaKey =
  | Activation
  | {
      readonly source: { readonly kind: 'code'; readonly word: CodeWord; readonly low: number };
      readonly bits: number;
    };

/** A container of codes of one activation, which its table sets. */
export interface CodeWord {
  readonly name: string;
  readonly bits: 8 | 16 | 32;
}

/** By prefixes, whose longest wins, or by bits, of which only one row matches or several that do the same. */
interface TnaRow {
  readonly keys: readonly (
    | { readonly value: number; readonly length: number }
    | { readonly value: number; readonly mask: number }
  )[];
  /** One a sum, one element, or one a word of codes. */
  readonly values: readonly number[];
}

/** Of a tree, of what finds its codes, or of sums and outputs. */
export const familyOf = ({ result, keys }: TnaTable): LookupFamily => {
  if (result.kind === 'codes') return 'codes';
  return keys.some(({ source }) => source?.kind === 'code') ? 'tree' : 'sums';
};

/** One layer of sums as its tables add them up in containers of the chip. */
export interface TnaLayer {
  readonly layer: number;
  readonly outputs: number;
  readonly bits: number;
  /** Sums side by side in a word. */
  readonly lanes: number;
  /** Words of one set, and the bits of each: those of a container. */
  readonly words: number;
  readonly wordBits: 16 | 32;
  readonly tables: readonly TnaTable[];
  /** Of trees: what finds the codes that its tables match. */
  readonly finding: readonly TnaTable[];
  /** Its sums are the differences of each two outputs, modulo their bits: their signs tell the class. */
  readonly differences: boolean;
  /** The class is told by the distances of its sums to the largest: more of them than a group of containers has pairs for. */
  readonly toLargest: boolean;
  /** Share of the activations that are matched by twos. */
  readonly paired: number;
}

/** Versions of the entries side by side: a bit of each key tells them apart. */
export const VERSIONS = 2;

/** Bits of a word of sums: the widest container. */
export const WORD = 32;
/** The one below. */
export const HALF = 16;

/** Entries of one table, beyond which two activations are not matched together: what the TCAM of a stage holds. */
const MOST_PAIR_ROWS = (stageLimits.tcam * TCAM_ROWS) / VERSIONS;

/**
 * Whether tables add to the differences of each two outputs: where these are no more than the outputs, or where outputs and
 * differences, of which each is subtracted from others, do not fit one group of containers.
 */
const addsDifferences = (outputs: number, chip: Chip): boolean =>
  outputs <= 3 || outputs + pairsOf(outputs).length > chip.halfGroup;

/** Stages in which the largest of so many sums is found, two at a time. */
export const roundsOf = (outputs: number): number => Math.ceil(Math.log2(outputs));
/** Containers that hold what was larger meanwhile. */
export const largerOf = (outputs: number): number => Math.floor(outputs / 2);

/**
 * Whether the sums of trees are compared with the largest, in more stages: entries of differences, of which there are more than sums,
 * would fill the action bus with fewer trees.
 */
const comparesLargest = (outputs: number, chip: Chip): boolean =>
  outputs + pairsOf(outputs).length > chip.halfGroup && outputs + largerOf(outputs) <= chip.halfGroup;

/** Outputs up to which sums of the last layer have containers of their own: beyond, the bus has too few places of 16 bits. */
const MOST_HALVES = 8;

/** Shares of a layer's activations that are matched by twos, as tried: less to add, but more entries. */
const PAIRED = [0, 0.5, 1] as const;

/** Layers up to which all ways to match by twos are tried, which are so many; of more layers a few of the fewest entries. */
const SEARCHED_LAYERS = 5;
const MOST_GROUPINGS = PAIRED.length ** SEARCHED_LAYERS;
const FEW_GROUPINGS = 5;

/** What a layout may match by twos: a share of the activations that each layer reads, the first layer at 0. */
export type Pairing = readonly number[];

/**
 * All pairings that are tried, those that match the most activations alone first: all that there are, while they are few; of more
 * layers those of one share up to some layer, and of one behind it; none of more layers than both gresses have stages.
 */
export function pairings(layers: number, chip: Chip): Pairing[] {
  if (layers > 2 * chip.stages) return [];
  // Bytes of the packet stay alone.
  const behind = Math.max(0, layers - 1);
  const shares =
    PAIRED.length ** behind <= MOST_GROUPINGS
      ? Array.from({ length: behind }).reduce<Pairing[]>(
          (made) => made.flatMap((chosen) => PAIRED.map((share) => [...chosen, share])),
          [[]],
        )
      : Array.from({ length: behind }, (_, cut) => cut).flatMap((cut) =>
          PAIRED.flatMap((before) =>
            // The same share before and behind is one way, wherever it is cut.
            PAIRED.filter((after) => (cut === 0 ? before === after : before !== after)).map((after) =>
              Array.from({ length: behind }, (__, l) => (l < cut ? before : after)),
            ),
          ),
        );
  return shares.map((chosen) => [0, ...chosen]).sort((a, b) => total(a) - total(b));
}

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Ways to match the activations of the layers alone or by twos, each once; the fewest entries first. */
export function groupings(program: TableProgram, chip: Chip, pairing: Pairing | undefined): TnaLayer[][] {
  const last = program.layers.length - 1;
  const compared = program.comparedSums !== undefined;
  const forms = program.layers.map((layer, l) => {
    const shares = pairing === undefined ? PAIRED : [pairing[l] ?? 0];
    const made = shares.map((share) => knownLayer(layer, share, chip, compared && l === last, l === last));
    return made.filter((form, i) => made.findIndex((f) => f.tables.length === form.tables.length) === i);
  });
  // Those of the fewest entries begin with some of the fewest.
  const most = forms.length > SEARCHED_LAYERS ? FEW_GROUPINGS : MOST_GROUPINGS;
  let ways: Grouping[] = [{ layers: [], rows: 0 }];
  for (const options of forms) {
    const sized = options.map((form) => ({ form, rows: rowsOf([form]) }));
    ways = ways
      .flatMap((way) =>
        sized.map(({ form, rows }) => ({ layers: [...way.layers, form], rows: way.rows + rows })),
      )
      .sort((a, b) => a.rows - b.rows)
      .slice(0, most);
  }
  return ways.map((w) => w.layers);
}

/** Of the first layers, with all their entries. */
interface Grouping {
  readonly layers: TnaLayer[];
  readonly rows: number;
}

/** Entries of one version. */
export const rowsOf = (layers: readonly TnaLayer[]): number =>
  layers.reduce((n, l) => n + tablesOf(l).reduce((m, t) => m + t.rows.length, 0), 0);

/** All tables of a layer, in the order of their numbers. */
export const tablesOf = ({ finding, tables }: TnaLayer): readonly TnaTable[] => [...finding, ...tables];

/** `layerOf`, made once: a planner lays out a layer with others in hundreds of segments. */
function knownLayer(...[layer, ...how]: Parameters<typeof layerOf>): TnaLayer {
  const [share, chip, ...rest] = how;
  const key = [share, chip.name, ...rest].join(' ');
  const known = layersMade.get(layer) ?? new Map<string, TnaLayer>();
  layersMade.set(layer, known);
  const made = known.get(key) ?? layerOf(layer, ...how);
  known.set(key, made);
  return made;
}

const layersMade = new WeakMap<SumLayer, Map<string, TnaLayer>>();

/**
 * @param share of its activations that are matched by twos, those of the fewest levels first
 * @param compared whether its sums are compared, and nothing else
 * @param isLast its sums are read one by one
 */
// Long: how the sums stand in words, and then what each kind of table adds to them.
function layerOf(
  { layer, tables, trees, sums, bits }: SumLayer,
  share: number,
  chip: Chip,
  compared: boolean,
  isLast: boolean,
): TnaLayer {
  const wordBits = isLast && bits === HALF && (compared || sums.length <= MOST_HALVES) ? HALF : WORD;
  const lanes = Math.floor(wordBits / bits);
  const toLargest = compared && trees !== undefined && comparesLargest(sums.length, chip);
  const differences = compared && !toLargest && addsDifferences(sums.length, chip);
  const outputs = differences ? pairsOf(sums.length).length : sums.length;
  const values = (added: readonly number[]): readonly number[] =>
    differences ? pairsOf(sums.length).map(([i, j]) => modulo(added[i]! - added[j]!, bits)) : added;
  const finding = trees === undefined ? [] : codeTables(trees, layer);
  const made = groupsOf(tables, share).map((group, index): TnaTable => {
    const axes = group.map((t) => prefixesOf(t.keys[0]!));
    const rows = axes
      .reduce<readonly (readonly (typeof axes)[number][number][])[]>(
        (combined, axis) => combined.flatMap((row) => axis.map((p) => [...row, p])),
        [[]],
      )
      .map((row) => ({
        keys: row,
        values: values(sums.map((_, o) => row.reduce((n, p, k) => n + group[k]!.values[p.level]![o]!, 0))),
      }));
    const keys = group.map((t) => t.keys[0]!);
    const isTernary = keys.some((k) => k.source?.kind === 'sum');
    return { layer, index, keys, result: { kind: 'sums' }, rows, isTernary };
  });
  return {
    layer,
    outputs,
    bits,
    lanes,
    words: Math.ceil(outputs / lanes),
    wordBits,
    tables: trees === undefined ? made : treeTables(trees, layer, finding, values),
    finding,
    differences,
    toLargest,
    paired: share,
  };
}

/** As so many bits hold it. */
const modulo = (n: number, bits: number): number => (n < 0 ? n + 2 ** bits : n);

/** The table of each activation that finds its codes: bytes in as few containers as may be, the widest first. */
function codeTables({ codes }: Trees, layer: number): TnaTable[] {
  return [...new Set(codes.map((c) => c.key))].map((key, index): TnaTable => {
    const own = codes.filter((c) => c.key === key);
    const words = wordsFor(own.length).map(
      (bits, w): CodeWord => ({ name: `c${layer}_${index}_${w}`, bits }),
    );
    const rows = prefixesOf(key).map(({ level, ...prefix }) => ({
      keys: [prefix],
      values: words.map((_, w) =>
        own.reduce((n, code, at) => {
          const place = placeOf(at, own.length, index);
          return place.word === w ? n + code.words[level]! * 2 ** place.low : n;
        }, 0),
      ),
    }));
    const isTernary = key.source?.kind === 'sum';
    return { layer, index, keys: [key], result: { kind: 'codes', words }, rows, isTernary };
  });
}

const CODE_BITS = 8;
const CODES_OF_WORD = WORD / CODE_BITS;

/** Bits of the containers that hold so many bytes. */
const wordsFor = (bytes: number): CodeWord['bits'][] => {
  const rest = bytes % CODES_OF_WORD;
  return [
    ...Array.from({ length: Math.floor(bytes / CODES_OF_WORD) }, () => 32 as const),
    ...(rest >= 2 ? [16 as const] : []),
    ...(rest % 2 === 1 ? [8 as const] : []),
  ];
};

/**
 * Where one of so many bytes of an activation stands. A byte of a container reaches only some places of a ternary key, so those of one
 * tree are spread: each activation begins its words at another byte.
 */
function placeOf(
  at: number,
  count: number,
  activation: number,
): { readonly word: number; readonly low: number } {
  let begin = 0;
  for (const [word, bits] of wordsFor(count).entries()) {
    const bytes = bits / CODE_BITS;
    if (at < begin + bytes) return { word, low: ((at - begin + activation) % bytes) * CODE_BITS };
    begin += bytes;
  }
  throw new Error(`no byte ${at} of ${count}`);
}

function treeTables(
  { codes, tables }: Trees,
  layer: number,
  finding: readonly TnaTable[],
  values: (added: readonly number[]) => readonly number[],
): TnaTable[] {
  const keys = codes.map((code): TnaKey => {
    const table = finding.find((t) => t.keys[0] === code.key)!;
    const own = codes.filter((c) => c.key === code.key);
    const { word, low } = placeOf(own.indexOf(code), own.length, table.index);
    if (table.result.kind !== 'codes') throw new Error('a table of codes finds none');
    return { source: { kind: 'code', word: table.result.words[word]!, low }, bits: CODE_BITS };
  });
  return tables.map((tree) => ({
    layer,
    index: finding.length + tree.index,
    keys: tree.codes.map((at) => keys[at]!),
    result: { kind: 'sums' },
    rows: tree.rows.map((row) => ({ keys: row.codes, values: values(row.values) })),
    isTernary: true,
  }));
}

/** Pairs of places `i < j < n`. */
export const pairsOf = (n: number): (readonly [number, number])[] =>
  Array.from({ length: n }, (_, i) => i).flatMap((i) =>
    Array.from({ length: n - i - 1 }, (_, k) => [i, i + 1 + k] as const),
  );

/** Tables of one byte stay alone, for a byte has 256 levels. */
function groupsOf(tables: SumLayer['tables'], share: number): SumLayer['tables'][] {
  const rows = (t: (typeof tables)[number]) => prefixesOf(t.keys[0]!).length;
  const least = tables.filter((t) => t.keys[0]!.source?.kind === 'sum').sort((a, b) => rows(a) - rows(b));
  const paired = least.slice(0, 2 * Math.floor((least.length * share) / 2));
  const groups: (typeof tables)[] = [];
  const left = [...paired];
  for (let first = left.shift(); first !== undefined; first = left.shift()) {
    // The next one that shares a row of TCAM with it, or else the next.
    const known = left.findIndex((t) => !clash(first!.keys[0]!, t.keys[0]!));
    const [second] = left.splice(Math.max(0, known), 1);
    const two = [first, second!].sort((a, b) => a.index - b.index);
    groups.push(...(canPair(two[0]!.keys[0]!, two[1]!.keys[0]!) ? [two] : two.map((t) => [t])));
  }
  groups.push(...tables.filter((t) => !paired.includes(t)).map((t) => [t]));
  return groups.sort((a, b) => a[0]!.index - b[0]!.index);
}

const canPair = (a: Activation, b: Activation): boolean =>
  a.source?.kind === 'sum' &&
  b.source?.kind === 'sum' &&
  prefixesOf(a).length * prefixesOf(b).length <= MOST_PAIR_ROWS;

/** Which of the sums side by side in a word a key is. */
const laneOf = ({ source, bits }: TnaKey): number =>
  source?.kind === 'sum' ? source.output % Math.max(1, Math.floor(WORD / bits)) : 0;

/**
 * Whether two halves of words do not go into one row of TCAM: a byte of a container reaches the places of its own number modulo four
 * alone, so two lower halves want the same ones.
 */
export const clash = (a: TnaKey, b: TnaKey): boolean =>
  a.source?.kind === 'sum' && b.source?.kind === 'sum' && laneOf(a) === laneOf(b);

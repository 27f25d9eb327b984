import type { Diagnostic } from '../../diagnostics/index.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { type Activation, prefixesOf } from '../../passes/tables/activation.ts';
import { lowerToTables } from '../../passes/tables/lower.ts';
import type { SumLayer, SumTable, TableProgram, Trees } from '../../passes/tables/program.ts';
import { type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { Code, INPUT, type Lookup } from './code.ts';
import { atMost, emitArgmax, verdictOf } from './emit-argmax.ts';
import { v1model } from './limits.ts';
import type { LayerLayout, Lowered, LowerOptions } from './lower.ts';
import { packOutput } from './pack.ts';

/**
 * Bits of a sum. With the multiplier of a requantiser of 8-bit networks folded in they need 40 to 46, and then each level of
 * an activation is one entry; a switch of hardware, with 32, has four times as many.
 */
const SUM_BITS = 48;

/** Bits of a score of a forest, which has 52 at most, in whole bytes and with room above it. */
const SCORE_LANE = 56;

/** The largest margin that a packet tells. */
const MOST_MARGIN = 255;

/** What a table costs a packet, in ns. */
const LOOKUP_NS = 1100;

/** Entries that a table of levels has room for, a version: there are 256 levels, and some prefixes beyond the clamp. */
const LEAST_ROOM = 512;

/**
 * Layers `[from, to)` as look-ups: an activation of the packet, or a finished sum, is the key of a table whose entry is added to
 * all sums of the next layer. Nothing is multiplied, shifted or clamped: requantising is in the keys.
 * @param options with `tables`, these and not the exact ones
 * @returns no code, but the reasons, where a layer cannot be looked up
 */
export function lowerTables(
  model: Model,
  options: Pick<LowerOptions, 'from' | 'to' | 'lanes' | 'weights'> & { readonly tables?: TableProgram },
): { lowered?: Lowered; diagnostics: Diagnostic[] } {
  const { from, to } = options;
  const target = `${v1model.name} by tables`;
  const { program, diagnostics } =
    options.tables === undefined
      ? lowerToTables(model, { from, to, target, bits: SUM_BITS, scoreBits: SCORE_LANE })
      : { program: options.tables, diagnostics: [] };
  if (program === undefined) return { diagnostics };
  const code = new Code({ complete: true });
  const lowering = new Lowering(code, options);
  for (const layer of program.layers) lowering.addLayer(layer);
  const low = elementRange(valueType(model, program.verdict ?? to).element).lo;
  const activations = lowering.addEnd(program, to, low);
  const output = packOutput(code, activations, valueType(model, to).element);
  const input = Array.from({ length: elementCount(valueType(model, from).shape) }, (_, i) => ({
    name: byteField(i),
    width: ELEMENT_BITS,
  }));
  const layouts = lowering.layouts;
  const cost = layouts.reduce((sum, l) => sum + l.cost, 0);
  return { lowered: { input, code, output, layouts, cost }, diagnostics };
}

const byteField = (element: number): string => `e${element}`;

class Lowering {
  readonly layouts: LayerLayout[] = [];
  readonly #code: Code;
  readonly #options: Pick<LowerOptions, 'lanes' | 'weights'>;
  /** Fields that hold the finished sums, by layer and output. */
  readonly #sums = new Map<string, Expression>();

  constructor(code: Code, options: Pick<LowerOptions, 'lanes' | 'weights'>) {
    this.#code = code;
    this.#options = options;
  }

  // Long: a layer's words, its look-ups, and its sums out of the words.
  addLayer({ layer, tables, trees, sums, bits }: SumLayer): void {
    const perWord = this.#options.lanes === 'off' ? 1 : Math.floor(v1model.maxWidthBits / bits);
    const words: { readonly field: Expression; readonly outputs: readonly number[] }[] = [];
    for (let at = 0; at < sums.length; at += perWord) {
      const outputs = sums.slice(at, at + perWord).map((_, i) => at + i);
      words.push({ field: this.#code.field(`l${layer}_w${words.length}`, outputs.length * bits), outputs });
    }
    const packed = (values: readonly number[]) =>
      words.map(({ outputs }) =>
        outputs.reduce((word, o, lane) => word + (BigInt(values[o]!) << BigInt(lane * bits)), 0n),
      );
    const targets = words.map((w) => w.field);
    const lookups =
      trees === undefined
        ? tables.map(
            (table): Lookup => ({
              ...this.#lookup(layer, table.index, table.keys[0]!, table, packed),
              targets,
              ...(table.index === 0 && { sets: true }),
            }),
          )
        : this.#treeLookups(layer, trees, targets, packed);
    this.#code.beginLookups(layer, lookups);
    for (const { field, outputs } of words)
      for (const [lane, output] of outputs.entries()) {
        const sum = outputs.length === 1 ? field : this.#code.field(`l${layer}_s${output}`, bits);
        if (outputs.length > 1) this.#code.assign(sum, slice(field, lane * bits, bits));
        this.#sums.set(`${layer} ${output}`, sum);
      }
    const entryBytes = words.reduce((bytes, { field }) => bytes + field.width / 8, 0);
    this.#addLayout(layer, lookups, entryBytes);
  }

  /** The codes of each activation that trees ask for, then a table a tree that matches them. */
  #treeLookups(
    layer: number,
    { codes, tables }: Trees,
    targets: readonly Expression[],
    packed: (values: readonly number[]) => readonly bigint[],
  ): Lookup[] {
    const fields = codes.map(({ index }) => this.#code.field(`l${layer}_c${index}`, ELEMENT_BITS));
    const keys = [...new Set(codes.map((c) => c.key))];
    const finding = keys.map((key, k): Lookup => {
      const own = codes.filter((c) => c.key === key);
      const values = key.levels.map((_, level) => own.map((c) => c.words[level]!));
      const lookup = this.#lookup(layer, k, key, { keys: [key], values }, (row) => row.map(BigInt));
      return { ...lookup, family: 'codes', targets: own.map((c) => fields[c.index]!), sets: true };
    });
    const walking = tables.map((tree): Lookup => {
      const own = tree.codes.map((at) => fields[at]!);
      return {
        family: 'tree',
        layer,
        index: keys.length + tree.index,
        key: own[0]!,
        keys: tree.rows.map((_, i) => i),
        masks: { fields: own, matches: tree.rows.map((row) => row.codes) },
        targets,
        ...(tree.index === 0 && { sets: true }),
        values: tree.rows.map((row) => packed(row.values)),
        constant: this.#options.weights === 'static',
      };
    });
    return [...finding, ...walking];
  }

  /** What the program answers with: elements, or the verdict on them or on sums. */
  addEnd(program: TableProgram, to: number, low: number): Activations {
    const { verdict, outputs, comparedSums } = program;
    const name = `l${verdict}`;
    if (comparedSums === undefined) {
      const read = this.addOutputs(verdict ?? to - 1, outputs, low);
      return verdict === undefined ? read : emitArgmax(this.#code, name, read);
    }
    const sums = outputs.map(({ source }) => {
      if (source?.kind !== 'sum') throw new Error('what is compared is no sum');
      return this.#sums.get(`${source.layer} ${source.output}`)!;
    });
    return verdictOf(this.#code, name, sums, (margin) => {
      const { stepBits } = comparedSums;
      if (stepBits === 0) return atMost(this.#code, `${name}_margin`, margin, MOST_MARGIN);
      const steps = this.#code.field(`${name}_steps`, margin.width);
      // A number of a sum may be several steps: more than the largest margin are no more than it.
      const numbers = stepBits > 0 ? margin : atMost(this.#code, `${name}_numbers`, margin, MOST_MARGIN);
      this.#code.assign(
        steps,
        stepBits > 0
          ? shift(numbers, '>>', stepBits)
          : shift(numbers, '<<', Math.min(ELEMENT_BITS, -stepBits)),
      );
      return atMost(this.#code, `${name}_margin`, steps, MOST_MARGIN);
    });
  }

  /** A table an element, which sets a field to `u = q - low`; behind those of the layer, if it has some. */
  addOutputs(layer: number, outputs: readonly Activation[], low: number): Activations {
    const lookups: Lookup[] = [];
    const first = this.layouts.find((l) => l.layer === layer)?.lookups?.tables ?? 0;
    const placements = outputs.map((activation, i): Placement => {
      const field = this.#code.field(`out${i}`, ELEMENT_BITS);
      const place = { field: `hdr.scratch.out${i}`, width: ELEMENT_BITS, offset: 0, pitch: ELEMENT_BITS };
      if (activation.source === undefined) return { ...place, constant: activation.levels[0]! - low };
      const values = activation.levels.map((q) => [q - low]);
      const lookup = this.#lookup(layer, first + i, activation, { keys: [activation], values }, (row) =>
        row.map(BigInt),
      );
      lookups.push({ ...lookup, targets: [field], sets: true });
      return place;
    });
    this.#code.beginLookups(layer, lookups);
    for (const { constant, field } of placements)
      if (constant !== undefined)
        this.#code.assign(reference(field, ELEMENT_BITS), literal(constant, ELEMENT_BITS));
    this.#addLayout(layer, lookups, 1);
    return { placements, low, high: low + 255 };
  }

  #addLayout(layer: number, lookups: readonly Lookup[], bytes: number): void {
    const before = this.layouts.findIndex((l) => l.layer === layer);
    const [there] = before < 0 ? [] : this.layouts.splice(before, 1);
    const tables = lookups.length + (there?.lookups?.tables ?? 0);
    const rows = Math.max(there?.lookups?.rows ?? 0, ...lookups.map((l) => l.values.length));
    const entryBytes = Math.max(there?.entryBytes ?? 0, bytes);
    const cost = tables * LOOKUP_NS;
    this.layouts.push({ layer, words: [], products: 0, entryBytes, cost, lookups: { tables, rows } });
  }

  #lookup(
    layer: number,
    index: number,
    key: Activation,
    table: Pick<SumTable, 'keys' | 'values'>,
    words: (values: readonly number[]) => readonly bigint[],
  ): Omit<Lookup, 'targets'> {
    const prefixes = prefixesOf(key);
    const byLevel = table.values.map(words);
    const { source } = key;
    const field =
      source!.kind === 'byte'
        ? reference(`${INPUT}.${byteField(source!.element)}`, ELEMENT_BITS)
        : this.#sums.get(`${source!.layer} ${source!.output}`)!;
    const isSum = source!.kind === 'sum';
    return {
      family: 'sums',
      layer,
      index,
      key: field,
      keys: prefixes.map((p) => p.value),
      values: prefixes.map((p) => byLevel[p.level]!),
      constant: this.#options.weights === 'static',
      ...(isSum && { prefixes: prefixes.map((p) => p.length), room: roomFor(prefixes.length) }),
    };
  }
}

/** The next power of two, so that other weights of the network find room in the program. */
const roomFor = (entries: number): number => Math.max(LEAST_ROOM, 2 ** Math.ceil(Math.log2(entries)));

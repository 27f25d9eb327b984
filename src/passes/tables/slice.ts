import { type Model, type ValueId, valueType } from '../../model/model.ts';
import { type ElementType, elementRange } from '../../model/tensor.ts';
import { type Activation, byteActivation } from './activation.ts';
import { pieceAt } from './cover.ts';
import type { SumLayer, SumTable, TableProgram, Trees } from './program.ts';

/** A network as tables, with what stands for each value of the model. */
export interface WholeTables {
  readonly program: TableProgram;
  readonly values: ReadonlyMap<ValueId, readonly Activation[]>;
}

/** Why no part may begin or end before the layer; undefined where one may. */
export function cutRefusal({ program, values }: WholeTables, cut: number): string | undefined {
  // A forest compares its own sums.
  const isForest = program.layers.at(-1)?.trees !== undefined;
  if (cut === program.verdict && program.comparedSums !== undefined && !isForest)
    return 'the verdict compares the sums of the layer before it, which no byte holds';
  // A verdict leaves nothing that another part could read.
  return cut === program.to || values.has(cut) ? undefined : 'nothing of the network stands there';
}

/**
 * The tables of layers `[from, to)` of a network as a program of its own. Between parts an activation travels as a byte: a q-value
 * for each of its levels, the nearest ones that are all different. So parts one after the other give what the whole gives, row by row.
 * Any other byte counts as the nearest of them.
 * @pre `cutRefusal` has none for either end
 */
export function sliceTables(whole: WholeTables, model: Model, from: number, to: number): TableProgram {
  const { program, values } = whole;
  const told = from === program.from ? undefined : allTold(values.get(from)!, model, from);
  const read = (a: Activation): Activation =>
    told === undefined || a.source === undefined || (a.source.kind === 'sum' && a.source.layer >= from)
      ? a
      : readAgain(a, told, model, from);
  const layers = program.layers
    .filter(({ layer }) => layer >= from && layer < to)
    .map((layer) => layerReading(layer, from, read));
  const isLast = to === program.to;
  const outputs = isLast ? program.outputs : allTold(values.get(to)!, model, to);
  return {
    from,
    to,
    layers,
    outputs: outputs.map(read),
    ...(isLast && program.verdict !== undefined && { verdict: program.verdict }),
    ...(isLast && program.comparedSums && { comparedSums: program.comparedSums }),
  };
}

/** The activations at a cut, found once: a planner asks for thousands of parts. */
function allTold(activations: readonly Activation[], model: Model, cut: ValueId): readonly Activation[] {
  const made = toldAt.get(activations) ?? activations.map((a) => toldOf(a, model, cut));
  toldAt.set(activations, made);
  return made;
}

const toldAt = new WeakMap<readonly Activation[], readonly Activation[]>();

/** A layer as parts that begin at `from` have it: itself, where it reads nothing from before. */
function layerReading(layer: SumLayer, from: number, read: (a: Activation) => Activation): SumLayer {
  const known = readings.get(layer) ?? new Map<number, SumLayer>();
  readings.set(layer, known);
  const made = known.get(from);
  if (made !== undefined) return made;
  const keys = [...layer.tables.flatMap((t) => t.keys), ...(layer.trees?.codes ?? []).map((c) => c.key)];
  const reading = {
    ...layer,
    tables: layer.tables.map((t): SumTable => ({ ...t, keys: t.keys.map(read) })),
    ...(layer.trees && { trees: treesReading(layer.trees, read) }),
  };
  const own = keys.every((key) => read(key) === key) ? layer : reading;
  known.set(from, own);
  return own;
}

const readings = new WeakMap<SumLayer, Map<number, SumLayer>>();

/** Codes of one activation stay codes of one. */
function treesReading(trees: Trees, read: (a: Activation) => Activation): Trees {
  const keys = new Map([...new Set(trees.codes.map((c) => c.key))].map((key) => [key, read(key)]));
  return { ...trees, codes: trees.codes.map((c) => ({ ...c, key: keys.get(c.key)! })) };
}

/** An activation at a cut: its levels are the q-values that are sent. */
function toldOf(a: Activation, model: Model, cut: ValueId): Activation {
  const { element } = valueType(model, cut);
  const distinct = [...new Set(a.levels)].sort((x, y) => x - y);
  const codes = nearestDistinct(distinct, element);
  return { ...a, levels: a.levels.map((q) => codes[distinct.indexOf(q)]!) };
}

/** Ascending whole numbers of the element's range, each near its real. @param reals ascending, no more than the range has numbers */
function nearestDistinct(reals: readonly number[], element: ElementType): number[] {
  const { lo, hi } = elementRange(element);
  const codes: number[] = [];
  for (const [i, real] of reals.entries())
    codes.push(Math.max(Math.round(real), i === 0 ? lo : codes[i - 1]! + 1));
  let most = hi;
  for (let i = codes.length - 1; i >= 0; i--) {
    codes[i] = Math.min(codes[i]!, most);
    most = codes[i]! - 1;
  }
  return codes;
}

/** What matches a sum or a byte from before the cut, by the byte that was sent of it. */
function readAgain(a: Activation, told: readonly Activation[], model: Model, cut: ValueId): Activation {
  const { element } = valueType(model, cut);
  for (const [i, sent] of told.entries()) {
    const byCode = levelsByCode(a, sent);
    if (byCode === undefined) continue;
    const codes = [...byCode.keys()].sort((x, y) => x - y);
    const byte = byteActivation(element, i);
    const levels = byte.levels.map((q) => byCode.get(nearest(codes, q))!);
    return { ...byte, pieces: { starts: byte.pieces.starts, levels }, levels: a.levels };
  }
  throw new Error('a table reads something of which the cut tells nothing');
}

function isSame(a: Activation['source'], b: Activation['source']): boolean {
  if (a?.kind === 'byte') return b?.kind === 'byte' && a.element === b.element;
  return a !== undefined && b?.kind === 'sum' && a.layer === b.layer && a.output === b.output;
}

/** The level of `a` by what is sent of `sent`; undefined where that does not tell it. */
function levelsByCode(a: Activation, sent: Activation): ReadonlyMap<number, number> | undefined {
  if (!isSame(a.source, sent.source)) return undefined;
  const found = new Map<number, number>();
  for (const x of [...a.pieces.starts, ...sent.pieces.starts]) {
    const code = sent.levels[sent.pieces.levels[pieceAt(sent.pieces, x)]!]!;
    const level = a.pieces.levels[pieceAt(a.pieces, x)]!;
    const known = found.get(code);
    if (known !== undefined && a.levels[known] !== a.levels[level]) return undefined;
    if (known === undefined) found.set(code, level);
  }
  return found;
}

const nearest = (sorted: readonly number[], q: number): number =>
  sorted.reduce((best, code) => (Math.abs(code - q) < Math.abs(best - q) ? code : best));

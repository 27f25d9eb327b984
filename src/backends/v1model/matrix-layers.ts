import type {
  AddLayer,
  AveragePoolLayer,
  Conv2dLayer,
  DenseLayer,
  EmbeddingLayer,
  MulLayer,
  RequantiseLayer,
} from '../../model/model.ts';
import { accumulatorRanges, embeddingRange, productRange } from '../../model/ranges.ts';
import { type Requantiser, requantise, type Ties } from '../../model/requantiser.ts';
import { elementCount, elementRange, type Interval, type TensorType } from '../../model/tensor.ts';
import { type Activations, findRuns, type Run } from './activations.ts';
import type { MatrixPosition } from './emit-matrix.ts';
import type { MatrixSpec, Sides } from './lane-words.ts';
import { eachPosition, imageOf, type Tap } from './window.ts';

/** A matrix, the positions at which it acts, and which elements of the output its rows are at each. */
export interface MatrixJob {
  readonly spec: MatrixSpec;
  readonly positions: readonly (MatrixPosition & { readonly outputs: readonly number[] })[];
}

/** Columns of the inputs at one position, by tap: a list of elements each, undefined where it is padding. */
interface Gathering {
  readonly taps: readonly (readonly number[] | undefined)[];
  readonly outputs: readonly number[];
}

interface Arithmetic {
  readonly requantiser: Pick<Requantiser, 'shift' | 'min' | 'max' | 'below'> & {
    readonly ties?: { readonly odd: 0 | 1 };
  };
  /** By row. */
  readonly lines: readonly Line[];
  /** Not yet times the multiplier. `member` counts within the tap. */
  weight(row: number, tap: number, member: number): number;
  /** Whether there is such a weight at all; absent where there always is. */
  reads?(row: number, member: number): boolean;
  /** The accumulator at `u = 0` with these taps present. */
  accumulator(row: number, present: readonly boolean[]): number;
}

/** Multiplier and offset of one channel, and the offset below the pivot if both sides of it occur. */
interface Line {
  readonly multiplier: number;
  readonly offset: number;
  readonly below?: { readonly pivot: number; readonly offset: number };
  /** What a tie loses; 0 if absent. */
  readonly part?: number;
}

/**
 * Joins arithmetic and places to a job. Every position must have its elements in runs of one shape; where they are not
 * (an image that crosses fields of the packet) each element becomes a run of its own. Constant elements are in no run,
 * but in the constants.
 */
function makeJob(a: Arithmetic, input: Activations, gatherings: readonly Gathering[]): MatrixJob {
  const shapes = gatherings[0]!.taps.map((_, t) => tapShape(input, gatherings, t));
  const columns = shapes.flatMap(({ members }, tap) => members.map((m) => ({ tap, members: m })));
  const kinds = new Map<string, string>();
  const constants = new Map<string, number[]>();
  const positions = gatherings.map((g) => {
    const kind = kindOf(input, g, kinds);
    if (!constants.has(kind))
      constants.set(
        kind,
        a.lines.map((line, row) => constantOf(a, line, row, input, g)),
      );
    const runs = g.taps.flatMap((elements, t) => shapes[t]!.runsOf(elements));
    return { kind, runs, outputs: g.outputs };
  });

  // Columns are numbered through; `where` leads back to tap and member.
  const where = columns.flatMap(({ tap, members }) => members.map((member) => ({ tap, member })));
  let next = 0;
  const runs = columns.map(({ members }, i) => {
    const pitch = positions.map((p) => p.runs[i]?.pitch).find((p) => p !== undefined) ?? 0;
    return { columns: members.map(() => next++), pitch };
  });
  const { shift, min, max, below, ties } = a.requantiser;
  const { lines, reads } = a;
  const spec: MatrixSpec = {
    rows: lines.length,
    runs,
    coefficient: (row, column) =>
      a.weight(row, where[column]!.tap, where[column]!.member) * lines[row]!.multiplier,
    ...(reads && { reads: (row: number, column: number) => reads(row, where[column]!.member) }),
    inputMax: input.high - input.low,
    constants,
    shift,
    span: max - min,
    ...(below && { sides: sidesOf(lines, a.requantiser) }),
    ...(ties && { ties: tiesOf(lines, ties.odd, min) }),
  };
  return { spec, positions };
}

/** How the elements of one tap lie, at all positions: by run the members, and where each run is. */
interface TapShape {
  readonly members: readonly (readonly number[])[];
  runsOf(elements: readonly number[] | undefined): readonly (Run | undefined)[];
}

function tapShape({ placements }: Activations, gatherings: readonly Gathering[], tap: number): TapShape {
  /** Runs of the elements that are no constants; of their members, which count within the tap. */
  const runsOf = (elements: readonly number[] = []): Run[] => {
    const live = elements.flatMap((e, member) => (placements[e]!.constant === undefined ? [member] : []));
    const runs = findRuns(live.map((member) => placements[elements[member]!]!));
    return runs.map((run) => ({ ...run, members: run.members.map((i) => live[i]!) }));
  };
  const all = gatherings.map((g) => runsOf(g.taps[tap])).filter((runs) => runs.length > 0);
  if (all.every((runs) => signature(runs) === signature(all[0]!))) {
    const members = (all[0] ?? []).map((run) => run.members);
    const absent = members.map(() => undefined);
    return {
      members,
      runsOf(elements) {
        const runs = runsOf(elements);
        return runs.length === 0 ? absent : runs;
      },
    };
  }
  const alive = [...new Set(all.flatMap((runs) => runs.flatMap((r) => r.members)))].sort((x, y) => x - y);
  return {
    members: alive.map((member) => [member]),
    runsOf: (elements) =>
      alive.map((member) => {
        const place = elements && placements[elements[member]!]!;
        if (place === undefined || place.constant !== undefined) return undefined;
        return { ...findRuns([place])[0]!, members: [member] };
      }),
  };
}

const signature = (runs: readonly Run[]): string =>
  runs.map((r) => `${r.pitch}:${r.members.join()}`).join(';');

/**
 * Empty where nothing is padding or constant, else the present taps as a hexadecimal number, or a running number where
 * elements are constants.
 */
function kindOf({ placements }: Activations, { taps }: Gathering, kinds: Map<string, string>): string {
  const present = taps.map((t) => t !== undefined);
  const constants = taps.map((t) => t?.map((e) => placements[e]!.constant ?? '').join() ?? 'absent');
  if (constants.every((c) => c === 'absent' || /^,*$/.test(c)))
    return present.every(Boolean) ? '' : BigInt(`0b${present.map(Number).join('')}`).toString(16);
  const key = constants.join(';');
  const kind = kinds.get(key) ?? `c${kinds.size}`;
  kinds.set(key, kind);
  return kind;
}

/** y, or z where there is one line, at `u = 0` of all elements that are no constants. */
function constantOf(
  a: Arithmetic,
  line: Line,
  row: number,
  { placements }: Activations,
  { taps }: Gathering,
): number {
  let acc = a.accumulator(
    row,
    taps.map((t) => t !== undefined),
  );
  for (const [t, elements] of taps.entries())
    for (const [member, e] of (elements ?? []).entries()) {
      const u = placements[e]!.constant;
      if (u !== undefined) acc += a.weight(row, t, member) * u;
    }
  if (line.below !== undefined) return (acc - line.below.pivot) * line.multiplier;
  return acc * line.multiplier + line.offset - lowest(a.requantiser);
}

/** What the clamp's lower end is in units of z. */
const lowest = ({ min, shift }: Pick<Requantiser, 'min' | 'shift'>): number => min * 2 ** shift;

/** The sum is q less the clamp's lower end, which may be odd itself. */
const tiesOf = (lines: readonly Line[], odd: 0 | 1, min: number): Ties => ({
  part: lines.map(({ part = 0 }) => part),
  odd: ((odd ^ min) & 1) === 0 ? 0 : 1,
});

function sidesOf(lines: readonly Line[], r: Pick<Requantiser, 'min' | 'shift'>): Sides {
  const sides = lines.map(({ multiplier, offset, below }) => {
    if (below === undefined) return { least: 0, step: 0, flipped: false };
    const atPivot = below.pivot * multiplier - lowest(r);
    const step = offset - below.offset;
    return { least: atPivot + Math.min(offset, below.offset), step: Math.abs(step), flipped: step < 0 };
  });
  return {
    least: sides.map((s) => s.least),
    step: sides.map((s) => s.step),
    flipped: sides.map((s) => s.flipped),
  };
}

/**
 * One channel of a requantiser over its accumulators. Where all give the same q it is that constant: its own line may run
 * far outside of the clamp, and need a far wider lane.
 */
function lineOf(r: Requantiser, c: number, { lo, hi }: Interval): Line {
  const q = requantise(r, c, lo);
  if (q === requantise(r, c, hi)) return { multiplier: 0, offset: q * 2 ** r.shift };
  const line = {
    multiplier: r.multiplier[c]!,
    offset: r.offset[c]!,
    ...(r.ties && { part: r.ties.part[c]! }),
  };
  if (r.below === undefined) return line;
  const below = { pivot: r.below.pivot[c]!, offset: r.below.offset[c]! };
  if (below.pivot <= lo) return line;
  return below.pivot > hi ? { ...line, offset: below.offset } : { ...line, below };
}

/** Accumulators of a sum of `count` elements. */
const sumRange = ({ element, zeroPoint }: TensorType, count: number): Interval => {
  const { lo, hi } = elementRange(element);
  return { lo: count * (lo - zeroPoint), hi: count * (hi - zeroPoint) };
};

/** One position at which all inputs arrive as one tap; a row an output. */
export function denseJob(layer: DenseLayer, input: Activations, type: TensorType): MatrixJob {
  const { weights, bias, requantiser } = layer;
  const inputs = input.placements.length;
  const zero = input.low - type.zeroPoint;
  const arithmetic: Arithmetic = {
    requantiser,
    lines: accumulatorRanges(layer, type).map((range, row) => lineOf(requantiser, row, range)),
    weight: (row, _, i) => weights[row * inputs + i]!,
    accumulator(row) {
      let acc = bias[row]!;
      for (let i = 0; i < inputs; i++) acc += weights[row * inputs + i]! * zero;
      return acc;
    },
  };
  const all = input.placements.map((_, i) => i);
  return makeJob(arithmetic, input, [{ taps: [all], outputs: Array.from(bias, (_, row) => row) }]);
}

/** A position for each pixel of the output and a tap for each place of the kernel; a row an output channel. */
export function convJob(layer: Conv2dLayer, input: Activations, type: TensorType): MatrixJob {
  const image = imageOf(type);
  const { weights, bias, requantiser, kernel } = layer;
  const area = kernel[0] * kernel[1];
  const inGroup = image.channels / layer.groups;
  const outGroup = bias.length / layer.groups;
  const zero = input.low - type.zeroPoint;
  const reads = (row: number, channel: number): boolean =>
    Math.floor(row / outGroup) === Math.floor(channel / inGroup);
  const weight = (row: number, tap: number, channel: number): number =>
    reads(row, channel) ? weights[(row * inGroup + (channel % inGroup)) * area + tap]! : 0;
  const arithmetic: Arithmetic = {
    requantiser,
    lines: accumulatorRanges(layer, type).map((range, row) => lineOf(requantiser, row, range)),
    weight,
    ...(layer.groups > 1 && { reads }),
    accumulator(row, present) {
      let acc = bias[row]!;
      for (let tap = 0; tap < area; tap++)
        for (let c = 0; present[tap] && c < image.channels; c++) acc += weight(row, tap, c) * zero;
      return acc;
    },
  };
  return makeJob(arithmetic, input, gatherWindows(layer, type, layer.output));
}

/** One job a divisor: each has a multiplier of its own. */
export function averagePoolJobs(layer: AveragePoolLayer, input: Activations, type: TensorType): MatrixJob[] {
  const { requantiser: r } = layer;
  const zero = input.low - type.zeroPoint;
  const byChannel = new Map<number, Gathering[]>();
  for (const g of gatherWindows(layer, type, layer.output)) {
    // All channels of a pixel share their padding.
    const count = g.taps.filter((t) => t !== undefined).length;
    const channel = layer.countPadding ? 0 : layer.divisors.indexOf(count);
    byChannel.set(channel, [...(byChannel.get(channel) ?? []), g]);
  }
  const rows = imageOf(type).channels;
  return [...byChannel].map(([channel, gatherings]) => {
    const line = lineOf(r, channel, sumRange(type, layer.divisors[channel]!));
    return makeJob(
      {
        requantiser: r,
        lines: Array.from({ length: rows }, () => line),
        weight: (row, _, member) => (member === row ? 1 : 0),
        reads: (row, member) => member === row,
        accumulator: (_, present) => present.filter(Boolean).length * zero,
      },
      input,
      gatherings,
    );
  });
}

/** Each element times 1: a matrix with nothing off its diagonal, at each pixel. */
export function requantiseJob(layer: RequantiseLayer, input: Activations, type: TensorType): MatrixJob {
  const { requantiser: r } = layer;
  const gatherings = gatherElements(type).map((elements) => ({ taps: [elements], outputs: elements }));
  const line = lineOf(r, 0, sumRange(type, 1));
  const arithmetic: Arithmetic = {
    requantiser: r,
    lines: gatherings[0]!.outputs.map(() => line),
    weight: (row, _, member) => (member === row ? 1 : 0),
    reads: (row, member) => member === row,
    accumulator: () => input.low - type.zeroPoint,
  };
  return makeJob(arithmetic, input, gatherings);
}

/** The second operand's elements follow the first one's. */
export function addJob(
  layer: AddLayer,
  a: Activations,
  b: Activations,
  types: readonly [TensorType, TensorType],
): MatrixJob {
  const both: Activations = {
    placements: [...a.placements, ...b.placements],
    low: 0,
    high: Math.max(a.high - a.low, b.high - b.low),
  };
  const [ma, mb] = layer.multipliers;
  const zeros = (a.low - types[0].zeroPoint) * ma + (b.low - types[1].zeroPoint) * mb;
  const count = a.placements.length;
  const [fromA, fromB] = operandPlaces(layer, [a.placements.length, b.placements.length]);
  const gatherings = gatherElements(layer.output).map((elements) => ({
    taps: [elements.map(fromA), elements.map((e) => count + fromB(e))],
    outputs: elements,
  }));
  // Each operand has a multiplier of its own, so they are the weights.
  const arithmetic: Arithmetic = {
    requantiser: layer,
    lines: gatherings[0]!.outputs.map(() => ({
      multiplier: 1,
      offset: layer.offset,
      ...(layer.ties && { part: layer.ties.part }),
    })),
    weight: (row, tap, member) => (member === row ? layer.multipliers[tap]! : 0),
    reads: (row, member) => member === row,
    accumulator: () => zeros,
  };
  return makeJob(arithmetic, both, gatherings);
}

/** Which element of each operand belongs to one of the output: of one element a channel, that of the channel. */
export function operandPlaces(
  { output }: AddLayer | MulLayer,
  [a, b]: readonly [number, number],
): [(e: number) => number, (e: number) => number] {
  const all = elementCount(output.shape);
  return [(e) => Math.floor((e * a) / all), (e) => Math.floor((e * b) / all)];
}

/**
 * The products of two elements as a matrix whose sums have the same bounds, and the numbers of
 * `z = (ua * ub * ofProduct + ua * ofA + ub * ofB) + constant`, alike for all rows.
 */
export function productSpec(
  { requantiser: r }: MulLayer,
  a: Activations,
  b: Activations,
  types: readonly [TensorType, TensorType],
  rows: number,
): { spec: MatrixSpec; ofProduct: number; ofA: number; ofB: number } {
  const [offsetA, offsetB] = [a.low - types[0].zeroPoint, b.low - types[1].zeroPoint];
  const [mostA, mostB] = [a.high - a.low, b.high - b.low];
  const line = lineOf(r, 0, productRange(types[0], types[1]));
  const { multiplier, below } = line;
  const inputMax = Math.max(mostA, mostB, 1);
  const coefficients = [
    (multiplier * mostA * mostB) / inputMax,
    (multiplier * offsetB * mostA) / inputMax,
    (multiplier * offsetA * mostB) / inputMax,
  ];
  const least = offsetA * offsetB;
  const constant =
    below === undefined ? least * multiplier + line.offset - lowest(r) : (least - below.pivot) * multiplier;
  const lines = Array.from({ length: rows }, () => line);
  const spec: MatrixSpec = {
    rows,
    // Bounds alone hang on these; the products are emitted for themselves.
    runs: lines.map((_, row) => ({ columns: [3 * row, 3 * row + 1, 3 * row + 2], pitch: 0 })),
    coefficient: (row, column) =>
      Math.floor(column / 3) === row
        ? Math.sign(coefficients[column % 3]!) * Math.ceil(Math.abs(coefficients[column % 3]!))
        : 0,
    reads: (row, column) => Math.floor(column / 3) === row,
    inputMax,
    constants: new Map([['', lines.map(() => constant)]]),
    shift: r.shift,
    span: r.max - r.min,
    ...(below && { sides: sidesOf(lines, r) }),
  };
  return { spec, ofProduct: multiplier, ofA: multiplier * offsetB, ofB: multiplier * offsetA };
}

/**
 * An embedding as the matrix whose sums have the same bounds: for each key of a bag a column with the least and one with the
 * largest entry of each row, each of which may be there or not.
 */
export function embeddingSpec(layer: EmbeddingLayer): { spec: MatrixSpec; multiplier: number } {
  const { table, bag, rows, width, requantiser: r } = layer;
  const bounds = Array.from({ length: width }, (_, j) => {
    const entries = Array.from({ length: rows }, (_, key) => table[key * width + j]!);
    return [entries.reduce((a, b) => Math.min(a, b), 0), entries.reduce((a, b) => Math.max(a, b), 0)];
  });
  const line = lineOf(r, 0, embeddingRange(layer));
  const lines = bounds.map(() => line);
  const { multiplier, below } = line;
  const constant = below === undefined ? line.offset - lowest(r) : -below.pivot * multiplier;
  const spec: MatrixSpec = {
    rows: width,
    runs: Array.from({ length: bag }, (_, k) => ({ columns: [2 * k, 2 * k + 1], pitch: 0 })),
    coefficient: (row, column) => bounds[row]![column % 2]! * multiplier,
    inputMax: 1,
    constants: new Map([['', lines.map(() => constant)]]),
    shift: r.shift,
    span: r.max - r.min,
    ...(r.below && { sides: sidesOf(lines, r) }),
    ...(r.ties && { ties: tiesOf(lines, r.ties.odd, r.min) }),
  };
  return { spec, multiplier };
}

/** The elements of each pixel, or all of a flat tensor. */
export function gatherElements(type: TensorType): number[][] {
  const { channels, height, width } = imageOf(type);
  const area = height * width;
  return Array.from({ length: area }, (_, p) => Array.from({ length: channels }, (_, c) => c * area + p));
}

function gatherWindows(
  layer: Conv2dLayer | AveragePoolLayer,
  input: TensorType,
  output: TensorType,
): Gathering[] {
  const { channels, height, width } = imageOf(input);
  const rows = imageOf(output).channels;
  const outArea = imageOf(output).height * imageOf(output).width;
  const elements = (tap: Tap) =>
    tap && Array.from({ length: channels }, (_, c) => (c * height + tap.y) * width + tap.x);
  return eachPosition(layer, input, output).map((taps, p) => ({
    taps: taps.map(elements),
    outputs: Array.from({ length: rows }, (_, row) => row * outArea + p),
  }));
}

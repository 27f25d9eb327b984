import type {
  AddLayer,
  AveragePoolLayer,
  Conv2dLayer,
  DenseLayer,
  RequantiseLayer,
} from '../../model/model.ts';
import { accumulatorRanges } from '../../model/ranges.ts';
import { type Requantiser, requantise } from '../../model/requantiser.ts';
import type { Interval, TensorType } from '../../model/tensor.ts';
import { type Activations, findRuns, type Run } from './activations.ts';
import type { MatrixPosition } from './emit-matrix.ts';
import type { MatrixSpec } from './lane-words.ts';
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
  readonly rows: number;
  readonly requantiser: Pick<Requantiser, 'shift' | 'min' | 'max'>;
  /** Already times the multiplier. `member` counts within the tap. */
  coefficient(row: number, tap: number, member: number): number;
  /** z at `u = 0` with these taps present. */
  constant(row: number, present: readonly boolean[]): number;
}

/**
 * Joins arithmetic and places to a job. Every position must have its elements in runs of one shape; where they are not
 * (an image that crosses fields of the packet) each element becomes a run of its own.
 */
function makeJob(a: Arithmetic, input: Activations, gatherings: readonly Gathering[]): MatrixJob {
  const places = (elements: readonly number[]) => elements.map((e) => input.placements[e]!);
  const taps = gatherings[0]!.taps.length;
  const shapes = Array.from({ length: taps }, (_, t) => {
    const runs = gatherings.flatMap((g) => (g.taps[t] === undefined ? [] : [findRuns(places(g.taps[t]))]));
    const alike = runs.every((r) => signature(r) === signature(runs[0]!));
    return {
      alike,
      members: runs.length === 0 ? [] : alike ? runs[0]!.map((r) => r.members) : singles(runs[0]!),
    };
  });
  const columns = shapes.flatMap(({ members }, tap) => members.map((m) => ({ tap, members: m })));
  const constants = new Map<string, number[]>();
  const positions = gatherings.map((g) => {
    const present = g.taps.map((t) => t !== undefined);
    const kind = kindOf(present);
    if (!constants.has(kind))
      constants.set(
        kind,
        Array.from({ length: a.rows }, (_, row) => a.constant(row, present)),
      );
    const runs = g.taps.flatMap((elements, t): (Run | undefined)[] => {
      if (elements === undefined) return shapes[t]!.members.map(() => undefined);
      if (shapes[t]!.alike) return findRuns(places(elements));
      return elements.map((e, i) => ({ ...findRuns(places([e]))[0]!, members: [i] }));
    });
    return { kind, runs, outputs: g.outputs };
  });

  // Columns are numbered through; `where` leads back to tap and member.
  const where = columns.flatMap(({ tap, members }) => members.map((member) => ({ tap, member })));
  let next = 0;
  const runs = columns.map(({ members }, i) => {
    const pitch = positions.map((p) => p.runs[i]?.pitch).find((p) => p !== undefined) ?? 0;
    return { columns: members.map(() => next++), pitch };
  });
  const { shift, min, max } = a.requantiser;
  const spec: MatrixSpec = {
    rows: a.rows,
    runs,
    coefficient: (row, column) => a.coefficient(row, where[column]!.tap, where[column]!.member),
    inputMax: input.high - input.low,
    constants,
    shift,
    span: max - min,
  };
  return { spec, positions };
}

const signature = (runs: readonly Run[]): string =>
  runs.map((r) => `${r.pitch}:${r.members.join()}`).join(';');

const singles = (runs: readonly Run[]): number[][] =>
  runs
    .flatMap((r) => r.members)
    .sort((a, b) => a - b)
    .map((m) => [m]);

/** Empty where nothing is padding, else the present taps as a hexadecimal number. */
const kindOf = (present: readonly boolean[]): string =>
  present.every(Boolean) ? '' : BigInt(`0b${present.map(Number).join('')}`).toString(16);

/** Multiplier and offset of one channel. */
interface Line {
  readonly multiplier: number;
  readonly offset: number;
}

/**
 * The requantiser's lines; a channel whose every accumulator gives the same q becomes that constant: its own line may
 * run far outside of the clamp, and need a far wider lane.
 */
const linesOf = (r: Requantiser, ranges: readonly Interval[]): Line[] =>
  ranges.map(({ lo, hi }, c) => {
    const q = requantise(r, c, lo);
    if (q === requantise(r, c, hi)) return { multiplier: 0, offset: q * 2 ** r.shift };
    return { multiplier: r.multiplier[c]!, offset: r.offset[c]! };
  });

const lineOf = (r: Requantiser, c: number): Line => ({ multiplier: r.multiplier[c]!, offset: r.offset[c]! });

/** z at `u = 0` from the accumulator at `u = 0`. */
const zConstant = (line: Line, r: Pick<Requantiser, 'min' | 'shift'>, acc: number): number =>
  acc * line.multiplier + line.offset - r.min * 2 ** r.shift;

export function denseJob(layer: DenseLayer, input: Activations, type: TensorType): MatrixJob {
  const { weights, bias, requantiser } = layer;
  const inputs = input.placements.length;
  const zero = input.low - type.zeroPoint;
  const lines = linesOf(requantiser, accumulatorRanges(layer, type));
  const arithmetic: Arithmetic = {
    rows: bias.length,
    requantiser,
    coefficient: (row, _, i) => weights[row * inputs + i]! * lines[row]!.multiplier,
    constant(row) {
      let acc = bias[row]!;
      for (let i = 0; i < inputs; i++) acc += weights[row * inputs + i]! * zero;
      return zConstant(lines[row]!, requantiser, acc);
    },
  };
  const all = input.placements.map((_, i) => i);
  return makeJob(arithmetic, input, [{ taps: [all], outputs: Array.from(bias, (_, row) => row) }]);
}

export function convJob(layer: Conv2dLayer, input: Activations, type: TensorType): MatrixJob {
  const image = imageOf(type);
  const { weights, bias, requantiser, kernel } = layer;
  const area = kernel[0] * kernel[1];
  const inGroup = image.channels / layer.groups;
  const outGroup = bias.length / layer.groups;
  const zero = input.low - type.zeroPoint;
  const lines = linesOf(requantiser, accumulatorRanges(layer, type));
  const weight = (row: number, tap: number, channel: number): number => {
    const member = channel - Math.floor(row / outGroup) * inGroup;
    return member < 0 || member >= inGroup ? 0 : weights[(row * inGroup + member) * area + tap]!;
  };
  const arithmetic: Arithmetic = {
    rows: bias.length,
    requantiser,
    coefficient: (row, tap, channel) => weight(row, tap, channel) * lines[row]!.multiplier,
    constant(row, present) {
      let acc = bias[row]!;
      for (let tap = 0; tap < area; tap++)
        for (let c = 0; present[tap] && c < image.channels; c++) acc += weight(row, tap, c) * zero;
      return zConstant(lines[row]!, requantiser, acc);
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
  return [...byChannel].map(([channel, gatherings]) =>
    makeJob(
      {
        rows: imageOf(type).channels,
        requantiser: r,
        coefficient: (row, _, member) => (member === row ? r.multiplier[channel]! : 0),
        constant: (_, present) => zConstant(lineOf(r, channel), r, present.filter(Boolean).length * zero),
      },
      input,
      gatherings,
    ),
  );
}

export function requantiseJob(layer: RequantiseLayer, input: Activations, type: TensorType): MatrixJob {
  const { requantiser: r } = layer;
  const gatherings = gatherElements(type).map((elements) => ({ taps: [elements], outputs: elements }));
  const arithmetic: Arithmetic = {
    rows: gatherings[0]!.outputs.length,
    requantiser: r,
    coefficient: (row, _, member) => (member === row ? r.multiplier[0]! : 0),
    constant: () => zConstant(lineOf(r, 0), r, input.low - type.zeroPoint),
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
  const gatherings = gatherElements(types[0]).map((elements) => ({
    taps: [elements, elements.map((e) => e + count)],
    outputs: elements,
  }));
  const arithmetic: Arithmetic = {
    rows: gatherings[0]!.outputs.length,
    requantiser: layer,
    coefficient: (row, tap, member) => (member === row ? layer.multipliers[tap]! : 0),
    constant: () => zeros + layer.offset - layer.min * 2 ** layer.shift,
  };
  return makeJob(arithmetic, both, gatherings);
}

/** The elements of each pixel, or all of a flat tensor. */
function gatherElements(type: TensorType): number[][] {
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

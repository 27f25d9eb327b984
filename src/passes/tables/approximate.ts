import { type Model, valueType } from '../../model/model.ts';
import { requantise } from '../../model/requantiser.ts';
import { thresholds } from '../../model/steps.ts';
import type { Interval } from '../../model/tensor.ts';
import { type Activation, mapActivation, prefixesOf } from './activation.ts';
import { levelOf, runLayer } from './interpret.ts';
import type { Linear } from './linear.ts';
import { inputActivations, type Lowering, lowerWith } from './lower.ts';
import type { Sum, SumLayer, SumTable, TableProgram } from './program.ts';

/** Bits of an approximated sum: two stand side by side in a word of a switch. */
export const SUM_BITS = 16;

/** Sums that are compared stay below it, so that the sign of a difference is its uppermost bit. */
const MIDDLE = 2 ** (SUM_BITS - 1);

/** How many levels an activation has; at least 3. */
export type Levels = (layer: number, output: number) => number;

/** What the levels are calibrated on. */
export interface Calibration {
  /** Raw rows of the first layer. */
  readonly rows: Uint8Array;
  /** q-values that the exact network gives for output `output` of layer `layer`, by row. */
  exact(layer: number, output: number, row: number): number;
}

/**
 * Layers as tables of fewer levels and narrower sums: a network of its own, whose meaning `interpretTables` gives. An activation
 * between layers has `levels` values. They are equally wide between the least and the largest activation of the rows, stand
 * at multiples of a power of two, so that each is one entry, and mean what the exact network has on the rows that fall to them.
 * Where there are as many levels as steps, they are the steps.
 */
// Long: levels of each layer follow from those before, over one record of the rows.
export function approximateTables(
  model: Model,
  options: Omit<Lowering, 'sums' | 'inputs'>,
  calibration: Calibration,
  levels: Levels,
): ReturnType<typeof lowerWith> {
  const whole = inputActivations(model, options.from);
  const width = whole.length;
  const count = calibration.rows.length / width;
  const row = (r: number) => calibration.rows.subarray(r * width, (r + 1) * width);
  /** Finished sums of each row, by layer. */
  const sums = Array.from({ length: count }, () => new Map<number, number[]>());
  const last = lastSums(model, options);
  const compared = comparesLayer(model, options, last);
  let stepBits = 0;
  const lowered = lowerWith(model, {
    ...options,
    roundsScores: true,
    // Of forests alone nothing is approximated but scores.
    inputs: last < 0 ? whole : whole.map((a, i) => withinRows(a, calibration.rows, i, width)),
    sums(linear, layer, inputs) {
      const read = inputs.flatMap(({ source }, i) => (source === undefined ? [] : [i]));
      const isLast = layer === last;
      if (isLast && compared) {
        const common = comparedSums(linear, inputs, read);
        stepBits = common.stepBits;
        const activations = common.sums.map((_, output) => wholeSum(layer, output));
        const tables = tablesOf(inputs, read, common.sums);
        return {
          layer: { layer, tables, sums: common.sums.map((f) => f.sum), bits: SUM_BITS },
          activations,
          need: SUM_BITS,
        };
      }
      const windows = linear.bias.map((_, o) => {
        const q = Array.from({ length: count }, (_, r) => calibration.exact(layer, o, r));
        const [lo, hi] = [Math.min(...q), Math.max(...q)];
        const range = rangeOf(linear, inputs, o);
        if (isLast) return windowOf(linear, o, range, { lo, hi }, hi - lo + 2);
        const wanted = levels(layer, o);
        return windowOf(linear, o, range, { lo, hi: bestTop(q, lo, wanted).top }, wanted);
      });
      const fitted = windows.map((w, o) => fitSum(linear, inputs, read, o, w));
      const tables = tablesOf(inputs, read, fitted);
      const made: SumLayer = { layer, tables, sums: fitted.map((f) => f.sum), bits: SUM_BITS };
      const finished = sums.map((known, r) => {
        const numbers = runLayer(made, (a) => levelOf(a, row(r), known));
        known.set(layer, numbers);
        return numbers;
      });
      const activations = fitted.map((f, o) => {
        const seen = finished.map((numbers, r) => ({
          number: numbers[o]!,
          q: calibration.exact(layer, o, r),
        }));
        return levelled(layer, o, windows[o]!, f, seen, isLast);
      });
      return { layer: made, activations, need: SUM_BITS };
    },
  });
  if (lowered.program === undefined || !compared) return lowered;
  return { ...lowered, program: { ...lowered.program, comparedSums: { stepBits } } };
}

/** An element beyond those of the rows counts as the nearest of them, so that sums have no room for what does not occur. */
function withinRows(a: Activation, rows: Uint8Array, element: number, width: number): Activation {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = element; at < rows.length; at += width) {
    const q = a.levels[rows[at]!]!;
    lo = Math.min(lo, q);
    hi = Math.max(hi, q);
  }
  return mapActivation(a, (q) => Math.max(lo, Math.min(hi, q)));
}

const tablesOf = (
  inputs: readonly Activation[],
  read: readonly number[],
  fitted: readonly Pick<FittedSum, 'base' | 'added'>[],
): SumTable[] =>
  read.map((i, index) => ({
    index,
    keys: [inputs[i]!],
    values: inputs[i]!.levels.map((_, level) =>
      fitted.map((f) => (index === 0 ? f.base : 0) + f.added[index]![level]!),
    ),
  }));

/** Whether an argmax at the end reads the layer of sums itself: then it may compare the sums. */
const comparesLayer = (model: Model, { to }: Pick<Lowering, 'to'>, layer: number): boolean => {
  const end = model.layers[to - 1]!;
  return end.kind === 'argmax' && end.inputs[0] === layer + 1;
};

const wholeSum = (layer: number, output: number): Activation => ({
  source: { kind: 'sum', layer, output },
  bits: SUM_BITS,
  pieces: { starts: [0], levels: [0] },
  levels: [0],
});

/** Sums of all outputs on one scale, a power of two of the outputs' own steps, the largest at which none reaches half of its bits. */
function comparedSums(linear: Linear, inputs: readonly Activation[], read: readonly number[]) {
  const { multiplier, offset, shift } = linear.requantiser;
  const unit = 2 ** -shift;
  const slope = linear.bias.map((_, o) => multiplier[linear.channels[o]!]! * unit);
  const start = linear.bias.map((_, o) => offset[linear.channels[o]!]! * unit);
  const ranges = linear.bias.map((_, o) => {
    const { lo, hi } = rangeOf(linear, inputs, o);
    return { lo: lo * slope[o]! + start[o]!, hi: hi * slope[o]! + start[o]! };
  });
  const least = Math.min(...ranges.map((r) => r.lo));
  const most = Math.max(...ranges.map((r) => r.hi));
  for (let stepBits = Math.floor(Math.log2(MIDDLE / Math.max(1, most - least))); ; stepBits--) {
    const step = 2 ** stepBits;
    const sums = linear.bias.map((bias, o) => {
      const scale = step * slope[o]!;
      const constant = step * (bias * slope[o]! + start[o]! - least);
      const range = rangeOf(linear, inputs, o);
      return { ...roundedSum(linear, inputs, read, o, scale, Math.round(constant), range.lo), step };
    });
    if (sums.every(({ base, sum }) => base >= 0 && sum.most < MIDDLE)) return { sums, stepBits };
  }
}

/** The last layer of sums: its levels are the output, of which none is left out. */
const lastSums = (model: Model, { to }: Pick<Lowering, 'to'>): number => {
  for (let i = to - 1; i >= 0; i--)
    if (['dense', 'conv2d', 'averagePool'].includes(model.layers[i]!.kind)) return i;
  return -1;
};

/** What an output is told apart in: accumulators `from` to `to` in so many equal parts, and all below and above. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly parts: number;
  readonly range: Interval;
  readonly q: Interval;
}

/** Shares of the rows that the window may leave to its topmost level. */
const CUT_OFF = [0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25];

/** Where the window should end, so that levels are the nearest to the activations of the rows, and the mean square of what is left. */
export function bestTop(
  q: readonly number[],
  lo: number,
  levels: number,
): { readonly top: number; readonly error: number } {
  const sorted = [...q].sort((a, b) => a - b);
  const parts = Math.max(1, Math.min(levels - 2, sorted.at(-1)! - lo - 1));
  let best = { top: sorted.at(-1)!, error: Number.POSITIVE_INFINITY };
  for (const share of CUT_OFF) {
    const top = sorted[Math.floor((sorted.length - 1) * (1 - share))]!;
    if (top <= lo) break;
    const bins = Array.from({ length: parts + 2 }, () => ({ n: 0, sum: 0, squares: 0 }));
    for (const value of sorted) {
      const at =
        value <= lo
          ? 0
          : value >= top
            ? parts + 1
            : 1 + Math.floor(((value - lo - 1) * parts) / (top - lo - 1));
      const bin = bins[at]!;
      bin.n++;
      bin.sum += value;
      bin.squares += value * value;
    }
    const error = bins.reduce((e, { n, sum, squares }) => e + (n === 0 ? 0 : squares - (sum * sum) / n), 0);
    if (error < best.error) best = { top, error };
  }
  return { top: best.top, error: best.error / q.length };
}

function rangeOf(linear: Linear, inputs: readonly Activation[], output: number): Interval {
  let [lo, hi] = [linear.bias[output]!, linear.bias[output]!];
  for (const [i, terms] of linear.terms.entries())
    for (const t of terms) {
      if (t.output !== output) continue;
      const products = inputs[i]!.levels.map((q) => t.weight * (q - linear.zeroPoint));
      lo += Math.min(...products);
      hi += Math.max(...products);
    }
  return { lo, hi };
}

function windowOf(linear: Linear, output: number, range: Interval, q: Interval, levels: number): Window {
  const { requantiser, channels } = linear;
  const of = (acc: number) => requantise(requantiser, channels[output]!, acc);
  const whole = { lo: Math.floor(range.lo), hi: Math.ceil(range.hi) };
  const { first, steps } = thresholds(of, whole, requantiser.min, requantiser.max);
  const reach = (value: number) =>
    value < first ? (steps[0] ?? whole.lo) : (steps[Math.min(value - first, steps.length - 1)] ?? whole.hi);
  const from = reach(q.lo + 1);
  const to = Math.max(from + 1, reach(q.hi));
  // More parts than steps would cut steps in two.
  return { from, to, parts: Math.max(1, Math.min(levels - 2, q.hi - q.lo - 1)), range, q };
}

interface FittedSum {
  readonly sum: Sum;
  readonly base: number;
  /** By table and level. */
  readonly added: readonly (readonly number[])[];
  /** Numbers of one part of the window: a power of two. */
  readonly step: number;
  /** Number at which the window begins, a multiple of `step`. */
  readonly low: number;
}

/** The largest scale at which no sum leaves its bits: what it rounds off is the least. */
function fitSum(
  linear: Linear,
  inputs: readonly Activation[],
  read: readonly number[],
  output: number,
  { from, to, parts, range }: Window,
): FittedSum {
  const span = Math.max(range.hi - range.lo, 1);
  const exponent = Math.floor(Math.log2((2 ** SUM_BITS * (to - from)) / (parts * span)));
  for (let step = 2 ** exponent; ; step /= 2) {
    const scale = (parts * step) / (to - from);
    const unit = Math.max(1, step);
    // Room for what is below the window, and for what rounding takes off.
    const low = Math.ceil((scale * (from - range.lo) + inputs.length) / unit) * unit;
    const start = low + Math.round(scale * (linear.bias[output]! - from));
    const fitted = roundedSum(linear, inputs, read, output, scale, start, range.lo);
    if (fitted.base < 0 || fitted.sum.most >= 2 ** SUM_BITS) continue;
    return { ...fitted, step: unit, low };
  }
}

/** What each level adds at a scale, rounded; what would be negative is moved into the base. */
function roundedSum(
  linear: Linear,
  inputs: readonly Activation[],
  read: readonly number[],
  output: number,
  scale: number,
  start: number,
  lo: number,
): Omit<FittedSum, 'step' | 'low'> {
  let base = start;
  let most = 0;
  const isRead = new Set(read);
  for (const [i, input] of inputs.entries())
    if (!isRead.has(i))
      base += Math.round(scale * weightOf(linear, i, output) * (input.levels[0]! - linear.zeroPoint));
  const added = read.map((i) => {
    const weight = weightOf(linear, i, output);
    const numbers = inputs[i]!.levels.map((q) => Math.round(scale * weight * (q - linear.zeroPoint)));
    const least = Math.min(...numbers);
    base += least;
    most += Math.max(...numbers) - least;
    return numbers.map((n) => n - least);
  });
  return { sum: { base, scale, least: lo, most: base + most }, base, added };
}

const weightOf = (linear: Linear, input: number, output: number): number =>
  linear.terms[input]!.find((t) => t.output === output)?.weight ?? 0;

/** What each level stands for: the mean of the rows that fall to it, or the middle of its part where none does. */
function levelled(
  layer: number,
  output: number,
  { parts, q }: Window,
  { step, low }: Pick<FittedSum, 'step' | 'low'>,
  seen: readonly { readonly number: number; readonly q: number }[],
  whole: boolean,
): Activation {
  // A step of less than one number is no step, and numbers end somewhere: then parts are joined.
  const distinct = Math.min(parts, Math.floor((2 ** SUM_BITS - 1 - low) / step));
  const starts = [0, ...Array.from({ length: distinct + 1 }, (_, j) => low + j * step)];
  const totals = starts.map(() => ({ sum: 0, count: 0 }));
  for (const { number, q } of seen) {
    const at = number < low ? 0 : Math.min(starts.length - 1, 1 + Math.floor((number - low) / step));
    totals[at]!.sum += q;
    totals[at]!.count++;
  }
  const levels = totals.map(({ sum, count }, i) => {
    const middle = i === 0 ? q.lo : q.lo + ((q.hi - q.lo) * Math.min(i - 0.5, parts)) / parts;
    const mean = count > 0 ? sum / count : middle;
    return whole ? Math.round(mean) : mean;
  });
  return {
    source: { kind: 'sum', layer, output },
    bits: SUM_BITS,
    pieces: { starts, levels: levels.map((_, i) => i) },
    levels,
  };
}

/** Rows of a network whose layers are known: what the exact one gives at each layer. */
export function calibrationOf(
  model: Model,
  from: number,
  rows: Uint8Array,
  interpretLayer: (row: Uint8Array, layer: number) => Uint8Array,
): Calibration {
  const width = inputActivations(model, from).length;
  const known = new Map<number, Int16Array[]>();
  const count = rows.length / width;
  const of = (layer: number): Int16Array[] => {
    const there = known.get(layer);
    if (there !== undefined) return there;
    const signed = valueType(model, layer + 1).element === 'int8';
    const made = Array.from({ length: count }, (_, r) => {
      const bytes = interpretLayer(rows.subarray(r * width, (r + 1) * width), layer);
      return Int16Array.from(bytes, (b) => (signed && b > 127 ? b - 256 : b));
    });
    known.set(layer, made);
    return made;
  };
  return { rows, exact: (layer, output, row) => of(layer)[row]![output]! };
}

/** Entries of the tables of a program, each activation matched alone. */
export const entryCount = ({ layers, outputs, comparedSums }: TableProgram): number =>
  [
    ...layers.flatMap((l) => l.tables.flatMap((t) => t.keys)),
    // One table finds all codes of an activation.
    ...layers.flatMap((l) => [...new Set(l.trees?.codes.map((c) => c.key))]),
    ...(comparedSums === undefined ? outputs : []),
  ].reduce((n, key) => n + (key.source === undefined ? 0 : prefixesOf(key).length), 0) +
  layers.reduce((n, l) => n + (l.trees?.tables ?? []).reduce((m, t) => m + t.rows.length, 0), 0);

import type { Tensor } from 'onnxruntime-node';
import type { Numbers } from '../rows/index.ts';
import type { Runner } from './runtime.ts';

const BINS = 2048;

/** How a value of the float network is spread over the calibration rows. */
export interface Spread {
  readonly lo: number;
  readonly hi: number;
  /** Elements by equal parts of `lo..hi`. */
  readonly counts: Float64Array;
  /** Elements in all. */
  readonly total: number;
  /** Every element is a whole number. */
  readonly whole: boolean;
  /** Least and greatest by element of the row, if asked for. */
  readonly byElement?: { readonly lo: Float64Array; readonly hi: Float64Array };
}

interface Range {
  lo: number;
  hi: number;
  whole: boolean;
}

/**
 * Runs the float network over the rows twice: for ends, then for what lies between.
 *
 * @returns spreads by value; a value that is no number anywhere has `NaN` ends
 */
export async function gatherSpreads(
  runner: Runner,
  rows: Numbers,
  values: readonly string[],
  onProgress?: (done: number) => void,
): Promise<Map<string, Spread>> {
  const ranges = new Map<string, Range>(
    values.map((name) => [name, { lo: Number.POSITIVE_INFINITY, hi: Number.NEGATIVE_INFINITY, whole: true }]),
  );
  await runner.each(
    rows,
    values,
    (results) => {
      for (const [name, range] of ranges) widen(range, results[name]!);
    },
    (done) => onProgress?.(done / 2),
  );
  const counts = new Map(values.map((name) => [name, new Float64Array(BINS)]));
  await runner.each(
    rows,
    values,
    (results) => {
      for (const [name, bins] of counts) count(bins, ranges.get(name)!, results[name]!);
    },
    (done) => onProgress?.((rows.count + done) / 2),
  );
  return new Map(
    values.map((name) => {
      const bins = counts.get(name)!;
      return [name, { ...ranges.get(name)!, counts: bins, total: bins.reduce((a, b) => a + b, 0) }];
    }),
  );
}

const floats = (tensor: Tensor) => tensor.data as Float32Array;

function widen(range: Range, tensor: Tensor): void {
  for (const value of floats(tensor)) {
    if (!(value >= range.lo)) range.lo = Number.isNaN(value) ? Number.NaN : Math.min(range.lo, value);
    if (!(value <= range.hi)) range.hi = Number.isNaN(value) ? Number.NaN : Math.max(range.hi, value);
    range.whole &&= Number.isInteger(value);
  }
}

function count(bins: Float64Array, { lo, hi }: Range, tensor: Tensor): void {
  const scale = hi > lo ? BINS / (hi - lo) : 0;
  for (const value of floats(tensor)) bins[Math.min(BINS - 1, Math.floor((value - lo) * scale))]!++;
}

/** The spread of rows as they are, with the ends of each element. */
export function spreadOfRows({ values, count: rows }: Numbers): Spread {
  const width = values.length / rows;
  const lo = new Float64Array(width).fill(Number.POSITIVE_INFINITY);
  const hi = new Float64Array(width).fill(Number.NEGATIVE_INFINITY);
  let whole = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const element = i % width;
    lo[element] = Math.min(lo[element]!, value);
    hi[element] = Math.max(hi[element]!, value);
    whole &&= Number.isInteger(value);
  }
  const ends = { lo: lo.reduce((a, b) => Math.min(a, b)), hi: hi.reduce((a, b) => Math.max(a, b)) };
  return { ...ends, counts: new Float64Array(BINS), total: values.length, whole, byElement: { lo, hi } };
}

/** Steps on either side of zero: what the JSON format holds with a zero point of its own. */
const STEPS = 191;

/** Rows with more elements are not searched for their best scale. */
const MOST_SEARCHED = 2 ** 20;

/** Float32 products of scales that are multiples of each other. */
const ROUNDING = 1e-5;

/** Weights that had a scale a block, put on one scale an output. */
export interface BlockedWeights {
  /** Row-major `[out][taps]`. */
  readonly values: Int16Array;
  /** One an output. */
  readonly scales: Float64Array;
  readonly bits: 8;
  /** What the values are rounded from, in steps of the scales, if they are. */
  readonly unrounded?: Float64Array;
}

/**
 * Weights whose scales run in blocks along the inputs, as integers of one scale an output channel: exact where the scales of a
 * channel have a common step that is fine enough, else the nearest of the scale that is best by least squares.
 *
 * @param reals row-major `[out][taps]`
 */
export function blockedWeights(reals: Float64Array, outs: number): BlockedWeights {
  const taps = reals.length / outs;
  const values = new Int16Array(reals.length);
  const unrounded = new Float64Array(reals.length);
  const least = reals.length > MOST_SEARCHED ? STEPS : 1;
  let rounded = 0;
  const scales = Float64Array.from({ length: outs }, (_, o) => {
    const row = reals.subarray(o * taps, (o + 1) * taps);
    const found = bestStep(row, least);
    if (!found.isExact) rounded++;
    for (const [i, real] of row.entries()) {
      unrounded[o * taps + i] = real / found.step;
      values[o * taps + i] = Math.round(real / found.step);
    }
    return found.step;
  });
  return { values, scales, bits: 8, ...(rounded > 0 && { unrounded }) };
}

/** The largest step of which all are whole numbers, within `STEPS`; else the one with the least squares. */
function bestStep(row: Float64Array, least: number): { step: number; isExact: boolean } {
  const most = row.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  if (most === 0) return { step: 1, isExact: true };
  let best = { step: most / STEPS, error: Number.POSITIVE_INFINITY };
  for (let steps = least; steps <= STEPS; steps++) {
    const step = most / steps;
    const isWhole = (real: number) => Math.abs(real / step - Math.round(real / step)) < ROUNDING * steps;
    if (row.every(isWhole)) return { step, isExact: true };
    if (steps <= STEPS / 2) continue;
    const error = row.reduce((sum, real) => sum + (real - step * Math.round(real / step)) ** 2, 0);
    if (error < best.error) best = { step, error };
  }
  return { step: best.step, isExact: false };
}

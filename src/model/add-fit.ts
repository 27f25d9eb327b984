import type { AddLayer } from './model.ts';
import { type Exactness, roundHalfEven } from './requantiser.ts';
import type { Interval } from './tensor.ts';

/** The source's own rounding of `a + b`, from q-values less their zero points to q before the clamp. */
export interface PairRounding {
  (a: number, b: number): number;
  /** It adds in integers much finer than the output: so must the fit. */
  readonly fine?: true;
}

/**
 * How ONNX Runtime's QLinearAdd rounds: in float32, half to even. The scale ratios and the sum of the zero points are
 * rounded to float32 first, and products are fused into the sum or not, by the machine; here they are not.
 */
export function onnxAddRounding(
  scales: readonly [a: number, b: number, output: number],
  zeroPoint: number,
): PairRounding {
  const ra = Math.fround(scales[0] / scales[2]);
  const rb = Math.fround(scales[1] / scales[2]);
  return (a, b) => roundHalfEven(a * ra + b * rb) + zeroPoint;
}

export type AddForm = Pick<AddLayer, 'multipliers' | 'offset' | 'shift'> & { readonly exactness: Exactness };

/** Shifts tried: fewer bits lose the ratio of the scales, more gain nothing beside the noise of float32. */
const SHIFTS: Interval = { lo: 4, hi: 20 };

/** For sources that add in integers of about this many bits. */
const FINE_SHIFT = 30;

/**
 * Integers for `floor((a*ma + b*mb + offset) / 2^shift)` that give the source's sum at as many of the (at most 65,536)
 * pairs as can be found: all are tried, at each shift. The smallest shift wins among equals.
 */
export function fitAdd(
  source: PairRounding,
  ratios: readonly [number, number],
  ranges: readonly [Interval, Interval],
  zeroPoint: number,
  min: number,
  max: number,
): AddForm {
  const [a, b] = ranges;
  const total = (a.hi - a.lo + 1) * (b.hi - b.lo + 1);
  const wanted = new Int16Array(total);
  let at = 0;
  for (let x = a.lo; x <= a.hi; x++)
    for (let y = b.lo; y <= b.hi; y++) wanted[at++] = Math.max(min, Math.min(max, source(x, y)));

  let best: AddForm | undefined;
  for (let shift = SHIFTS.lo; shift <= (source.fine ? FINE_SHIFT : SHIFTS.hi); shift++) {
    const unit = 2 ** shift;
    const multipliers = [Math.round(ratios[0] * unit), Math.round(ratios[1] * unit)] as const;
    // Just below a half on ties either way: both are tried, as half to even is neither.
    for (const rest of [0, 1]) {
      const offset = zeroPoint * unit + unit / 2 - rest;
      const limit = best?.exactness.accumulators ?? total + 1;
      const off = mismatches(wanted, ranges, multipliers, offset, unit, min, max, limit);
      if (off >= limit) continue;
      best = {
        multipliers,
        offset,
        shift,
        exactness: { channels: off === 0 ? 0 : 1, accumulators: off, total },
      };
      if (off === 0) return best;
    }
  }
  return best!;
}

/** Pairs at which the form is off; gives up at `limit`. */
function mismatches(
  wanted: Int16Array,
  [a, b]: readonly [Interval, Interval],
  [ma, mb]: readonly [number, number],
  offset: number,
  unit: number,
  min: number,
  max: number,
  limit: number,
): number {
  let off = 0;
  let at = 0;
  for (let x = a.lo; x <= a.hi && off < limit; x++) {
    const row = x * ma + offset;
    for (let y = b.lo; y <= b.hi; y++) {
      const q = Math.floor((row + y * mb) / unit);
      if ((q < min ? min : Math.min(q, max)) !== wanted[at++]) off++;
    }
  }
  return off;
}

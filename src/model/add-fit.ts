import { mismatches, type PairSum, pairsOf } from './add-pairs.ts';
import type { AddLayer } from './model.ts';
import { type Exactness, oddBit, roundHalfEven, shiftToEven } from './requantiser.ts';
import type { Interval } from './tensor.ts';

/** The source's own rounding of `a + b`, from q-values less their zero points to q before the clamp. */
export interface PairRounding {
  (a: number, b: number): number;
  /** It adds in integers much finer than the output: so must the fit. */
  readonly fine?: true;
  /** Ties go to even; the lowest bit of q that they avoid. */
  readonly odd?: 0 | 1;
}

/** Rounds the source's value in steps of the output, ties to even. */
const pairToEven = (real: (a: number, b: number) => number, zeroPoint: number): PairRounding =>
  Object.assign((a: number, b: number) => roundHalfEven(real(a, b)) + zeroPoint, { odd: oddBit(zeroPoint) });

/**
 * How ONNX Runtime's QLinearAdd rounds: in float32, half to even. The ratios of the scales are rounded to float32, and all
 * that is constant is one summand; products are fused into the sum, as its kernels for AVX2 do.
 *
 * @param zeroPoints of a, b and the output
 */
export function onnxAddRounding(
  scales: readonly [a: number, b: number, output: number],
  zeroPoints: readonly [a: number, b: number, output: number],
): PairRounding {
  const f = Math.fround;
  const ra = f(scales[0] / scales[2]);
  const rb = f(scales[1] / scales[2]);
  const [za, zb, zero] = zeroPoints;
  const fixed = f(zero - f(f(ra * za) + f(rb * zb)));
  const rounding = (a: number, b: number) => roundHalfEven(f((b + zb) * rb + f((a + za) * ra + fixed)));
  // It rounds with the zero point inside: even is that of q itself.
  return Object.assign(rounding, { odd: 1 } as const);
}

/** DequantizeLinear of both, Add, QuantizeLinear: a float32 operation each. */
export function qdqAddRounding(
  scales: readonly [a: number, b: number, output: number],
  zeroPoint: number,
): PairRounding {
  const f = Math.fround;
  return pairToEven((a, b) => f(f(f(a * scales[0]) + f(b * scales[1])) / scales[2]), zeroPoint);
}

/** The exact sum, half to even. */
export const exactAddRounding = (
  [a, b, output]: readonly [a: number, b: number, output: number],
  zeroPoint: number,
): PairRounding => pairToEven((x, y) => (x * a + y * b) / output, zeroPoint);

/** The integers of an `add` layer, and at how many pairs they are off their source. */
export type AddForm = Pick<AddLayer, 'multipliers' | 'offset' | 'shift' | 'ties'> & {
  readonly exactness: Exactness;
};

/** Shifts tried: fewer bits lose the ratio of the scales, more gain nothing beside the noise of float32. */
const SHIFTS: Interval = { lo: 4, hi: 20 };

/** For sources that add in integers of about this many bits, and for ratios that only so many tell from those whose sums are ties. */
const FINE_SHIFT = 30;
/** A share of the pairs above which those shifts are tried. */
const MANY = 1e-3;

/**
 * Integers for `floor((a*ma + b*mb + offset) / 2^shift)` that give the source's sum at as many of the (at most 65,536)
 * pairs as can be found: all are tried, at each shift. The smallest shift wins among equals.
 */
export function fitAdd(source: PairRounding, sum: PairSum): AddForm {
  const { ratios, ranges, zeroPoint, min, max } = sum;
  const pairs = pairsOf(source, sum);
  const total = pairs.wanted.length;
  const operands = ranges.reduce((most, { lo, hi }) => most + Math.max(Math.abs(lo), Math.abs(hi)), 0);
  let best: AddForm | undefined;
  const attempt = (shift: number): void => {
    const unit = 2 ** shift;
    const multipliers = [Math.round(ratios[0] * unit), Math.round(ratios[1] * unit)] as const;
    for (const { rest, part } of candidates(source, shift, operands)) {
      const offset = zeroPoint * unit + unit / 2 + rest;
      const least = best?.exactness.accumulators ?? total;
      const limit = best !== undefined && best.shift <= shift ? least : least + 1;
      const ties = part > 0 ? ({ part, odd: source.odd! } as const) : undefined;
      const error = (operands / 2 + Math.abs(rest) + part) / unit;
      const off = mismatches(pairs, { multipliers, offset, shift, ties, min, max }, error, limit);
      if (off >= limit) continue;
      const exactness = { channels: off === 0 ? 0 : 1, accumulators: off, total };
      best = { multipliers, offset, shift, ...(ties && { ties }), exactness };
    }
  };
  // The largest of them is the quickest, and tells the others how soon to give up.
  attempt(SHIFTS.hi);
  for (let shift = SHIFTS.lo; shift < SHIFTS.hi; shift++) {
    attempt(shift);
    if (best!.shift === shift && best!.exactness.accumulators === 0) return best!;
  }
  const isFar = () => best!.exactness.accumulators > (source.fine ? 0 : MANY * total);
  for (let shift = SHIFTS.hi + 1; shift <= FINE_SHIFT && isFar(); shift++) attempt(shift);
  return best!;
}

/** Bits of a sum of 16-bit operands, which doubles hold exactly. */
const WIDE_SUM_BITS = 51;
/** Distance of the 16-bit operands of a pair that are tried; odd, so that all low bits come by. */
export const WIDE_STEP = 251;

/**
 * The same where there are too many pairs: the finest line that doubles hold. It is tried at some tens of thousands of pairs, and
 * what is off of those is counted.
 */
export function fitWideAdd(source: PairRounding, pairSum: PairSum): AddForm {
  const { ratios, zeroPoint, min, max } = pairSum;
  const [a, b] = pairSum.ranges;
  const most = ({ lo, hi }: Interval) => Math.max(Math.abs(lo), Math.abs(hi));
  const sum = ratios[0] * most(a) + ratios[1] * most(b) + Math.abs(zeroPoint) + 1;
  const shift = Math.max(0, Math.min(30, Math.floor(WIDE_SUM_BITS - Math.log2(sum))));
  const unit = 2 ** shift;
  const multipliers = [Math.round(ratios[0] * unit), Math.round(ratios[1] * unit)] as const;
  const offset = zeroPoint * unit + unit / 2;
  const forms: Pick<AddForm, 'ties'>[] = [
    {},
    ...(source.odd === undefined ? [] : [{ ties: { part: 1, odd: source.odd } }]),
  ];
  const counted = forms.map((form) => {
    let off = 0;
    let total = 0;
    for (let x = a.lo; x <= a.hi; x += WIDE_STEP)
      for (let y = b.lo; y <= b.hi; y += WIDE_STEP, total++) {
        const q = shiftToEven(x * multipliers[0] + y * multipliers[1] + offset, shift, form.ties);
        const wanted = Math.max(min, Math.min(max, source(x, y)));
        if (Math.max(min, Math.min(max, q)) !== wanted) off++;
      }
    const exactness = { channels: off === 0 ? 0 : 1, accumulators: off, total };
    return { multipliers, offset, shift, ...form, exactness };
  });
  return counted.reduce((best, form) =>
    form.exactness.accumulators < best.exactness.accumulators ? form : best,
  );
}

/**
 * What is added to half a unit, and how much less is a tie. Multipliers are off by half a unit at most, and so are sums by
 * half the operands: that much a tie may stand on either side.
 * @param operands the largest of both, added
 */
function candidates(
  { odd }: PairRounding,
  shift: number,
  operands: number,
): { rest: number; part: number }[] {
  // All ties up, or down: enough where there are none, and cheaper.
  const plain = [
    { rest: 0, part: 0 },
    { rest: -1, part: 0 },
  ];
  if (odd === undefined) return plain;
  const slack = Math.ceil(operands / 2);
  const parts = [1, Math.ceil(slack / 8), slack].filter((part) => 2 * part < 2 ** shift / 2);
  return [...plain, ...parts.map((part) => ({ rest: part - 1, part: 2 * part - 1 }))];
}

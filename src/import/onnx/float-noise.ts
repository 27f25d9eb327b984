import {
  noiseAt,
  type Requantiser,
  requantise,
  roundHalfEven,
  type SourceRounding,
} from '../../model/requantiser.ts';
import type { Interval } from '../../model/tensor.ts';
import { tapsInside, windowOutput } from '../../model/window.ts';
import type { Quantisation } from '../builder.ts';
import type { Clamp } from '../lower/linear.ts';
import type { AverageTerm, LinearTerm } from './values.ts';

/**
 * How often a sum in float32, whose order is the runtime's own, ends on the other side of a rounding than the exact one: as
 * it comes out on random inputs of the whole range, added one after the other. Shares of all outputs, 0..1.
 */

/** Numbers of a fixed sequence: the same model gives the same share. */
function sequence(): (count: number) => number {
  let state = 1;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

const WINDOWS = 4096;
/** Sums tried beside that of each window. */
const SUMS_AROUND = 32;

const f = Math.fround;

/** Of an average: a tie, or a sum near to one, may come out on either side. @param range q-values of the input */
export function averageShare(
  { input, window, countPadding, sum, shifted, divisors }: AverageSample,
  to: Quantisation & Clamp,
  requantiser: Requantiser,
  { lo, hi }: Interval,
): number {
  const { scale, zeroPoint, shape } = input.type;
  const [, height, width] = shape as [number, number, number];
  const [rows, columns] = windowOutput(window, height, width);
  const next = sequence();
  const outputOf = (value: number, divisor: number): number => {
    const steps = f((sum ? value : f(value / divisor)) / to.scale);
    const q = shifted ? roundHalfEven(f(steps + to.zeroPoint)) : roundHalfEven(steps) + to.zeroPoint;
    return Math.max(to.min, Math.min(to.max, q));
  };
  let off = 0;
  let offAround = 0;
  for (let i = 0; i < WINDOWS; i++) {
    const taps = tapsInside(window, 0, next(rows), height) * tapsInside(window, 1, next(columns), width);
    const channel = countPadding ? 0 : divisors.indexOf(taps);
    const divisor = divisors[channel]!;
    const any = () => lo + next(hi - lo + 1) - zeroPoint;
    // Images have plain areas, whose roundings all go one way: every fourth window has two values only.
    const [one, other] = [any(), any()];
    const taken = i % 4 === 0 ? () => (next(2) === 0 ? one : other) : any;
    let exact = 0;
    let float = 0;
    for (let tap = 0; tap < taps; tap++) {
      const q = taken();
      exact += q;
      float = f(float + f(q * scale));
    }
    if (outputOf(float, divisor) !== requantise(requantiser, channel, exact)) off++;
    // The same noise on other sums of as many elements.
    const noise = float - exact * scale;
    for (let k = 0; k < SUMS_AROUND; k++) {
      const acc = exact + next(2 * SUMS_AROUND) - SUMS_AROUND;
      if (outputOf(f(acc * scale + noise), divisor) !== requantise(requantiser, channel, acc)) offAround++;
    }
  }
  // Those sums meet ties more often than windows do, so they only tell of what is too rare for these.
  return off > 0 ? off / WINDOWS : offAround / (WINDOWS * SUMS_AROUND);
}

interface AverageSample extends Pick<AverageTerm, 'input' | 'window' | 'countPadding' | 'sum' | 'shifted'> {
  readonly divisors: readonly number[];
}

const CHANNELS = 8;
const SUMS = 24;
/** Accumulators around each sum, to which the same noise is added: ties are met as often as the two scales make them. */
const AROUND = 512;
/** The same where values are rounded up or down: sums that lie on a step, as that of nothing does, are met among small ones. */
const AROUND_STEPS = 128;

/**
 * Of a product: how often the noise of a sum, next to an accumulator near to it, leads to another output.
 * @param roundings each a source a channel, that rounds what float32 cannot tell from the exact value; the share of each is returned
 * @param range q-values of the input
 * @param ruled how the runtime rounds steps of the output, if not to the nearest
 */
export function linearShares(
  term: LinearTerm,
  to: Quantisation & Clamp,
  roundings: readonly (readonly SourceRounding[])[],
  { lo, hi }: Interval,
  ruled?: (steps: number) => number,
): number[] {
  const { input, weights, unrounded = weights, bias, scale, offset } = term;
  const { scale: unit, zeroPoint } = input.type;
  const taps = weights.length / bias.length;
  const next = sequence();
  const clamp = (q: number) => Math.max(to.min, Math.min(to.max, q));
  const off = roundings.map(() => 0);
  const around = ruled === undefined ? AROUND : AROUND_STEPS;
  const outputOf = ruled ?? ((steps: number) => roundHalfEven(steps) + to.zeroPoint);
  let sums = 0;
  let distance = 0;
  for (let o = 0; o < bias.length; o += Math.ceil(bias.length / CHANNELS)) {
    const weightScale = scale[o]! / unit;
    for (let i = 0; i < SUMS; i++, sums++) {
      let exact = bias[o]!;
      let float = 0;
      for (let tap = 0; tap < taps; tap++) {
        const q = lo + next(hi - lo + 1) - zeroPoint;
        const w = weights[o * taps + tap]!;
        exact += q * w;
        float = f(float + f(q * unit) * f(unrounded[o * taps + tap]! * weightScale));
      }
      float = f(float + f(bias[o]! * scale[o]! + offset[o]!));
      const real = (acc: number) => (acc * scale[o]! + offset[o]!) / to.scale;
      const noise = f(float / to.scale) - real(exact);
      const near = real(exact) + to.zeroPoint;
      if (clamp(near) === near) distance += Math.min(1, Math.abs(noise));
      for (let k = 0; k < around; k++) {
        const acc = (ruled !== undefined && k % 2 === 0 ? 0 : exact) + next(2 * around) - around;
        const steps = real(acc);
        // Most are further from a tie than the noise reaches: all round alike.
        const fromTie = Math.abs(steps - Math.floor(steps) - 0.5);
        if (ruled === undefined && fromTie > Math.abs(noise) + 2 * noiseAt(steps)) continue;
        const q = clamp(outputOf(steps + noise));
        for (const [i, rounding] of roundings.entries()) if (q !== clamp(rounding[o]!(acc))) off[i]!++;
      }
    }
  }
  // Where ties are no more frequent than by chance, the mean distance says it more finely than counts of rare cases.
  return off.map((count) => Math.max(count / (sums * around), distance / sums));
}

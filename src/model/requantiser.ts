import {
  feasibleSlopes,
  hulls,
  type Line,
  multipliers,
  nearestSlope,
  offsets,
  type SlopeInterval,
} from './line.ts';
import { lineSteps, nearestLine, relaxed } from './nearest.ts';
import type { SourceRounding } from './rounding.ts';
import { type Constraints, constraints, differences, type Steps, thresholds } from './steps.ts';
import type { Interval } from './tensor.ts';

export {
  float32Rounding,
  halfUpRounding,
  idealRounding,
  onnxRounding,
  roundHalfEven,
  type SourceRounding,
  tfliteRounding,
} from './rounding.ts';
export { thresholds } from './steps.ts';

/**
 * Maps exact accumulators to q-values with integers alone:
 * `q = clamp(floor((acc * multiplier[c] + offset[c]) / 2^shift), min, max)`.
 * The offset holds the rounding and the zero point, min and max also hold a folded ReLU. One shift serves all channels,
 * so that packed lanes shift together. `|acc * multiplier + offset| < 2^53` over the channel's accumulators.
 */
export interface Requantiser {
  readonly multiplier: readonly number[];
  readonly offset: readonly number[];
  readonly shift: number;
  readonly min: number;
  readonly max: number;
  /** What the fit to the source's rounding found. */
  readonly exactness: Exactness;
}

/** Accumulators at which the integer form and the source differ, of all possible ones. */
export interface Exactness {
  /** Channels with at least one such accumulator. */
  readonly channels: number;
  readonly accumulators: number;
  readonly total: number;
}

export const requantise = (r: Requantiser, channel: number, acc: number): number => {
  const q = Math.floor((acc * r.multiplier[channel]! + r.offset[channel]!) / 2 ** r.shift);
  return Math.max(r.min, Math.min(r.max, q));
};

/** What is known of one channel while the shift is sought. */
interface Channel {
  readonly range: Interval;
  readonly source: Steps;
  /** Hulls of the constraints, relaxed where no line satisfies them all. */
  readonly hulls: Constraints;
  /** Slopes that satisfy them; absent if even relaxed ones have none. */
  readonly slopes: SlopeInterval | undefined;
  readonly estimate: number;
  /** Largest shift at which all products stay below 2^52. */
  readonly maxShift: number;
}

/** Largest shift ever useful: q-values of 9 bits times 2^40 leave room below 2^53. */
const MAX_SHIFT = 40;

/** Bits of a multiplier that stands in where no line is exact. */
const FALLBACK_BITS = 20;

/**
 * Finds the smallest shift, common to all channels, at which integer multipliers and offsets reproduce every step of
 * the sources over their accumulator ranges. Both sides are monotone, so equality at each step (at most 255) is equality
 * everywhere: a fit is a proof. Small multipliers are fewer bits to shift and add, and narrower lanes.
 *
 * Where a channel has no exact line (its float32 noise is not that of any line, or ties go to even), a near one stands
 * in, and `exactness` counts the accumulators at which it is off.
 *
 * @param maxBits widest multiplier allowed; fewer bits may cost exactness, which is then counted
 */
export function fitRequantiser(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
  minShift = 0,
  maxBits = 52,
): Requantiser {
  const channels = sources.map((source, c) => analyse(source, ranges[c]!, min, max));
  const shift = commonShift(channels, minShift, maxBits);
  const lines: Line[] = [];
  let inexact = 0;
  let accumulators = 0;
  let total = 0;
  const used = { bits: 0 };
  for (const channel of channels) {
    const { line, off } = fitLine(channel, shift, min, max, used);
    lines.push(line);
    if (off > 0) inexact++;
    accumulators += off;
    total += channel.range.hi - channel.range.lo + 1;
  }
  return {
    multiplier: lines.map((line) => line.multiplier),
    offset: lines.map((line) => line.offset),
    shift,
    min,
    max,
    exactness: { channels: inexact, accumulators, total },
  };
}

function analyse(source: SourceRounding, range: Interval, min: number, max: number): Channel {
  const found = thresholds(source, range, min, max);
  const { steps } = found;
  const estimate = steps.length > 1 ? (steps.length - 1) / Math.max(1, steps.at(-1)! - steps[0]!) : 0;
  const all = constraints(found, range, min, max);
  let facing = hulls(all);
  let slopes = feasibleSlopes(facing);
  if (slopes === undefined) {
    const near = relaxed(all, estimate);
    if (near !== undefined) {
      facing = hulls(near);
      slopes = feasibleSlopes(facing);
    }
  }
  // Multipliers are taken from the lower end of the interval.
  const slope = slopes === undefined ? estimate : slopes.lo.numerator / slopes.lo.denominator;
  const widest = Math.max(Math.abs(range.lo), Math.abs(range.hi), 1) * slope * 1.01 + 512;
  const maxShift = Math.min(MAX_SHIFT, Math.floor(52 - Math.log2(widest)));
  return { range, source: found, hulls: facing, slopes, estimate, maxShift };
}

/** A shift that serves a channel serves it at every larger one too, with the double multiplier. */
function commonShift(channels: readonly Channel[], minShift: number, maxBits: number): number {
  const steepest = Math.max(...channels.map(({ estimate }) => estimate), 2 ** -MAX_SHIFT);
  const widest = Math.floor(maxBits - Math.log2(steepest));
  const limit = Math.max(minShift, Math.min(widest, ...channels.map(({ maxShift }) => maxShift)));
  let shift = minShift;
  for (const { slopes, estimate } of channels) {
    if (slopes === undefined) {
      const wanted = FALLBACK_BITS - Math.floor(Math.log2(Math.max(estimate, 2 ** -MAX_SHIFT)));
      shift = Math.max(shift, Math.min(limit, wanted));
      continue;
    }
    const serves = (at: number) => {
      const { lo, hi } = multipliers(slopes, at);
      return lo <= hi;
    };
    while (shift < limit && !serves(shift)) shift++;
  }
  return shift;
}

/** `used.bits` are the bits set in any multiplier so far: a backend pays for each once. */
function fitLine(
  channel: Channel,
  shift: number,
  min: number,
  max: number,
  used: { bits: number },
): { line: Line; off: number } {
  const { slopes, range, source, estimate } = channel;
  if (slopes !== undefined) {
    const candidates = multipliers(slopes, shift);
    if (candidates.lo <= candidates.hi) {
      const multiplier = fewestBits(candidates, used);
      const { lo, hi } = offsets(channel.hulls, multiplier, shift);
      const line = { multiplier, offset: Math.floor((lo + hi) / 2) };
      const off = differences(source, lineSteps(line, shift, range, min, max), range);
      return { line, off };
    }
  }
  const { slope } = nearestSlope(channel.hulls, estimate);
  return nearestLine(source, slope, shift, range, min, max);
}

/** Multipliers looked at for one that needs no bit that is not used already. */
const CANDIDATES = 32;

function fewestBits({ lo, hi }: Interval, used: { bits: number }): number {
  let best = lo;
  // Beyond 31 bits the operators on bits do not reach; such multipliers have no cheap form anyway.
  if (hi < 2 ** 31) {
    let fewest = 32;
    for (let m = lo; m <= Math.min(hi, lo + CANDIDATES); m++) {
      const added = bitCount(m & ~used.bits);
      if (added >= fewest) continue;
      fewest = added;
      best = m;
    }
    used.bits |= best;
  }
  return best;
}

function bitCount(x: number): number {
  let count = 0;
  for (let rest = x >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}

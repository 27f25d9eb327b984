import { feasibleSlopes, hulls, type SlopeInterval } from './line.ts';
import { relaxed } from './nearest.ts';
import type { SourceRounding } from './rounding.ts';
import { type Constraints, constraints, type Steps, thresholds } from './steps.ts';
import type { Interval } from './tensor.ts';

/** A part of a channel's range that one line is to cover: all of it, or what lies on one side of the pivot. */
export interface Side {
  readonly range: Interval;
  readonly source: Steps;
  /** Hulls of the constraints, relaxed where no line satisfies them all. */
  readonly hulls: Constraints;
}

/** What is known of one channel while the shift is sought. */
export interface Channel {
  /**
   * One, or two whose lines share a slope: those beside the pivot, ascending, or the source with all ties down, then with
   * all ties up.
   */
  readonly sides: readonly [Side] | readonly [Side, Side];
  readonly form: 'line' | 'pivot' | 'ties';
  /** Slopes that satisfy all sides; absent if even relaxed ones have none. */
  readonly slopes: SlopeInterval | undefined;
  /** Whether these slopes give the source's q everywhere. */
  readonly exact: boolean;
  readonly estimate: number;
  /** Largest shift at which all products stay below 2^52. */
  readonly maxShift: number;
}

/** Largest shift ever useful: q-values of 9 bits times 2^40 leave room below 2^53. */
export const MAX_SHIFT = 40;

/** What one line can do for a channel: `exact` where there is one, else what comes nearest, which is only sought when asked for. */
export interface OneLine {
  readonly exact: Channel | undefined;
  near(): Channel;
}

/** With one line for the whole range, clamped to `[min, max]`. */
export function analyseLine(source: SourceRounding, range: Interval, min: number, max: number): OneLine {
  const side = analyseSide(source, range, min, max);
  const estimate = estimateOf(side.source);
  const slopes = feasibleSlopes(side.hulls);
  return {
    exact: slopes && channel([side], slopes, estimate, true, 'line'),
    near() {
      const near = relaxed(constraints(side.source, range, min, max), estimate);
      if (near === undefined) return channel([side], undefined, estimate, false, 'line');
      const facing = hulls(near);
      return channel([{ ...side, hulls: facing }], feasibleSlopes(facing), estimate, false, 'line');
    },
  };
}

/** With a line on each side of the source's pivot; undefined if it has none in the range, or no slope serves both. */
export function analyseSplit(
  source: SourceRounding,
  range: Interval,
  min: number,
  max: number,
): Channel | undefined {
  const { pivot } = source;
  if (pivot === undefined || pivot <= range.lo || pivot > range.hi) return undefined;
  const below = analyseSide(source, { lo: range.lo, hi: pivot - 1 }, min, max);
  const above = analyseSide(source, { lo: pivot, hi: range.hi }, min, max);
  const slopes = bothSlopes(feasibleSlopes(below.hulls), feasibleSlopes(above.hulls));
  const estimate = Math.max(estimateOf(below.source), estimateOf(above.source));
  return slopes === undefined ? undefined : channel([below, above], slopes, estimate, true, 'pivot');
}

/**
 * With a line for ties down and one for ties up; undefined if the source's ties do not go to even, or no slope serves both.
 * Clamps are no fault: where both lines are beyond one, so is every step between them.
 */
export function analyseTies(
  source: SourceRounding,
  range: Interval,
  min: number,
  max: number,
): Channel | undefined {
  const { ties } = source;
  if (ties === undefined) return undefined;
  const down = analyseSide(ties.down, range, min, max);
  const up = analyseSide(ties.up, range, min, max);
  const slopes = bothSlopes(feasibleSlopes(down.hulls), feasibleSlopes(up.hulls));
  const estimate = Math.max(estimateOf(down.source), estimateOf(up.source));
  return slopes === undefined ? undefined : channel([down, up], slopes, estimate, true, 'ties');
}

const analyseSide = (source: SourceRounding, range: Interval, min: number, max: number): Side => {
  const found = thresholds(source, range, min, max);
  return { range, source: found, hulls: hulls(constraints(found, range, min, max)) };
};

const estimateOf = ({ steps }: Steps): number =>
  steps.length > 1 ? (steps.length - 1) / Math.max(1, steps.at(-1)! - steps[0]!) : 0;

function channel(
  sides: Channel['sides'],
  slopes: SlopeInterval | undefined,
  estimate: number,
  exact: boolean,
  form: Channel['form'],
): Channel {
  // Multipliers are taken from the lower end of the interval.
  const slope = slopes === undefined ? estimate : slopes.lo.numerator / slopes.lo.denominator;
  const furthest = Math.max(...sides.flatMap(({ range }) => [Math.abs(range.lo), Math.abs(range.hi)]), 1);
  const maxShift = Math.min(MAX_SHIFT, Math.floor(52 - Math.log2(furthest * slope * 1.01 + 512)));
  return { sides, form, slopes, exact, estimate, maxShift };
}

function bothSlopes(a: SlopeInterval | undefined, b: SlopeInterval | undefined): SlopeInterval | undefined {
  if (a === undefined || b === undefined) return undefined;
  // Cross products of these fractions are exact.
  const less = (x: SlopeInterval['lo'], y: SlopeInterval['lo']) =>
    x.numerator * y.denominator < y.numerator * x.denominator;
  const lo = less(a.lo, b.lo) ? b.lo : a.lo;
  const hi = less(a.hi, b.hi) ? a.hi : b.hi;
  return less(lo, hi) ? { lo, hi, zero: a.zero && b.zero } : undefined;
}

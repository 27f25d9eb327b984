import type { Constraints, Point } from './steps.ts';
import type { Interval } from './tensor.ts';

/** `q = floor((acc * multiplier + offset) / 2^shift)`. */
export interface Line {
  readonly multiplier: number;
  readonly offset: number;
}

/** A fraction of integers, the denominator above zero; both below 2^33, so that cross products are exact. */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: number;
}

const less = (a: Fraction, b: Fraction): boolean => a.numerator * b.denominator < b.numerator * a.denominator;

/** Slopes strictly between which a line satisfies all constraints, for some offset; `lo` at least 0. */
export interface SlopeInterval {
  readonly lo: Fraction;
  readonly hi: Fraction;
  /** Slope 0 itself is among them: the function is constant. */
  readonly zero: boolean;
}

/** A line below all `lessThan` and above all `atLeast`: only the hulls facing each other matter, a few points each. */
export function hulls(c: Constraints): Constraints {
  return { atLeast: hull(c.atLeast, 1), lessThan: hull(c.lessThan, -1) };
}

/** Upper (`side` 1) or lower (-1) convex hull of points in ascending order. */
export function hull(points: readonly Point[], side: 1 | -1): Point[] {
  const kept: Point[] = [];
  for (const p of points) {
    if (kept.at(-1)?.acc === p.acc) {
      if ((p.q - kept.at(-1)!.q) * side <= 0) continue;
      kept.pop();
    }
    while (kept.length > 1) {
      const [a, b] = [kept[kept.length - 2]!, kept[kept.length - 1]!];
      const cross = (b.acc - a.acc) * (p.q - a.q) - (b.q - a.q) * (p.acc - a.acc);
      if (cross * side < 0) break;
      kept.pop();
    }
    kept.push(p);
  }
  return kept;
}

/** Steep enough for a jump over all 256 q at one accumulator; with it products stay below 2^53 at any shift. */
const STEEPEST: Fraction = { numerator: 512, denominator: 1 };

/** Slopes of all lines that satisfy the constraints of these hulls; undefined if there is none. */
export function feasibleSlopes({ atLeast, lessThan }: Constraints): SlopeInterval | undefined {
  let lo: Fraction = { numerator: -1, denominator: 1 };
  let hi = STEEPEST;
  // slope * (above.acc - below.acc) < above.q - below.q, for each pair.
  for (const below of atLeast)
    for (const above of lessThan) {
      const run = above.acc - below.acc;
      const rise = above.q - below.q;
      if (run > 0) {
        const bound = { numerator: rise, denominator: run };
        if (less(bound, hi)) hi = bound;
      } else if (run < 0) {
        const bound = { numerator: -rise, denominator: -run };
        if (less(lo, bound)) lo = bound;
      } else if (rise <= 0) return undefined;
    }
  const zero = lo.numerator < 0;
  if (zero) lo = { numerator: 0, denominator: 1 };
  return less(lo, hi) ? { lo, hi, zero } : undefined;
}

/** `floor(numerator * 2^shift / denominator)`, exact: a quotient of doubles may be rounded up to an integer. */
function scaledFloor({ numerator, denominator }: Fraction, shift: number): number {
  const scaled = numerator * 2 ** shift;
  let floor = Math.floor(scaled / denominator);
  while (floor * denominator > scaled) floor--;
  while ((floor + 1) * denominator <= scaled) floor++;
  return floor;
}

/** Multipliers whose slope at this shift lies in the interval; empty if `lo > hi`. */
export function multipliers({ lo, hi, zero }: SlopeInterval, shift: number): Interval {
  const below = scaledFloor(hi, shift);
  const touches = below * hi.denominator === hi.numerator * 2 ** shift;
  return { lo: zero ? 0 : scaledFloor(lo, shift) + 1, hi: touches ? below - 1 : below };
}

/** Offsets that satisfy the constraints for this multiplier and shift; empty if `lo > hi`. */
export function offsets({ atLeast, lessThan }: Constraints, multiplier: number, shift: number): Interval {
  const unit = 2 ** shift;
  let lo = -(2 ** 52);
  let hi = 2 ** 52;
  for (const { acc, q } of atLeast) lo = Math.max(lo, q * unit - acc * multiplier);
  for (const { acc, q } of lessThan) hi = Math.min(hi, q * unit - acc * multiplier - 1);
  return { lo, hi };
}

/** The slope of the line whose largest violation of these hulls is least, and the points that bind it there. */
export function nearestSlope(
  h: Constraints,
  estimate: number,
): { slope: number; gap: number; binding: readonly [below: Point, above: Point] } {
  let lo = 0;
  let hi = 2 * estimate;
  let slope = estimate;
  let gap = Number.NEGATIVE_INFINITY;
  let below = h.atLeast[0]!;
  let above = h.lessThan[0]!;
  // The room between both sides is a concave function of the slope, and its derivative is the run between the points.
  for (let i = 0; i < 48; i++) {
    const middle = (lo + hi) / 2;
    const l = extreme(h.atLeast, middle, 1);
    const u = extreme(h.lessThan, middle, -1);
    const room = u.q - u.acc * middle - (l.q - l.acc * middle);
    if (room > gap) {
      gap = room;
      slope = middle;
      below = l;
      above = u;
    }
    if (l.acc > u.acc) lo = middle;
    else if (l.acc < u.acc) hi = middle;
    else break;
  }
  return { slope, gap, binding: [below, above] };
}

/** The point with the largest (`side` 1) or smallest (-1) offset `q - acc * slope`. */
function extreme(points: readonly Point[], slope: number, side: 1 | -1): Point {
  let best = points[0]!;
  let most = side * (best.q - best.acc * slope);
  for (const p of points) {
    const value = side * (p.q - p.acc * slope);
    if (value <= most) continue;
    most = value;
    best = p;
  }
  return best;
}

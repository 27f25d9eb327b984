import { hull, hulls, type Line, nearestSlope } from './line.ts';
import { type Constraints, differences, type Point, type Steps } from './steps.ts';
import type { Interval } from './tensor.ts';

/** Constraints moved by at most this many accumulators in all before a channel counts as far from any line. */
const RELAXATIONS = 24;

/**
 * Moves single constraints by one accumulator each until some line satisfies them all. Float32 noise shifts a few
 * steps of a source by one; each one given up costs one accumulator at which the integers are off. At each turn the
 * binding constraint whose release gains most room is moved.
 *
 * @returns undefined if that many are not enough
 */
export function relaxed(c: Constraints, estimate: number): Constraints | undefined {
  let current = { points: c, hulls: hulls(c) };
  for (let turn = 0; turn < RELAXATIONS; turn++) {
    const { gap, binding } = nearestSlope(current.hulls, estimate);
    if (gap > 0) return current.points;
    const [below, above] = binding;
    const { atLeast, lessThan } = current.points;
    const without = (points: readonly Point[], point: Point, by: number) =>
      points.map((p) => (p === point ? { acc: p.acc + by, q: p.q } : p));
    const low = without(atLeast, below, 1);
    const high = without(lessThan, above, -1);
    // The hull of the side that stays is known.
    const options = [
      {
        points: { atLeast: low, lessThan },
        hulls: { ...current.hulls, atLeast: hull(low, 1) },
      },
      {
        points: { atLeast, lessThan: high },
        hulls: { ...current.hulls, lessThan: hull(high, -1) },
      },
    ];
    const [first, second] = options.map((option) => nearestSlope(option.hulls, estimate).gap);
    current = first! >= second! ? options[0]! : options[1]!;
  }
  return undefined;
}

/** Steps of a line over the range, clamped: the inverse of `floor((acc * m + o) / 2^shift)` at each q. */
export function lineSteps(line: Line, shift: number, range: Interval, min: number, max: number): Steps {
  const unit = 2 ** shift;
  const { multiplier, offset } = line;
  const clamp = (q: number) => Math.max(min, Math.min(max, q));
  const at = (acc: number) => clamp(Math.floor((acc * multiplier + offset) / unit));
  const first = at(range.lo) + 1;
  const last = at(range.hi);
  const steps: number[] = [];
  for (let q = first; q <= last; q++) {
    const target = q * unit - offset;
    let acc = Math.ceil(target / multiplier);
    while (acc * multiplier < target) acc++;
    while ((acc - 1) * multiplier >= target) acc--;
    steps.push(acc);
  }
  return { first, steps };
}

/**
 * The offset that puts most steps of a line of this multiplier where the source has them: step q at accumulator t
 * needs an offset in `[q * 2^shift - t * m, that + m)`, and the most crowded place of these intervals is taken.
 */
function crowdedOffset({ first, steps }: Steps, multiplier: number, shift: number): number {
  const unit = 2 ** shift;
  const starts = steps.map((t, i) => (first + i) * unit - t * multiplier).sort((a, b) => a - b);
  let best = { count: 0, from: 0, to: 0 };
  let tail = 0;
  for (const [head, start] of starts.entries()) {
    while (starts[tail]! <= start - multiplier) tail++;
    if (head - tail + 1 > best.count)
      best = { count: head - tail + 1, from: start, to: starts[tail]! + multiplier - 1 };
  }
  return Math.floor((best.from + best.to) / 2);
}

/** The line at this shift with the fewest accumulators off, among the multipliers next to a slope. */
export function nearestLine(
  source: Steps,
  slope: number,
  shift: number,
  range: Interval,
  min: number,
  max: number,
): { line: Line; off: number } {
  const middle = Math.round(slope * 2 ** shift);
  let best: { line: Line; off: number } | undefined;
  for (let multiplier = Math.max(1, middle - 2); multiplier <= middle + 2; multiplier++) {
    const line = { multiplier, offset: crowdedOffset(source, multiplier, shift) };
    const off = differences(source, lineSteps(line, shift, range, min, max), range);
    if (best === undefined || off < best.off) best = { line, off };
  }
  return best!;
}

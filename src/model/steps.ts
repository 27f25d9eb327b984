import type { SourceRounding } from './rounding.ts';
import type { Interval } from './tensor.ts';

/** Steps of a clamped, non-decreasing function of the accumulator: all that there is to know of it. */
export interface Steps {
  /** q of the first step: one above the value at the start of the range. */
  readonly first: number;
  /** Smallest accumulator at which the function reaches `first + i`; ascending, equal where it jumps. */
  readonly steps: readonly number[];
}

/**
 * The steps of a source over a range. Each is searched from where the distance of the two before it says that it will
 * be, which finds most in three or four calls.
 */
export function thresholds(source: SourceRounding, range: Interval, min: number, max: number): Steps {
  const clamp = (q: number) => Math.max(min, Math.min(max, q));
  const first = clamp(source(range.lo)) + 1;
  const last = clamp(source(range.hi));
  const steps: number[] = [];
  let below = range.lo;
  let gap = 0;
  for (let q = first; q <= last; q++) {
    const step = search(source, q, below, range.hi, gap);
    gap = steps.length === 0 ? 0 : step - steps.at(-1)!;
    steps.push(step);
    // A source may jump over several q at once: the next one can be at the same accumulator.
    below = step - 1;
  }
  return { first, steps };
}

/** Smallest accumulator in `(below, hi]` with `source >= q`, given that `below` is less and `hi` is not. */
function search(source: SourceRounding, q: number, below: number, hi: number, gap: number): number {
  let lo = below;
  let high = hi;
  if (gap > 0) {
    let reach = 1;
    for (let probe = below + 1 + gap; probe < high && probe > lo; ) {
      if (source(probe) >= q) {
        high = probe;
        probe = high - reach;
      } else {
        lo = probe;
        probe = lo + reach;
      }
      // Overshooting in turn closes in by itself; running on in one direction takes longer strides.
      if (high - lo <= reach) break;
      reach *= 2;
    }
  }
  while (high - lo > 1) {
    const middle = Math.floor((lo + high) / 2);
    if (source(middle) >= q) high = middle;
    else lo = middle;
  }
  return high;
}

/** A line must reach q at this accumulator (`atLeast`), or stay below it (`lessThan`). */
export interface Point {
  readonly acc: number;
  readonly q: number;
}

/** What makes a line, floored and clamped, equal to the source everywhere in the range. */
export interface Constraints {
  readonly atLeast: readonly Point[];
  readonly lessThan: readonly Point[];
}

/** Those of a source with these steps, clamped to `[min, max]`, over the accumulators of `range`. */
export function constraints({ first, steps }: Steps, range: Interval, min: number, max: number): Constraints {
  const atLeast = steps.map((acc, i) => ({ acc, q: first + i }));
  const lessThan = steps.map((acc, i) => ({ acc: acc - 1, q: first + i }));
  const lowest = first - 1;
  const highest = lowest + steps.length;
  // Beyond the clamp the line may run anywhere; where the range ends before the clamp it may not.
  if (lowest > min) atLeast.unshift({ acc: range.lo, q: lowest });
  if (highest < max) lessThan.push({ acc: range.hi, q: highest + 1 });
  return { atLeast, lessThan };
}

/**
 * Accumulators of the range at which two functions differ, from their steps. Each q between them contributes the
 * accumulators between its two steps; these intervals may overlap and are counted once.
 */
export function differences(a: Steps, b: Steps, range: Interval): number {
  const at = ({ first, steps }: Steps, q: number): number =>
    q < first ? range.lo : (steps[q - first] ?? range.hi + 1);
  const from = Math.min(a.first, b.first);
  const to = Math.max(a.first + a.steps.length, b.first + b.steps.length);
  let count = 0;
  let counted = range.lo;
  for (let q = from; q < to; q++) {
    const start = Math.max(counted, Math.min(at(a, q), at(b, q)));
    const end = Math.max(at(a, q), at(b, q));
    if (end <= start) continue;
    count += end - start;
    counted = end;
  }
  return count;
}

import { type Requantiser, requantise } from '../model/requantiser.ts';
import type { Interval } from '../model/tensor.ts';

/**
 * The requantiser of one channel with its clamp moved in front of the multiply:
 * `q = min + floor(((clamp(acc, from, to) - from) * multiplier + offset) / 2^shift)`.
 * Clamping accumulators is a matter of masks for all lanes of a word at once, and what is left needs no sign:
 * `0 <= (to - from) * multiplier + offset < (max - min + 1) * 2^shift`.
 */
export interface ClampWindow {
  readonly from: number;
  readonly to: number;
  readonly multiplier: number;
  readonly offset: number;
  /** Where `acc - from < pivot`, `part` is added as well: the source has a second line there. */
  readonly below?: { readonly pivot: number; readonly part: number };
}

/** Offsets of windows have up to 8 bits more than the shift; they must stay below 2^53. */
const MAX_SHIFT = 44;

/**
 * @pre `ranges[c]` bounds the accumulator of channel c
 * @post the window form equals `requantise` at every accumulator of the range
 * @returns undefined where a channel leaps over several q at a clamp (then no such form exists), or where the
 *   shift is so large that its offset is no exact double
 */
export function clampWindows(r: Requantiser, ranges: readonly Interval[]): ClampWindow[] | undefined {
  if (r.shift > MAX_SHIFT) return undefined;
  const windows: ClampWindow[] = [];
  for (const [c, range] of ranges.entries()) {
    const from = lastAt(r, c, range, r.min);
    const to = firstAt(r, c, range, r.max, from);
    if (from === to) {
      // A channel that never leaves its clamp; its line may be far away from it.
      windows.push({ from, to, multiplier: 0, offset: (requantise(r, c, from) - r.min) * 2 ** r.shift });
      continue;
    }
    const multiplier = r.multiplier[c]!;
    const offset = from * multiplier + r.offset[c]! - r.min * 2 ** r.shift;
    const below = belowOf(r, c, from);
    // Within each side the line rises, and between them q does: so the ends are the extremes.
    const at = (x: number) => x * multiplier + offset + (below && x < below.pivot ? below.part : 0);
    if (at(0) - tieAt(r, c, at(0)) < 0 || at(to - from) >= (r.max - r.min + 1) * 2 ** r.shift)
      return undefined;
    windows.push({ from, to, multiplier, offset, ...(below && { below }) });
  }
  return windows;
}

/** What ties to even take off the first value of a window; within it, that never passes another step. */
function tieAt({ ties, shift, min }: Requantiser, c: number, first: number): number {
  if (ties === undefined) return 0;
  return ((Math.floor(first / 2 ** shift) + min) & 1) === ties.odd ? ties.part[c]! : 0;
}

/** The second line of a channel, relative to where its window begins. */
function belowOf(r: Requantiser, c: number, from: number): ClampWindow['below'] {
  if (r.below === undefined) return undefined;
  return { pivot: r.below.pivot[c]! - from, part: r.below.offset[c]! - r.offset[c]! };
}

/** Largest accumulator of the range that still gives q, or the range's own beginning. */
function lastAt(r: Requantiser, c: number, range: Interval, q: number): number {
  return bisect(range.lo, range.hi, (acc) => requantise(r, c, acc) <= q);
}

/** Smallest accumulator from `from` on that gives q, or the range's own end. */
function firstAt(r: Requantiser, c: number, range: Interval, q: number, from: number): number {
  if (requantise(r, c, from) >= q) return from;
  const below = bisect(from, range.hi, (acc) => requantise(r, c, acc) < q);
  return Math.min(below + 1, range.hi);
}

/** Largest x in `[lo, hi]` for which the condition holds, given that it holds up to some x and not beyond; else lo. */
function bisect(lo: number, hi: number, holds: (x: number) => boolean): number {
  let left = lo;
  let right = hi + 1;
  while (right - left > 1) {
    const middle = Math.floor((left + right) / 2);
    if (holds(middle)) left = middle;
    else right = middle;
  }
  return left;
}

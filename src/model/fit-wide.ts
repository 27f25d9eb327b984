import type { Below, Requantiser, Ties } from './requantise.ts';
import type { IntegerLine, RealLine, SourceRounding } from './rounding.ts';
import type { Interval } from './tensor.ts';

/** Products of accumulators and multipliers stay below this power of two: targets hold them in 64 bits. */
const PRODUCT_BITS = 60;

/** Shifts beyond it gain nothing that a target could hold. */
const MOST_SHIFT = 52;

/** Multipliers are exact doubles, and leave room to be scaled up. */
const MULTIPLIER_BITS = 40;

/**
 * The requantiser of an output with too many steps for a search (16 bits): from what the sources say of themselves. One that
 * is a line of integers, as in TFLite's kernels, stays what it is; one that rounds reals gets the line next to it in 64 bits,
 * which is off only where a real is nearer to a tie than float32 tells.
 *
 * @param ranges accumulators, one a source
 * @returns undefined where a source says nothing of itself
 */
export function fitWide(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
): Requantiser | undefined {
  const integers = sources.map(({ integers: line }) => line);
  const reals = sources.map(({ real }) => real);
  const total = ranges.reduce((sum, { lo, hi }) => sum + hi - lo + 1, 0);
  const fixed = { min, max, exactness: { channels: 0, accumulators: 0, total } };
  if (integers.every((line) => line !== undefined)) return { ...fixed, ...alignedLines(integers) };
  if (reals.every((line) => line !== undefined)) return { ...fixed, ...realLines(reals, ranges) };
  return undefined;
}

type Lines = Pick<Requantiser, 'multiplier' | 'offset' | 'shift'> & {
  readonly below?: Below;
  readonly ties?: Ties;
};

/** One shift for all: a line scaled by a power of two is the same line. */
function alignedLines(lines: readonly IntegerLine[]): Lines {
  const shift = lines.reduce((most, line) => Math.max(most, line.shift), 0);
  const scaled = (line: IntegerLine, x: number) => x * 2 ** (shift - line.shift);
  const below = lines.map((line) => line.below ?? line.offset);
  return {
    multiplier: lines.map((line) => scaled(line, line.multiplier)),
    offset: lines.map((line) => scaled(line, line.offset)),
    shift,
    ...(lines.some((line) => line.below !== undefined) && {
      below: { pivot: lines.map(() => 0), offset: below.map((x, c) => scaled(lines[c]!, x)) },
    }),
  };
}

/** The finest that 64 bits hold. */
function realLines(lines: readonly RealLine[], ranges: readonly Interval[]): Lines {
  const bits = lines.reduce((most, { slope, by }, c) => {
    const furthest = Math.max(Math.abs(ranges[c]!.lo), Math.abs(ranges[c]!.hi), 1);
    const sum = Math.log2(furthest * slope + Math.abs(by) + 1);
    return Math.max(most, sum + 1 - PRODUCT_BITS, Math.log2(slope) - MULTIPLIER_BITS);
  }, -MOST_SHIFT);
  const shift = Math.max(0, Math.floor(-bits));
  const unit = 2 ** shift;
  const multiplier = lines.map(({ slope }) => Math.round(slope * unit));
  const exact = lines.map(({ slope, by }) => Number.isInteger(slope * unit) && Number.isInteger(by * unit));
  const odd = lines.find((line) => line.odd !== undefined)?.odd;
  // Ties of a line that is not exact are as near to half a step as its error over the steps that matter.
  const slack = lines.map(({ slope }, c) => {
    if (odd === undefined || exact[c]) return 0;
    return Math.min(unit / 8, Math.ceil(Math.min(2 ** 17 / slope, ranges[c]!.hi - ranges[c]!.lo)));
  });
  const offset = lines.map(({ by, zeroPoint }, c) =>
    Math.floor(by * unit + zeroPoint * unit + unit / 2 + slack[c]!),
  );
  if (odd === undefined) return { multiplier, offset, shift };
  return { multiplier, offset, shift, ties: { part: slack.map((part) => 2 * part + 1), odd } };
}

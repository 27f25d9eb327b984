import {
  analyseLine,
  analyseSplit,
  analyseTies,
  type Channel,
  MAX_SHIFT,
  type OneLine,
  type Side,
} from './fit-channel.ts';
import { fitWide } from './fit-wide.ts';
import { type Line, multipliers, nearestSlope, offsets } from './line.ts';
import { lineSteps, nearestLine } from './nearest.ts';
import type { Requantiser } from './requantise.ts';
import type { SourceRounding } from './rounding.ts';
import { differences } from './steps.ts';
import type { Interval } from './tensor.ts';

/** Bits of a multiplier that stands in where no line is exact. */
const FALLBACK_BITS = 20;

/** Steps beyond which none is searched. */
const MOST_STEPS = 255;

/**
 * Finds the smallest shift, common to all channels, at which integer multipliers and offsets reproduce every step of
 * the sources over their accumulator ranges. Both sides are monotone, so equality at each step (at most 255) is equality
 * everywhere: a fit is a proof. Small multipliers are fewer bits to shift and add, and narrower lanes.
 *
 * Where a channel has no exact line, and its source is known to round in two ways on the sides of a pivot, all channels
 * get a line on each side (`below`). Else (its float32 noise is not that of any line, or ties go to even) a near one
 * stands in, and `exactness` counts the accumulators at which it is off.
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
  const wide = max - min > MOST_STEPS ? fitWide(sources, ranges, min, max) : undefined;
  if (wide !== undefined) return wide;
  const { channels, shift } = chooseForm(sources, ranges, min, max, minShift, maxBits);
  const lines: (readonly Line[])[] = [];
  let inexact = 0;
  let accumulators = 0;
  let total = 0;
  const used = { bits: 0 };
  for (const [c, channel] of channels.entries()) {
    // The same channel again: one source over one range.
    const again = c > 0 && channel === channels[c - 1];
    const fitted = again ? lines[c - 1]! : fitLines(channel, shift, min, max, used);
    const off = channel.form === 'ties' ? 0 : differencesOf(channel, fitted, shift, min, max);
    lines.push(fitted);
    if (off > 0) inexact++;
    accumulators += off;
    total += ranges[c]!.hi - ranges[c]!.lo + 1;
  }
  return {
    multiplier: lines.map(([line]) => line!.multiplier),
    offset: lines.map((sides) => sides.at(-1)!.offset),
    shift,
    min,
    max,
    exactness: { channels: inexact, accumulators, total },
    ...belowOf(channels, lines),
    ...tiesOf(sources, channels, lines),
  };
}

/**
 * Whether integers can give every step of a source, as far as the lines alone tell: where not, `fitRequantiser` counts what it is off.
 * Found without what that is nearest to, which takes most of its time.
 */
export function canBeExact(source: SourceRounding, range: Interval, min: number, max: number): boolean {
  if (max - min > MOST_STEPS) return true;
  return (
    analyseLine(source, range, min, max).exact !== undefined || inTwo(source, range, min, max) !== undefined
  );
}

/** What is known of the channels, and the shift; without a form for ties if the bits do not suffice for it. */
function chooseForm(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
  minShift: number,
  maxBits: number,
): { channels: readonly Channel[]; shift: number } {
  const channels = analyseAll(sources, ranges, min, max);
  const shift = commonShift(channels, minShift, maxBits);
  const short = ({ form, slopes }: Channel) => {
    if (form !== 'ties') return false;
    const { lo, hi } = multipliers(slopes!, shift);
    return lo > hi;
  };
  if (!channels.some(short)) return { channels, shift };
  const plain = sources.map(
    (source): SourceRounding => Object.assign((acc: number) => source(acc), withoutTies(source)),
  );
  const lines = analyseAll(plain, ranges, min, max);
  return { channels: lines, shift: commonShift(lines, minShift, maxBits) };
}

const withoutTies = ({ pivot }: SourceRounding) => (pivot === undefined ? {} : { pivot });

function analyseAll(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
): Channel[] {
  const shared = sharedChannel(sources, ranges, min, max);
  if (shared !== undefined) return sources.map(() => shared);
  const twoOf = (source: SourceRounding, c: number) => inTwo(source, ranges[c]!, min, max);
  const lines: OneLine[] = [];
  for (const [c, source] of sources.entries()) {
    const line = analyseLine(source, ranges[c]!, min, max);
    // One that needs two sides: the code for them runs in all lanes, and the others get by with smaller multipliers.
    if (line.exact === undefined && twoOf(source, c) !== undefined)
      return sources.map((other, o) => twoOf(other, o) ?? best(analyseLine(other, ranges[o]!, min, max)));
    lines.push(line);
  }
  return lines.map(best);
}

const inTwo = (source: SourceRounding, range: Interval, min: number, max: number): Channel | undefined =>
  analyseTies(source, range, min, max) ?? analyseSplit(source, range, min, max);

const best = (line: OneLine): Channel => line.exact ?? line.near();

/**
 * Where all channels have the very same source, as with one scale for all weights, a line over the union of their
 * ranges serves them all, and they share a multiplier.
 */
function sharedChannel(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
): Channel | undefined {
  const source = sources[0]!;
  if (sources.length < 2 || sources.some((other) => other !== source)) return undefined;
  const union = ranges.reduce((a, b) => ({ lo: Math.min(a.lo, b.lo), hi: Math.max(a.hi, b.hi) }));
  const { exact } = analyseLine(source, union, min, max);
  return exact ?? inTwo(source, union, min, max);
}

/** A channel without a pivot in its range has the same line on both sides. */
function belowOf(
  channels: readonly Channel[],
  lines: readonly (readonly Line[])[],
): Pick<Requantiser, 'below'> {
  if (!channels.some(({ form }) => form === 'pivot')) return {};
  const pivot = channels.map(({ sides }) => sides.at(-1)!.range.lo);
  return { below: { pivot, offset: lines.map(([line]) => line!.offset) } };
}

/** What lies between the lines; nothing where there is one. All sources of a layer have one output, so one zero point. */
function tiesOf(
  sources: readonly SourceRounding[],
  channels: readonly Channel[],
  lines: readonly (readonly Line[])[],
): Pick<Requantiser, 'ties'> {
  if (!channels.some(({ form }) => form === 'ties')) return {};
  const odd = sources.find(({ ties }) => ties !== undefined)!.ties!.odd;
  return { ties: { part: lines.map((sides) => sides.at(-1)!.offset - sides[0]!.offset), odd } };
}

/** A shift that serves a channel serves it at every larger one too, with the double multiplier. */
function commonShift(channels: readonly Channel[], minShift: number, maxBits: number): number {
  // Folds, not arguments: there may be more channels than a call takes.
  const steepest = channels.reduce((most, { estimate }) => Math.max(most, estimate), 2 ** -MAX_SHIFT);
  const widest = Math.floor(maxBits - Math.log2(steepest));
  const least = channels.reduce((most, { maxShift }) => Math.min(most, maxShift), widest);
  const limit = Math.max(minShift, least);
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

/** A line for each side of the channel. `used.bits` are the bits set in any multiplier so far: a backend pays for each once. */
function fitLines(
  channel: Channel,
  shift: number,
  min: number,
  max: number,
  used: { bits: number },
): readonly Line[] {
  const { slopes, sides, estimate } = channel;
  if (slopes !== undefined) {
    const candidates = multipliers(slopes, shift);
    if (candidates.lo <= candidates.hi) {
      const multiplier = fewestBits(candidates, used);
      return lineOffsets(channel, multiplier, shift).map((offset) => ({ multiplier, offset }));
    }
  }
  return nearestLines(sides, estimate, shift, min, max);
}

function lineOffsets({ sides, form }: Channel, multiplier: number, shift: number): number[] {
  if (form !== 'ties') return sideOffsets(sides, multiplier, shift);
  // In the middle of either: a q is then as far from the next tie as it can be, and less is left over than a tie has.
  return sides.map((side) => {
    const { lo, hi } = offsets(side.hulls, multiplier, shift);
    return Math.floor((lo + hi) / 2);
  });
}

/** In the middle of the narrowest side's interval; on the other side as near to that as it may be. */
function sideOffsets(sides: readonly Side[], multiplier: number, shift: number): number[] {
  const intervals = sides.map((side) => offsets(side.hulls, multiplier, shift));
  const narrowest = intervals.reduce((a, b) => (b.hi - b.lo < a.hi - a.lo ? b : a));
  const middle = Math.floor((narrowest.lo + narrowest.hi) / 2);
  return intervals.map(({ lo, hi }) => Math.max(lo, Math.min(hi, middle)));
}

/** Bounded in bits, or without any exact line: the nearest on the side of most steps, and its slope on the other. */
function nearestLines(
  sides: readonly Side[],
  estimate: number,
  shift: number,
  min: number,
  max: number,
): readonly Line[] {
  const near = (side: Side): Line => {
    const { slope } = nearestSlope(side.hulls, estimate);
    return nearestLine(side.source, slope, shift, side.range, min, max).line;
  };
  const most = sides.reduce((a, b) => (b.source.steps.length > a.source.steps.length ? b : a));
  const line = near(most);
  return sides.map((side) => {
    if (side === most) return line;
    const { lo, hi } = offsets(side.hulls, line.multiplier, shift);
    return { ...line, offset: Math.floor((lo + hi) / 2) };
  });
}

const differencesOf = (
  { sides }: Channel,
  lines: readonly Line[],
  shift: number,
  min: number,
  max: number,
): number =>
  sides.reduce((sum, { source, range }, i) => {
    const steps = lineSteps(lines[i]!, shift, range, min, max);
    return sum + differences(source, steps, range);
  }, 0);

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

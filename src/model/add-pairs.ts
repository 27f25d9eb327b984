import type { Interval } from './tensor.ts';

/** Levels of nearness: `level` l is a distance from 2^-l to 2^-(l-1); the last has all that are nearer. */
const LEVELS = 33;
/** Of the distances themselves, which are differences of doubles. */
const NOISE = 1e-9;

/**
 * All pairs of two operands, with what a source makes of each. A sum far from where its rounding changes is rounded alike by
 * every form whose multipliers are near enough, so only the others need be tried with each: they stand first.
 */
export interface Pairs {
  readonly x: Int16Array;
  readonly y: Int16Array;
  readonly wanted: Int16Array;
  /** Pairs of a level or nearer, by level. */
  readonly near: Int32Array;
  /** Of the others, those that the source rounds otherwise than their exact sum, by level. */
  readonly farOff: Int32Array;
}

/** A sum of two operands, and the output that it is rounded to. */
export interface PairSum {
  /** Of the scales of both operands to the output's. */
  readonly ratios: readonly [number, number];
  /** Of the operands less their zero points. */
  readonly ranges: readonly [Interval, Interval];
  /** Of the output, as are the clamp's ends. */
  readonly zeroPoint: number;
  readonly min: number;
  readonly max: number;
}

/** @param source in steps of the output, from operands less their zero points */
export function pairsOf(source: (a: number, b: number) => number, pairSum: PairSum): Pairs {
  const { ratios, zeroPoint, min, max } = pairSum;
  const [a, b] = pairSum.ranges;
  const total = (a.hi - a.lo + 1) * (b.hi - b.lo + 1);
  const given = new Int16Array(total);
  const levels = new Uint8Array(total);
  const near = new Int32Array(LEVELS + 1);
  const farOff = new Int32Array(LEVELS + 1);
  let at = 0;
  for (let x = a.lo; x <= a.hi; x++)
    for (let y = b.lo; y <= b.hi; y++) {
      const sum = x * ratios[0] + y * ratios[1] + zeroPoint + 0.5;
      const rounded = Math.floor(sum);
      const part = sum - rounded;
      const level = Math.clz32(Math.min(part, 1 - part) * 2 ** 31);
      const q = Math.max(min, Math.min(max, source(x, y)));
      if (q !== Math.max(min, Math.min(max, rounded))) farOff[level + 1]!++;
      near[level]!++;
      given[at] = q;
      levels[at++] = level;
    }
  for (let level = LEVELS - 1; level >= 0; level--) near[level]! += near[level + 1]!;
  for (let level = 1; level <= LEVELS; level++) farOff[level]! += farOff[level - 1]!;
  const pairs = { x: new Int16Array(total), y: new Int16Array(total), wanted: new Int16Array(total) };
  const next = near.slice(1);
  at = 0;
  for (let x = a.lo; x <= a.hi; x++)
    for (let y = b.lo; y <= b.hi; y++) {
      const place = next[levels[at]!]!++;
      pairs.x[place] = x;
      pairs.y[place] = y;
      pairs.wanted[place] = given[at++]!;
    }
  return { ...pairs, near, farOff };
}

/** `clamp(floor((x * multipliers[0] + y * multipliers[1] + offset) / 2^shift), min, max)`; `ties` as those of a requantiser. */
export interface SumForm {
  readonly multipliers: readonly [number, number];
  readonly offset: number;
  readonly shift: number;
  readonly ties: { readonly part: number; readonly odd: 0 | 1 } | undefined;
  readonly min: number;
  readonly max: number;
}

/**
 * Pairs at which the form is off; gives up at `limit`.
 * @param error by which its sums before the shift are at most off the exact ones, in units of the shifted ones
 */
export function mismatches(
  { x, y, wanted, near, farOff }: Pairs,
  { multipliers: [ma, mb], offset, shift, ties, min, max }: SumForm,
  error: number,
  limit: number,
): number {
  const level = Math.max(0, Math.min(LEVELS, Math.ceil(-Math.log2(error + NOISE))));
  const unit = 2 ** shift;
  let off = farOff[level]!;
  const end = near[level]!;
  for (let i = 0; i < end && off < limit; i++) {
    const scaled = x[i]! * ma + offset + y[i]! * mb;
    let q = Math.floor(scaled / unit);
    if (ties !== undefined && (q & 1) === ties.odd) q = Math.floor((scaled - ties.part) / unit);
    if ((q < min ? min : Math.min(q, max)) !== wanted[i]) off++;
  }
  return off;
}

/**
 * Maps exact accumulators to q-values with integers alone:
 * `q = clamp(floor((acc * multiplier[c] + offset[c]) / 2^shift), min, max)`.
 * The offset holds the rounding and the zero point, min and max also hold a folded ReLU. One shift serves all channels,
 * so that packed lanes shift together. `|acc * multiplier + offset| < 2^53` over the channel's accumulators; of 16-bit inputs
 * or outputs 2^62.
 */
export interface Requantiser {
  readonly multiplier: readonly number[];
  readonly offset: readonly number[];
  readonly shift: number;
  readonly min: number;
  readonly max: number;
  /** What the fit to the source's rounding found. */
  readonly exactness: Exactness;
  /** Second offsets, for sources that round half away from zero and are no one line. Absent where one serves. */
  readonly below?: Below;
  /** Where ties go to even and some accumulator is one. Never beside `below`. */
  readonly ties?: Ties;
}

/**
 * The offset sends ties up. Where that gives a q whose lowest bit is `odd`, `part[c]` is taken off before the shift: more
 * than a tie has left over, less than what is no tie has. As an operation, `t - (isOdd(t >> shift) ? part : 0)`.
 */
export interface Ties {
  readonly part: readonly number[];
  readonly odd: 0 | 1;
}

/**
 * Where `acc < pivot[c]`, `offset[c]` here stands in for the requantiser's own: a line of the same slope on each side. As
 * an operation, `offset - (isBelow ? difference : 0)` with `isBelow` the sign of `acc - pivot`; for TFLite's pivot, 0, that
 * of the accumulator.
 */
export interface Below {
  readonly pivot: readonly number[];
  readonly offset: readonly number[];
}

/** Accumulators at which the integer form and the source differ, of all possible ones. */
export interface Exactness {
  /** Channels with at least one such accumulator. */
  readonly channels: number;
  readonly accumulators: number;
  readonly total: number;
}

/** The q-value of an accumulator, exactly: by doubles while all products stay within 2^53, by BigInt beyond. */
export const requantise = (r: Requantiser, channel: number, acc: number): number => {
  const { offset } = r.below !== undefined && acc < r.below.pivot[channel]! ? r.below : r;
  const product = acc * r.multiplier[channel]!;
  const scaled = product + offset[channel]!;
  if (Math.abs(product) > EXACT || Math.abs(scaled) > EXACT)
    return requantiseWide(r, channel, acc, offset[channel]!);
  const q = shiftToEven(scaled, r.shift, r.ties && { part: r.ties.part[channel]!, odd: r.ties.odd });
  return Math.max(r.min, Math.min(r.max, q));
};

/** All whole numbers up to it are doubles. */
const EXACT = 2 ** 53;

/** The same in 64 bits. */
function requantiseWide(r: Requantiser, channel: number, acc: number, offset: number): number {
  const scaled = BigInt(acc) * BigInt(r.multiplier[channel]!) + BigInt(offset);
  const shift = BigInt(r.shift);
  let q = Number(scaled >> shift);
  if (r.ties !== undefined && (q & 1) === r.ties.odd)
    q = Number((scaled - BigInt(r.ties.part[channel]!)) >> shift);
  return Math.max(r.min, Math.min(r.max, q));
}

/** `floor(scaled / 2^shift)`, of a q that is odd less `part` before. */
export function shiftToEven(
  scaled: number,
  shift: number,
  ties?: { readonly part: number; readonly odd: 0 | 1 },
): number {
  const q = Math.floor(scaled / 2 ** shift);
  return ties === undefined || (q & 1) !== ties.odd ? q : Math.floor((scaled - ties.part) / 2 ** shift);
}

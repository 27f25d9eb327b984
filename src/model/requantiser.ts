export { fitRequantiser } from './fit.ts';
export {
  float32Rounding,
  halfUpRounding,
  idealRounding,
  onnxRounding,
  pivoted,
  roundHalfEven,
  type SourceRounding,
} from './rounding.ts';
export { thresholds } from './steps.ts';
export { tfliteRounding } from './tflite-rounding.ts';

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
  /** Second offsets, for sources that round half away from zero and are no one line. Absent where one serves. */
  readonly below?: Below;
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

export const requantise = (r: Requantiser, channel: number, acc: number): number => {
  const { offset } = r.below !== undefined && acc < r.below.pivot[channel]! ? r.below : r;
  const q = Math.floor((acc * r.multiplier[channel]! + offset[channel]!) / 2 ** r.shift);
  return Math.max(r.min, Math.min(r.max, q));
};

import type { Activation } from '../builder.ts';

/**
 * Integers of the network. `shape` is the source's, without the batch: `[height, width, channels]` of an image.
 *
 * TFLite's images are `[height, width, channels]` in memory, the model's `[channels, height, width]`. `order` says in
 * which of them the activation's elements lie; where both are the same, as with one channel or one pixel, it is
 * `source`. See `layout.ts` for who turns what.
 */
export interface Quantised {
  readonly kind: 'quantised';
  readonly activation: Activation;
  readonly shape: readonly number[];
  readonly order: 'source' | 'channelsFirst';
}

/** The float32 graph input, until QUANTIZE makes it the model's. */
export interface FloatInput {
  readonly kind: 'floatInput';
  readonly shape: readonly number[];
}

/** What DEQUANTIZE makes: reals on the grid of the integers. */
export interface Dequantised {
  readonly kind: 'dequantised';
  readonly of: Quantised;
}

/** Class and margin, at the end: what follows there only changes how they would be written. */
export interface Verdict {
  readonly kind: 'verdict';
  readonly activation: Activation;
}

/** Numbers that the graph makes of shapes, which are known: for RESHAPE and its like. */
export interface Integers {
  readonly kind: 'integers';
  readonly values: readonly number[];
}

/** What SPACE_TO_BATCH_ND makes, for the convolution behind it, whose taps are then `block` apart. */
export interface Blocked {
  readonly kind: 'blocked';
  readonly of: Quantised;
  readonly block: readonly [number, number];
  /** `[top, bottom, left, right]`; at the end less what BATCH_TO_SPACE_ND crops. */
  readonly pads: readonly [number, number, number, number];
  /** Whether `of` is already what the convolution made of the whole image. */
  readonly isConvolved: boolean;
}

/** The output of an operator that was refused: operators behind it are passed over without another message. */
export interface Refused {
  readonly kind: 'refused';
}

/** What is known of a tensor once the operator that makes it was read. */
export type Value = Quantised | FloatInput | Dequantised | Verdict | Integers | Blocked | Refused;

/** Shift of the reciprocal that stands in for a division, of whose result the verifier would not know the bounds. */
export const RECIPROCAL_SHIFT = 24;

/**
 * Whether the row of every position is its product with a reciprocal, shifted: the product is too large by less than
 * position * width / 2^24, which must not reach one.
 */
export const hasReciprocal = (height: number, width: number): boolean =>
  height === 1 || width === 1 || height * width * width < 2 ** RECIPROCAL_SHIFT;

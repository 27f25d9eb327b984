import type { Axis } from '../model/window.ts';

/** Pads such that the output has `ceil(size / stride)` elements; of an odd number the end gets one more. */
export function samePads(size: number, kernel: number, stride: number, upper: boolean): [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
  const less = Math.floor(total / 2);
  return upper ? [less, total - less] : [total - less, less];
}

/**
 * The padding after the image that makes the rounding up of `ceil_mode` come out of the rounding down: the last window
 * may run over the end, but must start inside the image or the padding before it.
 */
export function ceilPadAfter({ size, kernel, stride, padBefore, padAfter }: Axis): number {
  let count = Math.ceil((size + padBefore + padAfter - kernel) / stride) + 1;
  if ((count - 1) * stride >= size + padBefore) count--;
  return Math.max(padAfter, (count - 1) * stride + kernel - size - padBefore);
}

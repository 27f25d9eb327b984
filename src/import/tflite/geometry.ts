import type { Window } from '../../model/model.ts';
import type { Activation } from '../builder.ts';
import { samePads } from '../window.ts';
import { Padding } from './names.ts';
import type { NodeReader } from './node-reader.ts';

/** The window of a convolution or pool, whose options all begin with padding, stride_w, stride_h. */
export function windowOf(
  c: NodeReader,
  kernel: readonly [number, number],
  image: Activation,
  dilations: readonly [number, number] = [1, 1],
): Window {
  const strides = [c.optionInt(2, 1), c.optionInt(1, 1)] as const;
  if (strides.some((s) => s < 1)) c.refuseOption('stride', strides.join('x'), '1 and more');
  if (kernel.some((k) => k < 1)) c.refuseOption('filter', kernel.join('x'), '1x1 and more');
  const padding = c.option(0, Padding.same);
  const apart = dilations.some((d) => d !== 1) ? { dilations } : {};
  if (padding === Padding.valid) return { kernel, strides, pads: [0, 0, 0, 0], ...apart };
  if (padding !== Padding.same) c.refuseOption('padding', padding, 'SAME, VALID');
  const [, height, width] = image.type.shape;
  const [top, bottom] = samePads(height!, (kernel[0] - 1) * dilations[0] + 1, strides[0], true);
  const [left, right] = samePads(width!, (kernel[1] - 1) * dilations[1] + 1, strides[1], true);
  return { kernel, strides, pads: [top, left, bottom, right], ...apart };
}

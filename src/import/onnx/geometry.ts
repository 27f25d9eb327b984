import { refuse } from '../../diagnostics/index.ts';
import type { Window } from '../../model/model.ts';
import type { Activation } from '../builder.ts';
import type { Conv2dGeometry } from '../lower/linear.ts';
import { ceilPadAfter, samePads } from '../window.ts';
import type { NodeReader } from './node-reader.ts';

/** Number of spatial axes, 1 or 2, checked to be those of the input. */
export function spatialRank(c: NodeReader, rank: number, { type }: Activation): 1 | 2 {
  if ((rank !== 1 && rank !== 2) || type.shape.length !== rank + 1)
    return refuse(
      'shape-mismatch',
      {
        expected:
          '[batch, channels, height, width] or [batch, channels, width], and a window of as many axes',
        actual: `[batch, ${type.shape.join(', ')}] and a window of ${rank} axes`,
      },
      c.place(0),
    );
  return rank;
}

/** Pads of the image's two axes, `[before, after]`. */
type Pads = readonly [readonly [number, number], readonly [number, number]];

/**
 * The window from a node's attributes over an image `[channels, height, width]`. Attributes of one axis are those of
 * the width of an image of height 1.
 */
export function windowOf(c: NodeReader, kernelDims: readonly number[], image: readonly number[]): Window {
  const one = kernelDims.length === 1;
  const pair = (values: readonly number[], absent: number): [number, number] =>
    one ? [absent, values[0] ?? absent] : [values[0] ?? absent, values[1] ?? absent];
  const kernel = pair(kernelDims, 1);
  const strides = pair(c.ints('strides') ?? [], 1);
  if ((c.ints('dilations') ?? []).some((d) => d !== 1))
    c.refuseAttribute('dilations', `[${c.ints('dilations')!.join(', ')}]`, '1');
  if ([...kernel, ...strides].some((n) => n < 1))
    c.refuseAttribute('kernel_shape, strides', `[${kernel}], [${strides}]`, 'at least 1');
  const pads = padsOf(c, kernel, strides, image, one);
  const after =
    c.int('ceil_mode', 0) === 0
      ? pads.map((p) => p[1])
      : pads.map((p, i) => {
          const [size, window, stride] = [image[i + 1]!, kernel[i as 0 | 1], strides[i as 0 | 1]];
          return ceilPadAfter({ size, kernel: window, stride, padBefore: p[0], padAfter: p[1] });
        });
  return { kernel, strides, pads: [pads[0][0], pads[1][0], after[0]!, after[1]!] };
}

function padsOf(
  c: NodeReader,
  kernel: readonly [number, number],
  strides: readonly [number, number],
  image: readonly number[],
  one: boolean,
): Pads {
  const auto = c.string('auto_pad', 'NOTSET');
  switch (auto) {
    case 'NOTSET': {
      const pads = c.ints('pads') ?? [];
      if (pads.some((p) => p < 0)) c.refuseAttribute('pads', `[${pads.join(', ')}]`, 'at least 0');
      const at = (i: number) => pads[i] ?? 0;
      return one
        ? [
            [0, 0],
            [at(0), at(1)],
          ]
        : [
            [at(0), at(2)],
            [at(1), at(3)],
          ];
    }
    case 'VALID':
      return [
        [0, 0],
        [0, 0],
      ];
    case 'SAME_UPPER':
    case 'SAME_LOWER': {
      const same = (i: 0 | 1) => samePads(image[i + 1]!, kernel[i], strides[i], auto === 'SAME_UPPER');
      return [same(0), same(1)];
    }
    default:
      return c.refuseAttribute('auto_pad', auto, 'NOTSET, VALID, SAME_UPPER, SAME_LOWER');
  }
}

export const convGeometry = (
  c: NodeReader,
  kernelDims: readonly number[],
  image: readonly number[],
): Conv2dGeometry => ({ ...windowOf(c, kernelDims, image), groups: c.int('group', 1) });

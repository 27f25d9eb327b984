import { refuse } from '../../diagnostics/index.ts';
import type { Window } from '../../model/model.ts';
import { windowExtent } from '../../model/window.ts';
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

/** A list attribute with one number an axis. @throws DiagnosticError if it has another length or a number below 1 */
function perAxis(c: NodeReader, name: string, axes: number): readonly number[] {
  const given = c.ints(name);
  if (given === undefined || given.length === 0) return Array.from({ length: axes }, () => 1);
  if (given.length !== axes) c.refuseAttribute(name, `[${given.join(', ')}]`, `${axes} numbers, one an axis`);
  if (given.some((n) => !Number.isInteger(n) || n < 1))
    c.refuseAttribute(name, `[${given.join(', ')}]`, 'at least 1');
  return given;
}

/** The window's size: of a pool always the attribute, of a convolution that of the weights, which it must not contradict. */
export function kernelShape(c: NodeReader, weights?: readonly number[]): readonly number[] {
  const given = c.ints('kernel_shape');
  if (given?.some((n) => !Number.isInteger(n) || n < 1))
    c.refuseAttribute('kernel_shape', `[${given.join(', ')}]`, 'at least 1');
  if (weights === undefined) {
    if (given === undefined || given.length === 0)
      c.refuseAttribute('kernel_shape', 'absent', 'one number an axis');
    return given;
  }
  if (given !== undefined && given.join() !== weights.join())
    c.refuseAttribute(
      'kernel_shape',
      `[${given.join(', ')}]`,
      `that of the weights, [${weights.join(', ')}]`,
    );
  return weights;
}

/**
 * The window from a node's attributes over an image `[channels, height, width]`. Attributes of one axis are those of
 * the width of an image of height 1.
 */
export function windowOf(c: NodeReader, kernelDims: readonly number[], image: readonly number[]): Window {
  const axes = kernelDims.length;
  const one = axes === 1;
  const pair = (values: readonly number[]): [number, number] =>
    one ? [1, values[0]!] : [values[0]!, values[1]!];
  const kernel = pair(kernelDims);
  const strides = pair(perAxis(c, 'strides', axes));
  const dilations = pair(perAxis(c, 'dilations', axes));
  const extent = [windowExtent({ kernel, dilations }, 0), windowExtent({ kernel, dilations }, 1)] as const;
  const isDilated = dilations.some((d) => d > 1);
  const pads = padsOf(c, { extent, strides, isDilated }, image, one);
  const after =
    c.int('ceil_mode', 0) === 0
      ? pads.map((p) => p[1])
      : pads.map((p, i) => {
          const [size, window, stride] = [image[i + 1]!, extent[i as 0 | 1], strides[i as 0 | 1]];
          return ceilPadAfter({ size, kernel: window, stride, padBefore: p[0], padAfter: p[1] });
        });
  const sides = [pads[0][0], pads[1][0], after[0]!, after[1]!] as const;
  return { kernel, strides, pads: sides, ...(isDilated && { dilations }) };
}

/** Of a window: elements from its first tap to its last, and from one window to the next. */
interface Taps {
  readonly extent: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly isDilated: boolean;
}

function padsOf(c: NodeReader, taps: Taps, image: readonly number[], one: boolean): Pads {
  const auto = c.string('auto_pad', 'NOTSET');
  const given = givenPads(c, one);
  const computed = automaticPads(c, auto, taps, image);
  if (computed === undefined)
    return (
      given ?? [
        [0, 0],
        [0, 0],
      ]
    );
  // The format forbids both; zeros beside it are what exporters write for nothing.
  if (given?.flat().some((p, i) => p !== 0 && p !== computed.flat()[i]))
    c.refuseAttribute('auto_pad', auto, 'NOTSET, where there are pads');
  return computed;
}

/** The attribute `pads`: all beginnings, then all ends. */
function givenPads(c: NodeReader, one: boolean): Pads | undefined {
  const pads = c.ints('pads');
  if (pads === undefined || pads.length === 0) return undefined;
  const wanted = one ? 2 : 4;
  if (pads.length !== wanted)
    c.refuseAttribute('pads', `[${pads.join(', ')}]`, `${wanted} numbers, beginning and end of each axis`);
  if (pads.some((p) => !Number.isInteger(p) || p < 0))
    c.refuseAttribute('pads', `[${pads.join(', ')}]`, 'at least 0');
  const [a, b, d, e] = pads as [number, number, number, number];
  return one
    ? [
        [0, 0],
        [a, b],
      ]
    : [
        [a, d],
        [b, e],
      ];
}

function automaticPads(
  c: NodeReader,
  auto: string,
  { extent, strides, isDilated }: Taps,
  image: readonly number[],
): Pads | undefined {
  switch (auto) {
    case 'NOTSET':
      return undefined;
    case 'VALID':
      return [
        [0, 0],
        [0, 0],
      ];
    case 'SAME_UPPER':
    case 'SAME_LOWER': {
      // Runtimes do not agree on the padding of a dilated window; ONNX Runtime refuses it of Conv, and reads beyond the image in pools.
      if (isDilated) c.refuseAttribute('auto_pad', auto, 'NOTSET with pads, where there are dilations');
      const same = (i: 0 | 1) => samePads(image[i + 1]!, extent[i], strides[i], auto === 'SAME_UPPER');
      return [same(0), same(1)];
    }
    default:
      return c.refuseAttribute('auto_pad', auto, 'NOTSET, VALID, SAME_UPPER, SAME_LOWER');
  }
}

/** Of a convolution node. @param image `[channels, height, width]` of its input */
export const convGeometry = (
  c: NodeReader,
  weightDims: readonly number[],
  image: readonly number[],
): Conv2dGeometry => ({ ...windowOf(c, kernelShape(c, weightDims), image), groups: c.int('group', 1) });

import { elementCount } from '../../../model/tensor.ts';
import { viewed } from '../../builder.ts';
import { lowerExtreme } from '../../lower/pooling.ts';
import { axisOf, shapeOf } from '../dims.ts';
import { onGrid } from '../materialise.ts';
import { moveValues } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import { type AverageTerm, type Real, realActivation, unclamped, type Value } from '../values.ts';
import { axesOf } from './shape.ts';
import { permuted } from './softmax.ts';

/** What is left of a value where some of its axes are summed up. */
interface Reduction {
  /** The value with its kept axes in front, as an image of which the rest is the pixels. */
  readonly image: readonly [channels: number, height: number, width: number];
  /** Axes of the value, behind the batch; undefined where they are in this order already. */
  readonly perm: readonly number[] | undefined;
  readonly shape: readonly number[];
}

function reductionOf(shape: readonly number[], axes: readonly number[], keep: boolean): Reduction {
  const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const perm = [...kept, ...axes];
  const isOrdered = perm.every((axis, i) => axis === i);
  const left = shape.flatMap((size, i) => (axes.includes(i) ? (keep ? [1] : []) : [size]));
  const channels = elementCount(kept.map((i) => shape[i]!));
  const isImage = isOrdered && shape.length === 3 && axes.length === 2;
  return {
    image: isImage
      ? [channels, shape[1]!, shape[2]!]
      : [channels, 1, elementCount(axes.map((i) => shape[i]!))],
    perm: isOrdered ? undefined : perm,
    shape: left.length === 0 ? [1] : left,
  };
}

/** Axes behind the batch; all of them if none are named. */
function reducedAxes(c: NodeReader, shape: readonly number[], since: number): number[] {
  const given = axesOf(c, since);
  if (c.opset >= since) c.requireInt('noop_with_empty_axes', 0);
  const axes = (given ?? [0, ...shape.map((_, i) => i + 1)]).map((a) => axisOf(c, a, shape.length + 1));
  // Of the one row that a packet carries, the batch is nothing to sum over.
  if (axes.includes(0) && axes.length <= shape.length)
    c.refuseAttribute('axes', `[${axes.join(', ')}]`, 'axes behind the batch');
  return axes
    .filter((a) => a > 0)
    .map((a) => a - 1)
    .sort((a, b) => a - b);
}

/** The value's elements in the order of the reduction's image. */
function asImage(c: NodeReader, real: Real, { image, perm }: Reduction): Real {
  if (perm === undefined) return { ...real, shape: image };
  const dims = [1, ...real.shape];
  const moved = moveValues(c, [real], permuted(dims, [0, ...perm.map((axis) => axis + 1)]));
  if (moved.kind !== 'real') throw new Error('reals stay reals');
  return { ...moved, shape: image };
}

const whole = ([, height, width]: Reduction['image']) =>
  ({ kernel: [height, width], strides: [1, 1], pads: [0, 0, 0, 0] }) as const;

/** Axes are an input from operator set 18 on, an attribute before. */
export const reduceMean = (c: NodeReader): Value => meanOf(c, 18, {});
/** Axes are an input from operator set 13 on, an attribute before. */
export const reduceSum = (c: NodeReader): Value => meanOf(c, 13, { sum: true });

/** @param since operator set from which on the axes are an input */
function meanOf(c: NodeReader, since: number, sum: Pick<AverageTerm, 'sum'>): Real {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const input = onGrid(c, x, 0);
  const axes = reducedAxes(c, shapeOf(x), since);
  const keep = c.int('keepdims', 1) === 1;
  const reduction = reductionOf(input.type.shape, axes, keep);
  const image = onGrid(c, asImage(c, realActivation(input), reduction), 0);
  const term: AverageTerm = {
    kind: 'average',
    name: c.name,
    input: image,
    window: whole(reduction.image),
    countPadding: false,
    fused: false,
    ...sum,
  };
  return { kind: 'real', term, clamp: unclamped, shape: reduction.shape };
}

const extremeAlong =
  (least: boolean) =>
  (c: NodeReader): Value => {
    const axes = (shape: readonly number[]) => reducedAxes(c, shape, 18);
    return extremeOf(c, c.input(0), axes, c.int('keepdims', 1) === 1, least);
  };

/** Axes are an input from operator set 18 on, an attribute before. */
export const reduceMin = extremeAlong(true);
/** Axes are an input from operator set 18 on, an attribute before. */
export const reduceMax = extremeAlong(false);

/** All axes but the channel's stay, as 1. */
export function globalMaxPool(c: NodeReader): Value {
  return extremeOf(c, c.input(0), (shape) => shape.map((_, i) => i).slice(1), true, false);
}

/** @param least whether it is the least element instead of the largest */
function extremeOf(
  c: NodeReader,
  x: Value,
  axesFor: (shape: readonly number[]) => readonly number[],
  keep: boolean,
  least: boolean,
): Value {
  if (x.kind === 'quantised') {
    const { activation } = x;
    const made = extremeOf(c, realActivation(activation), axesFor, keep, least);
    if (made.kind !== 'real' || made.term.kind !== 'activation') throw new Error('grids stay');
    return { kind: 'quantised', activation: viewed(made.term.activation, made.shape) };
  }
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  const reduction = reductionOf(x.shape, axesFor(x.shape), keep);
  const window = whole(reduction.image);
  const image = asImage(c, x, reduction);
  if (image.term.kind === 'activation') {
    const input = onGrid(c, image, 0);
    return realActivation(viewed(lowerExtreme(c.builder, c.name, input, window, least), reduction.shape));
  }
  const term = { kind: 'maximum', name: c.name, of: image, window, ...(least && { least }) } as const;
  return { kind: 'real', term, clamp: unclamped, shape: reduction.shape };
}

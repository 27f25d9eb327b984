import type { Activation } from '../../builder.ts';
import { lowerMaxPool, poolShape } from '../../lower/pooling.ts';
import { kernelShape, spatialRank, windowOf } from '../geometry.ts';
import { onGrid } from '../materialise.ts';
import { movedInput } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import {
  type AverageTerm,
  type FloatInput,
  type Real,
  realActivation,
  unclamped,
  type Value,
} from '../values.ts';

/** The input as an image, and how to see the result as the source does. */
function image(c: NodeReader, input: Activation, kernelRank: number) {
  const rank = spatialRank(c, kernelRank, input);
  const { shape } = input.type;
  const lifted = rank === 2 ? shape : [shape[0]!, 1, shape[1]!];
  const view: Activation = { ...input, type: { ...input.type, shape: lifted } };
  const back = ([channels, height, width]: readonly [number, number, number]): readonly number[] =>
    rank === 2 ? [channels, height, width] : [channels, width];
  return { view, back };
}

/** Maxima commute with rounding: of an activation it is taken of the integers. */
export function maxPool(c: NodeReader): Value {
  // It orders the indices alone, which are refused here.
  c.ignore('storage_order');
  if (c.node.output[1]) c.refuseAttribute('outputs', 2, 'the maxima alone, not their indices');
  const x = c.input(0);
  const kernel = kernelShape(c);
  if (x.kind === 'quantised') return { kind: 'quantised', activation: pooled(c, x.activation, kernel) };
  if (x.kind === 'floatInput') return pooledInput(c, x, kernel);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  if (x.term.kind === 'activation') return realActivation(pooled(c, onGrid(c, x, 0), kernel));
  return maximumOf(c, x, kernel);
}

function pooled(c: NodeReader, input: Activation, kernel: readonly number[]): Activation {
  const { view, back } = image(c, input, kernel.length);
  const window = windowOf(c, kernel, view.type.shape);
  const made = lowerMaxPool(c.builder, c.name, view, window);
  const [channels, height, width] = made.type.shape;
  return { value: made.value, type: { ...input.type, shape: back([channels!, height!, width!]) } };
}

/** Of the float input: taken of its integers, as soon as a QuantizeLinear says which those are. */
function pooledInput(c: NodeReader, x: FloatInput, kernel: readonly number[]): FloatInput {
  const like: Activation = { value: 0, type: { element: 'int8', scale: 1, zeroPoint: 0, shape: x.shape } };
  const { view, back } = image(c, like, kernel.length);
  const shape = back(poolShape(c.builder, c.name, view, windowOf(c, kernel, view.type.shape)));
  const { pooled: before } = x;
  const of = (input: Activation) =>
    pooled(c, before?.(input) ?? movedInput(c.builder, c.name, input, x), kernel);
  return { ...x, shape, from: x.from ?? x.shape, pooled: of };
}

function maximumOf(c: NodeReader, of: Real, kernel: readonly number[]): Value {
  // Only its shape matters here; the layers come with the QuantizeLinear.
  const like: Activation = { value: 0, type: { element: 'int8', scale: 1, zeroPoint: 0, shape: of.shape } };
  const { view, back } = image(c, like, kernel.length);
  const window = windowOf(c, kernel, view.type.shape);
  const shape = poolShape(c.builder, c.name, view, window);
  return {
    kind: 'real',
    term: { kind: 'maximum', name: c.name, of: { ...of, shape: view.type.shape }, window },
    clamp: unclamped,
    shape: back(shape),
  };
}

/** Without `count_include_pad` the divisor counts what lies inside of the image. */
export function averagePool(c: NodeReader): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  return average(c, onGrid(c, x, 0), kernelShape(c));
}

/** Over the windows of the node's attributes. @throws DiagnosticError where runtimes do not agree on a divisor */
export function average(
  c: NodeReader,
  input: Activation,
  kernel: readonly number[],
): Real & { readonly term: AverageTerm } {
  const { view, back } = image(c, input, kernel.length);
  const window = windowOf(c, kernel, view.type.shape);
  const padded = window.pads.some((p) => p > 0);
  const countPadding = c.int('count_include_pad', 0) === 1 && padded;
  // Runtimes do not agree on the divisor of a window that runs over the padding.
  if (countPadding && c.int('ceil_mode', 0) === 1)
    c.refuseAttribute('ceil_mode', 1, '0 with count_include_pad = 1');
  const shape = poolShape(c.builder, c.name, view, window);
  const term: AverageTerm = {
    kind: 'average',
    name: c.name,
    input: view,
    window,
    countPadding,
    fused: false,
  };
  return { kind: 'real', term, clamp: unclamped, shape: back(shape) };
}

/** Over all pixels of a channel, whatever the rank. */
export function globalAveragePool(c: NodeReader): Value {
  const x = c.input(0);
  if (x.kind !== 'real') return c.refuseFloat(0, 'there is no QuantizeLinear and DequantizeLinear before it');
  return globalAverage(c, onGrid(c, x, 0));
}

/** @param fused by the one kernel of integers that averages a whole image: it rounds otherwise */
export function globalAverage(c: NodeReader, input: Activation, fused = false): Real {
  const { view, back } = image(c, input, input.type.shape.length - 1);
  const [channels, height, width] = view.type.shape;
  const window = {
    kernel: [height!, width!],
    strides: [1, 1],
    pads: [0, 0, 0, 0],
  } as const;
  const term: AverageTerm = {
    kind: 'average',
    name: c.name,
    input: view,
    window,
    countPadding: false,
    fused,
  };
  return { kind: 'real', term, clamp: unclamped, shape: back([channels!, 1, 1]) };
}

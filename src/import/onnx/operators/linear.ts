import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { type Activation, viewed } from '../../builder.ts';
import { conv2dShape } from '../../lower/linear.ts';
import { biased, type LinearReal, scaled } from '../affine.ts';
import { convGeometry, spatialRank } from '../geometry.ts';
import { onGrid } from '../materialise.ts';
import { moveValues } from '../moves.ts';
import { bothOf, type NodeReader } from '../node-reader.ts';
import { type LinearTerm, realActivation, unclamped, type Value } from '../values.ts';
import { asMatrix, channelWeights, matrixWeights, type Weights, weightsAt } from '../weights.ts';
import { matrixProduct } from './matrix-product.ts';
import { permuted } from './softmax.ts';

/** The activation that a linear operator multiplies. */
export function multiplicand(c: NodeReader, index: number): Activation {
  const value = c.input(index);
  if (value.kind === 'real') return onGrid(c, value, index);
  if (value.kind === 'constant' || value.kind === 'quantisedConstant')
    return refuse(
      'onnx-attribute',
      { attribute: `input ${index}`, value: 'constant', supported: 'activations first, weights second' },
      c.place(index),
    );
  return c.refuseFloat(index, 'there is no QuantizeLinear and DequantizeLinear before it');
}

/** `alpha * A * B + beta * C`. */
export function gemm(c: NodeReader): Value {
  c.requireInt('transA', 0);
  const outAxis = c.int('transB', 0) === 0 ? 1 : 0;
  const [input, weights] = bothOf(
    () => multiplicand(c, 0),
    () => matrixWeights(c, weightsAt(c, 1), 1, outAxis),
  );
  const product = denseProduct(c, input, weights);
  const scaledProduct = { ...product, term: scaled(product.term, fill(weights, c.float('alpha', 1))) };
  if (c.optional(2) === undefined) {
    c.ignore('beta');
    return scaledProduct;
  }
  return { ...scaledProduct, term: biased(c, scaledProduct, 2, 'broadcast', c.float('beta', 1)) };
}

const fill = ({ scales }: Weights, factor: number) => new Float64Array(scales.length).fill(factor);

/** Activations by constant weights on either side, or by other activations. */
export function matMul(c: NodeReader): Value {
  if (c.optional(0)?.kind === 'quantisedConstant' && c.optional(1)?.kind === 'real') return weightsFirst(c);
  if (c.optional(0)?.kind === 'real' && c.optional(1)?.kind === 'real')
    return matrixProduct(c, multiplicand(c, 0), multiplicand(c, 1));
  const [input, weights] = bothOf(
    () => multiplicand(c, 0),
    () => matrixWeights(c, asMatrix(weightsAt(c, 1)), 1, 1),
  );
  return denseProduct(c, input, weights);
}

/** A matrix by the rows of a sequence: each row is a channel of a convolution of one tap. */
function weightsFirst(c: NodeReader): Value {
  const [input, weights] = bothOf(
    () => multiplicand(c, 1),
    () => channelWeights(c, asMatrix(weightsAt(c, 0)), 0),
  );
  const { shape } = input.type;
  const [outs, ins] = weights.dims as [number, number];
  if (weights.dims.length !== 2 || shape.length !== 2 || shape[0] !== ins)
    refuse(
      'shape-mismatch',
      { expected: `[batch, ${ins}, ...]`, actual: `[batch, ${shape.join(', ')}]` },
      c.place(1),
    );
  const image = viewed(input, [ins, 1, shape[1]!]);
  const conv = { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], groups: 1 } as const;
  const term = { ...linearTerm(c.name, image, weights), conv };
  return { kind: 'real', term, clamp: unclamped, shape: [outs, shape[1]!] };
}

/** Several rows by a matrix: a convolution of one tap along the rows, which are turned round for it and back. */
function rowsProduct(c: NodeReader, input: Activation, weights: Weights): LinearReal {
  const { shape } = input.type;
  const outs = weights.scales.length;
  const ins = weights.values.length / outs;
  const rows = elementCount(shape) / ins;
  const turned = moveValues(
    c,
    [realActivation({ ...input, type: { ...input.type, shape: [rows, ins] } })],
    permuted([1, rows, ins], [0, 2, 1]),
  );
  if (turned.kind !== 'real') throw new Error('reals stay reals');
  const image = viewed(onGrid(c, turned, 0), [ins, 1, rows]);
  const conv = { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], groups: 1 } as const;
  const term = { ...linearTerm(c.name, image, weights), conv, rows: true } as const;
  return { kind: 'real', term, clamp: unclamped, shape: [...shape.slice(0, -1), outs] };
}

/** The product of rows by a matrix: the last axis is summed. */
export function denseProduct(c: NodeReader, input: Activation, weights: Weights): LinearReal {
  const { shape } = input.type;
  const outs = weights.scales.length;
  const ins = weights.values.length / outs;
  if (shape.at(-1) === ins && elementCount(shape) > ins) return rowsProduct(c, input, weights);
  if (shape.at(-1) !== ins || elementCount(shape) !== ins)
    refuse(
      'shape-mismatch',
      { expected: `rows of ${ins} elements`, actual: `[batch, ${shape.join(', ')}]` },
      c.place(0),
    );
  const term = linearTerm(c.name, input, weights);
  return { kind: 'real', term, clamp: unclamped, shape: [...shape.slice(0, -1), outs] };
}

/** Scales multiplied in float32, as the runtime does. */
export function linearTerm(name: string, input: Activation, weights: Weights): LinearTerm {
  return {
    kind: 'linear',
    name,
    input,
    weights: weights.values,
    ...(weights.unrounded && { unrounded: weights.unrounded }),
    weightBits: weights.bits,
    bias: new Float64Array(weights.scales.length),
    scale: weights.scales.map((s) => input.type.scale * s),
    offset: new Float64Array(weights.scales.length),
    fused: false,
  };
}

/** Over one or two axes; the bias is input 2, if there is one. */
export function conv(c: NodeReader): Value {
  const [input, weights] = bothOf(
    () => multiplicand(c, 0),
    () => channelWeights(c, weightsAt(c, 1), 1),
  );
  const product = convProduct(c, input, weights);
  return c.optional(2) === undefined ? product : { ...product, term: biased(c, product, 2, 'vector') };
}

/** A convolution over one or two spatial axes; one axis is an image of height 1. */
export function convProduct(c: NodeReader, input: Activation, weights: Weights): LinearReal {
  const rank = spatialRank(c, weights.dims.length - 2, input);
  const image = rank === 2 ? input.type.shape : [input.type.shape[0]!, 1, input.type.shape[1]!];
  const view = { ...input, type: { ...input.type, shape: image } };
  const geometry = convGeometry(c, weights.dims.slice(2), image);
  const term = { ...linearTerm(c.name, view, weights), conv: geometry };
  const [outs, height, width] = conv2dShape(c.builder, term, geometry);
  return { kind: 'real', term, clamp: unclamped, shape: rank === 2 ? [outs, height, width] : [outs, width] };
}

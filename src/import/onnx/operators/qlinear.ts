import { refuse } from '../../../diagnostics/index.ts';
import { elementRange } from '../../../model/tensor.ts';
import { type Activation, type Quantisation, viewed } from '../../builder.ts';
import { type ElementFunctions, lowerElements } from '../../lower/functions-of-elements.ts';
import { dealtOut, scaled } from '../affine.ts';
import { kernelShape } from '../geometry.ts';
import { materialise } from '../materialise.ts';
import type { NodeReader } from '../node-reader.ts';
import { readAs, readParameters, readQuantisation } from '../quantisation.ts';
import { DataType, isFloat } from '../tensor-data.ts';
import { type LinearTerm, type Real, realActivation, unclamped, type Value } from '../values.ts';
import { channelWeights, checkedWeights, matrixWeights } from '../weights.ts';
import { functionOf, functions } from './functions.ts';
import { convProduct, denseProduct } from './linear.ts';
import { matrixProduct } from './matrix-product.ts';
import { chosen, joined } from './moves.ts';
import { productOf } from './pairs.ts';
import { average, globalAverage } from './pooling.ts';
import { softmaxReal } from './softmax.ts';

/** The activation in three inputs: integers, scale, zero point. */
function activationAt(c: NodeReader, index: number): Activation {
  const value = c.input(index);
  if (value.kind !== 'quantised') return c.refuseFloat(index, `${c.operator} reads quantised activations`);
  return readAs(c, value, readParameters(c, index + 1, index + 2), index + 1);
}

/** The weights in three inputs: integers, scales, zero points. */
function weightsIn(c: NodeReader, index: number, axis: number) {
  const value = c.constant(index, 'the value (weights)');
  if (isFloat(value.dataType)) refuse('onnx-float-weights', { tensor: c.tensor(index) }, c.place(index));
  const { scales, zeroPoints } = readParameters(c, index + 1, index + 2);
  return checkedWeights(c, { ...value, kind: 'quantisedConstant', scales, zeroPoints, axis }, index);
}

/** int32, on the scale of the accumulator. */
function accumulatorBias(c: NodeReader, term: LinearTerm, index: number): LinearTerm {
  if (c.optional(index) === undefined) return term;
  const { values, dataType } = c.constant(index, 'the bias');
  const channels = term.bias.length;
  if (dataType !== DataType.int32 || (values.length !== channels && values.length !== 1))
    refuse(
      'shape-mismatch',
      { expected: `an int32 bias of ${channels} channels`, actual: `${values.length} values` },
      c.place(index),
    );
  return { ...term, bias: term.bias.map((b, o) => b + values[values.length === 1 ? 0 : o]!) };
}

const quantised = (c: NodeReader, real: Real, scaleAt: number): Value => ({
  kind: 'quantised',
  activation: materialise(c, real, readQuantisation(c, scaleAt, scaleAt + 1)),
});

/** One kernel of integers, which multiplies its two scales in float32. */
const fused = (term: LinearTerm): LinearTerm => ({
  ...term,
  scale: term.scale.map(Math.fround),
  fused: true,
});

/** `x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias`. */
export function qLinearConv(c: NodeReader): Value {
  const product = convProduct(c, activationAt(c, 0), channelWeights(c, weightsIn(c, 3, 0), 3));
  return quantised(c, { ...product, term: fused(accumulatorBias(c, product.term, 8)) }, 6);
}

/** `a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero`. */
export function qLinearMatMul(c: NodeReader): Value {
  const product =
    c.input(3).kind === 'quantised'
      ? matrixProduct(c, activationAt(c, 0), activationAt(c, 3))
      : denseProduct(c, activationAt(c, 0), matrixWeights(c, weightsIn(c, 3, 1), 3, 1));
  return quantised(c, { ...product, term: fused(product.term) }, 6);
}

/** com.microsoft: `a, a_scale, a_zero, b, b_scale, b_zero, bias, y_scale, y_zero`, with Gemm's attributes. */
export function qGemm(c: NodeReader): Value {
  c.requireInt('transA', 0);
  const outAxis = c.int('transB', 0) === 0 ? 1 : 0;
  const weights = matrixWeights(c, weightsIn(c, 3, outAxis), 3, outAxis);
  const product = denseProduct(c, activationAt(c, 0), weights);
  const alpha = new Float64Array(weights.scales.length).fill(c.float('alpha', 1));
  const term = accumulatorBias(c, scaled(product.term, alpha), 6);
  if (c.optional(7) === undefined) return { ...product, term };
  return quantised(c, { ...product, term: fused(term) }, 7);
}

/** com.microsoft: `a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero`. */
export function qLinearAdd(c: NodeReader): Value {
  if (c.input(0).kind === 'constant') return addOfConstant(c, 3, 0);
  if (c.input(3).kind === 'constant') return addOfConstant(c, 0, 3);
  const [a, b] = [activationAt(c, 0), activationAt(c, 3)];
  const term = { kind: 'sum', name: c.name, a, b, fused: true } as const;
  return quantised(c, { kind: 'real', term, clamp: unclamped, shape: a.type.shape }, 6);
}

const f = Math.fround;

/** An activation and a constant, each with its quantisation behind it; `c_scale, c_zero` of the answer are inputs 6 and 7. */
function withConstant(c: NodeReader, activationIndex: number, constantIndex: number, what: string) {
  const input = activationAt(c, activationIndex);
  const { values, dims } = c.constant(constantIndex, what);
  const constant = readQuantisation(c, constantIndex + 1, constantIndex + 2);
  const to = readQuantisation(c, 6, 7);
  return { input, constant, to, operands: dealtOut(c, constantIndex, input.type.shape, values, dims) };
}

function byElement(c: NodeReader, functions: ElementFunctions, to: Quantisation): Value {
  const { lo, hi } = elementRange(to.element);
  const made = lowerElements(c.builder, functions, { ...to, min: lo, max: hi });
  return { kind: 'quantised', activation: viewed(made, functions.input.type.shape) };
}

/** A function of one element, by the kernel's own steps. */
function addOfConstant(c: NodeReader, activationIndex: number, constantIndex: number): Value {
  const { input, constant, to, operands } = withConstant(c, activationIndex, constantIndex, 'the summand');
  const own = f(input.type.scale / to.scale);
  const other = f(constant.scale / to.scale);
  const fixed = f(to.zeroPoint - f(f(own * input.type.zeroPoint) + f(other * constant.zeroPoint)));
  const steps = (acc: number, channel: number): number => {
    const x = (acc + input.type.zeroPoint) * own;
    const y = operands[channel]! * other;
    return constantIndex === 0 ? f(x + f(y + fixed)) : f(y + f(x + fixed));
  };
  // The zero point is inside of what is rounded.
  return byElement(c, { name: c.name, input, steps, channels: operands.length, zeroPoint: 0 }, to);
}

/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`, with AveragePool's attributes. */
export function qLinearAveragePool(c: NodeReader): Value {
  c.requireInt('channels_last', 0);
  const mean = average(c, activationAt(c, 0), kernelShape(c));
  return quantised(c, { ...mean, term: { ...mean.term, shifted: true } }, 3);
}

/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`; the kernel of integers rounds otherwise than float32. */
export function qLinearGlobalAveragePool(c: NodeReader): Value {
  c.requireInt('channels_last', 0);
  return quantised(c, globalAverage(c, activationAt(c, 0), true), 3);
}

/** com.microsoft: `a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero`. */
export function qLinearMul(c: NodeReader): Value {
  if (c.input(0).kind === 'constant') return productWithConstant(c, 3, 0);
  if (c.input(3).kind === 'constant') return productWithConstant(c, 0, 3);
  return quantised(c, productOf(c, activationAt(c, 0), activationAt(c, 3), true), 6);
}

/** A function of one element, by the kernel's own steps. */
function productWithConstant(c: NodeReader, activationIndex: number, constantIndex: number): Value {
  const { input, constant, to, operands } = withConstant(c, activationIndex, constantIndex, 'the factor');
  const ratio = f(f(input.type.scale * constant.scale) / to.scale);
  const steps = (acc: number, channel: number) =>
    f(f(acc * (operands[channel]! - constant.zeroPoint) * ratio) + to.zeroPoint);
  // The zero point is inside of what is rounded.
  return byElement(c, { name: c.name, input, steps, channels: operands.length, zeroPoint: 0 }, to);
}

/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`: a function of each element. */
const qLinearFunction =
  (name: 'Sigmoid' | 'LeakyRelu') =>
  (c: NodeReader): Value =>
    quantised(c, functionOf(c, realActivation(activationAt(c, 0)), functions[name](c)), 3);

/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`. */
export const qLinearSigmoid = qLinearFunction('Sigmoid');
/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`; its slope is the attribute `alpha`. */
export const qLinearLeakyRelu = qLinearFunction('LeakyRelu');

/** com.microsoft: `x, x_scale, x_zero, y_scale, y_zero`. */
export function qLinearSoftmax(c: NodeReader): Value {
  const flattens = c.int('opset', 13) < 13;
  const real = softmaxReal(c, activationAt(c, 0), -1, flattens, false);
  const { term } = real;
  const of = term.kind === 'moved' ? term.of[0]!.term : term;
  // A share of 1 is 256 for the kernel, which is 0 as a byte, unless there is another element to make it less.
  if (of.kind === 'softmax' && of.size === 1)
    c.refuseAttribute('axis', c.int('axis', -1), 'an axis of several elements; of one a softmax is but 1');
  return quantised(c, real, 3);
}

/** com.microsoft: `y_scale, y_zero`, then `x, x_scale, x_zero` of each part. */
export function qLinearConcat(c: NodeReader): Value {
  const count = Math.floor((c.node.input.length - 2) / 3);
  const parts = Array.from({ length: count }, (_, i) => realActivation(activationAt(c, 2 + 3 * i)));
  const made = joined(c, parts);
  if (made.kind !== 'real') throw new Error('reals stay reals');
  return quantised(c, made, 0);
}

/** com.microsoft: `condition, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero`. */
export function qLinearWhere(c: NodeReader): Value {
  const operand = (index: number) => {
    const value = c.input(index);
    return value.kind === 'constant' ? value : realActivation(activationAt(c, index));
  };
  const made = chosen(c, operand(1), operand(4), (side) => {
    const at = side === 'a' ? 1 : 4;
    const { values } = c.constant(at, 'the value');
    if (values.length !== 1)
      refuse(
        'shape-mismatch',
        { expected: 'a constant of one element', actual: String(values.length) },
        c.place(at),
      );
    const { scale, zeroPoint } = readQuantisation(c, at + 1, at + 2);
    return f((values[0]! - zeroPoint) * scale);
  });
  if (made.kind !== 'real') throw new Error('reals stay reals');
  return quantised(c, made, 7);
}

/** `a, b, a_zero, b_zero` without scales: the accumulators themselves, as reals of scale 1. */
function integerOperands(c: NodeReader, axis: number) {
  const x = c.input(0);
  if (x.kind !== 'quantised') return c.refuseFloat(0, `${c.operator} reads quantised activations`);
  const value = c.constant(1, 'the value (weights)');
  const zeroOf = (index: number, count: number): number[] =>
    c.optional(index) === undefined
      ? Array.from({ length: count }, () => 0)
      : Array.from(c.constant(index, 'the zero point').values);
  const zeroPoints = zeroOf(3, 1);
  const scales = zeroPoints.map(() => 1);
  const weights = checkedWeights(c, { ...value, kind: 'quantisedConstant', scales, zeroPoints, axis }, 1);
  // The accumulators do not depend on the scale of the activation; it has one only if it is known otherwise.
  const known = x.activation.value === 0 ? c.builder.input!.scale : x.activation.type.scale;
  const scale = Number.isNaN(known) ? 1 : known;
  const input = readAs(c, x, { scales: [scale], zeroPoints: zeroOf(2, 1) }, 2);
  return { input: { ...input, type: { ...input.type, scale: 1 } }, weights };
}

/** The accumulators as reals of scale 1; what scales them comes behind. */
export function matMulInteger(c: NodeReader): Value {
  const { input, weights } = integerOperands(c, 1);
  return denseProduct(c, input, matrixWeights(c, weights, 1, 1));
}

/** The accumulators as reals of scale 1; what scales them comes behind. */
export function convInteger(c: NodeReader): Value {
  const { input, weights } = integerOperands(c, 0);
  return convProduct(c, input, channelWeights(c, weights, 1));
}

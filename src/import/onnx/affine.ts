import { diagnostic, refuse } from '../../diagnostics/index.ts';
import { elementCount } from '../../model/tensor.ts';
import { viewed } from '../builder.ts';
import type { NodeReader } from './node-reader.ts';
import type { LinearTerm, QuantisedConstant, Real } from './values.ts';
import { realConstant } from './weights.ts';

/** A linear term as a value. */
export type LinearReal = Real & { readonly term: LinearTerm };

/**
 * How a constant lies along the axes of a value: a `vector` over the channels, as parameters of an operator do, or
 * `broadcast`, matched from the last axis, as the other side of an Add does.
 */
export type Alignment = 'vector' | 'broadcast';

/** Real value by channel, from a constant that is the same along all other axes. */
export function perChannel(
  c: NodeReader,
  index: number,
  target: LinearReal,
  what: string,
  alignment: Alignment,
): Float64Array {
  const constant = realConstant(c.input(index));
  if (constant === undefined)
    return refuse('onnx-dynamic', { tensor: c.tensor(index), what }, c.place(index));
  const channels = target.term.bias.length;
  const { values, dims } = constant;
  if (values.length === 1) return new Float64Array(channels).fill(values[0]!);
  // Axes are matched from the end. The channel is the first behind the batch of an image, else the last.
  const broadcast = alignment === 'broadcast' && target.term.conv !== undefined && !target.term.rows;
  const channelFromEnd = broadcast ? target.shape.length : 1;
  const fits = dims.every((size, i) => size === (dims.length - i === channelFromEnd ? channels : 1));
  if (!fits || values.length !== channels)
    refuse(
      'shape-mismatch',
      { expected: `one value for each of ${channels} channels`, actual: `shape [${dims.join(', ')}]` },
      c.place(index),
    );
  return values;
}

/**
 * The value as a linear term, to which factors and offsets can be folded. An activation becomes a convolution of one
 * tap of weight 1 for each channel.
 *
 * @throws DiagnosticError `onnx-float-value` if the value is another term or already clamped
 */
export function linearTarget(c: NodeReader, real: Real, index: number): LinearReal {
  const { term, clamp, shape } = real;
  const free = clamp.lo === Number.NEGATIVE_INFINITY && clamp.hi === Number.POSITIVE_INFINITY;
  if (!free) return c.refuseFloat(index, `there is no QuantizeLinear between its clamp and ${c.operator}`);
  if (term.kind === 'linear') return { ...real, term };
  if (term.kind !== 'activation')
    return c.refuseFloat(index, `there is no QuantizeLinear between "${term.name}" and ${c.operator}`);
  const channels = shape[0]!;
  const [height, width] = shape.length === 3 ? [shape[1]!, shape[2]!] : [elementCount(shape.slice(1)), 1];
  const linear: LinearTerm = {
    kind: 'linear',
    name: c.name,
    input: viewed(term.activation, [channels, height, width]),
    weights: new Int16Array(channels).fill(1),
    bias: new Float64Array(channels),
    scale: new Float64Array(channels).fill(term.activation.type.scale),
    conv: { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], groups: channels },
    fused: false,
  };
  return { kind: 'real', term: linear, clamp, shape };
}

/** Multiplies each channel; the sign and a zero go to the weights, as the scale stays positive. */
export function scaled(term: LinearTerm, factors: Float64Array): LinearTerm {
  const taps = term.weights.length / term.bias.length;
  const sign = (o: number) => Math.sign(factors[o]!);
  return {
    ...term,
    weights: term.weights.map((w, i) => w * sign(Math.floor(i / taps))),
    bias: term.bias.map((b, o) => b * sign(o)),
    scale: term.scale.map((s, o) => (factors[o] === 0 ? s : Math.fround(s * Math.abs(factors[o]!)))),
  };
}

/** Adds a real to each channel, rounded to the unit of the accumulator. */
export function shifted(c: NodeReader, term: LinearTerm, offsets: Float64Array, reason: string): LinearTerm {
  const exact = offsets.map((real, o) => real / term.scale[o]!);
  const rounded = exact.map(Math.round);
  // int32 biases of the accumulator's scale come back from reals with the noise of float32.
  const noise = (o: number) => Math.abs(exact[o]! - rounded[o]!) > 1e-3 + Math.abs(exact[o]!) * 2 ** -20;
  if (exact.some((_, o) => noise(o)))
    c.builder.diagnostics.push(diagnostic('bias-requantised', { reason }, c.builder.place(term.name)));
  return { ...term, bias: term.bias.map((b, o) => b + rounded[o]!) };
}

/**
 * Adds a bias. One that is quantised on the accumulator's own scale, as ONNX asks, is added as the integers it is.
 */
export function biased(c: NodeReader, target: LinearReal, index: number, alignment: Alignment): LinearTerm {
  const value = c.input(index);
  const { term } = target;
  const offsets = perChannel(c, index, target, 'the bias', alignment);
  if (value.kind === 'quantisedConstant' && onAccumulatorScale(value, term)) {
    const channels = term.bias.length;
    const q = (o: number) => value.values[value.values.length === 1 ? 0 : o]! - zero(value, o);
    return { ...term, bias: Float64Array.from({ length: channels }, (_, o) => term.bias[o]! + q(o)) };
  }
  const reason =
    value.kind === 'quantisedConstant'
      ? 'its scale is not that of input times weights'
      : 'it is float32 in the file';
  return shifted(c, term, offsets, reason);
}

const zero = ({ zeroPoints }: QuantisedConstant, o: number) => zeroPoints[zeroPoints.length === 1 ? 0 : o]!;

/** Up to float32 rounding. */
function onAccumulatorScale({ scales }: QuantisedConstant, { scale }: LinearTerm): boolean {
  return scale.every((s, o) => Math.abs(scales[scales.length === 1 ? 0 : o]! / s - 1) < 1e-5);
}

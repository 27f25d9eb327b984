import { refuse } from '../../diagnostics/index.ts';
import { elementCount, isWide } from '../../model/tensor.ts';
import { tapCounts } from '../../model/window.ts';
import { sameShape } from '../builder.ts';
import type { NodeReader } from './node-reader.ts';
import {
  type AverageTerm,
  type FunctionTerm,
  isFree,
  type LinearTerm,
  type QuantisedConstant,
  type Real,
  type RealClamp,
  unclamped,
} from './values.ts';
import { realConstant } from './weights.ts';

/** A linear term as a value. */
export type LinearReal = Real & { readonly term: LinearTerm };

/** A function of single elements as a value. */
export type FunctionReal = Real & { readonly term: FunctionTerm };

/**
 * How a constant lies along the axes of a value: a `vector` over the channels, as parameters of an operator do, or
 * `broadcast`, matched from the last axis, as the other side of an Add does.
 */
export type Alignment = 'vector' | 'broadcast';

/** What a constant is matched with. */
interface Channelled {
  readonly channels: number;
  /** Of the value, without the batch. */
  readonly shape: readonly number[];
  /** The channel is the first axis behind the batch, else the last. */
  readonly first: boolean;
}

const ofLinear = ({ term, shape }: LinearReal): Channelled => ({
  channels: term.bias.length,
  shape,
  first: term.conv !== undefined && !term.rows,
});

/** Real value by channel, from a constant that is the same along all other axes; all of them finite. */
function perChannel(
  c: NodeReader,
  index: number,
  { channels, shape, first }: Channelled,
  what: string,
  alignment: Alignment,
): Float64Array {
  const { values, dims } = finiteConstant(c, index, what);
  if (values.length === 1) return new Float64Array(channels).fill(values[0]!);
  // Axes are matched from the end.
  const channelFromEnd = alignment === 'broadcast' && first ? shape.length : 1;
  const fits = dims.every((size, i) => size === (dims.length - i === channelFromEnd ? channels : 1));
  if (!fits || values.length !== channels)
    refuse(
      'shape-mismatch',
      { expected: `one value for each of ${channels} channels`, actual: `shape [${dims.join(', ')}]` },
      c.place(index),
    );
  return values;
}

/** @throws DiagnosticError if the input is computed by the graph, or not finite */
function finiteConstant(c: NodeReader, index: number, what: string) {
  const constant = realConstant(c.input(index));
  if (constant === undefined)
    return refuse('onnx-dynamic', { tensor: c.tensor(index), what }, c.place(index));
  const wrong = constant.values.find((x) => !Number.isFinite(x));
  if (wrong !== undefined)
    refuse('bad-quantisation', { what: `${what} holds ${wrong}, which is no finite number` }, c.place(index));
  return constant;
}

/** A parameter of an operator: one value a channel. */
export const vectorOf = (c: NodeReader, index: number, channels: number, what: string): Float64Array =>
  perChannel(c, index, { channels, shape: [channels], first: true }, what, 'vector');

/** The operand at `index` as one number a channel of the linear value. @param what it is, for messages */
export const linearPerChannel = (
  c: NodeReader,
  index: number,
  target: LinearReal,
  what: string,
  alignment: Alignment,
): Float64Array => perChannel(c, index, ofLinear(target), what, alignment);

/**
 * The value as a product to which factors and offsets can be folded, or as a function of its single elements.
 *
 * @throws DiagnosticError `onnx-float-value` if it is neither
 */
export function affineTarget(c: NodeReader, real: Real, index: number): LinearReal | FunctionReal {
  const { term, clamp } = real;
  if (term.kind === 'linear') {
    if (!isFree(clamp))
      return c.refuseFloat(index, `there is no QuantizeLinear between its clamp and ${c.operator}`);
    return { ...real, term };
  }
  if (term.kind === 'function') return { ...real, term: clampedFunction(term, clamp), clamp: unclamped };
  if (term.kind === 'average' && isFree(clamp)) {
    const product = averageAsProduct(term);
    if (product !== undefined) return { ...real, term: product };
  }
  if (term.kind !== 'activation')
    return c.refuseFloat(index, `there is no QuantizeLinear between "${term.name}" and ${c.operator}`);
  const identity: FunctionTerm = {
    kind: 'function',
    name: c.name,
    input: term.activation,
    of: (x) => x,
    channels: 1,
  };
  return { ...real, term: clampedFunction(identity, clamp), clamp: unclamped };
}

/** A mean by one divisor is a convolution whose weights are 1; undefined where the divisor depends on the place. */
function averageAsProduct({
  name,
  input,
  window,
  countPadding,
  sum,
  fused,
}: AverageTerm): LinearTerm | undefined {
  const [channels, height, width] = input.type.shape as [number, number, number];
  const counts = tapCounts(window, height, width);
  const taps = window.kernel[0] * window.kernel[1];
  if (fused || (counts.length > 1 && !countPadding)) return undefined;
  const divisor = sum ? 1 : countPadding ? taps : counts[0]!;
  return {
    kind: 'linear',
    name,
    input,
    weights: new Int16Array(channels * taps).fill(1),
    bias: new Float64Array(channels),
    scale: new Float64Array(channels).fill(input.type.scale / divisor),
    offset: new Float64Array(channels),
    conv: { ...window, groups: channels },
    fused: false,
  };
}

const clampedFunction = (term: FunctionTerm, { lo, hi }: RealClamp): FunctionTerm =>
  isFree({ lo, hi })
    ? term
    : { ...term, of: (x, channel) => Math.max(lo, Math.min(hi, term.of(x, channel))) };

/** Whether it is a product with constant weights, into which constants that follow are folded. */
export const isLinear = (real: LinearReal | FunctionReal): real is LinearReal => real.term.kind === 'linear';

/**
 * The function followed by another one, which has a constant operand: for each element the operand that broadcasting
 * gives it. Operands that differ only along the first axis are dealt out by that axis, others by single elements.
 */
export function followedBy(
  c: NodeReader,
  target: FunctionReal,
  index: number,
  what: string,
  step: (x: number, operand: number) => number,
): FunctionReal {
  const { values, dims } = finiteConstant(c, index, what);
  const operands = dealtOut(c, index, target.shape, values, dims);
  return composed(target, operands.length, (x, channel) => step(x, operands[channel]!));
}

/** The function followed by another one of so many channels; numbers of channels are made alike. */
export function composed(
  { term, ...real }: FunctionReal,
  channels: number,
  step: (x: number, channel: number) => number,
): FunctionReal {
  const most = Math.max(channels, term.channels);
  const own = (channel: number, of: number) => Math.floor((channel * of) / most);
  const of = (x: number, channel: number) =>
    step(term.of(x, own(channel, term.channels)), own(channel, channels));
  return { ...real, term: { ...term, channels: most, of } };
}

/**
 * Two functions of the same single elements, joined by a third: `x * sigmoid(x)` is one function of x. Undefined where they are
 * not, and of 16 bits, whose functions are lines.
 */
export function joined(
  c: NodeReader,
  left: Real,
  right: Real,
  step: (x: number, y: number) => number,
): FunctionReal | undefined {
  const [a, b] = [left, right].map((real) => singleElements(c, real));
  if (a === undefined || b === undefined || !sameShape(a.shape, b.shape)) return undefined;
  if (a.term.input.value !== b.term.input.value || isWide(a.term.input.type.element)) return undefined;
  const most = Math.max(a.term.channels, b.term.channels);
  const of = ({ term }: FunctionReal, x: number, channel: number) =>
    term.of(x, Math.floor((channel * term.channels) / most));
  const both = remembered((x, o) => step(of(a, x, o), of(b, x, o)));
  return { ...a, term: { ...a.term, name: c.name, channels: most, of: both } };
}

/** Keeps its last value: where a join reads another one on both sides, the work would double with each. */
function remembered(of: FunctionTerm['of']): FunctionTerm['of'] {
  let last: readonly [x: number, channel: number, value: number] | undefined;
  return (x, channel) => {
    if (last === undefined || !Object.is(last[0], x) || last[1] !== channel)
      last = [x, channel, of(x, channel)];
    return last[2];
  };
}

/** What is computed of single elements, as a function of them. */
function singleElements(c: NodeReader, real: Real): FunctionReal | undefined {
  const { kind } = real.term;
  if (kind !== 'function' && kind !== 'activation') return undefined;
  const target = affineTarget(c, real, 0);
  return isLinear(target) ? undefined : target;
}

/** One operand, one for each index of the first axis, or one an element. Float32. */
export function dealtOut(
  c: NodeReader,
  index: number,
  shape: readonly number[],
  values: ArrayLike<number>,
  dims: readonly number[],
): Float64Array {
  // The batch is one row: an axis of the constant there must be 1.
  const full = [1, ...shape];
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const fits =
    dims.length <= full.length &&
    dims.every((size, i) => size === 1 || size === full[i + full.length - dims.length]);
  if (!fits)
    refuse(
      'shape-mismatch',
      {
        expected: `a constant that broadcasts to [batch, ${shape.join(', ')}]`,
        actual: `[${dims.join(', ')}]`,
      },
      c.place(index),
    );
  if (values.length === 1) return Float64Array.of(Math.fround(values[0]!));
  const lead = full.length - dims.length;
  const count = elementCount(shape);
  const all = Float64Array.from({ length: count }, (_, element) => {
    let at = 0;
    let rest = element;
    for (let axis = full.length - 1; axis >= lead && axis > 0; axis--) {
      const position = rest % full[axis]!;
      rest = Math.floor(rest / full[axis]!);
      if (dims[axis - lead] !== 1) at += position * strides[axis - lead]!;
    }
    return Math.fround(values[at]!);
  });
  const inner = count / shape[0]!;
  const byFirst = all.every((value, i) => value === all[i - (i % inner)]);
  return byFirst ? all.filter((_, i) => i % inner === 0) : all;
}

/** Multiplies each channel; the sign and a zero go to the weights, as the scale stays positive. */
export function scaled(term: LinearTerm, factors: Float64Array): LinearTerm {
  const taps = term.weights.length / term.bias.length;
  const sign = (o: number) => Math.sign(factors[o]!);
  return {
    ...term,
    weights: term.weights.map((w, i) => w * sign(Math.floor(i / taps))),
    ...(term.unrounded && { unrounded: term.unrounded.map((w, i) => w * sign(Math.floor(i / taps))) }),
    bias: term.bias.map((b, o) => b * sign(o)),
    scale: term.scale.map((s, o) => (factors[o] === 0 ? s : s * Math.abs(factors[o]!))),
    offset: term.offset.map((b, o) => b * factors[o]!),
  };
}

/** Adds a real to each channel. */
export const shifted = (term: LinearTerm, offsets: Float64Array): LinearTerm => ({
  ...term,
  offset: term.offset.map((b, o) => b + offsets[o]!),
});

/**
 * Adds a bias, `factor` times. One that is quantised on the accumulator's own scale, as ONNX asks, is added as the
 * integers it is; any other as the real that it is.
 */
export function biased(
  c: NodeReader,
  target: LinearReal,
  index: number,
  alignment: Alignment,
  factor = 1,
): LinearTerm {
  const value = c.input(index);
  const { term } = target;
  const offsets = perChannel(c, index, ofLinear(target), 'the bias', alignment);
  if (factor === 1 && value.kind === 'quantisedConstant' && onAccumulatorScale(value, term)) {
    const channels = term.bias.length;
    const q = (o: number) => value.values[value.values.length === 1 ? 0 : o]! - zero(value, o);
    return { ...term, bias: Float64Array.from({ length: channels }, (_, o) => term.bias[o]! + q(o)) };
  }
  return shifted(
    term,
    offsets.map((real) => real * factor),
  );
}

const zero = ({ zeroPoints }: QuantisedConstant, o: number) => zeroPoints[zeroPoints.length === 1 ? 0 : o]!;

/** Up to float32 rounding. */
function onAccumulatorScale({ scales }: QuantisedConstant, { scale }: LinearTerm): boolean {
  return scale.every((s, o) => Math.abs(scales[scales.length === 1 ? 0 : o]! / s - 1) < 1e-6);
}

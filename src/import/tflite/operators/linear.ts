import type { Window } from '../../../model/model.ts';
import { type SourceRounding, tfliteRounding, tfliteWideRounding } from '../../../model/requantiser.ts';
import { elementCount, isWide } from '../../../model/tensor.ts';
import type { TfliteRounding } from '../../../model/tflite-rounding.ts';
import { type Activation, type Quantisation, viewed } from '../../builder.ts';
import { type LinearSpec, lowerConv2d, lowerDense } from '../../lower/linear.ts';
import { windowOf } from '../geometry.ts';
import { asImage, flatWeights, fromImage } from '../layout.ts';
import { Padding, TensorKind } from '../names.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Blocked, Quantised, Value } from '../values.ts';
import { biasAt, type Weights, weightsAt } from '../weights.ts';
import { onImage } from './blocks.ts';

/**
 * `effective scale = sx * sw / sy`. Kernels with a scale a channel multiply in doubles
 * (`PopulateConvolutionQuantizationParams`), those with one in float32 (`GetQuantizedConvolutionMultipler`).
 * @param wide the sums are of 64 bits
 */
export function roundings(
  input: Quantisation,
  { scales }: Weights,
  output: Quantisation,
  outs: number,
  inDoubles: boolean,
  rounding: TfliteRounding,
  wide: boolean,
): SourceRounding[] {
  const product = (sw: number) => (inDoubles ? input.scale * sw : Math.fround(input.scale * sw));
  const sources = scales.map((sw) => {
    const scale = product(sw) / output.scale;
    return wide
      ? tfliteWideRounding(scale, output.zeroPoint)
      : tfliteRounding(scale, output.zeroPoint, rounding);
  });
  return Array.from({ length: outs }, (_, o) => sources[sources.length === 1 ? 0 : o]!);
}

/** Inputs of 16 bits are summed in 64, but for convolutions whose converter was told to make biases of 32 bits. */
export function sumsAreWide(c: NodeReader, index = 0): boolean {
  const value = c.value(index);
  const { type } = (value?.kind === 'blocked' ? value.of : c.activation(index)).activation;
  const { element } = c.outputGrid;
  if (isWide(type.element) !== isWide(element))
    c.refuseOption('output type', element, `that of the input, ${type.element}: no kernel has both`);
  if (!isWide(type.element)) return false;
  return c.node.operator === 'FULLY_CONNECTED' || c.optional(2)?.kind !== TensorKind.int32;
}

/** Options: activation, weights format. Weights `[out, in]`. */
export function fullyConnected(c: NodeReader): Quantised {
  const input = c.activation(0);
  const weights = weightsAt(c, 1, 0);
  if (c.option(1, 0) !== 0) c.refuseOption('weights_format', c.option(1, 0), 'DEFAULT');
  const [outs, taps, ...more] = weights.shape;
  if (outs === undefined || taps === undefined || more.length > 0)
    return c.refuseShape('weights [out, in]', weights.shape);
  const output = c.fusedOutput(0);
  const spec = (activation: Activation, values: Int16Array): LinearSpec => ({
    name: c.name,
    input: activation,
    weights: values,
    weightBits: weights.bits,
    bias: biasAt(c, 2, outs),
    output,
    rounding: roundings(
      input.activation.type,
      weights,
      output,
      outs,
      weights.scales.length > 1,
      c.rounding,
      sumsAreWide(c),
    ),
  });
  const values = centred(weights);
  if (elementCount(input.shape) === taps) {
    const made = lowerDense(c.builder, spec(input.activation, flatWeights(values, outs, input)));
    return { kind: 'quantised', activation: made, shape: [outs], order: 'source' };
  }
  // Several rows, each by itself: a convolution of one tap along them.
  const rows = elementCount(input.shape) / taps;
  const image = asImage(c.builder, c.name, {
    ...input,
    shape: input.shape.length < 2 ? [1, ...input.shape] : input.shape,
  });
  if (image === undefined || image.type.shape[0] !== taps)
    return c.refuseShape(`${taps} inputs, as the weights have`, input.shape);
  const flat = viewed(image, [taps, 1, rows]);
  const made = lowerConv2d(c.builder, spec(flat, values), { ...point, groups: 1 });
  return { ...fromImage(made), shape: [...input.shape.slice(0, -1), outs] };
}

const point = { kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0] } as const;

// A copy and a map: `from` with a function takes seconds of some million weights.
/** Weights less their zero point, in the same order. */
export const centred = ({ values, zeroPoint }: Weights): Int16Array =>
  new Int16Array(values).map((w) => w - zeroPoint);

/** Options: padding, strides, activation, dilations. Weights `[out, height, width, in]`. */
export function conv2d(c: NodeReader): Value {
  const weights = weightsAt(c, 1, 0);
  const [outs, height, width, ins, ...more] = weights.shape;
  if (ins === undefined || more.length > 0)
    return c.refuseShape('weights [out, height, width, in]', weights.shape);
  const values = reordered(centred(weights), [outs!, height!, width!, ins], [0, 3, 1, 2]);
  const channels = inputChannels(c);
  // Fewer input channels than the image has: groups, as TFLite counts them.
  const groups = ins > 0 && channels % ins === 0 ? channels / ins : 1;
  return convolution(c, weights, values, [height!, width!], outs!, groups, { activation: 3, dilation: 4 });
}

/** Options: padding, strides, depth multiplier, activation, dilations. Weights `[1, height, width, out]`. */
export function depthwiseConv2d(c: NodeReader): Value {
  const weights = weightsAt(c, 1, 3);
  const [one, height, width, outs, ...more] = weights.shape;
  if (one !== 1 || outs === undefined || more.length > 0)
    return c.refuseShape('weights [1, height, width, out]', weights.shape);
  const values = reordered(centred(weights), [height!, width!, outs], [2, 0, 1]);
  // Output o reads channel floor(o / multiplier): just what groups of one channel do.
  const channels = inputChannels(c);
  return convolution(c, weights, values, [height!, width!], outs, channels, { activation: 4, dilation: 5 });
}

function inputChannels(c: NodeReader): number {
  const value = c.value(0);
  return (value?.kind === 'blocked' ? value.of : c.activation(0)).shape.at(-1) ?? 1;
}

function convolution(
  c: NodeReader,
  weights: Weights,
  values: Int16Array,
  kernel: readonly [number, number],
  outs: number,
  groups: number,
  fields: { readonly activation: number; readonly dilation: number },
): Value {
  // Width first in the options.
  const dilations = [c.optionInt(fields.dilation + 1, 1), c.optionInt(fields.dilation, 1)] as const;
  if (dilations.some((d) => d < 1)) c.refuseOption('dilation', dilations.join('x'), '1 and more');
  const value = c.value(0);
  const blocked = value?.kind === 'blocked' ? value : undefined;
  const input = blocked?.of ?? c.activation(0);
  const image = asImage(c.builder, c.name, input) ?? c.refuseShape('[height, width, channels]', input.shape);
  const output = c.fusedOutput(fields.activation);
  const isUint8 = input.activation.type.element === 'uint8';
  const spec: LinearSpec = {
    name: c.name,
    input: image,
    weights: values,
    weightBits: weights.bits,
    bias: biasAt(c, 2, outs),
    output,
    rounding: roundings(input.activation.type, weights, output, outs, !isUint8, c.rounding, sumsAreWide(c)),
  };
  if (blocked === undefined) {
    const window = windowOf(c, kernel, image, dilations);
    return fromImage(lowerConv2d(c.builder, spec, { ...window, groups }));
  }
  const window = unblocked(c, kernel, blocked);
  return {
    ...blocked,
    of: fromImage(lowerConv2d(c.builder, spec, { ...window, groups })),
    isConvolved: true,
  };
}

/** The window of a convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: over the whole image, its taps apart. */
function unblocked(
  c: NodeReader,
  kernel: readonly [number, number],
  { block, pads, isConvolved }: Blocked,
): Window {
  const back = c.readerOf('BATCH_TO_SPACE_ND');
  const [cropTop, cropBottom, cropLeft, cropRight] = onImage(back?.integers(2, 'the crops') ?? [], 4, 0);
  const own = onImage(back?.integers(1, 'the block') ?? [], 2, 1).join() === block.join();
  const isPlain =
    c.option(0, Padding.same) === Padding.valid && c.optionInt(1, 1) === 1 && c.optionInt(2, 1) === 1;
  const [top, bottom, left, right] = pads;
  const behind = [bottom - (cropBottom ?? 0), right - (cropRight ?? 0)] as const;
  if (isConvolved || !own || !isPlain || cropTop !== 0 || cropLeft !== 0 || behind.some((n) => n < 0))
    c.refuseBlocks();
  return { kernel, strides: [1, 1], pads: [top, left, behind[0], behind[1]], dilations: block };
}

/** A transposed copy: dimension i of the result is `axes[i]` of the source. */
export function reordered(values: Int16Array, shape: readonly number[], axes: readonly number[]): Int16Array {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const out = new Int16Array(values.length);
  let at = 0;
  const walk = (depth: number, from: number): void => {
    const axis = axes[depth];
    if (axis === undefined) out[at++] = values[from]!;
    else for (let i = 0; i < shape[axis]!; i++) walk(depth + 1, from + i * strides[axis]!);
  };
  walk(0, 0);
  return out;
}

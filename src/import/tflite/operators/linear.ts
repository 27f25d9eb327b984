import { type SourceRounding, tfliteRounding } from '../../../model/requantiser.ts';
import { elementCount } from '../../../model/tensor.ts';
import type { TfliteRounding } from '../../../model/tflite-rounding.ts';
import { type Activation, type Quantisation, viewed } from '../../builder.ts';
import { type LinearSpec, lowerConv2d, lowerDense } from '../../lower/linear.ts';
import { windowOf } from '../geometry.ts';
import { asImage, flatWeights, fromImage } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';
import { biasAt, type Weights, weightsAt } from '../weights.ts';

/**
 * `effective scale = sx * sw / sy`. Kernels with a scale a channel multiply in doubles
 * (`PopulateConvolutionQuantizationParams`), those with one in float32 (`GetQuantizedConvolutionMultipler`).
 */
function roundings(
  input: Quantisation,
  { scales }: Weights,
  output: Quantisation,
  outs: number,
  inDoubles: boolean,
  rounding: TfliteRounding,
): SourceRounding[] {
  const product = (sw: number) => (inDoubles ? input.scale * sw : Math.fround(input.scale * sw));
  const sources = scales.map((sw) => tfliteRounding(product(sw) / output.scale, output.zeroPoint, rounding));
  return Array.from({ length: outs }, (_, o) => sources[sources.length === 1 ? 0 : o]!);
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
    rounding: roundings(input.activation.type, weights, output, outs, weights.scales.length > 1, c.rounding),
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

const centred = ({ values, zeroPoint }: Weights): Int16Array => Int16Array.from(values, (w) => w - zeroPoint);

/** Options: padding, strides, activation, dilations. Weights `[out, height, width, in]`. */
export function conv2d(c: NodeReader): Quantised {
  const weights = weightsAt(c, 1, 0);
  const [outs, height, width, ins, ...more] = weights.shape;
  if (ins === undefined || more.length > 0)
    return c.refuseShape('weights [out, height, width, in]', weights.shape);
  const values = reordered(centred(weights), [outs!, height!, width!, ins], [0, 3, 1, 2]);
  const channels = c.activation(0).shape.at(-1) ?? 0;
  // Fewer input channels than the image has: groups, as TFLite counts them.
  const groups = ins > 0 && channels % ins === 0 ? channels / ins : 1;
  return convolution(c, weights, values, [height!, width!], outs!, groups, { activation: 3, dilation: 4 });
}

/** Options: padding, strides, depth multiplier, activation, dilations. Weights `[1, height, width, out]`. */
export function depthwiseConv2d(c: NodeReader): Quantised {
  const weights = weightsAt(c, 1, 3);
  const [one, height, width, outs, ...more] = weights.shape;
  if (one !== 1 || outs === undefined || more.length > 0)
    return c.refuseShape('weights [1, height, width, out]', weights.shape);
  const values = reordered(centred(weights), [height!, width!, outs], [2, 0, 1]);
  // Output o reads channel floor(o / multiplier): just what groups of one channel do.
  const channels = c.activation(0).shape.at(-1) ?? 1;
  return convolution(c, weights, values, [height!, width!], outs, channels, { activation: 4, dilation: 5 });
}

function convolution(
  c: NodeReader,
  weights: Weights,
  values: Int16Array,
  kernel: readonly [number, number],
  outs: number,
  groups: number,
  fields: { readonly activation: number; readonly dilation: number },
): Quantised {
  for (const field of [fields.dilation, fields.dilation + 1])
    if (c.optionInt(field, 1) !== 1) c.refuseOption('dilation', c.optionInt(field, 1), '1');
  const input = c.activation(0);
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
    rounding: roundings(input.activation.type, weights, output, outs, !isUint8, c.rounding),
  };
  return fromImage(lowerConv2d(c.builder, spec, { ...windowOf(c, kernel, image), groups }));
}

/** A transposed copy: dimension i of the result is `axes[i]` of the source. */
function reordered(values: Int16Array, shape: readonly number[], axes: readonly number[]): Int16Array {
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

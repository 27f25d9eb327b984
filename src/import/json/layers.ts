import { refuse } from '../../diagnostics/index.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, type Quantisation, viewed } from '../builder.ts';
import { lowerAdd, lowerGivenAdd, lowerRequantise } from '../lower/elementwise.ts';
import { type Clamp, imageShape, lowerConv2d, lowerDense } from '../lower/linear.ts';
import { lowerAveragePool, lowerMaxPool } from '../lower/pooling.ts';
import { namedAddRounding, namedRounding } from './roundings.ts';
import type { JsonLayer, JsonRequantiser } from './schema.ts';
import { channelWeights } from './weights.ts';

/** One layer of the file with its inputs resolved. */
export interface LayerContext {
  readonly builder: ModelBuilder;
  readonly name: string;
  /** `layers[3]`, for messages. */
  readonly path: string;
  readonly inputs: readonly Activation[];
}

/** @throws DiagnosticError */
export function lowerLayer(c: LayerContext, layer: JsonLayer): Activation {
  const { builder, name, inputs } = c;
  const input = inputs[0]!;
  switch (layer.kind) {
    case 'dense':
    case 'conv2d':
      return lowerLinear(c, layer);
    case 'maxPool': {
      const { kernel, strides = kernel, pads } = layer;
      return lowerMaxPool(builder, name, input, { kernel, strides, pads });
    }
    case 'averagePool':
      return lowerAverage(c, layer);
    case 'relu': {
      const { element, zeroPoint } = input.type;
      return builder.clamped(name, input, zeroPoint, elementRange(element).hi);
    }
    case 'clamp': {
      const { lo, hi } = elementRange(input.type.element);
      if (layer.min > layer.max || layer.min < lo || layer.max > hi)
        fieldFault(c, 'min', `expected min <= max within ${lo}..${hi} of the input's element type`);
      return builder.clamped(name, input, layer.min, layer.max);
    }
    case 'requantise': {
      const to = outputOf(c, layer.output);
      const rounding = namedRounding(layer.rounding, input.type.scale, 1, to.scale, to.zeroPoint);
      return lowerRequantise(builder, name, input, to, given(layer.requantiser) ?? rounding);
    }
    case 'add':
      return lowerSum(c, layer);
    case 'flatten':
      return viewed(input, [elementCount(input.type.shape)]);
    case 'reshape':
      if (elementCount(layer.shape) !== elementCount(input.type.shape))
        fieldFault(c, 'shape', `expected a shape of ${elementCount(input.type.shape)} elements`);
      return viewed(input, layer.shape);
    case 'argmax': {
      const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
      return builder.add(name, { kind: 'argmax', inputs: [input.value], output });
    }
  }
}

export const fieldFault = ({ builder, name, path }: LayerContext, field: string, expected: string): never =>
  refuse('json-field', { path: `${path}.${field}`, expected }, builder.place(name));

type LayerOf<K extends JsonLayer['kind']> = Extract<JsonLayer, { readonly kind: K }>;

function lowerLinear(c: LayerContext, layer: LayerOf<'dense' | 'conv2d'>): Activation {
  const { builder, name, inputs, path } = c;
  const input = inputs[0]!;
  const conv = layer.kind === 'conv2d' ? layer : undefined;
  const taps =
    conv === undefined
      ? elementCount(input.type.shape)
      : (imageShape(builder, name, input)[0] / conv.groups) * conv.kernel[0] * conv.kernel[1];
  if (!Number.isInteger(taps)) fieldFault(c, 'groups', 'expected a divisor of the number of input channels');
  const { weights, bias, scales } = channelWeights(layer, taps, path, builder.place(name));
  const requantiser = given(layer.requantiser);
  if (requantiser === undefined && layer.weightScale === undefined)
    fieldFault(c, 'weightScale', 'expected scales of the weights, or a requantiser');
  checkChannels(c, requantiser, bias.length);
  const output = outputOf(c, layer.output, requantiser);
  const sources = Array.from(scales, (scale) =>
    namedRounding(layer.rounding, input.type.scale, scale, output.scale, output.zeroPoint),
  );
  const spec = { name, input, weights, bias, output, rounding: requantiser ?? sources };
  if (conv === undefined) return lowerDense(builder, spec);
  const { kernel, strides = [1, 1], pads, groups } = conv;
  return lowerConv2d(builder, spec, { kernel, strides, pads, groups });
}

function lowerAverage(c: LayerContext, layer: LayerOf<'averagePool'>): Activation {
  const input = c.inputs[0]!;
  const { kernel, strides = kernel, pads, countPadding } = layer;
  const requantiser = given(layer.requantiser);
  const output = outputOf(c, layer.output ?? input.type, requantiser);
  const rounding = (divisor: number) =>
    namedRounding(layer.rounding, input.type.scale, 1 / divisor, output.scale, output.zeroPoint);
  const window = { kernel, strides, pads };
  const spec = { name: c.name, input, window, countPadding, output, rounding: requantiser ?? rounding };
  return lowerAveragePool(c.builder, spec);
}

function lowerSum(c: LayerContext, layer: LayerOf<'add'>): Activation {
  const [a, b] = [c.inputs[0]!, c.inputs[1]!];
  const output = outputOf(c, layer.output, layer.coefficients);
  if (layer.coefficients !== undefined)
    return lowerGivenAdd(c.builder, c.name, a, b, output, layer.coefficients);
  const scales = [a.type.scale, b.type.scale, output.scale] as const;
  const rounding = namedAddRounding(layer.rounding, scales, output.zeroPoint);
  return lowerAdd(c.builder, { name: c.name, a, b, output, rounding });
}

/** The output with its clamp, which is the whole element type unless finished integers bring another. */
function outputOf(c: LayerContext, output: Quantisation, clamp?: Clamp): Quantisation & Clamp {
  const { lo, hi } = elementRange(output.element);
  if (output.zeroPoint < lo || output.zeroPoint > hi)
    fieldFault(c, 'output.zeroPoint', `expected an integer in ${lo}..${hi} of ${output.element}`);
  const { element, scale, zeroPoint } = output;
  return { element, scale, zeroPoint, min: clamp?.min ?? lo, max: clamp?.max ?? hi };
}

function given(json: JsonRequantiser | undefined): Requantiser | undefined {
  if (json === undefined) return undefined;
  const { exactness = { channels: 0, accumulators: 0, total: 0 }, ...form } = json;
  return { ...form, exactness };
}

function checkChannels(c: LayerContext, requantiser: Requantiser | undefined, channels: number): void {
  if (requantiser === undefined) return;
  for (const field of ['multiplier', 'offset'] as const)
    if (requantiser[field].length !== channels)
      fieldFault(c, `requantiser.${field}`, `expected ${channels} values, one a channel`);
}

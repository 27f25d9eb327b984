import type { Window } from '../../model/model.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { type Activation, viewed } from '../builder.ts';
import { lowerAdd, lowerGivenAdd, lowerRequantise } from '../lower/elementwise.ts';
import { type Conv2dGeometry, imageShape, lowerConv2d, lowerDense } from '../lower/linear.ts';
import { sequenceAsImage } from '../lower/lookup.ts';
import { lowerAveragePool, lowerMaxPool } from '../lower/pooling.ts';
import { lowerJsonConcat, lowerJsonGather, lowerJsonMul, lowerJsonSoftmax } from './joining-layers.ts';
import {
  checkChannels,
  fieldFault,
  given,
  type LayerContext,
  type LayerOf,
  outputOf,
} from './layer-context.ts';
import {
  lowerJsonEmbedding,
  lowerJsonPad,
  lowerJsonTranspose,
  lowerLut,
  lowerMean,
} from './lookup-layers.ts';
import { namedAddRounding, namedRounding } from './roundings.ts';
import type { JsonLayer } from './schema.ts';
import { lowerJsonForest } from './tree-layers.ts';
import { channelWeights } from './weights.ts';

/** @throws DiagnosticError */
// Long: a case a kind of layer.
export function lowerLayer(c: LayerContext, layer: JsonLayer): Activation {
  const { builder, name, inputs } = c;
  const input = inputs[0]!;
  switch (layer.kind) {
    case 'dense':
    case 'conv1d':
    case 'conv2d':
      return lowerLinear(c, layer);
    case 'maxPool': {
      return lowerMaxPool(builder, name, input, poolWindow(layer));
    }
    case 'averagePool':
      return lowerAverage(c, layer);
    case 'mean':
      return lowerMean(c, layer);
    case 'pad':
      return lowerJsonPad(c, layer);
    case 'transpose':
      return lowerJsonTranspose(c, layer);
    case 'lut':
      return lowerLut(c, layer);
    case 'forest':
      return lowerJsonForest(c, layer);
    case 'embedding':
      return lowerJsonEmbedding(c, layer);
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
    case 'mul':
      return lowerJsonMul(c, layer);
    case 'softmax':
      return lowerJsonSoftmax(c, layer);
    case 'gather':
      return lowerJsonGather(c, layer);
    case 'concat':
      return lowerJsonConcat(c, layer);
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

function lowerLinear(c: LayerContext, layer: LayerOf<'dense' | 'conv1d' | 'conv2d'>): Activation {
  const { builder, name, inputs, path } = c;
  const conv = geometryOf(layer);
  const input = layer.kind === 'conv1d' ? sequenceAsImage(inputs[0]!) : inputs[0]!;
  const taps =
    conv === undefined
      ? elementCount(input.type.shape)
      : (imageShape(builder, name, input)[0] / conv.groups) * conv.kernel[0] * conv.kernel[1];
  if (!Number.isInteger(taps)) fieldFault(c, 'groups', 'expected a divisor of the number of input channels');
  const { weights, bias, scales } = channelWeights(layer, taps, path, builder.place(name));
  if (layer.weightBits === 4 && weights.some((w) => w < -15 || w > 15))
    fieldFault(c, 'weights', 'expected weights of 4 bits');
  const requantiser = given(layer.requantiser);
  if (requantiser === undefined && layer.weightScale === undefined)
    fieldFault(c, 'weightScale', 'expected scales of the weights, or a requantiser');
  checkChannels(c, requantiser, bias.length);
  const output = outputOf(c, layer.output, requantiser);
  const sources = Array.from(scales, (scale) =>
    namedRounding(layer.rounding, input.type.scale, scale, output.scale, output.zeroPoint),
  );
  const { weightBits = 8 } = layer;
  const spec = { name, input, weights, weightBits, bias, output, rounding: requantiser ?? sources };
  if (conv === undefined) return lowerDense(builder, spec);
  const made = lowerConv2d(builder, spec, conv);
  const [channels, , length] = made.type.shape;
  return layer.kind === 'conv1d' ? viewed(made, [channels!, length!]) : made;
}

/** Of a convolution; along a sequence it is that of an image of height 1. */
function geometryOf(layer: LayerOf<'dense' | 'conv1d' | 'conv2d'>): Conv2dGeometry | undefined {
  if (layer.kind === 'dense') return undefined;
  if (layer.kind === 'conv2d') {
    const { kernel, strides = [1, 1], pads, groups, dilations } = layer;
    return { kernel, strides, pads, groups, ...(dilations && { dilations }) };
  }
  const { kernel, stride, pads, groups, dilation } = layer;
  const dilations = dilation > 1 ? ([1, dilation] as const) : undefined;
  return {
    kernel: [1, kernel],
    strides: [1, stride],
    pads: [0, pads[0], 0, pads[1]],
    groups,
    ...(dilations && { dilations }),
  };
}

const poolWindow = ({ kernel, strides, pads, dilations }: LayerOf<'maxPool' | 'averagePool'>): Window => ({
  kernel,
  strides: strides ?? kernel,
  pads,
  ...(dilations && { dilations }),
});

function lowerAverage(c: LayerContext, layer: LayerOf<'averagePool'>): Activation {
  const input = c.inputs[0]!;
  const { countPadding } = layer;
  const requantiser = given(layer.requantiser);
  const output = outputOf(c, layer.output ?? input.type, requantiser);
  const rounding = (divisor: number) =>
    namedRounding(layer.rounding, input.type.scale, 1 / divisor, output.scale, output.zeroPoint);
  const window = poolWindow(layer);
  const spec = { name: c.name, input, window, countPadding, output, rounding: requantiser ?? rounding };
  return lowerAveragePool(c.builder, spec);
}

const givenSum = ({ ties, ...form }: NonNullable<LayerOf<'add'>['coefficients']>) => ({
  ...form,
  ...(ties && { ties }),
});

function lowerSum(c: LayerContext, layer: LayerOf<'add'>): Activation {
  const [a, b] = [c.inputs[0]!, c.inputs[1]!];
  const output = outputOf(c, layer.output, layer.coefficients);
  if (layer.coefficients !== undefined)
    return lowerGivenAdd(c.builder, c.name, a, b, output, givenSum(layer.coefficients));
  const scales = [a.type.scale, b.type.scale, output.scale] as const;
  const zeroPoints = [a.type.zeroPoint, b.type.zeroPoint, output.zeroPoint] as const;
  const rounding = namedAddRounding(layer.rounding, scales, zeroPoints);
  return lowerAdd(c.builder, { name: c.name, a, b, output, rounding });
}

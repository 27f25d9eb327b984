import type {
  AddLayer,
  AveragePoolLayer,
  Conv2dLayer,
  DenseLayer,
  Layer,
  MaxPoolLayer,
  Model,
  MulLayer,
  Window,
} from '../model/model.ts';
import { outputType, valueType } from '../model/model.ts';
import { requantise, shiftToEven } from '../model/requantiser.ts';
import {
  decodeElements,
  elementCount,
  encodeElements,
  type TensorType,
  tensorBytes,
} from '../model/tensor.ts';
import { forest } from './forest.ts';
import { embedding, gather, lut, pad, transpose } from './lookup.ts';
import { softmax } from './softmax.ts';

/** q-values, row-major. */
type Values = Int32Array;

/**
 * Runs one row through layers `[from, to)` and returns its q-values as bytes. The oracle: written for reading, with
 * exact integers (doubles hold them, all stay below 2^53).
 */
export function interpret(model: Model, row: Uint8Array, from = 0, to = model.layers.length): Uint8Array {
  const values: Values[] = [];
  values[from] = decodeElements(valueType(model, from).element, row);
  for (let i = from; i < to; i++) {
    const layer = model.layers[i]!;
    const inputs = layer.inputs.map((v) => values[v]!);
    values[i + 1] = evaluate(
      layer,
      inputs,
      layer.inputs.map((v) => valueType(model, v)),
    );
  }
  return encodeElements(valueType(model, to).element, values[to]!);
}

/** Runs each row of `rows` (raw, one after the other) and returns the outputs likewise. */
export function interpretRows(model: Model, rows: Uint8Array): Uint8Array {
  const inputSize = tensorBytes(model.input);
  const outputSize = tensorBytes(outputType(model));
  const count = rows.length / inputSize;
  const out = new Uint8Array(count * outputSize);
  for (let r = 0; r < count; r++)
    out.set(interpret(model, rows.subarray(r * inputSize, (r + 1) * inputSize)), r * outputSize);
  return out;
}

function evaluate(layer: Layer, inputs: readonly Values[], types: readonly TensorType[]): Values {
  const x = inputs[0]!;
  const type = types[0]!;
  switch (layer.kind) {
    case 'dense':
      return dense(layer, x, type.zeroPoint);
    case 'conv2d':
      return conv2d(layer, x, type);
    case 'maxPool':
      return maxPool(layer, x, type);
    case 'averagePool':
      return averagePool(layer, x, type);
    case 'requantise':
      return x.map((q) => requantise(layer.requantiser, 0, q - type.zeroPoint));
    case 'add':
      return add(layer, inputs, types);
    case 'mul':
      return mul(layer, inputs, types);
    case 'softmax':
      return softmax(layer, x);
    case 'gather':
      return gather(layer, inputs);
    case 'pad':
      return pad(layer, x, type);
    case 'transpose':
      return transpose(layer, x);
    case 'lut':
      return lut(layer, x, type);
    case 'embedding':
      return embedding(layer, x);
    case 'argmax':
      return argmax(x);
    case 'forest':
      return forest(layer, x);
  }
}

function dense(layer: DenseLayer, x: Values, zeroPoint: number): Values {
  const { weights, bias, requantiser } = layer;
  const inputs = weights.length / bias.length;
  return Int32Array.from(bias, (b, o) => {
    let acc = b;
    for (let i = 0; i < inputs; i++) acc += weights[o * inputs + i]! * (x[i]! - zeroPoint);
    return requantise(requantiser, o, acc);
  });
}

type Chw = readonly [channels: number, height: number, width: number];

const chw = (type: TensorType): Chw => type.shape as unknown as Chw;

/** Calls `visit(y, x, i, j)` for the taps of the window at output `(oy, ox)` that lie inside the image. */
function eachTap(
  w: Window,
  [, height, width]: Chw,
  oy: number,
  ox: number,
  visit: (y: number, x: number, i: number, j: number) => void,
): void {
  for (let i = 0; i < w.kernel[0]; i++) {
    const y = oy * w.strides[0] + i * (w.dilations?.[0] ?? 1) - w.pads[0];
    if (y < 0 || y >= height) continue;
    for (let j = 0; j < w.kernel[1]; j++) {
      const x = ox * w.strides[1] + j * (w.dilations?.[1] ?? 1) - w.pads[1];
      if (x >= 0 && x < width) visit(y, x, i, j);
    }
  }
}

function eachOutput(type: TensorType, visit: (c: number, y: number, x: number) => number): Values {
  const [channels, height, width] = chw(type);
  const out = new Int32Array(channels * height * width);
  let at = 0;
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[at++] = visit(c, y, x);
  return out;
}

function conv2d(layer: Conv2dLayer, x: Values, input: TensorType): Values {
  const shape = chw(input);
  const [channels, height, width] = shape;
  const [kh, kw] = layer.kernel;
  const inGroup = channels / layer.groups;
  const outGroup = layer.bias.length / layer.groups;
  return eachOutput(layer.output, (o, oy, ox) => {
    const firstChannel = Math.floor(o / outGroup) * inGroup;
    let acc = layer.bias[o]!;
    eachTap(layer, shape, oy, ox, (y, xx, i, j) => {
      for (let c = 0; c < inGroup; c++) {
        const q = x[((firstChannel + c) * height + y) * width + xx]!;
        acc += layer.weights[((o * inGroup + c) * kh + i) * kw + j]! * (q - input.zeroPoint);
      }
    });
    return requantise(layer.requantiser, o, acc);
  });
}

function maxPool(layer: MaxPoolLayer, x: Values, input: TensorType): Values {
  const shape = chw(input);
  const [, height, width] = shape;
  return eachOutput(layer.output, (c, oy, ox) => {
    let most = Number.NEGATIVE_INFINITY;
    eachTap(layer, shape, oy, ox, (y, xx) => {
      most = Math.max(most, x[(c * height + y) * width + xx]!);
    });
    return most;
  });
}

function averagePool(layer: AveragePoolLayer, x: Values, input: TensorType): Values {
  const shape = chw(input);
  const [, height, width] = shape;
  return eachOutput(layer.output, (c, oy, ox) => {
    let acc = 0;
    let count = 0;
    eachTap(layer, shape, oy, ox, (y, xx) => {
      acc += x[(c * height + y) * width + xx]! - input.zeroPoint;
      count++;
    });
    const channel = layer.countPadding ? 0 : layer.divisors.indexOf(count);
    return requantise(layer.requantiser, channel, acc);
  });
}

/** Elements less their zero points, one for each of the output: an operand of one a channel repeats it. */
function operands(output: TensorType, inputs: readonly Values[], types: readonly TensorType[]): number[][] {
  const count = elementCount(output.shape);
  return inputs.map((values, k) => {
    const each = count / values.length;
    return Array.from({ length: count }, (_, i) => values[Math.floor(i / each)]! - types[k]!.zeroPoint);
  });
}

function add(layer: AddLayer, inputs: readonly Values[], types: readonly TensorType[]): Values {
  const [a, b] = operands(layer.output, inputs, types) as [number[], number[]];
  const [ma, mb] = layer.multipliers;
  return Int32Array.from(a, (x, i) => {
    const sum = x * ma + b[i]! * mb + layer.offset;
    return Math.max(layer.min, Math.min(layer.max, shiftToEven(sum, layer.shift, layer.ties)));
  });
}

function mul(layer: MulLayer, inputs: readonly Values[], types: readonly TensorType[]): Values {
  const [a, b] = operands(layer.output, inputs, types) as [number[], number[]];
  return Int32Array.from(a, (x, i) => requantise(layer.requantiser, 0, x * b[i]!));
}

function argmax(x: Values): Values {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i]! > x[best]!) best = i;
  let second = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) if (i !== best) second = Math.max(second, x[i]!);
  return Int32Array.of(best, x.length < 2 ? 255 : Math.min(255, x[best]! - second));
}

import type { Requantiser } from './requantiser.ts';
import type { TensorType } from './tensor.ts';

/** 0 is the model's input, `i + 1` the output of layer `i`. */
export type ValueId = number;

interface LayerBase {
  /** Unique in the model; from the source where it has one. */
  readonly name: string;
  /** Values read; each stands before this layer. */
  readonly inputs: readonly ValueId[];
  readonly output: TensorType;
}

/** `acc[o] = bias[o] + sum_i weights[o][i] * (x[i] - zx)`, then requantised. Reads its input flat. */
export interface DenseLayer extends LayerBase {
  readonly kind: 'dense';
  /** Row-major `[out][in]`, less their zero point: -255..255. */
  readonly weights: Int16Array;
  readonly bias: Int32Array;
  readonly requantiser: Requantiser;
}

/** Geometry of a sliding window, in elements: `[height, width]`, pads `[top, left, bottom, right]`. */
export interface Window {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/**
 * `acc[o][y][x] = bias[o] + sum_{c,i,j} weights[o][c][i][j] * (in[c][y*s+i-p][x*s+j-p] - zx)`, requantised by `o`.
 * Padding adds real zeros: elements equal to `zx`. With `groups` g, output o reads the input channels of its group.
 */
export interface Conv2dLayer extends LayerBase, Window {
  readonly kind: 'conv2d';
  /** Row-major `[out][in / groups][kernel height][kernel width]`, less their zero point: -255..255. */
  readonly weights: Int16Array;
  readonly bias: Int32Array;
  readonly groups: number;
  readonly requantiser: Requantiser;
}

/** Largest q of the window; input and output share scale and zero point. Padding is never the maximum. */
export interface MaxPoolLayer extends LayerBase, Window {
  readonly kind: 'maxPool';
}

/**
 * `acc = sum over the window of (x - zx)`, requantised; the requantiser holds the division. Where padding is not
 * counted the divisor depends on the position: the requantiser has a channel for each distinct divisor.
 */
export interface AveragePoolLayer extends LayerBase, Window {
  readonly kind: 'averagePool';
  /** Divisors, one a channel of the requantiser, ascending. */
  readonly divisors: readonly number[];
  /** Whether padding counts in the divisor (then there is just one). */
  readonly countPadding: boolean;
  readonly requantiser: Requantiser;
}

/** `acc = x - zx`, requantised: another scale, zero point, type or clamp for the same real value. */
export interface RequantiseLayer extends LayerBase {
  readonly kind: 'requantise';
  /** One channel for all elements. */
  readonly requantiser: Requantiser;
}

/** `q = clamp(floor((a*ma + b*mb + offset) / 2^shift), min, max)`, a and b less their zero points. */
export interface AddLayer extends LayerBase {
  readonly kind: 'add';
  readonly multipliers: readonly [number, number];
  readonly offset: number;
  readonly shift: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The verdict: `[class, margin]` as uint8. Class is the index of the largest element, the first of equals; margin is
 * `min(255, largest - second largest)` in steps of the input.
 */
export interface ArgmaxLayer extends LayerBase {
  readonly kind: 'argmax';
}

export type Layer =
  | DenseLayer
  | Conv2dLayer
  | MaxPoolLayer
  | AveragePoolLayer
  | RequantiseLayer
  | AddLayer
  | ArgmaxLayer;

export type LayerKind = Layer['kind'];

/** A network with exact integer meaning: the reference interpreter runs it, every target gives its integers. */
export interface Model {
  readonly name: string;
  /** Where it came from, for messages. */
  readonly file: string;
  readonly input: TensorType;
  /** In order of execution; the last one's output is the model's. */
  readonly layers: readonly Layer[];
}

export const valueType = (model: Model, value: ValueId): TensorType =>
  value === 0 ? model.input : model.layers[value - 1]!.output;

export const outputType = (model: Model): TensorType => valueType(model, model.layers.length);

/** The type of the layer's only (or first) input. */
export const inputType = (model: Model, layer: Layer): TensorType => valueType(model, layer.inputs[0]!);

/** Multiply-accumulates of one inference of this layer. */
export function macs(_model: Model, layer: Layer): number {
  if (layer.kind === 'dense') return layer.weights.length;
  if (layer.kind !== 'conv2d') return 0;
  const [, height, width] = layer.output.shape as [number, number, number];
  return layer.weights.length * height * width;
}

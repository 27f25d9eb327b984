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
  readonly weightBits?: WeightBits;
  readonly requantiser: Requantiser;
}

/**
 * Bits of the source's weights, 8 if absent. With 4 they are -8..7 before the zero point is taken off: it bounds what may
 * replace them at run time, so that lanes can be narrower than 8-bit weights would ask.
 */
export type WeightBits = 4 | 8;

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
  readonly weightBits?: WeightBits;
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

/**
 * `out[i0][i1]... = in[...]`, the input seen as `from`: dimension d of the output is dimension `axes[d]` of it. Moves
 * elements and computes nothing.
 */
export interface TransposeLayer extends LayerBase {
  readonly kind: 'transpose';
  readonly from: readonly number[];
  readonly axes: readonly number[];
}

/** The image `[channels, height, width]` with `value` around it: real zeros if that is the zero point. */
export interface PadLayer extends LayerBase {
  readonly kind: 'pad';
  /** `[top, left, bottom, right]` */
  readonly pads: readonly [number, number, number, number];
  /** A q-value. */
  readonly value: number;
}

/** `q = table[x - least q of the input's type]`: any function of one element, such as a sigmoid. */
export interface LutLayer extends LayerBase {
  readonly kind: 'lut';
  /** 256 q-values of the output. */
  readonly table: Int16Array;
}

/**
 * Rows of a table by integer keys, summed in bags: `acc[b][j] = sum over the keys k of bag b of table[k][j]`, then
 * requantised. The input is uint8: keys of `keyBytes` bytes each, little-endian, `bag` of them a bag. A key that is not
 * below `rows` adds nothing, as a table that misses does; so a bag of fewer keys is filled up with such.
 */
export interface EmbeddingLayer extends LayerBase {
  readonly kind: 'embedding';
  readonly keyBytes: 1 | 2 | 4;
  readonly bag: number;
  readonly rows: number;
  readonly width: number;
  /** Row-major `[rows][width]`, less their zero point: -255..255. */
  readonly table: Int16Array;
  /** One channel for all. */
  readonly requantiser: Requantiser;
}

export type Layer =
  | DenseLayer
  | Conv2dLayer
  | MaxPoolLayer
  | AveragePoolLayer
  | RequantiseLayer
  | AddLayer
  | PadLayer
  | TransposeLayer
  | LutLayer
  | EmbeddingLayer
  | ArgmaxLayer;

export type LayerKind = Layer['kind'];

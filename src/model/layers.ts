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

/** In units of the accumulator; beyond 32 bits only where inputs have 16. */
export type Biases = Int32Array | Float64Array;

/** `acc[o] = bias[o] + sum_i weights[o][i] * (x[i] - zx)`, then requantised. Reads its input flat. */
export interface DenseLayer extends LayerBase {
  readonly kind: 'dense';
  /** Row-major `[out][in]`, less their zero point: -255..255. */
  readonly weights: Int16Array;
  readonly bias: Biases;
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
  /** Distance from one tap to the next, `[height, width]`; 1 if absent. */
  readonly dilations?: readonly [number, number];
}

/**
 * `acc[o][y][x] = bias[o] + sum_{c,i,j} weights[o][c][i][j] * (in[c][y*s+i*d-p][x*s+j*d-p] - zx)`, requantised by
 * `o`.
 * Padding adds real zeros: elements equal to `zx`. With `groups` g, output o reads the input channels of its group.
 */
export interface Conv2dLayer extends LayerBase, Window {
  readonly kind: 'conv2d';
  /** Row-major `[out][in / groups][kernel height][kernel width]`, less their zero point: -255..255. */
  readonly weights: Int16Array;
  readonly bias: Biases;
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

/**
 * `q = clamp(floor((a*ma + b*mb + offset) / 2^shift), min, max)`, a and b less their zero points. An operand of one element a
 * channel, `[channels, 1, 1]`, is added at all positions of the other.
 */
export interface AddLayer extends LayerBase {
  readonly kind: 'add';
  readonly multipliers: readonly [number, number];
  readonly offset: number;
  readonly shift: number;
  readonly min: number;
  readonly max: number;
  /** As that of a requantiser. */
  readonly ties?: { readonly part: number; readonly odd: 0 | 1 };
}

/** `acc = (a - za) * (b - zb)`, requantised. An operand of one element a channel acts at all positions, as in `add`. */
export interface MulLayer extends LayerBase {
  readonly kind: 'mul';
  /** One channel for all elements. */
  readonly requantiser: Requantiser;
}

/**
 * `q = clamp(floor((2 * numerators[d] + sum) / (2 * sum)) + output zero point)` with `d` the largest element of the row less
 * this one, and `sum` that of `exponentials[d]` over the row: e to the power of -d times the input's scale, and the same in
 * steps of the output, both times a power of two.
 */
export interface SoftmaxLayer extends LayerBase {
  readonly kind: 'softmax';
  /** Elements of a row; the rows lie one after the other. */
  readonly size: number;
  /** 256 whole numbers, falling; the first is above 0. */
  readonly exponentials: readonly number[];
  /** Likewise. */
  readonly numerators: readonly number[];
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

/**
 * `out[i] = sources[i] < 0 ? value : all[sources[i]]`, `all` the elements of the inputs one after the other: parts of values put
 * together in any order, some of them several times. Moves elements and computes nothing.
 */
export interface GatherLayer extends LayerBase {
  readonly kind: 'gather';
  /** One an element of the output. */
  readonly sources: Int32Array;
  /** A q-value. */
  readonly value: number;
}

/** The image `[channels, height, width]` with `value` around it: real zeros if that is the zero point. */
export interface PadLayer extends LayerBase {
  readonly kind: 'pad';
  /** `[top, left, bottom, right]` */
  readonly pads: readonly [number, number, number, number];
  /** A q-value. */
  readonly value: number;
}

/**
 * `q = table[x - least q of the input's type]`: any function of one element, such as a sigmoid. Several tables are those of the
 * channels: of as many equal parts of the row-major elements.
 */
export interface LutLayer extends LayerBase {
  readonly kind: 'lut';
  /** 256 q-values of the output, for each channel if they differ. */
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

/**
 * Nodes of decision trees, all trees in one numbering; children come later than their parent. At node n: `q[feature[n]] <=
 * threshold[n]` goes to `low[n]`, everything else to `high[n]`. At a leaf `feature` is -1 and `low` its row of scores.
 */
export interface TreeNodes {
  readonly feature: Int16Array;
  /** q-values. */
  readonly threshold: Int16Array;
  readonly low: Int32Array;
  readonly high: Int32Array;
}

/**
 * Trees whose leaves add up: `score[s] = base[s] + sum over the trees of scores[leaf of the tree][s]`, whole numbers. A `verdict` is
 * that of `argmax` over the scores, its margin `min(255, (largest - second largest) >> shift)`; `sums` are
 * `clamp(score >> shift)`, one a score, in the range of the output's type. Reads its input flat.
 */
export interface ForestLayer extends LayerBase {
  readonly kind: 'forest';
  /** The first node of each tree. */
  readonly roots: Int32Array;
  readonly nodes: TreeNodes;
  /** Row-major `[leaf][score]`, none negative. */
  readonly scores: Float64Array;
  /** One a score; of a verdict none is negative. */
  readonly base: readonly number[];
  readonly shift: number;
  readonly result: 'verdict' | 'sums';
}

/** One layer of a model. */
export type Layer =
  | DenseLayer
  | Conv2dLayer
  | MaxPoolLayer
  | AveragePoolLayer
  | RequantiseLayer
  | AddLayer
  | MulLayer
  | SoftmaxLayer
  | GatherLayer
  | PadLayer
  | TransposeLayer
  | LutLayer
  | EmbeddingLayer
  | ArgmaxLayer
  | ForestLayer;

/** Names of the kinds of layers; tables by kind are `Record<LayerKind, ...>`, so that none is forgotten. */
export type LayerKind = Layer['kind'];

/** How many values a layer of each kind reads: so many, or `any` from one on. */
export const inputCounts = {
  dense: 1,
  conv2d: 1,
  maxPool: 1,
  averagePool: 1,
  requantise: 1,
  add: 2,
  mul: 2,
  softmax: 1,
  gather: 'any',
  pad: 1,
  transpose: 1,
  lut: 1,
  embedding: 1,
  argmax: 1,
  forest: 1,
} as const satisfies Record<LayerKind, number | 'any'>;

/** Which of a `lut`'s tables element `i` of `count` goes by. */
export const lutTable = ({ table }: LutLayer, i: number, count: number): number =>
  Math.floor((i * (table.length / 256)) / count);

import type { InputAffine, Window } from '../../model/model.ts';
import type { Activation } from '../builder.ts';
import type { Conv2dGeometry } from '../lower/linear.ts';
import type { Constant, Numbers } from './tensor-data.ts';

/** Integers known at compile time that stand for reals: what DequantizeLinear makes of a constant. */
export interface QuantisedConstant {
  readonly kind: 'quantisedConstant';
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly values: Numbers;
  /** One, or one an index of `axis`. */
  readonly scales: readonly number[];
  /** As many as scales. */
  readonly zeroPoints: readonly number[];
  readonly axis: number;
  /** What the values stand for, where their scales run in blocks: `scales`, `zeroPoints` and `axis` say nothing then. */
  readonly reals?: Float64Array;
}

/** Integers of the network: a graph input of an 8-bit type, the output of QuantizeLinear or of a QLinear operator. */
export interface Quantised {
  readonly kind: 'quantised';
  readonly activation: Activation;
}

/** Reals of the network, held as what they are computed from, until a QuantizeLinear says on which grid they end. */
export interface Real {
  readonly kind: 'real';
  readonly term: Term;
  readonly clamp: RealClamp;
  /** Without the batch. */
  readonly shape: readonly number[];
}

/** Bounds of a real, before it is put on a grid. */
export interface RealClamp {
  readonly lo: number;
  readonly hi: number;
}

/** No bounds. */
export const unclamped: RealClamp = { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };

/** Whether it bounds nothing. */
export const isFree = ({ lo, hi }: RealClamp): boolean => lo === unclamped.lo && hi === unclamped.hi;

/** A dequantised activation. */
export interface ActivationTerm {
  readonly kind: 'activation';
  readonly activation: Activation;
}

/** `scale[o] * (bias[o] + sum weights * (x - zx)) + offset[o]`: a product with constant weights, and what was folded into it. */
export interface LinearTerm {
  readonly kind: 'linear';
  /** Of the node, for the layer. */
  readonly name: string;
  readonly input: Activation;
  /** Row-major `[out][taps]`, less their zero point. */
  readonly weights: Int16Array;
  /** What the weights are rounded from, in the same steps, if they are: of blocks with scales of their own. */
  readonly unrounded?: Float64Array;
  /** 8 if absent. */
  readonly weightBits?: 4 | 8;
  /** Whole numbers, in units of the accumulator. */
  readonly bias: Float64Array;
  /** Positive. */
  readonly scale: Float64Array;
  /** Reals that no accumulator holds exactly: they go into the rounding. */
  readonly offset: Float64Array;
  /** Absent for a dense layer. */
  readonly conv?: Conv2dGeometry;
  /** It is a convolution along rows, and its value has the channels last. */
  readonly rows?: true;
  /** The source computes it in integers, by one kernel: then its rounding is known exactly. */
  readonly fused: boolean;
}

/** Means, or sums, of the windows of an image. */
export interface AverageTerm {
  readonly kind: 'average';
  readonly name: string;
  readonly input: Activation;
  readonly window: Window;
  readonly countPadding: boolean;
  /** The sum itself, not divided. */
  readonly sum?: true;
  /** By the one kernel of integers that averages a whole image: it rounds otherwise. */
  readonly fused: boolean;
  /** The zero point is added before the rounding: ties go to even numbers of q, not of steps. */
  readonly shifted?: true;
}

interface SumTerm {
  readonly kind: 'sum';
  readonly name: string;
  readonly a: Activation;
  readonly b: Activation;
  /** By one kernel of integers, which rounds otherwise. */
  readonly fused: boolean;
}

/** The maximum commutes with rounding: it is taken of the quantised values. */
export interface MaximumTerm {
  readonly kind: 'maximum';
  readonly name: string;
  readonly of: Real;
  readonly window: Window;
  /** The least instead. */
  readonly least?: true;
}

/**
 * A function of one element, such as a sigmoid or a normalisation, in the float32 steps of the source: with the grids of
 * both sides it becomes a table, or a line.
 */
export interface FunctionTerm {
  readonly kind: 'function';
  readonly name: string;
  readonly input: Activation;
  /** Of a float32, and the channel that its element is of; gives a float32. */
  readonly of: (x: number, channel: number) => number;
  /** How many different functions there are: the elements are dealt out to them in equal runs. 1 if all are alike. */
  readonly channels: number;
}

/** Elements of several reals in another order: rounded before they are moved, which is the same as behind. */
export interface MovedTerm {
  readonly kind: 'moved';
  readonly name: string;
  readonly of: readonly Real[];
  /** Without the batch. */
  readonly shape: readonly number[];
  /** Of each element among those of all `of`, one after the other; -1 for `fill`. */
  readonly sources: Int32Array;
  readonly fill: number;
}

/** One times the other, element by element. */
export interface ProductTerm {
  readonly kind: 'product';
  readonly name: string;
  readonly a: Activation;
  readonly b: Activation;
  /** By one kernel of integers, which rounds otherwise. */
  readonly fused: boolean;
}

/** Each row of `size` elements, which lie one after the other, by e to the power of them over the sum of all. */
export interface SoftmaxTerm {
  readonly kind: 'softmax';
  readonly name: string;
  readonly input: Activation;
  readonly size: number;
  /** The logarithm of it. */
  readonly log: boolean;
}

/** What reals are computed from: how they are rounded depends on it. */
export type Term =
  | ActivationTerm
  | LinearTerm
  | AverageTerm
  | SumTerm
  | MaximumTerm
  | FunctionTerm
  | MovedTerm
  | ProductTerm
  | SoftmaxTerm;

/** The float32 graph input, until QuantizeLinear makes it the model's. */
export interface FloatInput {
  readonly kind: 'floatInput';
  readonly shape: readonly number[];
  /** What was done to it, element by element. */
  readonly affine?: InputAffine;
  /** Where each element stands in the input, if it was moved. */
  readonly sources?: Int32Array;
  /** Shape of the input itself, if this is another. */
  readonly from?: readonly number[];
  /** Real that stands where its source is -1. */
  readonly fill?: number;
  /** The maxima of it, which commute with rounding: taken of the integers, when there is a grid. */
  readonly pooled?: (integers: Activation) => Activation;
}

/** The output of a node that was refused: nodes behind it are passed over without another message. */
export interface Refused {
  readonly kind: 'refused';
}

/** What is known of a value of the graph once the node that makes it was read. */
export type Value = Constant | QuantisedConstant | Quantised | Real | FloatInput | Refused;

/** An activation's integers as the reals that they stand for. */
export const realActivation = (activation: Activation): Real => ({
  kind: 'real',
  term: { kind: 'activation', activation },
  clamp: unclamped,
  shape: activation.type.shape,
});

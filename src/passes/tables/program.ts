import type { Activation } from './activation.ts';

/**
 * Layers as look-ups and adds, before any target. A table knows the levels of the activations that it matches, and holds for
 * each combination of them what it adds to the sums of its layer.
 */
export interface TableProgram {
  readonly from: number;
  readonly to: number;
  readonly layers: readonly SumLayer[];
  /** What stands at the end: levels whose q-values are the output, or what the verdict compares. */
  readonly outputs: readonly Activation[];
  /** Index of the `argmax` layer that ends the program. */
  readonly verdict?: number;
  /**
   * With a verdict: it compares the finished sums that `outputs` are, each below half of what its bits hold. They have one scale:
   * 2^stepBits of them are one step of the outputs, of which a margin is told.
   */
  readonly comparedSums?: { readonly stepBits: number };
}

/** One layer of sums. */
export interface SumLayer {
  /** Index in the model. */
  readonly layer: number;
  readonly tables: readonly SumTable[];
  /** What adds to the sums of a forest, in place of tables of activations. */
  readonly trees?: Trees;
  /** One an output. */
  readonly sums: readonly Sum[];
  /** Bits of each sum in its word; none overflows them. */
  readonly bits: number;
}

/** `number = base + scale * (acc - least)`, never negative. */
export interface Sum {
  readonly base: number;
  readonly scale: number;
  /** The least accumulator that the inputs can give. */
  readonly least: number;
  /** The largest number that the sum can be. */
  readonly most: number;
}

/** One look-up: adds a row of `values`, the one of its keys' levels, to the sums of its layer. */
export interface SumTable {
  /** Place among the tables of its layer. */
  readonly index: number;
  /** What it matches: one activation, or several. */
  readonly keys: readonly Activation[];
  /**
   * For each combination of levels, the last key's level running fastest: what is added to each sum. The first table of a layer
   * holds the bases of the sums, too.
   */
  readonly values: readonly (readonly number[])[];
}

/** Decision trees as two rows of look-ups: codes of the activations, then a table a tree that matches bits of them. */
export interface Trees {
  readonly codes: readonly Code[];
  readonly tables: readonly TreeTable[];
}

/** A byte whose bits tell an activation's levels apart, each for some tree. */
export interface Code {
  /** Place among the codes of its layer. */
  readonly index: number;
  readonly key: Activation;
  /** By level of the key. */
  readonly words: readonly number[];
}

/** One tree: adds a row of scores, that of the leaf which the codes lead to. */
export interface TreeTable {
  /** Place among the trees of its layer. */
  readonly index: number;
  /** Places of the codes that it matches. */
  readonly codes: readonly number[];
  /** Whatever the codes are, one row matches, or several that add the same. The first tree's rows hold the bases of the sums, too. */
  readonly rows: readonly TreeRow[];
}

/** One entry of a tree. */
export interface TreeRow {
  /** What is asked of each code that the tree matches. */
  readonly codes: readonly CodeMatch[];
  readonly values: readonly number[];
}

/** The bits of `mask` are those of `value`. */
export interface CodeMatch {
  readonly value: number;
  readonly mask: number;
}

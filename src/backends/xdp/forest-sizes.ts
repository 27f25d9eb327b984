import type { ForestLayer } from '../../model/model.ts';
import { forestDepth } from '../../model/trees.ts';

/** Trees that are walked side by side: each step waits for memory, and four of them wait together. */
const ABREAST = 4;

/** A node is one word: its threshold, its feature, the first of its two children, and of a leaf its row of scores. */
export const NODE = { feature: 8, low: 24, row: 44, indexBits: 20 } as const;

/** Nodes and rows that a word of a node tells apart, and features. */
export const MOST_NODES = 2 ** NODE.indexBits;
export const MOST_FEATURES = 2 ** (NODE.low - NODE.feature);

const powerOfTwo = (count: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, count)));

/** Bytes that may be read from the first feature on: an index is cut to so many, which is the bound that the verifier sees. */
export const featureBytes = (features: number): number => powerOfTwo(features);

/** What of a forest is in the code: another one takes its place that needs no more. */
export interface ForestSizes {
  /** Trees that are walked side by side. */
  readonly abreast: number;
  /** Trees with those that only fill up the last step, which are leaves of no score. */
  readonly trees: number;
  /** Room for nodes and for rows of scores: powers of two. */
  readonly nodes: number;
  readonly rows: number;
  readonly scores: number;
  readonly depth: number;
}

export function forestSizes(layer: ForestLayer): ForestSizes {
  const trees = layer.roots.length;
  const abreast = Math.min(ABREAST, trees);
  const walked = Math.ceil(trees / abreast) * abreast;
  return {
    abreast,
    trees: walked,
    nodes: powerOfTwo(layer.nodes.feature.length + walked - trees),
    rows: powerOfTwo(layer.scores.length / layer.base.length + 1),
    scores: layer.base.length,
    depth: forestDepth(layer),
  };
}

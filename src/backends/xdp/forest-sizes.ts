import type { ForestLayer } from '../../model/model.ts';
import { treeDepth } from '../../model/trees.ts';

/** Trees that are walked side by side: each step waits for memory, and four of them wait together. */
const ABREAST = 4;

/**
 * A node is one word, from its lowest bit on: threshold, place of its second child (the first stands before it), row of scores of a
 * leaf; uppermost its feature, in as many bits as the index of a feature has. So one subtraction compares and finds the child:
 * an element beyond the threshold borrows one from the place.
 */
export const NODE = { child: 8, row: 28, indexBits: 20 } as const;

/** Nodes and rows that a word of a node tells apart, and features. */
export const MOST_NODES = 2 ** NODE.indexBits;
/** Features that a word of a node tells apart. */
export const MOST_FOREST_FEATURES = 2 ** (64 - NODE.row - NODE.indexBits);

const powerOfTwo = (count: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, count)));

/** Bytes that may be read from the first feature on: an index is cut to so many, which is the bound that the verifier sees. */
export const featureBytes = (features: number): number => powerOfTwo(features);

/** Trees one after the other that all are walked so many steps. */
export interface Run {
  readonly trees: number;
  readonly depth: number;
}

/** What of a forest is in the code: another one takes its place that needs no more. */
export interface ForestSizes {
  /** Trees that are walked side by side. */
  readonly abreast: number;
  /** Trees with those that only fill up the last step, which are leaves of no score. */
  readonly trees: number;
  /** The deepest trees first. */
  readonly runs: readonly Run[];
  /** Room for nodes and for rows of scores: powers of two. */
  readonly nodes: number;
  readonly rows: number;
  readonly scores: number;
}

/** What the code for this forest will have room for. */
export function forestSizes(layer: ForestLayer): ForestSizes {
  const trees = layer.roots.length;
  const abreast = Math.min(ABREAST, trees);
  const walked = Math.ceil(trees / abreast) * abreast;
  const deepest = deepestFirst(layer).map(({ depth }) => depth);
  const runs: { trees: number; depth: number }[] = [];
  for (let t = 0; t < walked; t += abreast) {
    const depth = deepest[t]!;
    const last = runs.at(-1);
    if (last?.depth === depth) last.trees += abreast;
    else runs.push({ trees: abreast, depth });
  }
  return {
    abreast,
    trees: walked,
    runs,
    nodes: powerOfTwo(layer.nodes.feature.length + walked - trees),
    rows: powerOfTwo(layer.scores.length / layer.base.length + 1),
    scores: layer.base.length,
  };
}

/** Roots of the trees with the steps to their deepest leaves. */
export const deepestFirst = (layer: ForestLayer): { readonly root: number; readonly depth: number }[] =>
  Array.from(layer.roots, (root) => ({ root, depth: treeDepth(layer, root) })).sort(
    (a, b) => b.depth - a.depth,
  );

/** Steps that each place of a tree is walked. */
export const stepsOf = ({ runs }: ForestSizes): number[] =>
  runs.flatMap(({ trees, depth }) => new Array<number>(trees).fill(depth));

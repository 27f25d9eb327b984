import type { ForestLayer } from '../../model/model.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';

/** A node of one tree; children are indices in its list, later than their parent. */
export type TreeNode =
  | { readonly feature: number; readonly threshold: number; readonly low: number; readonly high: number }
  | { readonly scores: readonly number[] };

/** Trees by their nodes, the root first. */
export interface Forest {
  readonly trees: readonly (readonly TreeNode[])[];
  /** One a score: whole numbers. */
  readonly base: readonly number[];
  readonly shift: number;
}

/** Class and margin. */
export const VERDICT = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;

/** Trees that vote for classes. */
export const lowerVotes = (b: ModelBuilder, name: string, input: Activation, forest: Forest): Activation => {
  const { base, ...parts } = planted(forest);
  // Of scores that are but compared, what all have in common is nothing.
  const least = Math.min(...base);
  const own = { ...parts, base: base.map((value) => value - least) };
  return b.add(name, {
    kind: 'forest',
    inputs: [input.value],
    ...own,
    shift: forest.shift,
    result: 'verdict',
    output: VERDICT,
  });
};

/** Trees whose leaves add up to numbers on a grid. */
export const lowerSums = (
  b: ModelBuilder,
  name: string,
  input: Activation,
  forest: Forest,
  { element, scale, zeroPoint }: Quantisation,
): Activation => {
  const output = { element, scale, zeroPoint, shape: [forest.base.length] };
  return b.add(name, {
    kind: 'forest',
    inputs: [input.value],
    ...planted(forest),
    shift: forest.shift,
    result: 'sums',
    output,
  });
};

/** All trees in one numbering, and no score below zero: what a tree gives at least goes into the base. */
function planted({ trees, base }: Forest): Pick<ForestLayer, 'nodes' | 'roots' | 'scores' | 'base'> {
  const count = trees.reduce((sum, tree) => sum + tree.length, 0);
  const nodes = {
    feature: new Int16Array(count).fill(-1),
    threshold: new Int16Array(count),
    low: new Int32Array(count),
    high: new Int32Array(count),
  };
  const roots: number[] = [];
  const scores: number[] = [];
  const sums = [...base];
  for (const tree of trees) {
    const root = roots.length === 0 ? 0 : roots.at(-1)! + trees[roots.length - 1]!.length;
    roots.push(root);
    const least = base.map((_, s) =>
      tree.reduce(
        (low, node) => ('scores' in node ? Math.min(low, node.scores[s]!) : low),
        Number.POSITIVE_INFINITY,
      ),
    );
    for (const [s, value] of least.entries()) sums[s]! += value;
    for (const [i, node] of tree.entries()) {
      const at = root + i;
      if ('scores' in node) {
        nodes.low[at] = scores.length / base.length;
        for (const [s, score] of node.scores.entries()) scores.push(score - least[s]!);
      } else {
        nodes.feature[at] = node.feature;
        nodes.threshold[at] = node.threshold;
        nodes.low[at] = root + node.low;
        nodes.high[at] = root + node.high;
      }
    }
  }
  return { nodes, roots: Int32Array.from(roots), scores: Float64Array.from(scores), base: sums };
}

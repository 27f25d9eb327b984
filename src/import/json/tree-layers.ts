import { elementCount } from '../../model/tensor.ts';
import type { Activation } from '../builder.ts';
import { lowerSums, lowerVotes } from '../lower/trees.ts';
import { fieldFault, type LayerContext, type LayerOf, outputOf } from './layer-context.ts';

/** Decision trees: votes without an output, sums on the grid of one. */
export function lowerJsonForest(c: LayerContext, layer: LayerOf<'forest'>): Activation {
  const input = c.inputs[0]!;
  const features = elementCount(input.type.shape);
  const scores = scoreCount(layer);
  for (const [t, tree] of layer.trees.entries()) {
    const reached = new Uint8Array(tree.length);
    for (const [n, node] of tree.entries()) {
      const fault = (field: string, expected: string) =>
        fieldFault(c, `trees[${t}][${n}].${field}`, expected);
      if (n > 0 && reached[n] !== 1)
        fault('', `expected one node before it that leads to it, not ${reached[n]}`);
      if ('scores' in node) {
        if (node.scores.length !== scores) fault('scores', `expected ${scores}, as the leaf before it has`);
        continue;
      }
      if (node.feature >= features) fault('feature', `expected one of the input's ${features}, from 0 on`);
      for (const side of ['low', 'high'] as const) {
        if (node[side] <= n || node[side] >= tree.length)
          fault(side, `expected a node after this one, of ${tree.length}`);
        reached[node[side]]!++;
      }
    }
  }
  const { trees, base = new Array<number>(scores).fill(0), shift } = layer;
  if (base.length !== scores) fieldFault(c, 'base', `expected ${scores} numbers, one a score`);
  const forest = { trees, base, shift };
  return layer.output === undefined
    ? lowerVotes(c.builder, c.name, input, forest)
    : lowerSums(c.builder, c.name, input, forest, outputOf(c, layer.output));
}

function scoreCount({ trees }: LayerOf<'forest'>): number {
  for (const node of trees[0]!) if ('scores' in node) return node.scores.length;
  return 1;
}

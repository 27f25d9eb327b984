import type { ForestLayer } from '../model/model.ts';
import { elementRange } from '../model/tensor.ts';

/** Decision trees, node by node. q-values in; a verdict or sums out. */
export function forest(layer: ForestLayer, x: Int32Array): Int32Array {
  const { nodes, roots, scores, base, shift, result, output } = layer;
  const sums = [...base];
  for (const root of roots) {
    let node = root;
    while (nodes.feature[node]! >= 0)
      node = x[nodes.feature[node]!]! <= nodes.threshold[node]! ? nodes.low[node]! : nodes.high[node]!;
    const row = nodes.low[node]! * base.length;
    for (let s = 0; s < base.length; s++) sums[s]! += scores[row + s]!;
  }
  if (result === 'verdict') return verdict(sums, shift);
  const { lo, hi } = elementRange(output.element);
  return Int32Array.from(sums, (sum) => Math.max(lo, Math.min(hi, Math.floor(sum / 2 ** shift))));
}

/** The first of the largest, and how far the next one is. Of one score alone the margin is the most there is. */
function verdict(sums: readonly number[], shift: number): Int32Array {
  const best = sums.indexOf(Math.max(...sums));
  const second = Math.max(...sums.filter((_, s) => s !== best));
  return Int32Array.of(best, Math.min(255, Math.floor((sums[best]! - second) / 2 ** shift)));
}

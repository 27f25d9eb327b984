import type { ForestLayer } from './layers.ts';

/** The nodes of one tree from its root on, parents before their children. */
export function treeNodes({ nodes }: Pick<ForestLayer, 'nodes'>, root: number): readonly number[] {
  const found: number[] = [];
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    found.push(node);
    if (nodes.feature[node]! >= 0) open.push(nodes.high[node]!, nodes.low[node]!);
  }
  return found;
}

/** Rows of scores of a tree's leaves. */
const leafRows = (layer: Pick<ForestLayer, 'nodes'>, root: number): readonly number[] =>
  treeNodes(layer, root)
    .filter((node) => layer.nodes.feature[node]! < 0)
    .map((node) => layer.nodes.low[node]!);

/** Steps from a root to its deepest leaf. */
export function treeDepth({ nodes }: Pick<ForestLayer, 'nodes'>, root: number): number {
  let deepest = 0;
  const open = [{ node: root, depth: 0 }];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { node, depth } = at;
    deepest = Math.max(deepest, depth);
    if (nodes.feature[node]! < 0) continue;
    open.push({ node: nodes.low[node]!, depth: depth + 1 }, { node: nodes.high[node]!, depth: depth + 1 });
  }
  return deepest;
}

/** The largest that each score can become, its base with it. */
export function largestScores(layer: ForestLayer): number[] {
  const count = layer.base.length;
  const most = [...layer.base];
  for (const root of layer.roots) {
    const rows = leafRows(layer, root);
    for (let s = 0; s < count; s++)
      most[s]! += rows.reduce((best, row) => Math.max(best, layer.scores[row * count + s]!), 0);
  }
  return most;
}

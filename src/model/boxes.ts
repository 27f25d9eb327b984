import type { ForestLayer } from './layers.ts';

/** The elements that lead to one leaf of a tree: a range of q-values for each feature that its path asks for. */
export interface LeafBox {
  /** Row of the leaf's scores. */
  readonly row: number;
  readonly ranges: ReadonlyMap<number, { readonly lo: number; readonly hi: number }>;
}

/** The leaves of a tree as boxes that do not overlap, over features from `lo` to `hi`; a leaf that none reaches has none. */
export function leafBoxes({ nodes }: ForestLayer, root: number, lo: number, hi: number): LeafBox[] {
  const boxes: LeafBox[] = [];
  const open: { node: number; ranges: LeafBox['ranges'] }[] = [{ node: root, ranges: new Map() }];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { node, ranges } = at;
    const feature = nodes.feature[node]!;
    if (feature < 0) {
      boxes.push({ row: nodes.low[node]!, ranges });
      continue;
    }
    const threshold = nodes.threshold[node]!;
    const own = ranges.get(feature) ?? { lo, hi };
    const below = { lo: own.lo, hi: Math.min(own.hi, threshold) };
    const above = { lo: Math.max(own.lo, threshold + 1), hi: own.hi };
    if (above.lo <= above.hi)
      open.push({ node: nodes.high[node]!, ranges: new Map(ranges).set(feature, above) });
    if (below.lo <= below.hi)
      open.push({ node: nodes.low[node]!, ranges: new Map(ranges).set(feature, below) });
  }
  return boxes;
}

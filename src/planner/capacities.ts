import type { PathGraph } from './graph.ts';
import type { Instance } from './instance.ts';

/**
 * Something of which a whole walk may use no more than `limit`: what the segments of one node share, or the latency where
 * cost is minimised.
 */
export interface Capacity {
  readonly limit: number;
  /** What each edge uses. */
  readonly use: Float64Array;
}

/** A node's shared capacity that the search watches over several visits. */
export interface Watched {
  readonly node: number;
  /** Index among the node's capacities. */
  readonly capacity: number;
}

/** What each edge of the graph takes of a watched capacity. */
export function watchedCapacity(graph: PathGraph, instance: Instance, { node, capacity }: Watched): Capacity {
  const use = new Float64Array(graph.target.length);
  for (const [edge, step] of graph.steps.entries())
    if (step?.kind === 'compute' && step.node === node)
      use[edge] = instance.segment(node, step.from, step.to).usage[capacity]!;
  return { limit: instance.capacities(node)[capacity]!, use };
}

/**
 * Most that the blocks behind each cut can take of a capacity, one segment a block at worst. Where a label has more than
 * that left, how much it has used makes no difference any more.
 */
export function mostStillUsed(instance: Instance, { node, capacity }: Watched): Float64Array {
  const most = new Float64Array(instance.lastCut + 1);
  for (let cut = instance.lastCut - 1; cut >= 0; cut--)
    most[cut] = most[cut + 1]! + instance.segment(node, cut, cut + 1).usage[capacity]!;
  return most;
}

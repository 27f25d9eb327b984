import { buildGraph, type PathGraph } from './graph.ts';
import type { Instance, Walk } from './instance.ts';
import { type Bounds, boundsOf, search } from './search.ts';

/** The best walk with what was needed to find it, or that there is none. */
export interface Solution {
  readonly walk: Walk | undefined;
  readonly graph: PathGraph;
  readonly bounds: Bounds;
  /** Nodes whose capacities had to be watched, as a walk that passes them twice was tempted to use them twice over. */
  readonly tracked: readonly number[];
}

/**
 * The optimum. A walk may pass a node again; then what its segments need of the node adds up. Watching that for all nodes
 * would multiply the states, so it is watched for none at first, then for those that the best walk over-commits, until the
 * best walk over-commits none (decremental state space relaxation: Righini and Salani 2008). Each round solves a relaxation,
 * so the first sound walk is optimal; each but the last adds a node, so there are at most as many rounds as nodes.
 */
export function solve(instance: Instance): Solution {
  const graph = buildGraph(instance);
  const bounds = boundsOf(graph, instance);
  const tracked: number[] = [];
  for (;;) {
    const walk = search(graph, instance, bounds, tracked);
    const over = walk === undefined ? [] : overCommitted(instance, walk);
    if (over.length === 0) return { walk, graph, bounds, tracked };
    tracked.push(...over.map((o) => o.node));
  }
}

export interface OverCommitment {
  readonly node: number;
  /** Index of the capacity. */
  readonly capacity: number;
  readonly need: number;
  readonly limit: number;
}

/** Nodes whose segments together need more than there is; the first such capacity of each. */
export function overCommitted(instance: Instance, walk: Walk): OverCommitment[] {
  const used = new Map<number, number[]>();
  for (const step of walk.steps) {
    if (step.kind !== 'compute') continue;
    const { usage } = instance.segment(step.node, step.from, step.to);
    const sum = used.get(step.node);
    used.set(step.node, sum === undefined ? [...usage] : sum.map((u, i) => u + usage[i]!));
  }
  const found: OverCommitment[] = [];
  for (const [node, needs] of used) {
    const limits = instance.capacities(node);
    const capacity = needs.findIndex((need, i) => need > limits[i]!);
    if (capacity >= 0) found.push({ node, capacity, need: needs[capacity]!, limit: limits[capacity]! });
  }
  return found;
}

import { type Capacity, type Watched, watchedCapacity } from './capacities.ts';
import { buildGraph, type PathGraph } from './graph.ts';
import type { Instance, Walk } from './instance.ts';
import { type PricedBound, pricedBound } from './lagrange.ts';
import { type Bounds, boundPs, boundsOf, search, walkAlong, weightsOf } from './search.ts';
import { makeSweep } from './sweep.ts';

/** The best walk with what was needed to find it. */
export interface Solution {
  /** Undefined: there is none, or none was found (see `proof`). */
  readonly walk: Walk | undefined;
  /**
   * `optimal`: no walk is better, or there is none at all. `bound`: the search was given up; no walk has an objective below
   * `bound` (picoseconds, or nano-units of money), so the one found is off by less than the difference.
   */
  readonly proof: { readonly kind: 'optimal' } | { readonly kind: 'bound'; readonly bound: number };
  readonly graph: PathGraph;
  readonly bounds: Bounds;
  /** Capacities that had to be watched, as a walk that passes their node twice was tempted to use them twice over. */
  readonly watched: readonly Watched[];
}

/** Labels of one search: some seconds. Reached only where many nodes are short of something and near one another. */
const BUDGET = 150_000;

/** Labels of the first try, without the priced bound, which costs as much as many labels. */
const FIRST_BUDGET = 30_000;

/** Labels of one search, and of the first try, which goes without the priced bound; default 150,000 and 30,000. */
export interface Budgets {
  readonly budget?: number;
  readonly first?: number;
}

/**
 * The optimum. A walk may pass a node again; then what its segments need of the node adds up. Watching that everywhere would
 * multiply the states, so it is watched nowhere at first, then where the best walk over-commits a node, until the best walk
 * over-commits none (decremental state space relaxation: Righini and Salani 2008). Each round solves a relaxation, so the
 * first sound walk is optimal; each but the last watches more, so there are at most as many rounds as capacities.
 */
export function solve(instance: Instance, { budget = BUDGET, first = FIRST_BUDGET }: Budgets = {}): Solution {
  const graph = buildGraph(instance);
  const bounds = boundsOf(graph, instance);
  const watched: Watched[] = [];
  let best: Walk | undefined;
  for (;;) {
    let result = search(graph, instance, bounds, { watched, budget: Math.min(budget, first) });
    if (result.kind === 'budget') {
      const { priced, walk } = priceOut(graph, instance, watched);
      best = better(instance, best, walk);
      best = better(instance, best, quickWalk(graph, instance, bounds, budget));
      const known = best === undefined ? priced : { ...priced, best: objectiveOf(instance, best) };
      result = search(graph, instance, bounds, { watched, priced: known, budget });
      if (result.kind === 'budget') {
        if (result.walk !== undefined && overCommitted(instance, result.walk).length === 0)
          best = better(instance, best, result.walk);
        return { walk: best, proof: { kind: 'bound', bound: priced.bound }, graph, bounds, watched };
      }
    }
    const over = result.kind === 'found' ? overCommitted(instance, result.walk) : [];
    if (over.length > 0) {
      watched.push(...over);
      continue;
    }
    return {
      walk: result.kind === 'found' ? result.walk : undefined,
      proof: { kind: 'optimal' },
      graph,
      bounds,
      watched,
    };
  }
}

/** The objective of the steps alone; what the packet costs on entering is the same for all. */
const objectiveOf = (instance: Instance, walk: Walk): number =>
  instance.objective.minimise === 'latency' ? walk.ps - instance.entry.packetPs : walk.price;

function better(instance: Instance, a: Walk | undefined, b: Walk | undefined): Walk | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return objectiveOf(instance, b) < objectiveOf(instance, a) ? b : a;
}

/** A sound walk, not proved to be good: by a greedy search for the objective, or else for time. */
function quickWalk(graph: PathGraph, instance: Instance, bounds: Bounds, budget: number): Walk | undefined {
  const options = { watched: [], budget, greedy: true } as const;
  const quick = search(graph, instance, bounds, options);
  if (quick.kind === 'found' || instance.objective.minimise === 'latency')
    return quick.kind === 'found' ? quick.walk : undefined;
  const inTime: Instance = { ...instance, objective: { minimise: 'latency' } };
  const fast = search(graph, inTime, boundsOf(graph, inTime), options);
  return fast.kind === 'found' && fast.walk.ps <= instance.objective.boundPs ? fast.walk : undefined;
}

/** The priced bound, and the best sound walk that its sweeps met. */
function priceOut(
  graph: PathGraph,
  instance: Instance,
  watched: readonly Watched[],
): { priced: PricedBound; walk: Walk | undefined } {
  let best: Walk | undefined;
  const bound = boundPs(instance);
  const time: Capacity[] = bound < Number.POSITIVE_INFINITY ? [{ limit: bound, use: graph.ps }] : [];
  const capacities = [...watched.map((w) => watchedCapacity(graph, instance, w)), ...time];
  const sound = (edges: readonly number[]) => {
    const walk = walkAlong(graph, instance, edges);
    if (walk.ps - instance.entry.packetPs > bound || overCommitted(instance, walk).length > 0) return false;
    best = better(instance, best, walk);
    return true;
  };
  const { primary } = weightsOf(graph, instance);
  const priced = pricedBound(graph, primary, capacities, makeSweep(graph, instance), sound);
  return { priced, walk: best };
}

/** A capacity that a walk uses more of than there is. */
export interface OverCommitment extends Watched {
  readonly need: number;
  readonly limit: number;
}

/** What the segments of a walk together need of a node beyond what it has. */
export function overCommitted(instance: Instance, walk: Walk): OverCommitment[] {
  const used = new Map<number, number[]>();
  for (const step of walk.steps) {
    if (step.kind !== 'compute') continue;
    const { usage } = instance.segment(step.node, step.from, step.to);
    const sum = used.get(step.node);
    used.set(step.node, sum === undefined ? [...usage] : sum.map((u, k) => u + usage[k]!));
  }
  return [...used].flatMap(([node, needs]) =>
    needs.flatMap((need, capacity) => {
      const limit = instance.capacities(node)[capacity]!;
      return need > limit ? [{ node, capacity, need, limit }] : [];
    }),
  );
}

import type { Capacity } from './capacities.ts';
import type { PathGraph } from './graph.ts';
import type { Sweep } from './sweep.ts';

/**
 * A lower bound for every partial walk, with capacities priced instead of enforced. For prices `m_k >= 0`,
 * `least(state) = min over ways to the goal of sum (objective + sum_k m_k * use_k)`; a walk that has come to the state with
 * objective g and used u_k comes to no less than `g + least(state) - sum_k m_k * (limit_k - u_k)`.
 */
export interface PricedBound {
  readonly least: Float64Array;
  readonly prices: readonly number[];
  /** Of the whole problem. */
  readonly bound: number;
  /** Objective of the best walk that was met on the way and keeps all limits; infinite if none. */
  readonly best: number;
}

/** Sweeps at most; each takes milliseconds. */
const ROUNDS = 40;

/** Rounding of a sum of doubles in the millions of terms; bounds are lowered by it, so that they stay bounds. */
const SLACK = 1e-9;

/**
 * Prices by subgradient ascent with Polyak's step, `(target - bound) / |g|^2`, in units of each limit.
 * @param sound whether a path (its edges) may be walked as it is: everything counted
 */
export function pricedBound(
  graph: PathGraph,
  objective: Float64Array,
  capacities: readonly Capacity[],
  sweep: (weight: Float64Array) => Sweep,
  sound: (edges: readonly number[]) => boolean,
): PricedBound {
  let prices = capacities.map(() => 0);
  let best = Number.POSITIVE_INFINITY;
  let top: PricedBound | undefined;
  let pace = 1;
  for (let round = 0; round < ROUNDS; round++) {
    const { distance, next } = sweep(priced(objective, capacities, prices));
    const edges = pathEdges(graph, next);
    const value = distance[graph.start]! - sum(capacities.map((c, k) => prices[k]! * c.limit));
    if (top === undefined || value > top.bound) top = { least: distance, prices, bound: value, best };
    else pace *= 0.8;
    const over = capacities.map((c) => (sum(edges.map((e) => c.use[e]!)) - c.limit) / Math.max(c.limit, 1));
    if (sound(edges)) best = Math.min(best, sum(edges.map((e) => objective[e]!)));
    const length = sum(over.map((o) => o * o));
    if (length === 0 || best - top.bound <= SLACK * Math.abs(best)) break;
    const target = best < Number.POSITIVE_INFINITY ? best : 1.2 * Math.abs(top.bound) + 1;
    const step = (pace * Math.max(target - value, SLACK * Math.abs(target))) / length;
    prices = prices.map((m, k) => Math.max(0, m + (step * over[k]!) / Math.max(capacities[k]!.limit, 1)));
  }
  return { ...top!, best };
}

/** Least that a partial walk can come to, given its objective and what it has left of each capacity. */
export function pricedLeast(
  b: PricedBound,
  state: number,
  objective: number,
  left: readonly number[],
): number {
  let least = objective + b.least[state]!;
  for (let k = 0; k < left.length; k++) least -= b.prices[k]! * left[k]!;
  return least - SLACK * (Math.abs(objective) + Math.abs(b.least[state]!)) - 1e-6;
}

function priced(
  objective: Float64Array,
  capacities: readonly Capacity[],
  prices: readonly number[],
): Float64Array {
  const weight = objective.slice();
  for (const [k, { use }] of capacities.entries()) {
    const price = prices[k]!;
    if (price > 0) for (let edge = 0; edge < weight.length; edge++) weight[edge]! += price * use[edge]!;
  }
  return weight;
}

function pathEdges(graph: PathGraph, next: Int32Array): number[] {
  const edges: number[] = [];
  for (let state = graph.start; state !== graph.goal; state = graph.target[edges.at(-1)!]!)
    edges.push(next[state]!);
  return edges;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

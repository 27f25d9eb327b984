import { type Capacity, mostStillUsed, type Watched, watchedCapacity } from './capacities.ts';
import { type Distances, distances, type Weights } from './distances.ts';
import type { PathGraph } from './graph.ts';
import { Heap } from './heap.ts';
import type { Instance, Step, Walk } from './instance.ts';
import { type PricedBound, pricedLeast } from './lagrange.ts';
import { Settled } from './settled.ts';

/** A partial walk to a state. */
interface Label {
  readonly state: number;
  readonly primary: number;
  readonly secondary: number;
  readonly tie: number;
  readonly ps: number;
  /** What has been used of each watched capacity. */
  readonly usage: readonly number[];
  readonly parent: Label | undefined;
  readonly edge: number;
  /** Least that the whole walk can come to. */
  readonly least: readonly [primary: number, secondary: number, tie: number];
  /** Order of making: decides between equals, so that the answer is the same anywhere. */
  readonly serial: number;
}

const before = (a: Label, b: Label): boolean => {
  for (let i = 0; i < 3; i++) if (a.least[i]! !== b.least[i]!) return a.least[i]! < b.least[i]!;
  return a.serial < b.serial;
};

/** What the search compares: latency, then price; or price, then latency. Then segments, then links. */
export const weightsOf = (
  graph: PathGraph,
  instance: Instance,
): Weights & { readonly primary: Float64Array } =>
  instance.objective.minimise === 'latency'
    ? { primary: graph.ps, secondary: graph.price, tie: graph.tie }
    : { primary: graph.price, secondary: graph.ps, tie: graph.tie };

/** Least sums to the goal: exact for the objective without bound and capacities, so never too large with them. */
export interface Bounds {
  readonly toGoal: Distances;
  /** Picoseconds; the objective's own where that is latency. */
  readonly psToGoal: Float64Array;
}

/** Least time and least objective from each state to the goal, as if nothing were shared: never more than what a walk has before it. */
export function boundsOf(graph: PathGraph, instance: Instance): Bounds {
  const toGoal = distances(graph, weightsOf(graph, instance), 'to goal');
  if (instance.objective.minimise === 'latency') return { toGoal, psToGoal: toGoal.primary };
  const byTime = { primary: graph.ps, secondary: graph.price, tie: graph.tie };
  return { toGoal, psToGoal: distances(graph, byTime, 'to goal').primary };
}

/** Picoseconds that a walk from the ingress on may take. */
export const boundPs = (instance: Instance): number =>
  instance.objective.minimise === 'cost'
    ? instance.objective.boundPs - instance.entry.packetPs
    : Number.POSITIVE_INFINITY;

/** What a search keeps to. */
export interface SearchOptions {
  readonly watched: readonly Watched[];
  /** Its capacities: the watched ones, then time where that is bounded. */
  readonly priced?: PricedBound | undefined;
  /** Labels at most. */
  readonly budget: number;
  /**
   * Instead of the proof: every capacity is kept, but a label at a state hides later ones whatever it has used. Finds a sound
   * walk fast, seldom the best one.
   */
  readonly greedy?: boolean;
}

/** `budget`: it ended before it was proven; `walk` is the best that was found. */
export type SearchResult =
  | { readonly kind: 'found'; readonly walk: Walk }
  | { readonly kind: 'none' }
  | { readonly kind: 'budget'; readonly walk?: Walk };

/**
 * The best walk by label setting, in the order of a bound of the whole walk (A*): the first label to reach the goal is best.
 * A label is dropped where another one at its state, no worse in the objective, is no later and has left no watched capacity
 * with less; where even the fastest way on breaks the latency bound; or where its priced bound is above the best known walk.
 */
// Long: the steps of the search share its queue, its marks and its best walk, and it is the hot loop of the planner.
export function search(
  graph: PathGraph,
  instance: Instance,
  bounds: Bounds,
  options: SearchOptions,
): SearchResult {
  const { primary, secondary, tie } = weightsOf(graph, instance);
  const { toGoal, psToGoal } = bounds;
  const bound = boundPs(instance);
  const { watched, priced, budget, greedy = false } = options;
  const capacities = watched.map((w): Capacity => watchedCapacity(graph, instance, w));
  const stillUsed = watched.map((w) => mostStillUsed(instance, w));
  const cuts = instance.lastCut + 1;
  const heap = new Heap<Label>(before);
  const settled = new Settled(graph.states, priced === undefined);
  let serial = 0;
  let best: Label | undefined;
  let bestPrimary = priced?.best ?? Number.POSITIVE_INFINITY;

  /** What of the use still matters at a cut. */
  const telling = (state: number, usage: readonly number[]): readonly number[] =>
    usage.map((u, k) => (u + stillUsed[k]![(state >> 1) % cuts]! <= capacities[k]!.limit ? 0 : u));
  const left = (ps: number, usage: readonly number[]): number[] => {
    const rest = usage.map((u, k) => capacities[k]!.limit - u);
    if (bound < Number.POSITIVE_INFINITY) rest.push(bound - ps);
    return rest;
  };
  const reach = (state: number, from: Label | undefined, edge: number, usage: readonly number[]) => {
    const p = from === undefined ? 0 : from.primary + primary[edge]!;
    const s = from === undefined ? 0 : from.secondary + secondary[edge]!;
    const t = from === undefined ? 0 : from.tie + tie[edge]!;
    const ps = from === undefined ? 0 : from.ps + graph.ps[edge]!;
    if (toGoal.primary[state] === Number.POSITIVE_INFINITY || ps + psToGoal[state]! > bound) return;
    if (greedy && settled.has(state)) return;
    if (settled.dominates(state, { primary: p, secondary: s, tie: t, ps, usage: telling(state, usage) }))
      return;
    let first = p + toGoal.primary[state]!;
    if (priced !== undefined) first = Math.max(first, pricedLeast(priced, state, p, left(ps, usage)));
    if (first > bestPrimary) return;
    const least = [first, s + toGoal.secondary[state]!, t + toGoal.tie[state]!] as const;
    heap.push({
      state,
      primary: p,
      secondary: s,
      tie: t,
      ps,
      usage,
      parent: from,
      edge,
      least,
      serial: serial++,
    });
  };

  if (instance.entry.violations.length > 0) return { kind: 'none' };
  reach(
    graph.start,
    undefined,
    -1,
    capacities.map(() => 0),
  );
  for (let label = heap.pop(); label !== undefined; label = heap.pop()) {
    const { state, usage } = label;
    if (label.least[0] > bestPrimary) break;
    const shown = { ...label, usage: telling(state, usage) };
    if (greedy ? settled.has(state) : settled.dominates(state, shown)) continue;
    if (state === graph.goal) {
      if (priced === undefined) return { kind: 'found', walk: walkOf(graph, instance, label) };
      // A priced bound may be met by several; the first is least in the objective, not in what decides between equals.
      if (best === undefined || precedes(label, best)) best = label;
      bestPrimary = Math.min(bestPrimary, label.primary);
      continue;
    }
    if (serial > budget)
      return best === undefined
        ? { kind: 'budget' }
        : { kind: 'budget', walk: walkOf(graph, instance, best) };
    settled.add(state, {
      primary: label.primary,
      secondary: label.secondary,
      tie: label.tie,
      ps: label.ps,
      usage: shown.usage,
    });
    for (let edge = graph.first[state]!; edge < graph.first[state + 1]!; edge++) {
      const after = capacities.length === 0 ? usage : usage.map((u, k) => u + capacities[k]!.use[edge]!);
      if (greedy && !hasRoom(graph, instance, label, graph.steps[edge])) continue;
      if (after.every((u, k) => u <= capacities[k]!.limit)) reach(graph.target[edge]!, label, edge, after);
    }
  }
  return best === undefined ? { kind: 'none' } : { kind: 'found', walk: walkOf(graph, instance, best) };
}

/** Whether the whole walk of one label at the goal is better than that of another. */
function precedes(a: Label, b: Label): boolean {
  if (a.primary !== b.primary) return a.primary < b.primary;
  if (a.secondary !== b.secondary) return a.secondary < b.secondary;
  return a.tie < b.tie;
}

/** Whether the node of a segment has room for it beside its earlier segments on this walk. */
function hasRoom(graph: PathGraph, instance: Instance, label: Label, step: Step | undefined): boolean {
  if (step?.kind !== 'compute') return true;
  const usage = [...instance.segment(step.node, step.from, step.to).usage];
  for (let l: Label | undefined = label; l?.parent !== undefined; l = l.parent) {
    const earlier = graph.steps[l.edge];
    if (earlier?.kind !== 'compute' || earlier.node !== step.node) continue;
    for (const [k, u] of instance.segment(earlier.node, earlier.from, earlier.to).usage.entries())
      usage[k]! += u;
  }
  const limits = instance.capacities(step.node);
  return usage.every((u, k) => u <= limits[k]!);
}

function walkOf(graph: PathGraph, instance: Instance, last: Label): Walk {
  const edges: number[] = [];
  for (let label: Label = last; label.parent !== undefined; label = label.parent) edges.unshift(label.edge);
  return walkAlong(graph, instance, edges);
}

/** The walk along edges from start to goal. */
export function walkAlong(graph: PathGraph, instance: Instance, edges: readonly number[]): Walk {
  const steps = edges.map((e) => graph.steps[e]).filter((step): step is Step => step !== undefined);
  return {
    steps,
    ps: edges.reduce((sum, e) => sum + graph.ps[e]!, instance.entry.packetPs),
    price: edges.reduce((sum, e) => sum + graph.price[e]!, 0),
  };
}

import { type Distances, distances, type Weights } from './distances.ts';
import type { PathGraph } from './graph.ts';
import { Heap } from './heap.ts';
import type { Instance, Step, Walk } from './instance.ts';

/** A partial walk to a state. */
interface Label {
  readonly state: number;
  readonly primary: number;
  readonly secondary: number;
  readonly tie: number;
  readonly ps: number;
  /** What the tracked nodes have given so far, one list after the other. */
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
export const weightsOf = (graph: PathGraph, instance: Instance): Weights =>
  instance.objective.minimise === 'latency'
    ? { primary: graph.ps, secondary: graph.price, tie: graph.tie }
    : { primary: graph.price, secondary: graph.ps, tie: graph.tie };

/** Least sums to the goal: exact for the objective without bound and capacities, so never too large with them. */
export interface Bounds {
  readonly toGoal: Distances;
  /** Picoseconds; the objective's own where that is latency. */
  readonly psToGoal: Float64Array;
}

export function boundsOf(graph: PathGraph, instance: Instance): Bounds {
  const toGoal = distances(graph, weightsOf(graph, instance), 'to goal');
  if (instance.objective.minimise === 'latency') return { toGoal, psToGoal: toGoal.primary };
  const byTime = { primary: graph.ps, secondary: graph.price, tie: graph.tie };
  return { toGoal, psToGoal: distances(graph, byTime, 'to goal').primary };
}

/**
 * The best walk by label setting, in the order of a bound of the whole walk (A*): the first label to reach the goal is best.
 * A label is dropped where another one at its state, no worse in the objective, is no later and has left no tracked node
 * with less; or where even the fastest way on breaks the latency bound.
 * @param tracked nodes whose shared capacities are watched over several visits
 */
export function search(
  graph: PathGraph,
  instance: Instance,
  bounds: Bounds,
  tracked: readonly number[] = [],
): Walk | undefined {
  const { primary, secondary, tie } = weightsOf(graph, instance);
  const { toGoal, psToGoal } = bounds;
  const entryPs = instance.entry.packetPs;
  const bound = instance.objective.minimise === 'cost' ? instance.objective.boundPs - entryPs : Number.POSITIVE_INFINITY;
  const capacities = tracked.flatMap((node) => instance.capacities(node));
  const heap = new Heap<Label>(before);
  const settled = new Settled(graph.states);
  let serial = 0;

  const reach = (state: number, from: Label | undefined, edge: number, usage: readonly number[]) => {
    const [p, s, t, ps] =
      from === undefined
        ? [0, 0, 0, 0]
        : [from.primary + primary[edge]!, from.secondary + secondary[edge]!, from.tie + tie[edge]!, from.ps + graph.ps[edge]!];
    if (toGoal.primary[state] === Number.POSITIVE_INFINITY || ps + psToGoal[state]! > bound) return;
    if (settled.dominates(state, ps, usage)) return;
    const least = [p + toGoal.primary[state]!, s + toGoal.secondary[state]!, t + toGoal.tie[state]!] as const;
    heap.push({ state, primary: p, secondary: s, tie: t, ps, usage, parent: from, edge, least, serial: serial++ });
  };

  if (instance.entry.violations.length > 0) return undefined;
  reach(graph.start, undefined, -1, capacities.map(() => 0));
  for (let label = heap.pop(); label !== undefined; label = heap.pop()) {
    const { state, ps } = label;
    if (settled.dominates(state, ps, label.usage)) continue;
    if (state === graph.goal) return walkOf(graph, instance, label);
    settled.add(state, ps, label.usage);
    for (let edge = graph.first[state]!; edge < graph.first[state + 1]!; edge++) {
      const usage = usageAfter(instance, tracked, label.usage, graph.steps[edge]);
      if (usage.every((u, i) => u <= capacities[i]!)) reach(graph.target[edge]!, label, edge, usage);
    }
  }
  return undefined;
}

/** Labels that were taken up, by state. Later ones are no better in the objective, so time and usage are left to compare. */
class Settled {
  readonly #leastPs: Float64Array;
  readonly #labels = new Map<number, { readonly ps: number; readonly usage: readonly number[] }[]>();

  constructor(states: number) {
    this.#leastPs = new Float64Array(states).fill(Number.POSITIVE_INFINITY);
  }

  dominates(state: number, ps: number, usage: readonly number[]): boolean {
    if (this.#leastPs[state]! > ps) return false;
    if (usage.length === 0) return true;
    return this.#labels.get(state)!.some((l) => l.ps <= ps && l.usage.every((u, i) => u <= usage[i]!));
  }

  add(state: number, ps: number, usage: readonly number[]): void {
    this.#leastPs[state] = Math.min(this.#leastPs[state]!, ps);
    if (usage.length === 0) return;
    const known = this.#labels.get(state);
    if (known === undefined) this.#labels.set(state, [{ ps, usage }]);
    else known.push({ ps, usage });
  }
}

function usageAfter(
  instance: Instance,
  tracked: readonly number[],
  usage: readonly number[],
  step: Step | undefined,
): readonly number[] {
  if (step?.kind !== 'compute') return usage;
  const at = tracked.indexOf(step.node);
  if (at < 0) return usage;
  const more = instance.segment(step.node, step.from, step.to).usage;
  return usage.map((u, i) => u + (more[i - at * more.length] ?? 0));
}

function walkOf(graph: PathGraph, instance: Instance, last: Label): Walk {
  const steps: Step[] = [];
  let price = 0;
  for (let label: Label = last; label.parent !== undefined; label = label.parent) {
    const step = graph.steps[label.edge];
    price += graph.price[label.edge]!;
    if (step !== undefined) steps.unshift(step);
  }
  return { steps, ps: last.ps + instance.entry.packetPs, price };
}

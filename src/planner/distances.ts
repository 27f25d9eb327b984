import { incoming, type PathGraph } from './graph.ts';
import { Heap } from './heap.ts';

/** Edge weights, compared one after the other: the second decides between equals of the first. */
export interface Weights {
  readonly primary: ArrayLike<number>;
  readonly secondary: ArrayLike<number>;
  readonly tie: ArrayLike<number>;
}

/** Least sums of weights, by state; infinite where there is no path. */
export interface Distances {
  readonly primary: Float64Array;
  readonly secondary: Float64Array;
  readonly tie: Float64Array;
}

interface Entry {
  readonly state: number;
  readonly primary: number;
  readonly secondary: number;
  readonly tie: number;
}

const before = (a: Entry, b: Entry): boolean => {
  if (a.primary !== b.primary) return a.primary < b.primary;
  if (a.secondary !== b.secondary) return a.secondary < b.secondary;
  return a.tie < b.tie;
};

/**
 * Dijkstra over sums that are ordered lexicographically: from the start to every state, or from every state to the goal.
 * @pre weights are not negative; an infinite primary weight closes an edge
 */
export function distances(
  graph: PathGraph,
  weights: Weights,
  direction: 'from start' | 'to goal',
): Distances {
  const forward = direction === 'from start';
  const { first, edges } = forward ? { first: graph.first, edges: undefined } : incoming(graph);
  const heads = forward ? graph.target : graph.source;
  const fill = () => new Float64Array(graph.states).fill(Number.POSITIVE_INFINITY);
  const found: Distances = { primary: fill(), secondary: fill(), tie: fill() };
  const done = new Uint8Array(graph.states);
  const heap = new Heap<Entry>(before);
  const reach = (state: number, primary: number, secondary: number, tie: number) => {
    const known = found.primary[state]!;
    if (primary > known) return;
    if (primary === known) {
      if (secondary > found.secondary[state]!) return;
      if (secondary === found.secondary[state]! && tie >= found.tie[state]!) return;
    }
    found.primary[state] = primary;
    found.secondary[state] = secondary;
    found.tie[state] = tie;
    heap.push({ state, primary, secondary, tie });
  };
  reach(forward ? graph.start : graph.goal, 0, 0, 0);
  for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
    const { state } = entry;
    if (done[state] === 1) continue;
    done[state] = 1;
    for (let i = first[state]!; i < first[state + 1]!; i++) {
      const edge = edges === undefined ? i : edges[i]!;
      const primary = entry.primary + weights.primary[edge]!;
      if (primary === Number.POSITIVE_INFINITY || done[heads[edge]!] === 1) continue;
      reach(
        heads[edge]!,
        primary,
        entry.secondary + weights.secondary[edge]!,
        entry.tie + weights.tie[edge]!,
      );
    }
  }
  return found;
}

import { crossingPs, type Instance, type Step, type Violation } from './instance.ts';

/**
 * The walk as a path in a graph. State `(node, cut, phase)`: a packet is at the node with everything before the cut computed;
 * it has just arrived (phase 0: the node may compute one segment), or is to leave (phase 1). Edges:
 *
 *     arrived (n, c) -> leaving (n, d), c < d: n computes the blocks from c to d
 *     arrived (n, c) -> leaving (n, c):        n passes it on, where it passes on any
 *     leaving (n, c) -> arrived (m, c):        over a link
 *
 * Cursors never fall, so a state occurs once on any sensible walk.
 */
export interface PathGraph {
  readonly states: number;
  readonly start: number;
  readonly goal: number;
  /** Edges by source; those of state s are `first[s]` up to `first[s + 1]`. */
  readonly first: Int32Array;
  readonly source: Int32Array;
  readonly target: Int32Array;
  readonly ps: Float64Array;
  readonly price: Float64Array;
  /** 2^20 for a segment, 1 for a link: fewer segments, then fewer links decide between equals. */
  readonly tie: Float64Array;
  /** Undefined where the node passes the packet on. */
  readonly steps: readonly (Step | undefined)[];
  /** Of each edge, for graphs that were built with them. */
  readonly violations: readonly (readonly Violation[])[];
}

const SEGMENT_TIE = 2 ** 20;

/** Number of a state: at a node, before a cut, having just arrived (0), or about to leave (1). */
export const stateOf = (instance: Instance, node: number, cut: number, phase: 0 | 1): number =>
  2 * (node * (instance.lastCut + 1) + cut) + phase;

/** @param forbidden whether to keep edges that violate a constraint, to find out what a plan fails by */
export function buildGraph(instance: Instance, forbidden: 'drop' | 'keep' = 'drop'): PathGraph {
  const { nodes, links, lastCut } = instance;
  const states = 2 * nodes * (lastCut + 1);
  const leaving: number[][] = Array.from({ length: nodes }, () => []);
  for (const [i, link] of links.entries()) leaving[link.from]!.push(i);
  const first = new Int32Array(states + 1);
  const edges = new EdgeList();
  for (let state = 0; state < states; state++) {
    first[state] = edges.target.length;
    const at = state >> 1;
    const node = Math.floor(at / (lastCut + 1));
    const cut = at % (lastCut + 1);
    if (state % 2 === 1) {
      for (const link of leaving[node]!) {
        const crossing = instance.crossing(link, cut);
        if (forbidden === 'drop' && crossing.violations.length > 0) continue;
        const target = stateOf(instance, links[link]!.to, cut, 0);
        edges.add(
          state,
          target,
          crossingPs(crossing),
          0,
          1,
          { kind: 'cross', link, cut },
          crossing.violations,
        );
      }
      continue;
    }
    const passing = instance.passing(node);
    if (forbidden === 'keep' || passing.length === 0)
      edges.add(state, state + 1, 0, 0, 0, undefined, passing);
    for (let to = cut + 1; to <= lastCut; to++) {
      const { ps, price, violations } = instance.segment(node, cut, to);
      if (forbidden === 'drop' && violations.length > 0) continue;
      const target = stateOf(instance, node, to, 1);
      edges.add(state, target, ps, price, SEGMENT_TIE, { kind: 'compute', node, from: cut, to }, violations);
    }
  }
  first[states] = edges.target.length;
  return {
    states,
    start: stateOf(instance, instance.ingress, 0, 0),
    goal: stateOf(instance, instance.egress, lastCut, 1),
    first,
    source: Int32Array.from(edges.source),
    target: Int32Array.from(edges.target),
    ps: Float64Array.from(edges.ps),
    price: Float64Array.from(edges.price),
    tie: Float64Array.from(edges.tie),
    steps: edges.steps,
    violations: edges.violations,
  };
}

class EdgeList {
  readonly source: number[] = [];
  readonly target: number[] = [];
  readonly ps: number[] = [];
  readonly price: number[] = [];
  readonly tie: number[] = [];
  readonly steps: (Step | undefined)[] = [];
  readonly violations: (readonly Violation[])[] = [];

  add(
    source: number,
    target: number,
    ps: number,
    price: number,
    tie: number,
    step: Step | undefined,
    violations: readonly Violation[],
  ): void {
    this.source.push(source);
    this.target.push(target);
    this.ps.push(ps);
    this.price.push(price);
    this.tie.push(tie);
    this.steps.push(step);
    this.violations.push(violations);
  }
}

/** Edges by target, as `first` and a list: a counting sort. */
export function incoming(graph: PathGraph): { first: Int32Array; edges: Int32Array } {
  const first = new Int32Array(graph.states + 1);
  for (const target of graph.target) first[target + 1]!++;
  for (let s = 0; s < graph.states; s++) first[s + 1]! += first[s]!;
  const next = first.slice();
  const edges = new Int32Array(graph.target.length);
  for (let edge = 0; edge < graph.target.length; edge++) edges[next[graph.target[edge]!]!++] = edge;
  return { first, edges };
}

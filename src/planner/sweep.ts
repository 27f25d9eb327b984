import { incoming, type PathGraph } from './graph.ts';
import { Heap } from './heap.ts';
import type { Instance } from './instance.ts';

/** Least weights from every state to the goal, and the edge with which each least path begins (-1: none). */
export interface Sweep {
  readonly distance: Float64Array;
  readonly next: Int32Array;
}

interface Entry {
  readonly distance: number;
  readonly node: number;
}

const before = (a: Entry, b: Entry): boolean => a.distance < b.distance;

/**
 * Single-weight distances to the goal, much faster than Dijkstra over the whole graph: cuts never fall, so they are swept
 * from the last to the first. Segments lead to later cuts, whose distances are known; only forwarding within a cut needs a
 * queue, of nodes. Made for the many sweeps of the Lagrangian bound.
 * @pre weights are not negative
 */
export function makeSweep(graph: PathGraph, instance: Instance): (weight: Float64Array) => Sweep {
  const { first, edges } = incoming(graph);
  const cuts = instance.lastCut + 1;
  return (weight) => {
    const distance = new Float64Array(graph.states).fill(Number.POSITIVE_INFINITY);
    const next = new Int32Array(graph.states).fill(-1);
    distance[graph.goal] = 0;
    for (let cut = instance.lastCut; cut >= 0; cut--) {
      const heap = new Heap<Entry>(before);
      for (let node = 0; node < instance.nodes; node++) {
        const arrived = 2 * (node * cuts + cut);
        for (let edge = graph.first[arrived]!; edge < graph.first[arrived + 1]!; edge++) {
          const through = weight[edge]! + distance[graph.target[edge]!]!;
          if (through >= distance[arrived]!) continue;
          distance[arrived] = through;
          next[arrived] = edge;
        }
        if (distance[arrived]! < Number.POSITIVE_INFINITY) heap.push({ distance: distance[arrived]!, node });
      }
      for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) {
        const arrived = 2 * (entry.node * cuts + cut);
        if (entry.distance > distance[arrived]!) continue;
        for (let i = first[arrived]!; i < first[arrived + 1]!; i++) {
          const edge = edges[i]!;
          const leaving = graph.source[edge]!;
          const through = weight[edge]! + entry.distance;
          if (through >= distance[leaving]!) continue;
          distance[leaving] = through;
          next[leaving] = edge;
          // Where a node passes packets on, that is the first edge of their arrival.
          const pass = graph.first[leaving - 1]!;
          if (graph.target[pass] !== leaving) continue;
          const onward = weight[pass]! + through;
          if (onward >= distance[leaving - 1]!) continue;
          distance[leaving - 1] = onward;
          next[leaving - 1] = pass;
          heap.push({ distance: onward, node: Math.floor((leaving >> 1) / cuts) });
        }
      }
    }
    return { distance, next };
  };
}

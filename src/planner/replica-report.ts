import type { BuiltInstance } from './build-instance.ts';
import type { Chain } from './chain.ts';
import type { NodeExplanation } from './explain.ts';
import type { Refusal } from './find-refusals.ts';
import type { Violation } from './instance.ts';
import { costOf } from './node-kinds.ts';
import type { Replicas } from './replicas.ts';
import { lacking, type Replicated } from './solve-replicated.ts';
import type { Topology } from './topology-schema.ts';

/** One of several devices that compute the same layers. */
export interface PlannedReplica {
  readonly node: string;
  readonly kind: string;
  readonly us: number;
  readonly price: number;
  /** How fast it takes packets beside the fastest of them, which has 1. */
  readonly weight: number;
}

/** Layers that fewer devices compute than are asked for. */
export interface TooFewReplicas {
  readonly layers: { readonly from: number; readonly to: number };
  readonly nodes: readonly string[];
  readonly wanted: number;
  /** Why other devices do not compute them too. */
  readonly refusals: readonly Violation[];
}

const PS_PER_US = 1e6;
const PS_PER_NS = 1000;
const NANO = 1e9;

/** Segments that have fewer devices than are asked for. */
export function tooFewOf(chain: Chain, t: Topology, groups: readonly Replicas[]): readonly TooFewReplicas[] {
  return lacking(groups).map(({ from, to, nodes, wanted, refusals }) => ({
    layers: { from: chain.cuts[from]!, to: chain.cuts[to]! },
    nodes: nodes.map((n) => t.nodes[n]!.name),
    ...{ wanted, refusals },
  }));
}

/** What keeps a plan from having the least number of replicas that it must have. */
export function lackOf({ minReplicas = 1 }: Topology, tooFew: readonly TooFewReplicas[]): readonly Refusal[] {
  return tooFew.flatMap(({ layers, nodes, wanted, refusals }): readonly Refusal[] => {
    const limit = Math.min(minReplicas, wanted);
    if (nodes.length >= limit) return [];
    const place = `${layers.from}..${layers.to}`;
    const message = `layers ${place} are to be on at least ${limit} devices, and can be on ${nodes.join(', ')}: ${limit - nodes.length} too few`;
    const own = { constraint: 'replicas', place, message, need: nodes.length, limit, unit: 'devices' };
    return [own, ...refusals].map((v) => ({ ...v, lifting: 'together' as const }));
  });
}

/** What a node does that is one of several. */
export function explainReplica(
  own: NodeExplanation,
  node: number,
  chain: Chain,
  { groups }: Replicated,
): NodeExplanation {
  const group = groups.find(({ nodes }) => nodes.includes(node));
  if (group === undefined || group.nodes.length < 2) return own;
  const layers = chain.layers.slice(chain.cuts[group.from]!, chain.cuts[group.to]!);
  const reason = `one of ${group.nodes.length} devices that share the jobs for these layers`;
  return {
    ...own,
    role: 'computes',
    layers,
    reason: group.nodes[0] === node ? `${own.reason}; ${reason}` : reason,
  };
}

/** The devices of a segment, that of the plan first. */
export function plannedReplicas(
  t: Topology,
  built: BuiltInstance,
  { from, to, nodes }: Replicas,
): PlannedReplica[] {
  const taking = (node: number) =>
    built.segment(node, from, to).ps + Math.round(costOf(t.nodes[node]!).packetNs * PS_PER_NS);
  const fastest = Math.min(...nodes.map(taking));
  return nodes.map((node) => {
    const { name, kind } = t.nodes[node]!;
    const { ps, price } = built.segment(node, from, to);
    const weight = fastest === 0 ? 1 : Number((fastest / taking(node)).toPrecision(3));
    return { node: name, kind, us: ps / PS_PER_US, price: price / NANO, weight };
  });
}

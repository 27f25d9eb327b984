import type { CostModel } from '../targets/cost-model.ts';
import { type BuiltInstance, buildInstance, frameBytes, tensorName } from './build-instance.ts';
import type { Chain } from './chain.ts';
import { explainNodes, type NodeExplanation } from './explain.ts';
import { findRefusals, type Refusal } from './find-refusals.ts';
import type { Step, Walk } from './instance.ts';
import { costOf } from './node-kinds.ts';
import {
  explainReplica,
  lackOf,
  type PlannedReplica,
  plannedReplicas,
  type TooFewReplicas,
  tooFewOf,
} from './replica-report.ts';
import { type PlanOptions, type Replicated, solveReplicated } from './solve-replicated.ts';
import type { Objective, Topology } from './topology-schema.ts';

/** Of the document that `plan --json` prints. */
export const PLAN_VERSION = 1;

/** Layers `[from, to)` of the model on one node. */
export interface PlannedSegment {
  readonly step: 'compute';
  readonly node: string;
  readonly kind: string;
  readonly layers: { readonly from: number; readonly to: number; readonly names: readonly string[] };
  readonly us: number;
  readonly price: number;
  readonly needs: readonly { resource: string; need: number; limit?: number; unit: string }[];
  /** Where several are asked for: all devices that compute these layers, this node first. */
  readonly replicas?: readonly PlannedReplica[];
}

/** A tensor that crosses a link. */
export interface PlannedCrossing {
  readonly step: 'cross';
  readonly from: string;
  readonly to: string;
  readonly tensor: string;
  /** Of the IP packet, beside what the link takes. */
  readonly bytes: number;
  readonly mtu: number;
  readonly latencyUs: number;
  readonly serialisationUs: number;
  /** The receiver's cost of any packet. */
  readonly packetUs: number;
}

/** Microseconds from end to end, and of what they are made. */
export interface Totals {
  readonly latencyUs: number;
  readonly computeUs: number;
  readonly linkUs: number;
  readonly serialisationUs: number;
  readonly packetUs: number;
  readonly price: number;
  /** Of the latest answer by way of any replicas, where there are some. */
  readonly slowestUs?: number;
}

/** The answer of the planner: a plan, or what keeps there from being one. The document of `plan --json`. */
export interface PlanReport {
  readonly format: 'intransit-plan';
  readonly version: typeof PLAN_VERSION;
  readonly model: { readonly name: string; readonly file: string; readonly layers: readonly string[] };
  readonly topology: { readonly name: string; readonly file: string };
  readonly objective: Objective;
  readonly feasible: boolean;
  /** Absent where the plan is proved best; else no plan has a latency (us) or price below this. */
  readonly notBelow?: number;
  readonly totals?: Totals;
  readonly steps: readonly (PlannedSegment | PlannedCrossing)[];
  readonly nodes: readonly NodeExplanation[];
  readonly refusals: readonly Refusal[];
  /** Where replicas are asked for, and there are not as many. */
  readonly tooFew?: readonly TooFewReplicas[];
  readonly costModels: Readonly<Record<string, CostModel>>;
}

const PS_PER_US = 1e6;
const NANO = 1e9;

/**
 * The best way to divide the model along a walk from ingress to egress, with reasons.
 * @throws DiagnosticError where the topology's rules name layers that the model does not have
 */
export function planChain(
  chain: Chain,
  topology: Topology,
  file: string,
  options: PlanOptions = {},
): PlanReport {
  const built = buildInstance(chain, topology, file);
  const found = solveReplicated(chain, topology, built, options);
  const { instance, groups } = found;
  const tooFew = tooFewOf(chain, topology, groups);
  const lacking = lackOf(topology, tooFew);
  const solution = lacking.length > 0 ? { ...found.solution, walk: undefined } : found.solution;
  const { walk, proof } = solution;
  const unit = topology.objective.minimise === 'latency' ? PS_PER_US : NANO;
  return {
    format: 'intransit-plan',
    version: PLAN_VERSION,
    model: { name: chain.name, file: chain.file, layers: chain.layers },
    topology: { name: topology.name ?? file, file },
    objective: topology.objective,
    feasible: walk !== undefined,
    ...(proof.kind === 'bound' && { notBelow: proof.bound / unit }),
    ...(walk !== undefined && { totals: totalsOf(found, walk) }),
    steps: (walk?.steps ?? []).map((step) =>
      step.kind === 'compute'
        ? plannedSegment(chain, topology, found, step)
        : plannedCrossing(chain, topology, instance, step),
    ),
    nodes: explainNodes(topology, instance, solution, chain).map((own, node) =>
      walk === undefined ? own : explainReplica(own, node, chain, found),
    ),
    refusals: lacking.length > 0 || walk !== undefined ? lacking : findRefusals(topology, built),
    ...(tooFew.length > 0 && { tooFew }),
    costModels: Object.fromEntries(
      topology.nodes.map((node) => [
        node.cost === undefined ? node.kind : `${node.kind} ${node.name}`,
        costOf(node),
      ]),
    ),
  };
}

function totalsOf({ instance, groups, slowestPs }: Replicated, walk: Walk): Totals {
  let [compute, link, serialisation] = [0, 0, 0];
  let packet = instance.entry.packetPs;
  for (const step of walk.steps) {
    if (step.kind === 'compute') compute += instance.segment(step.node, step.from, step.to).ps;
    else {
      const crossing = instance.crossing(step.link, step.cut);
      link += crossing.latencyPs;
      serialisation += crossing.serialisationPs;
      packet += crossing.packetPs;
    }
  }
  return {
    latencyUs: walk.ps / PS_PER_US,
    computeUs: compute / PS_PER_US,
    linkUs: link / PS_PER_US,
    serialisationUs: serialisation / PS_PER_US,
    packetUs: packet / PS_PER_US,
    price: walk.price / NANO,
    ...(groups.length > 0 && { slowestUs: slowestPs / PS_PER_US }),
  };
}

function plannedSegment(
  chain: Chain,
  t: Topology,
  { instance, groups }: Replicated,
  { node, from, to }: Step & { kind: 'compute' },
): PlannedSegment {
  const group = groups.find((g) => g.nodes[0] === node);
  const { name, kind, options, limits, memory } = t.nodes[node]!;
  const { ps, price } = instance.segment(node, from, to);
  const [first, end] = [chain.cuts[from]!, chain.cuts[to]!];
  return {
    step: 'compute',
    node: name,
    kind,
    layers: { from: first, to: end, names: chain.layers.slice(first, end) },
    us: ps / PS_PER_US,
    price: price / NANO,
    needs: chain.profile({ kind, options }, from, to).needs.map(({ resource, need, limit, unit }) => {
      const most = limits[resource] ?? (resource === 'memory' ? memory : undefined) ?? limit;
      return { resource, need, ...(most !== undefined && { limit: most }), unit };
    }),
    ...(group !== undefined && { replicas: plannedReplicas(t, instance, group) }),
  };
}

function plannedCrossing(
  chain: Chain,
  t: Topology,
  instance: BuiltInstance,
  { link, cut }: Step & { kind: 'cross' },
): PlannedCrossing {
  const { from, to, file } = instance.directed[link]!;
  const { latencyPs, serialisationPs, packetPs } = instance.crossing(link, cut);
  const extra = t.constraints.headers.reduce((sum, h) => sum + h.bytes, 0);
  return {
    step: 'cross',
    from: t.nodes[from]!.name,
    to: t.nodes[to]!.name,
    tensor: tensorName(chain, cut),
    bytes: frameBytes(chain.tensors[cut]!.bytes, extra) - 14,
    mtu: file.mtu,
    latencyUs: latencyPs / PS_PER_US,
    serialisationUs: serialisationPs / PS_PER_US,
    packetUs: packetPs / PS_PER_US,
  };
}

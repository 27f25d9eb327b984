import { DiagnosticError } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import {
  type PlannedSegment,
  type PlanOptions,
  type PlanReport,
  planModel,
  type Topology,
} from '../../planner/index.ts';
import type { SpecOf } from '../manifests/index.ts';
import type { Named, Network } from './network.ts';

/** A placement must be better by this share, and by as many microseconds, before work moves for it alone. */
const BETTER_SHARE = 0.1;
const BETTER_US = 10;

/** Which node computes which layers of a model. */
export type PlacementSpec = SpecOf<'Placement'>;

/** Where a model is to be. */
export interface Placed {
  readonly spec: PlacementSpec;
  /** Why fewer devices compute its layers than it asks for; undefined where as many do. */
  readonly shortage: string | undefined;
}

/** What keeps a service from being placed, in words. */
export interface Unplaceable {
  readonly reason: string;
}

/** What placing goes by, beside the objects. */
export interface Health {
  /** Nodes that work can be given to. */
  readonly usable: ReadonlySet<string>;
  /** Nodes that serve another model. */
  readonly taken: ReadonlyMap<string, string>;
  /** Flow policies of devices that classify by one: those compute for no service. */
  readonly classify: ReadonlyMap<string, string>;
  /** Version that is current. */
  readonly version: number;
}

/**
 * Where the layers of a service run: the placement that it has as long as of each segment a node is usable and none is clearly better,
 * else the best that the planner finds; of each segment on as many devices as it asks for, if there are.
 */
export function place(
  network: Network,
  service: Named<'Service'>,
  model: Model,
  modelName: string,
  health: Health,
  before: PlacementSpec | undefined,
): Placed | Unplaceable {
  const topology = topologyOf(network, service, health);
  const unplaceable = (reason: string) => ({
    reason: [reason, ...leftOut(network, service, health)].join('; '),
  });
  if (typeof topology === 'string') return unplaceable(topology);
  const plan = (options: PlanOptions) => planned(model, topology, service, options);
  const own = before?.model === modelName ? before : undefined;
  const report = plan(own === undefined ? {} : { held: own.segments.map((s) => s.node) });
  if (typeof report === 'string') return unplaceable(report);
  if (!report.feasible) return unplaceable(refusalText(report));
  const placed = (from: PlanReport): Placed => ({
    spec: placementOf(network, service, modelName, health.version, from),
    shortage: shortageOf(from, health.taken, leftOut(network, service, health)),
  });
  const kept = own && keptPlan(own, model, topology, plan);
  if (own === undefined || kept === undefined || isBetter(report, kept)) return placed(report);
  const found = placed(kept);
  const isSame = JSON.stringify(found.spec.segments) === JSON.stringify(own.segments);
  // Why it came there, and not what is foreseen today.
  const { reason } = isSame ? own : found.spec;
  return { ...found, spec: { ...found.spec, ...(reason !== undefined && { reason }) } };
}

/** How many nodes that were not asked are named. */
const MOST_LEFT_OUT = 3;

/** Nodes that the service may use and that could not be had, and why: without them its refusal cannot be understood. */
function leftOut(network: Network, { spec }: Named<'Service'>, health: Health): readonly string[] {
  const own = [...network.devices.keys(), ...network.workers.keys()].filter(
    (node) => spec.nodes === undefined || spec.nodes.includes(node),
  );
  const reasons = own.flatMap((node) => {
    const [policy, service] = [health.classify.get(node), health.taken.get(node)];
    if (policy !== undefined) return [`${node} classifies flows by FlowPolicy/${policy}`];
    if (service !== undefined) return [`${node} computes for Service/${service}`];
    return health.usable.has(node) ? [] : [`${node} is away`];
  });
  const more = reasons.length - MOST_LEFT_OUT;
  return [...reasons.slice(0, MOST_LEFT_OUT), ...(more > 0 ? [`and ${more} more`] : [])];
}

/** What the planner says; or why it does not understand what is asked of it, such as a rule of layers that there are not. */
function planned(
  model: Model,
  topology: Topology,
  { name, spec }: Named<'Service'>,
  options: PlanOptions,
): PlanReport | string {
  const latencyUs = spec.objective?.latencyUs;
  try {
    return planModel(model, topology, `Service/${name}`, {
      ...options,
      ...(latencyUs !== undefined && { latencyUs }),
    });
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return error.diagnostics.map(({ message }) => message).join('; ');
  }
}

/** More replicas are better than fewer, and then a plan that is clearly faster. */
function isBetter(plan: PlanReport, than: PlanReport): boolean {
  const [replicas, before] = [leastReplicasOf(plan), leastReplicasOf(than)];
  if (replicas !== before) return replicas > before;
  const [us, kept] = [latencyOf(plan), latencyOf(than)];
  return us < kept * (1 - BETTER_SHARE) && us < kept - BETTER_US;
}

const latencyOf = ({ totals }: PlanReport): number => totals?.latencyUs ?? 0;

/** Of the segment that has the fewest; as many as can be where none is shared. */
const leastReplicasOf = ({ tooFew = [] }: PlanReport): number =>
  Math.min(Number.POSITIVE_INFINITY, ...tooFew.map(({ nodes }) => nodes.length));

/** Nodes and links that a service may use, as the planner takes them; or what is missing. */
function topologyOf(network: Network, { name, spec }: Named<'Service'>, health: Health): Topology | string {
  const allowed = (node: string) => spec.nodes === undefined || spec.nodes.includes(node);
  const isUsable = (node: string) => allowed(node) && health.usable.has(node);
  const free = (node: string) => !health.taken.has(node);
  const devices = [...network.devices.values()].filter((d) => isUsable(d.name));
  const workers = [...network.workers.values()].filter((w) => isUsable(w.name));
  const ingress = spec.ingress ?? spec.nodes?.find((n) => network.devices.has(n)) ?? devices[0]?.name;
  if (ingress === undefined) return 'there is no device that could be had';
  if (!devices.some((d) => d.name === ingress)) return `the ingress ${ingress} cannot be had`;
  const egress = spec.egress !== undefined && isUsable(spec.egress) ? spec.egress : ingress;
  const common = { headers: [], limits: {}, options: {} };
  const nodeOf = (kind: string, { name: node, spec: own }: Named<'Device'> | Named<'Worker'>) => {
    const { memoryBytes, maxLayers, load = 0, price = 0 } = own.capacity ?? {};
    return {
      ...{ ...common, name: node, kind, zone: own.zone, load, price },
      ...(memoryBytes !== undefined && { memory: memoryBytes }),
      // What serves another model only forwards.
      ...(free(node) ? maxLayers !== undefined && { maxLayers } : { maxLayers: 0 }),
    };
  };
  const nodes = [...devices.map((d) => nodeOf(d.spec.target, d)), ...workers.map((w) => nodeOf('worker', w))];
  const there = new Set(nodes.map((n) => n.name));
  const links = [...network.links.values()].flatMap(({ spec: link }) => {
    const [from, to] = [link.from.node, link.to.node];
    if (!there.has(from) || !there.has(to)) return [];
    const { oneWay, latencyUs, bandwidthMbps, mtu } = link;
    return [{ from, to, oneWay, latencyUs, bandwidthMbps, mtu }];
  });
  const { minimise, layers, maxLayers, rawInputZones, replicas, minReplicas } = spec.policy;
  return {
    format: 'intransit-topology',
    version: 1,
    name,
    nodes,
    links,
    ...{ ingress, egress, replicas, minReplicas },
    objective:
      minimise === 'cost' && spec.objective !== undefined
        ? { minimise, latencyUs: spec.objective.latencyUs }
        : { minimise: 'latency' },
    constraints: {
      headers: [],
      ...(maxLayers !== undefined && { maxLayers }),
      ...(rawInputZones !== undefined && rawInputZones.length > 0 && { rawInput: [...rawInputZones] }),
      layers: layers.map((rule) => ({
        layers: rule.layers,
        ...(rule.zones && { zones: [...rule.zones] }),
        ...(rule.nodes && { nodes: [...rule.nodes] }),
      })),
    },
  };
}

function placementOf(
  network: Network,
  { name }: Named<'Service'>,
  model: string,
  version: number,
  { steps, totals }: PlanReport,
): PlacementSpec {
  const computed = steps
    .filter((s): s is PlannedSegment => s.step === 'compute')
    .map((s) => ({
      layers: `${s.layers.from}..${s.layers.to}`,
      // All of them are equal: who was first in the plan makes no other placement.
      nodes: [...(s.replicas ?? [{ node: s.node, weight: 1 }])].sort((a, b) => (a.node < b.node ? -1 : 1)),
    }));
  const segments = computed.flatMap(({ layers, nodes }) =>
    nodes.map(({ node, weight }) => {
      const worker = network.workers.get(node);
      if (worker !== undefined) return { kind: 'Worker' as const, node, layers, weight: worker.spec.weight };
      const share = nodes.length > 1 ? deviceWeight(network, nodes, node, weight) : 1;
      return { kind: 'Device' as const, node, layers, weight: share };
    }),
  );
  const latency = totals?.latencyUs ?? 0;
  const where = computed
    .map(({ layers, nodes }) => `${layers} on ${nodes.map((n) => n.node).join(' and ')}`)
    .join(', ');
  const slowest = totals?.slowestUs ?? latency;
  const upTo = slowest > latency ? `, by others up to ${Math.round(slowest)}` : '';
  const reason = `layers ${where}: ${Math.round(latency)} us foreseen${upTo}`;
  return { service: name, model, version, segments, foreseenLatencyUs: latency, reason };
}

/** What the manifests of some devices say; where none says anything, how fast it is beside the others. */
function deviceWeight(
  { devices }: Network,
  all: readonly { readonly node: string }[],
  node: string,
  speed: number,
): number {
  const isSaid = all.some((r) => devices.get(r.node)?.spec.weight !== undefined);
  return isSaid ? (devices.get(node)?.spec.weight ?? 1) : speed;
}

/**
 * The plan that keeps each segment on one of the devices that compute it; the others stay its replicas before new ones come.
 * Undefined where that is not possible any more, such as when all devices of a segment are gone.
 */
function keptPlan(
  { segments }: PlacementSpec,
  model: Model,
  topology: Topology,
  plan: (options: PlanOptions) => PlanReport | string,
): PlanReport | undefined {
  const there = new Set(topology.nodes.map((n) => n.name));
  const groups = new Map<string, string[]>();
  for (const { layers, node } of segments)
    groups.set(layers, [...(groups.get(layers) ?? []), ...(there.has(node) ? [node] : [])]);
  const kept = [...groups].map(([layers, nodes]) => ({ ...rangeOf(layers), nodes }));
  if (kept.length === 0 || kept.at(-1)?.to !== model.layers.length) return undefined;
  if (kept.some(({ nodes }) => nodes.length === 0)) return undefined;
  const report = plan({ kept, held: kept.flatMap(({ nodes }) => nodes) });
  return typeof report !== 'string' && report.feasible ? report : undefined;
}

/** What keeps a service from having as many devices for its layers as it asks for; undefined where nothing does. */
function shortageOf(
  { tooFew = [] }: PlanReport,
  taken: Health['taken'],
  others: readonly string[],
): string | undefined {
  if (tooFew.length === 0) return undefined;
  const own = tooFew.map(
    ({ layers, nodes, wanted }) =>
      `layers ${layers.from}..${layers.to} are on ${nodes.length} of ${wanted} devices (${nodes.join(', ')})`,
  );
  const refusals = tooFew.flatMap((few) => few.refusals).filter(({ place }) => !taken.has(place));
  const told = new Set(refusals.map(({ message }) => message));
  const why = [...told].slice(0, MOST_LEFT_OUT);
  const more = told.size - why.length;
  return [...own, ...why, ...(more > 0 ? [`and ${more} more`] : []), ...others].join('; ');
}

/** `1..3` as numbers: layers 1 and 2. */
export function rangeOf(layers: string): { readonly from: number; readonly to: number } {
  const [from, to] = layers.split('..');
  return { from: Number(from), to: Number(to) };
}

const refusalText = ({ refusals }: PlanReport): string => {
  const shown = refusals.slice(0, 3).map((r) => r.message);
  return shown.length === 0 ? 'no way from ingress to egress computes all layers' : shown.join('; ');
};

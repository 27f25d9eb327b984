import { DiagnosticError } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { type PlanReport, planModel, type Topology } from '../../planner/index.ts';
import type { SpecOf } from '../manifests/index.ts';
import type { Named, Network } from './network.ts';

/** A placement must be better by this share, and by as many microseconds, before work moves for it alone. */
const BETTER_SHARE = 0.1;
const BETTER_US = 10;

/** Which node computes which layers of a model. */
export type PlacementSpec = SpecOf<'Placement'>;

/** Where a model is to be, and whether that is another place than before. */
export interface Placed {
  readonly spec: PlacementSpec;
  readonly moved: boolean;
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
 * Where the layers of a service run: the placement that it has as long as all its nodes are usable and none is clearly better,
 * else the best that the planner finds.
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
  const file = `Service/${service.name}`;
  const report = planned(model, topology, file);
  if (typeof report === 'string') return unplaceable(report);
  if (!report.feasible) return unplaceable(refusalText(report));
  const best = placementOf(network, service, modelName, health.version, report);
  const kept = before?.model === modelName ? latencyOf(before, model, topology, file) : undefined;
  const foreseen = best.foreseenLatencyUs ?? 0;
  if (before !== undefined && kept !== undefined && !isBetter(foreseen, kept)) {
    const { version: _, ...rest } = before;
    return { spec: { ...rest, version: health.version, foreseenLatencyUs: kept }, moved: false };
  }
  return { spec: best, moved: before !== undefined };
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
function planned(model: Model, topology: Topology, file: string): PlanReport | string {
  try {
    return planModel(model, topology, file);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return error.diagnostics.map(({ message }) => message).join('; ');
  }
}

const isBetter = (us: number, than: number): boolean =>
  us < than * (1 - BETTER_SHARE) && us < than - BETTER_US;

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
  const { minimise, layers, maxLayers, rawInputZones } = spec.policy;
  const zones = new Set(nodes.map((n) => n.zone));
  const rawInput = rawInputZones?.filter((z) => zones.has(z));
  return {
    format: 'intransit-topology',
    version: 1,
    name,
    nodes,
    links,
    ingress,
    egress,
    objective:
      minimise === 'cost' && spec.objective !== undefined
        ? { minimise, latencyUs: spec.objective.latencyUs }
        : { minimise: 'latency' },
    constraints: {
      headers: [],
      ...(maxLayers !== undefined && { maxLayers }),
      ...(rawInput !== undefined && rawInput.length > 0 && { rawInput }),
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
  service: Named<'Service'>,
  model: string,
  version: number,
  report: PlanReport,
): PlacementSpec {
  const segments = report.steps.flatMap((s) =>
    s.step === 'compute'
      ? [
          {
            kind: network.workers.has(s.node) ? ('Worker' as const) : ('Device' as const),
            node: s.node,
            layers: `${s.layers.from}..${s.layers.to}`,
            weight: network.workers.get(s.node)?.spec.weight ?? 1,
          },
        ]
      : [],
  );
  const latency = report.totals?.latencyUs ?? 0;
  const where = segments.map((s) => `${s.layers} on ${s.node}`).join(', ');
  const reason = `layers ${where}: ${Math.round(latency)} us foreseen`;
  return { service: service.name, model, version, segments, foreseenLatencyUs: latency, reason };
}

/** What the planner foresees of a placement; undefined where it is not possible any more. */
function latencyOf(
  { segments }: PlacementSpec,
  model: Model,
  topology: Topology,
  file: string,
): number | undefined {
  if (segments.some((s) => !topology.nodes.some((n) => n.name === s.node))) return undefined;
  if (rangeOf(segments.at(-1)?.layers ?? '0..0').to !== model.layers.length) return undefined;
  const layers = segments.map((s) => ({ layers: s.layers, nodes: [s.node] }));
  const { constraints } = topology;
  const pinned = { ...topology, constraints: { ...constraints, layers: [...constraints.layers, ...layers] } };
  return planModel(model, pinned, file).totals?.latencyUs;
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

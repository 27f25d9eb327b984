import { budgetOf } from '../../controller/budget.ts';
import type { Desired, DesiredDevice, DesiredWorker, ModelVersion } from '../../controller/core/desired.ts';
import type { Entity, KnownProgram } from '../../controller/core/observed.ts';
import { type Forwarding, forwardingEntities } from '../../controller/forwarding.ts';
import type { LayerRange } from '../../controller/planned-layers.ts';
import type { Member } from '../../ends/common/balance.ts';
import { modelDigest } from '../../import/json/digest.ts';
import { type Model, valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { ipv4Bytes } from '../../wire/header.ts';
import type { Named, Network } from './network.ts';
import {
  type Crowded,
  type DeviceSteering,
  firstHopsOf,
  type RawInput,
  routesToWorkers,
  type Steered,
  steeringOf,
} from './steering.ts';
import { type PlacementSpec, rangeOf } from './topology.ts';
import type { VersionsWanted } from './versions-wanted.ts';

/** A service that has a place. */
export interface PlacedService {
  readonly service: Named<'Service'>;
  readonly modelId: number;
  readonly placement: PlacementSpec;
  readonly wanted: VersionsWanted;
  /** Of the versions that are held. */
  readonly models: ReadonlyMap<number, ModelVersion>;
  /** Versions that were current from here before. */
  readonly deployed: ReadonlySet<number>;
  /** That finish what devices leave. */
  readonly workers: readonly string[];
}

/** What one node is to be, and a text that is another whenever that is. */
export type Goal =
  | { readonly on: 'device'; readonly key: string; readonly desired: DesiredDevice }
  | { readonly on: 'worker'; readonly key: string; readonly desired: DesiredWorker };

/** What a policy wants of a device: a program that classifies flows, and all entries but its weights. */
export interface FlowGoal {
  readonly key: string;
  readonly known: KnownProgram;
  readonly entities: readonly Entity[];
}

/** Programs of one kind of device, each planned once. */
export interface Programs {
  of(
    kind: string,
    base: ModelVersion | undefined,
    options: LayerRange & { readonly modelId: number; readonly port: number; readonly mtu: number },
  ): KnownProgram;
}

/** Goals of devices as they were found last, with what each was found for. */
export type GoalMemory = Map<string, { readonly for: string; readonly goal: Goal }>;

/** What is known of nodes. */
export interface Known {
  /** Whether it can be reached. */
  readonly up: (node: string) => boolean;
  /** Whether a node can take requests of a service, as far as is known. */
  readonly takes: (node: string, service: PlacedService) => boolean;
  /** Which part of its weight an overload leaves a worker, 0 to 1; undefined of one that was not heard of. */
  readonly partOf: (worker: string) => number | undefined;
}

/**
 * Workers over which devices spread the jobs of a service, with what each gets of them: where it has an address of its own, those that hold its
 * model. None where jobs choose their worker, or one takes all.
 */
export function membersOf(network: Network, service: PlacedService, known: Known): readonly Member[] {
  const { workers } = service;
  if (service.service.spec.address === undefined) return [];
  return workers
    .filter((name) => known.up(name) && known.takes(name, service))
    .map((name) => ({ name, weight: weightOf(network.workers.get(name)!, service, known) }));
}

/**
 * For each segment on devices those that take its requests, with what each gets, by its first layer. One that has come, or has come again,
 * gets some once it has been brought where it should be; where none has, all that are up are asked.
 */
export function replicasOf(service: PlacedService, known: Known): ReadonlyMap<number, readonly Member[]> {
  const groups = new Map<number, Member[]>();
  for (const { kind, node, layers, weight } of service.placement.segments) {
    if (kind !== 'Device' || !known.up(node)) continue;
    const { from } = rangeOf(layers);
    groups.set(from, [...(groups.get(from) ?? []), { name: node, weight }]);
  }
  for (const [from, all] of groups) {
    const ready = all.filter(({ name }) => known.takes(name, service));
    if (ready.length > 0) groups.set(from, ready);
  }
  return groups;
}

/** A service, and over whom devices spread its jobs: devices that compute the same layers, and workers. */
export type SpreadService = PlacedService & {
  readonly replicas: ReadonlyMap<number, readonly Member[]>;
  readonly members: readonly Member[];
};

/** Goals, and the groups of equals for whose shards some device has no room. */
export interface Goals {
  readonly goals: ReadonlyMap<string, Goal>;
  readonly crowded: readonly Crowded[];
}

/** Before a worker was heard of it keeps what it had last: whoever leads next changes nothing. */
function weightOf({ name, spec }: Named<'Worker'>, { service }: PlacedService, { partOf }: Known): number {
  const part = partOf(name);
  if (part !== undefined) return spec.weight * part;
  return service.object.status.shares?.find(({ node }) => node === name)?.weight ?? spec.weight;
}

/**
 * What every node is to be.
 * @param flows of devices that classify @param up nodes that can be reached
 * @param memory goals for which nothing has changed stay what they were
 */
export function goalsOf(
  network: Network,
  services: readonly SpreadService[],
  flows: ReadonlyMap<string, FlowGoal>,
  programs: Programs,
  up: Known['up'],
  memory: GoalMemory,
): Goals {
  const goals = new Map<string, Goal>();
  const steered = services.map((service): Steered => {
    const { modelId, placement, models, workers, replicas, members } = service;
    const { address, mtu } = service.service.spec;
    const isOneAddress = address !== undefined;
    const packetBytes = packetBytesOf([...models.values()][0]?.model, mtu);
    const rawInput = rawInputOf(network, service);
    return { modelId, placement, workers, packetBytes, isOneAddress, replicas, members, rawInput };
  });
  const firstHops = firstHopsOf(network, up);
  const { devices: steering, crowded } = steeringOf(network, steered, up, firstHops);
  const toWorkers = routesToWorkers(network, steered, up, firstHops);
  const owners = ownersOf(services);
  for (const name of memory.keys()) if (!network.devices.has(name)) memory.delete(name);
  for (const device of network.devices.values()) {
    const flow = flows.get(device.name);
    if (flow !== undefined) {
      memory.delete(device.name);
      goals.set(device.name, flowGoal(device, flow));
      continue;
    }
    const own = owners.get(device.name);
    const ways = {
      ...(steering.get(device.name) ?? NOTHING_STEERED),
      toWorkers: toWorkers.get(device.name) ?? [],
    };
    const madeFor = JSON.stringify([device.spec, ways, own && madeOf(own, device.name)]);
    const before = memory.get(device.name);
    const goal = before?.for === madeFor ? before.goal : deviceGoal(device, own, programs, ways);
    memory.set(device.name, { for: madeFor, goal });
    goals.set(device.name, goal);
  }
  for (const worker of network.workers.values()) goals.set(worker.name, workerGoal(worker, services));
  return { goals, crowded };
}

/** Requests that a model's layers may get; what is larger than the MTU of the service's path comes in fragments. */
const packetBytesOf = (model: Model | undefined, mtu: number): readonly number[] =>
  model?.layers.map((_, layer) => Math.min(ipv4Bytes(tensorBytes(valueType(model, layer))), mtu)) ?? [];

/** What the policy of a service says of its raw input; a placement that it had before may break it. */
function rawInputOf(network: Network, { service, workers }: PlacedService): RawInput | undefined {
  const { rawInputZones = [] } = service.spec.policy;
  if (rawInputZones.length === 0) return undefined;
  const some = workers.filter((name) => rawInputZones.includes(network.workers.get(name)?.spec.zone ?? ''));
  return { zones: rawInputZones, workers: some.length === workers.length ? undefined : some };
}

const NOTHING_STEERED: DeviceSteering = { steering: [], balancing: [] };

/** The service of each node that computes: a program serves one model, so who places services gives a device to one of them. */
function ownersOf(services: readonly PlacedService[]): ReadonlyMap<string, PlacedService> {
  const owners = new Map<string, PlacedService>();
  for (const service of services)
    for (const { node } of service.placement.segments) if (!owners.has(node)) owners.set(node, service);
  return owners;
}

/** All that the goal of a device takes from its service. */
const madeOf = ({ service, modelId, placement, models, wanted, deployed }: PlacedService, name: string) => [
  ...[service.name, service.spec, modelId, wanted, [...deployed], placement.version],
  placement.segments.filter((s) => s.node === name),
  [...models].map(([version, { model }]) => [version, modelDigest(model)]),
];

function deviceGoal(
  { name, spec }: Named<'Device'>,
  own: PlacedService | undefined,
  programs: Programs,
  ways: DeviceSteering & { readonly toWorkers: Forwarding['routes'] },
): Goal {
  const range = rangeOf(own?.placement.segments.find((s) => s.node === name)?.layers ?? '0..0');
  const threshold = own?.service.spec.policy.threshold ?? 0;
  const { ports, routes } = spec.forwarding;
  const forwarding = forwardingEntities({
    zones: spec.zones,
    ports,
    routes: [...routes, ...ways.toWorkers],
    steering: ways.steering,
    balancing: ways.balancing,
  });
  const versions = own === undefined ? [] : versionsOf(own);
  const common = { port: own?.service.spec.port ?? PORT, mtu: own?.service.spec.mtu ?? MTU };
  const base = own?.models.get(own.wanted.current);
  const limit = own && budgetOfService(own);
  const desired: DesiredDevice = {
    on: 'device',
    name,
    place: range.from,
    models:
      own === undefined
        ? []
        : [
            {
              modelId: own.modelId,
              versions,
              current: own.wanted.current,
              keep: own.wanted.keep,
              ...limit,
              held: ({ model }) => {
                const isVerdict = model.layers[range.to - 1]?.kind === 'argmax';
                return { ...range, layerCount: model.layers.length, threshold: isVerdict ? threshold : 0 };
              },
            },
          ],
    program: () => programs.of(spec.target, base, { ...range, modelId: own?.modelId ?? 0, ...common }),
    earlier: undefined,
    replaceProgram: spec.replaceProgram,
    forwarding,
    others: 'go',
  };
  const key = JSON.stringify([spec, range, threshold, common, ways, limit, own && wantedKey(own)]);
  return { on: 'device', key, desired };
}

function flowGoal({ name, spec }: Named<'Device'>, { key, known, entities }: FlowGoal): Goal {
  const desired: DesiredDevice = {
    ...{ on: 'device', name, place: 0, models: [], flows: entities },
    program: () => known,
    earlier: undefined,
    replaceProgram: spec.replaceProgram,
    ...{ forwarding: 'as-is', others: 'stay' },
  };
  return { on: 'device', key: JSON.stringify([spec, key, `${known.program.cookie}`]), desired };
}

/** What a service may take of each device, by its class. */
function budgetOfService({ service }: PlacedService): Pick<DesiredDevice['models'][number], 'budget'> {
  const { inferencesPerSecond, burst } = service.spec.class ?? {};
  return inferencesPerSecond === undefined ? {} : { budget: budgetOf(inferencesPerSecond, burst) };
}

function workerGoal({ name, spec }: Named<'Worker'>, services: readonly PlacedService[]): Goal {
  const own = services.filter((s) => s.workers.includes(name));
  const models = own.map((s) => ({
    modelId: s.modelId,
    versions: versionsOf(s),
    current: s.wanted.current,
    keep: s.wanted.keep,
  }));
  return {
    on: 'worker',
    key: JSON.stringify([spec, own.map(wantedKey)]),
    desired: { on: 'worker', name, models },
  };
}

const wantedKey = ({ modelId, wanted }: PlacedService) => [modelId, wanted.current, wanted.held, wanted.keep];

/** Versions that were brought to the nodes before: what differs from them is damage. */
const versionsOf = ({ wanted, models, deployed }: PlacedService) =>
  wanted.held.flatMap((version) => {
    const known = models.get(version);
    return known === undefined ? [] : [{ ...known, ours: deployed.has(version) }];
  });

/** Of a device that only forwards: what its program does not depend on. */
const [PORT, MTU] = [18_858, 1500];

/** What some of the nodes are to be, as the difference takes it. */
export function desiredOf(goals: Iterable<Goal>): Desired {
  const all = [...goals];
  return {
    devices: all.flatMap((g) => (g.on === 'device' ? [g.desired] : [])),
    workers: all.flatMap((g) => (g.on === 'worker' ? [g.desired] : [])),
  };
}

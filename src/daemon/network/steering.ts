import type { Hop } from '../../controller/deployment-schema.ts';
import type { ShardGroup, Steering } from '../../controller/forwarding.ts';
import { SHARD_GROUPS } from '../../dataplane/abi.ts';
import type { Member } from '../../ends/common/balance.ts';
import type { SpecOf } from '../manifests/index.ts';
import type { Network } from './network.ts';
import { membersOfShards } from './shards.ts';
import { type PlacementSpec, rangeOf } from './topology.ts';

/** One direction of a link. */
interface Way {
  readonly to: string;
  readonly latencyUs: number;
  readonly mtu: number;
  readonly port: number | undefined;
  readonly macs: { readonly sourceMac: string; readonly destinationMac: string } | undefined;
}

/** Ways out of each node to those that are up. */
function waysOf(network: Network, up: (node: string) => boolean): ReadonlyMap<string, readonly Way[]> {
  const ways = new Map<string, Way[]>();
  const add = (from: string, way: Way) => {
    if (!up(from) || !up(way.to)) return;
    const own = ways.get(from);
    if (own === undefined) ways.set(from, [way]);
    else own.push(way);
  };
  for (const { spec } of network.links.values()) {
    const { from, to, latencyUs, mtu, oneWay } = spec;
    const macs = (source: typeof from, destination: typeof to) =>
      source.mac === undefined || destination.mac === undefined
        ? undefined
        : { sourceMac: source.mac, destinationMac: destination.mac };
    add(from.node, { to: to.node, latencyUs, mtu, port: from.port, macs: macs(from, to) });
    if (!oneWay) add(to.node, { to: from.node, latencyUs, mtu, port: to.port, macs: macs(to, from) });
  }
  return ways;
}

/** What is asked of a way. */
export interface WayWanted {
  /** Nodes that it leads around. */
  readonly around?: readonly string[];
  /** Of which one has each device on it, and at its end; undefined where all may be there. */
  readonly zones?: readonly string[] | undefined;
  /** Of the IP packets that are to go there: no MTU on it is less. */
  readonly bytes?: number;
}

/** For each node from which a goal can be reached, the first link of the shortest way; ties go by name. */
export type FirstHops = (goal: string, wanted?: WayWanted) => ReadonlyMap<string, Way>;

/** @param up nodes that can be reached */
export function firstHopsOf(network: Network, up: (node: string) => boolean): FirstHops {
  const into = new Map<string, Inward[]>();
  for (const [from, ways] of waysOf(network, up))
    for (const way of ways) {
      const own = into.get(way.to);
      if (own === undefined) into.set(way.to, [{ from, way }]);
      else own.push({ from, way });
    }
  const mtus = [...new Set([...network.links.values()].map(({ spec }) => spec.mtu))].sort((a, b) => a - b);
  const known = new Map<string, ReadonlyMap<string, Way>>();
  return (goal, { around = [], zones, bytes = 0 } = {}) => {
    // Packets for which the same links are too small go the same ways.
    const least = mtus.find((mtu) => mtu >= bytes) ?? Number.POSITIVE_INFINITY;
    const key = JSON.stringify([goal, least, around, zones]);
    const isOpen = (node: string) =>
      zones === undefined || zones.includes(network.devices.get(node)?.spec.zone ?? '');
    // Workers lead nothing on.
    const isPassed = (node: string) => network.devices.has(node) && !around.includes(node) && isOpen(node);
    const isShut = network.devices.has(goal) && !isOpen(goal);
    const found = known.get(key) ?? (isShut ? NO_WAYS : towards(goal, into, isPassed, least));
    known.set(key, found);
    return found;
  };
}

const NO_WAYS: ReadonlyMap<string, Way> = new Map();

/** A way, seen from where it leads. */
interface Inward {
  readonly from: string;
  readonly way: Way;
}

function towards(
  goal: string,
  into: ReadonlyMap<string, readonly Inward[]>,
  isPassed: (node: string) => boolean,
  leastMtu: number,
): ReadonlyMap<string, Way> {
  const first = new Map<string, Way>();
  const distance = new Map([[goal, 0]]);
  const open = new Set([goal]);
  while (open.size > 0) {
    const nearest = [...open].reduce((a, b) => (distance.get(b)! < distance.get(a)! ? b : a));
    open.delete(nearest);
    if (nearest !== goal && !isPassed(nearest)) continue;
    for (const { from, way } of into.get(nearest) ?? []) {
      if (way.mtu < leastMtu) continue;
      // A hop costs something even where nobody said what.
      const us = distance.get(nearest)! + way.latencyUs + 1;
      if (us >= (distance.get(from) ?? Number.POSITIVE_INFINITY)) continue;
      distance.set(from, us);
      first.set(from, way);
      open.add(from);
    }
  }
  return first;
}

/** Workers of a service that are told apart by the destination of packets: several, each with an address of its own. */
function addressedWorkers(
  network: Network,
  workers: readonly string[],
): ReadonlyMap<string, string> | undefined {
  const hosts = new Map(
    workers.flatMap((name) => {
      const address = network.workers.get(name)?.spec.address;
      return address === undefined ? [] : [[name, address.split(':')[0]!] as const];
    }),
  );
  const isApart =
    hosts.size > 1 && hosts.size === workers.length && new Set(hosts.values()).size === hosts.size;
  return isApart ? hosts : undefined;
}

type Route = SpecOf<'Device'>['forwarding']['routes'][number];

/** For each device a route to each such worker: a job is sent to its worker, and devices keep to that. */
export function routesToWorkers(
  network: Network,
  services: readonly Pick<Steered, 'workers' | 'packetBytes'>[],
  up: (node: string) => boolean,
  firstHops: FirstHops,
): ReadonlyMap<string, Route[]> {
  const routes = new Map<string, Route[]>();
  const largest = new Map<string, { readonly host: string; readonly bytes: number }>();
  for (const { workers, packetBytes } of services)
    for (const [worker, host] of addressedWorkers(network, workers) ?? [])
      largest.set(worker, { host, bytes: Math.max(largest.get(worker)?.bytes ?? 0, ...packetBytes) });
  for (const [worker, { host, bytes }] of largest) {
    if (!up(worker)) continue;
    for (const [device, way] of firstHops(worker, { bytes })) {
      const own = network.devices.get(device)?.spec.forwarding.routes;
      // What an operator says of this host goes before.
      const isSaid = own?.some(({ prefix }) => prefix === host || prefix === `${host}/32`);
      if (own === undefined || isSaid || way.port === undefined) continue;
      routes.set(device, [
        ...(routes.get(device) ?? []),
        { prefix: `${host}/32`, port: way.port, ...way.macs },
      ]);
    }
  }
  return routes;
}

/** A service as steering sees it. */
export interface Steered {
  readonly modelId: number;
  /** Of the IP packet of a request, by the first layer that is not computed yet. */
  readonly packetBytes: readonly number[];
  readonly placement: PlacementSpec;
  /** Workers that finish whatever is left, the preferred first. */
  readonly workers: readonly string[];
  /** Whether jobs are sent to an address that all of its workers have. */
  readonly isOneAddress: boolean;
  /** Devices that take what is computed up to their first layer, by that layer. */
  readonly replicas: ReadonlyMap<number, readonly Member[]>;
  /** Workers over which devices spread its jobs then, with what each gets. */
  readonly members: readonly Member[];
  /** Where its raw input may not be everywhere. */
  readonly rawInput?: RawInput | undefined;
}

/** Where the raw input of a service may be; it is dropped rather than led elsewhere. */
export interface RawInput {
  /** Of devices. */
  readonly zones: readonly string[];
  /** Workers that may have it; undefined where all may. */
  readonly workers: readonly string[] | undefined;
}

/** Where one device sends requests. */
export interface DeviceSteering {
  readonly steering: readonly Steering[];
  readonly balancing: readonly ShardGroup[];
}

/** Equals for whose shards a device has no room: whatever is for them goes to the first. */
export interface Crowded {
  readonly device: string;
  /** How many groups of equals would have shards there. */
  readonly groups: number;
  readonly modelId: number;
  /** First layer of devices; undefined of workers. */
  readonly layer: number | undefined;
  /** Who gets all. */
  readonly first: string;
}

/** The group of shards of workers: no layer has this number. */
const WORKERS_GROUP = 255;

/**
 * Where each device sends requests by the first layer that is not computed yet: to whoever computes it, and where that cannot be,
 * or is the device itself, to a worker, which finishes anything; or, where the service has several workers with addresses, to
 * whichever the packet is addressed to. Raw input that may go to none of them is dropped. Where several are equal, and the ways
 * to them part at this device, it spreads jobs over them by their shards. All devices do so by the same members, so a device on
 * the way to one of them sends the same jobs there; and no way to a device leads through another one that computes the same
 * layers. Answers go by ordinary forwarding.
 * @param up nodes that can be reached
 */
export function steeringOf(
  network: Network,
  services: readonly Steered[],
  up: (node: string) => boolean,
  firstHops: FirstHops,
): NetworkSteering {
  const prepared = services.map((service) => {
    // Where jobs choose their worker, only layers that devices compute are steered.
    const isChosen = !service.isOneAddress && addressedWorkers(network, service.workers) !== undefined;
    const members = service.members.filter(({ name }) => up(name));
    const workers = isChosen ? [] : service.workers.filter(up);
    return { ...service, isChosen, members, workers };
  });
  const devices = [...network.devices.keys()].filter(up);
  const found = steeringAtAll(devices, prepared, up, firstHops);
  if (found.crowded.length === 0) return found;
  // A device that spread jobs of a group while another sends all to the first might send them back to it.
  const fitting = prepared.map((service) => firstOfCrowded(service, found.crowded));
  return { ...steeringAtAll(devices, fitting, up, firstHops), crowded: found.crowded };
}

/** Where each device sends requests, and the equals for whose shards some device has no room. */
export interface NetworkSteering {
  readonly devices: ReadonlyMap<string, DeviceSteering>;
  readonly crowded: readonly Crowded[];
}

/** A service, and whether whoever sends has chosen the worker. */
type Prepared = Steered & { readonly isChosen: boolean };

function firstOfCrowded(service: Prepared, crowded: readonly Crowded[]): Prepared {
  const own = new Set(crowded.filter((c) => c.modelId === service.modelId).map((c) => c.layer));
  const replicas = [...service.replicas].map(
    ([layer, all]) => [layer, own.has(layer) ? all.slice(0, 1) : all] as const,
  );
  const members = own.has(undefined) ? service.members.slice(0, 1) : service.members;
  return { ...service, members, replicas: new Map(replicas) };
}

function steeringAtAll(
  names: readonly string[],
  services: readonly Prepared[],
  up: Standpoint['up'],
  firstHops: FirstHops,
): NetworkSteering {
  const devices = new Map<string, DeviceSteering>();
  const crowded: Crowded[] = [];
  for (const device of names) {
    const steering: Steering[] = [];
    const balancing: ShardGroup[] = [];
    const without: Omit<Crowded, 'groups'>[] = [];
    const wayTo: Standpoint['wayTo'] = (goal, wanted) => firstHops(goal, wanted).get(device);
    for (const service of services) {
      const own = steeringAt({ device, up, wayTo }, service, SHARD_GROUPS - balancing.length);
      steering.push(...own.steering);
      balancing.push(...own.balancing);
      without.push(...own.crowded);
    }
    crowded.push(...without.map((c) => ({ ...c, groups: balancing.length + without.length })));
    if (steering.length > 0) devices.set(device, { steering, balancing });
  }
  return { devices, crowded };
}

/** A device, and the ways from it. */
interface Standpoint {
  readonly device: string;
  readonly up: (node: string) => boolean;
  readonly wayTo: (goal: string, wanted: WayWanted) => Way | undefined;
}

/**
 * @param service with those of its workers and members that can be reached
 * @param room for groups of shards: what finds none goes the way of the first member
 */
function steeringAt(
  { device, up, wayTo }: Standpoint,
  service: Prepared,
  room: number,
): DeviceSteering & { readonly crowded: readonly Omit<Crowded, 'groups'>[] } {
  const { modelId, packetBytes, placement, workers, members, isChosen } = service;
  const steering: Steering[] = [];
  const crowded = new Map<number, Omit<Crowded, 'groups'>>();
  const balancing = new Map<number, ShardGroup>();
  const largest = Math.max(...packetBytes);
  for (const [nextLayer, bytes] of packetBytes.entries()) {
    const own = placement.segments
      .filter((s) => up(s.node) && rangeOf(s.layers).from === nextLayer)
      .filter((s) => s.kind === 'Device' || !isChosen);
    const isHere = own.some((s) => s.node === device);
    const preferred = own.filter((s) => s.kind === 'Worker').map((s) => s.node);
    const around = own.filter((s) => s.kind === 'Device').map((s) => s.node);
    const raw = nextLayer === 0 ? service.rawInput : undefined;
    const zones = raw?.zones;
    const toReplica = (goal: string) =>
      wayTo(goal, { around: around.filter((node) => node !== goal), zones, bytes });
    const toWorker = (goal: string) => wayTo(goal, { zones, bytes });
    // One group for all layers: a job stays with its worker.
    const toMember = (goal: string) => wayTo(goal, { zones, bytes: largest });
    const one = (name: string): Choice => [WORKERS_GROUP, [{ name, weight: 1 }], toWorker];
    const some = isChosen ? [] : raw?.workers?.filter(up);
    // A list further down is for where none of those before can be reached.
    const choices: readonly Choice[] = [
      [nextLayer, isHere ? [] : (service.replicas.get(nextLayer) ?? []), toReplica],
      ...(some?.map(one) ?? [
        [WORKERS_GROUP, members, toMember] as const,
        ...[...(isHere ? [] : preferred), ...workers].map(one),
      ]),
    ];
    const chosen = choices
      .map(([group, equal, wayOf]) => ({ group, ways: waysAmong(equal, wayOf) }))
      .find(({ ways }) => ways.hops.length > 0);
    // A way without a port is none: the packet is dropped. Where jobs choose among workers that all may have it, routes lead there.
    const isKept = raw !== undefined && !(isChosen && raw.workers === undefined);
    if (chosen === undefined && isKept) steering.push({ modelId, nextLayer });
    if (chosen === undefined) continue;
    const { group, ways } = chosen;
    const isSpread = ways.hops.length > 1 && (balancing.has(group) || balancing.size < room);
    steering.push({ modelId, nextLayer, ...(isSpread ? { group } : ways.hops[0]!) });
    if (ways.hops.length > 1 && !isSpread) {
      const layer = group === WORKERS_GROUP ? undefined : group;
      crowded.set(group, { device, modelId, layer, first: ways.first });
    }
    if (isSpread && !balancing.has(group))
      balancing.set(group, { modelId, group, hops: ways.hops, goes: ways.goes() });
  }
  return { steering, balancing: [...balancing.values()], crowded: [...crowded.values()] };
}

/** Equals, each as good as the others, by their number as a group of shards, and the ways to them. */
type Choice = readonly [group: number, members: readonly Member[], wayOf: (goal: string) => Way | undefined];

interface Ways {
  /** Each once. */
  readonly hops: readonly Hop[];
  /** The member to whom the first of them leads. */
  readonly first: string;
  /** Of each shard the index of its hop. */
  readonly goes: () => readonly number[];
}

/** The ways to those of some members that can be reached. */
function waysAmong(members: readonly Member[], wayTo: Choice[2]): Ways {
  const hops = new Map<string, { readonly hop: Hop; readonly index: number }>();
  const reached = members.flatMap((member) => {
    const way = wayTo(member.name);
    if (way?.port === undefined) return [];
    const hop = { port: way.port, ...way.macs };
    const key = JSON.stringify(hop);
    const known = hops.get(key) ?? { hop, index: hops.size };
    hops.set(key, known);
    return [{ ...member, by: known.index }];
  });
  return {
    hops: [...hops.values()].map(({ hop }) => hop),
    first: reached[0]?.name ?? '',
    goes: () => membersOfShards(reached).map((index) => reached[index]!.by),
  };
}

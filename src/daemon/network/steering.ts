import type { Forwarding } from '../../controller/forwarding.ts';
import type { Network } from './network.ts';
import { type PlacementSpec, rangeOf } from './topology.ts';

type Steering = Forwarding['steering'][number];

/** One direction of a link. */
interface Way {
  readonly to: string;
  readonly latencyUs: number;
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
    const { from, to, latencyUs, oneWay } = spec;
    const macs = (source: typeof from, destination: typeof to) =>
      source.mac === undefined || destination.mac === undefined
        ? undefined
        : { sourceMac: source.mac, destinationMac: destination.mac };
    add(from.node, { to: to.node, latencyUs, port: from.port, macs: macs(from, to) });
    if (!oneWay) add(to.node, { to: from.node, latencyUs, port: to.port, macs: macs(to, from) });
  }
  return ways;
}

/** For each node from which a goal can be reached, the first link of the shortest way; ties go by name. */
export type FirstHops = (goal: string) => ReadonlyMap<string, Way>;

/** @param up nodes that can be reached */
export function firstHopsOf(network: Network, up: (node: string) => boolean): FirstHops {
  const into = new Map<string, Inward[]>();
  for (const [from, ways] of waysOf(network, up))
    for (const way of ways) {
      const own = into.get(way.to);
      if (own === undefined) into.set(way.to, [{ from, way }]);
      else own.push({ from, way });
    }
  const known = new Map<string, ReadonlyMap<string, Way>>();
  return (goal) => {
    const found = known.get(goal) ?? towards(goal, into);
    known.set(goal, found);
    return found;
  };
}

/** A way, seen from where it leads. */
interface Inward {
  readonly from: string;
  readonly way: Way;
}

function towards(goal: string, into: ReadonlyMap<string, readonly Inward[]>): ReadonlyMap<string, Way> {
  const first = new Map<string, Way>();
  const distance = new Map([[goal, 0]]);
  const open = new Set([goal]);
  while (open.size > 0) {
    const nearest = [...open].reduce((a, b) => (distance.get(b)! < distance.get(a)! ? b : a));
    open.delete(nearest);
    for (const { from, way } of into.get(nearest) ?? []) {
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

type Route = Forwarding['routes'][number];

/** For each device a route to each such worker: a job is sent to its worker, and devices keep to that. */
export function routesToWorkers(
  network: Network,
  services: readonly Pick<Steered, 'workers'>[],
  up: (node: string) => boolean,
  firstHops: FirstHops,
): ReadonlyMap<string, Route[]> {
  const routes = new Map<string, Route[]>();
  const hosts = new Map(services.flatMap(({ workers }) => [...(addressedWorkers(network, workers) ?? [])]));
  for (const [worker, host] of hosts) {
    if (!up(worker)) continue;
    for (const [device, way] of firstHops(worker)) {
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
  readonly layerCount: number;
  readonly placement: PlacementSpec;
  /** Workers that finish whatever is left, the preferred first. */
  readonly workers: readonly string[];
}

/**
 * Where each device sends requests by the first layer that is not computed yet: to whoever computes it, and where that cannot
 * be, or is the device itself, to a worker, which finishes anything; or, where the service has several workers with addresses, to whichever
 * the packet is addressed to. Answers go by ordinary forwarding.
 * @param up nodes that can be reached
 */
export function steeringOf(
  network: Network,
  services: readonly Steered[],
  up: (node: string) => boolean,
  firstHops: FirstHops,
): ReadonlyMap<string, readonly Steering[]> {
  const steering = new Map<string, Steering[]>();
  for (const { modelId, layerCount, placement, workers } of services) {
    // Where jobs choose their worker, only layers that devices compute are steered.
    const isChosen = addressedWorkers(network, workers) !== undefined;
    const finishers = isChosen ? [] : workers.filter(up);
    for (let nextLayer = 0; nextLayer < layerCount; nextLayer++) {
      const computes = placement.segments
        .filter((s) => up(s.node) && rangeOf(s.layers).from === nextLayer)
        .filter((s) => s.kind === 'Device' || !isChosen)
        .map((s) => s.node);
      for (const device of network.devices.keys()) {
        if (!up(device)) continue;
        const goals = [...computes.filter((n) => n !== device), ...finishers];
        const own = computes.includes(device) ? finishers : goals;
        const goal = own.find((n) => firstHops(n).has(device));
        const way = goal === undefined ? undefined : firstHops(goal).get(device);
        if (way?.port === undefined) continue;
        const entry = { modelId, nextLayer, port: way.port, ...way.macs };
        steering.set(device, [...(steering.get(device) ?? []), entry]);
      }
    }
  }
  return steering;
}

import type { Topology, TopologyNode } from '../../src/planner/topology-schema.ts';
import type { Problem, RandomLayer } from './random-problem.ts';

/** Ethernet, IPv4, UDP and the inference header, written out: the brute force shares no code with the planner. */
const FRAME = 14 + 20 + 8 + 32;

export interface Best {
  readonly ps: number;
  readonly price: number;
}

/**
 * The optimum by trying all walks and all assignments, from the words of docs/plan.md alone. A packet that is back at a
 * node with nothing computed since it left gains nothing, so such walks are left out; all others are tried.
 */
export function bruteForce({ chain, layers, topology: t }: Problem): Best | undefined {
  const end = layers.length;
  const nodes = new Map(t.nodes.map((n) => [n.name, n]));
  const extra = t.constraints.headers.reduce((sum, h) => sum + h.bytes, 0);
  const links = t.links.flatMap((l) => (l.oneWay ? [l] : [l, { ...l, from: l.to, to: l.from }]));
  const bytesAt = (layer: number) => chain.tensors[chain.cuts.indexOf(layer)]!.bytes;
  const rawAllowed = (n: TopologyNode) =>
    t.constraints.rawInput === undefined || t.constraints.rawInput.includes(n.zone);
  const packetPs = (n: TopologyNode) => (n.cost?.packetNs ?? (n.kind === 'v1model' ? 20_000 : 0)) * 1000;
  let best: Best | undefined;

  const better = (a: Best): boolean => {
    if (t.objective.minimise === 'cost') {
      if (a.ps > t.objective.latencyUs * 1e6) return false;
      return best === undefined || a.price < best.price || (a.price === best.price && a.ps < best.ps);
    }
    return best === undefined || a.ps < best.ps || (a.ps === best.ps && a.price < best.price);
  };

  const arrive: Move = (n, cursor, ps, price, held, seen) => {
    if (cursor === 0 && !rawAllowed(n)) return;
    if (isDevice(n) || n.name === t.ingress || n.name === t.egress) leave(n, cursor, ps, price, held, seen);
    for (const to of chain.cuts.filter((c) => c > cursor)) {
      const more = new Map(held).set(n.name, [...(held.get(n.name) ?? []), [cursor, to] as const]);
      if (!mayCompute(t, n, layers, more.get(n.name)!)) continue;
      leave(n, to, ps + computePs(n, layers.slice(cursor, to)), price + n.price * 1e9, more, []);
    }
  };
  const leave: Move = (n, cursor, ps, price, held, seen) => {
    if (cursor === end && n.name === t.egress && better({ ps, price })) best = { ps, price };
    for (const link of links) {
      if (link.from !== n.name || seen.includes(link.to)) continue;
      const frame = FRAME + extra + bytesAt(cursor);
      if (frame - 14 > link.mtu) continue;
      const to = nodes.get(link.to)!;
      const time =
        Math.round(link.latencyUs * 1e6) + Math.round((frame * 8e6) / link.bandwidthMbps) + packetPs(to);
      arrive(to, cursor, ps + time, price, held, [...seen, link.to]);
    }
  };
  const start = nodes.get(t.ingress)!;
  arrive(start, 0, packetPs(start), 0, new Map(), [t.ingress]);
  return best;
}

const isDevice = ({ kind }: TopologyNode): boolean => kind !== 'edge' && kind !== 'worker';

type Held = ReadonlyMap<string, readonly (readonly [number, number])[]>;

/** At node n, layers before `cursor` done; held: segments by node; seen: nodes arrived at with this cursor. */
type Move = (
  n: TopologyNode,
  cursor: number,
  ps: number,
  price: number,
  held: Held,
  seen: readonly string[],
) => void;

function computePs(n: TopologyNode, layers: readonly RandomLayer[]): number {
  const macs = layers.reduce((sum, l) => sum + l.macs, 0);
  const ns = (n.cost!.fixedNs + n.cost!.macNs * macs + n.cost!.multiplyNs * macs) / (1 - n.load);
  return Math.round(ns * 1000);
}

/** Whether the node may hold all these segments, the last of which is new. */
function mayCompute(
  t: Topology,
  n: TopologyNode,
  layers: readonly RandomLayer[],
  held: readonly (readonly [number, number])[],
): boolean {
  if (n.load === 1) return false;
  // A Tofino has one program, and that one segment.
  if (n.kind === 'tna' && held.length > 1) return false;
  if (t.constraints.headers.some((h) => !n.headers.includes(h.name))) return false;
  const [from, to] = held.at(-1)!;
  if (n.kind === 'v1model' && layers.slice(from, to).some((l) => l.macs > 90)) return false;
  for (const rule of t.constraints.layers) {
    const names = typeof rule.layers === 'string' ? [rule.layers] : rule.layers;
    for (let layer = from; layer < to; layer++) {
      const named = names.some((name) => {
        const [a, b] = name.startsWith('l')
          ? [Number(name.slice(1)), Number(name.slice(1)) + 1]
          : name.split('..').map(Number);
        return layer >= a! && layer < b!;
      });
      if (named && rule.zones !== undefined && !rule.zones.includes(n.zone)) return false;
      if (named && rule.nodes !== undefined && !rule.nodes.includes(n.name)) return false;
    }
  }
  const all = held.flatMap(([a, b]) => layers.slice(a, b));
  const memory = all.reduce((sum, l) => sum + l.memory, 0);
  const instructions = layers.slice(from, to).reduce((sum, l) => sum + l.instructions, 0);
  return (
    memory <= (n.memory ?? Number.POSITIVE_INFINITY) &&
    instructions <= (n.limits.instructions ?? Number.POSITIVE_INFINITY) &&
    all.length <=
      Math.min(n.maxLayers ?? Number.POSITIVE_INFINITY, t.constraints.maxLayers ?? Number.POSITIVE_INFINITY)
  );
}

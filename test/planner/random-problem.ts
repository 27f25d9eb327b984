import type { Chain } from '../../src/planner/chain.ts';
import { nodeKinds } from '../../src/planner/node-kinds.ts';
import type { Topology, TopologyInput } from '../../src/planner/topology-schema.ts';
import { topologySchema } from '../../src/planner/topology-schema.ts';
import type { Random } from '../support/random.ts';

/** Layers with made-up work and needs; some cuts may be missing, as inside a residual block. */
export interface RandomLayer {
  readonly macs: number;
  readonly memory: number;
  /** Of one program: adds up within a segment, not over segments. */
  readonly instructions: number;
  readonly bytes: number;
}

export interface Problem {
  readonly chain: Chain;
  readonly layers: readonly RandomLayer[];
  readonly topology: Topology;
}

/** @param cutChance of a cut between two layers */
export function chainOf(layers: readonly RandomLayer[], inputBytes: number, cuts: readonly number[]): Chain {
  const sum = (from: number, to: number, f: (l: RandomLayer) => number) =>
    layers.slice(cuts[from]!, cuts[to]!).reduce((total, layer) => total + f(layer), 0);
  return {
    file: 'random.json',
    name: 'random',
    layers: layers.map((_, i) => `l${i}`),
    cuts,
    tensors: cuts.map((cut) => {
      const bytes = cut === 0 ? inputBytes : layers[cut - 1]!.bytes;
      return { bytes, text: `uint8[${bytes}]` };
    }),
    profile: ({ kind }, from, to) => ({
      work: { macs: sum(from, to, (l) => l.macs), multiplies: sum(from, to, (l) => l.macs), neurons: 0 },
      needs: [
        { resource: 'memory', need: sum(from, to, (l) => l.memory), unit: 'bytes' },
        { resource: 'instructions', need: sum(from, to, (l) => l.instructions), unit: 'instructions' },
      ],
      unsupported: kind === 'v1model' && sum(from, to, (l) => (l.macs > 90 ? 1 : 0)) > 0 ? ['too large'] : [],
    }),
    confirm: () => [],
  };
}

/** A problem of at most `nodes` nodes and `layers` layers; small numbers, so that ties and tight limits are common. */
export function randomProblem(r: Random, maxNodes: number, maxLayers: number): Problem {
  const layers = Array.from({ length: r.int(1, maxLayers) }, () => ({
    macs: r.int(0, 100),
    memory: r.int(0, 10),
    instructions: r.int(0, 10),
    bytes: r.int(1, 400),
  }));
  const cuts = [0, ...layers.map((_, i) => i + 1).filter((c) => c === layers.length || r.chance(0.85))];
  const chain = chainOf(layers, r.int(1, 400), cuts);
  return { chain, layers, topology: randomTopology(r, r.int(1, maxNodes), layers.length) };
}

const zones = ['home', 'net', 'cloud'] as const;

function randomTopology(r: Random, count: number, layers: number): Topology {
  const name = (i: number) => `n${i}`;
  const kinds = Array.from({ length: count }, () => r.pick(nodeKinds()));
  const nodes = kinds.map((kind, i): TopologyInput['nodes'][number] => ({
    name: name(i),
    kind,
    zone: r.pick(zones),
    load: r.pick([0, 0, 0, 0.5, 0.25, r.chance(0.2) ? 1 : 0]),
    price: r.pick([0, 1, 1, 2, 3]),
    headers: r.chance(0.9) ? ['vxlan'] : [],
    ...(r.chance(0.5) && { memory: r.int(0, 40) }),
    ...(r.chance(0.3) && { maxLayers: r.int(0, layers) }),
    ...(r.chance(0.3) && { limits: { instructions: r.int(5, 25) } }),
    cost: {
      packetNs: r.int(0, 3) * 10,
      fixedNs: r.int(0, 3) * 10,
      macNs: r.int(0, 3),
      multiplyNs: r.int(0, 2),
    },
  }));
  const links: TopologyInput['links'] = [];
  for (let i = 0; i < count; i++)
    for (let j = 0; j < count; j++)
      if (i !== j && r.chance(i < j ? 0.65 : 0.15))
        links.push({
          from: name(i),
          to: name(j),
          oneWay: r.chance(0.4),
          latencyUs: r.int(0, 4) / 20,
          bandwidthMbps: r.pick([1000, 10_000, 40_000]),
          mtu: r.pick([1500, 1500, 1500, 1500, 450, 300]),
        });
  const some = (chance: number) =>
    zones.filter((zone) => r.chance(chance) && nodes.some((n) => n.zone === zone));
  const raw = some(0.7);
  const rules = Array.from({ length: r.pick([0, 0, 1, 2]) }, () => {
    const from = r.int(0, layers - 1);
    const allowed = some(0.7);
    const pinned = nodes.filter(() => r.chance(0.4)).map((n) => n.name);
    return {
      layers: r.chance(0.5) ? `l${from}` : `${from}..${r.int(from + 1, layers)}`,
      ...(allowed.length > 0 && { zones: allowed }),
      ...(pinned.length > 0 && r.chance(0.3) && { nodes: pinned }),
    };
  });
  return topologySchema.parse({
    format: 'intransit-topology',
    version: 1,
    nodes,
    links,
    ingress: name(0),
    egress: name(r.int(0, count - 1)),
    objective: r.chance(0.5) ? { minimise: 'latency' } : { minimise: 'cost', latencyUs: r.int(4, 40) / 20 },
    constraints: {
      layers: rules.filter((rule) => 'zones' in rule || 'nodes' in rule),
      ...(raw.length > 0 && r.chance(0.4) && { rawInput: raw }),
      ...(r.chance(0.2) && { maxLayers: r.int(1, layers) }),
      ...(r.chance(0.15) && { headers: [{ name: 'vxlan', bytes: r.int(0, 60) }] }),
    },
  } satisfies TopologyInput);
}

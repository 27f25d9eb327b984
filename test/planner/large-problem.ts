import { type TopologyInput, topologySchema } from '../../src/planner/topology-schema.ts';
import type { Random } from '../support/random.ts';
import { chainOf, type Problem } from './random-problem.ts';

/**
 * How short nodes are: `ample`: of nothing. `programs`: 10 % of the layers fill a program. `memory`: besides, most nodes hold
 * a fifth to all of the model. `starved`: a node holds 2 to 30 % of it, and near nodes tempt a walk to and fro.
 */
export const shortages = ['ample', 'programs', 'memory', 'starved'] as const;
export type Shortage = (typeof shortages)[number];

/** A network of many nodes, each linked to some before it and to some anywhere; a long chain of layers. */
export function largeProblem(
  r: Random,
  count: number,
  depth: number,
  shortage: Shortage,
  objective: NonNullable<TopologyInput['objective']>,
): Problem {
  const layers = Array.from({ length: depth }, () => ({
    macs: r.int(100, 5000),
    memory: r.int(100, 5000),
    instructions: r.int(10, 1000),
    bytes: r.int(1, 1400),
  }));
  const memory = layers.reduce((sum, l) => sum + l.memory, 0);
  const share = { ample: undefined, programs: undefined, memory: [20, 100], starved: [2, 30] }[shortage];
  const limits = { instructions: 100 * depth };
  const nodes = Array.from({ length: count }, (_, i): TopologyInput['nodes'][number] => ({
    name: `n${i}`,
    kind: r.pick(['edge', 'xdp', 'worker'] as const),
    load: r.next() * 0.8,
    price: r.int(0, 1000) / 1000,
    cost: { packetNs: r.int(0, 500), fixedNs: r.int(0, 300), macNs: 0.02 + r.next() },
    ...(shortage !== 'ample' && { limits }),
    ...(share !== undefined && { memory: Math.round((memory * r.int(share[0]!, share[1]!)) / 100) }),
  }));
  const links: TopologyInput['links'] = [];
  const link = (from: number, to: number, reach: number) =>
    links.push({ from: `n${from}`, to: `n${to}`, latencyUs: r.next() * reach, bandwidthMbps: 10_000 });
  for (let i = 1; i < count; i++) link(r.int(Math.max(0, i - 10), i - 1), i, 5);
  for (let k = 0; k < 2 * count; k++) {
    const from = r.int(0, count - 1);
    link(from, (from + r.int(1, count - 1)) % count, 10);
  }
  const cuts = Array.from({ length: depth + 1 }, (_, i) => i);
  const topology = topologySchema.parse({
    format: 'intransit-topology',
    version: 1,
    nodes,
    links,
    ingress: 'n0',
    egress: `n${count - 1}`,
    objective,
  } satisfies TopologyInput);
  return { chain: chainOf(layers, 784, cuts), layers, topology };
}

import { describe, expect, it } from 'vitest';
import { planChain } from '../../src/planner/plan.ts';
import { type TopologyInput, topologySchema } from '../../src/planner/topology-schema.ts';
import { random } from '../support/random.ts';
import { bruteForce } from './brute-force.ts';
import { chainOf, randomProblem } from './random-problem.ts';

/** Two layers of 300 and 100 bytes output, on a line of edge, host and cloud. */
const layers = [
  { macs: 1000, memory: 50, instructions: 10, bytes: 300 },
  { macs: 100, memory: 20, instructions: 5, bytes: 10 },
];
const chain = chainOf(layers, 200, [0, 1, 2]);
const cost = { macNs: 1 };

function report(
  change: Partial<TopologyInput>,
  nodes: Partial<TopologyInput['nodes'][number]>[] = [],
  mtu = 1500,
) {
  const names = ['edge', 'host', 'cloud'] as const;
  const kinds = ['edge', 'xdp', 'worker'] as const;
  const topology = topologySchema.parse({
    format: 'intransit-topology',
    version: 1,
    nodes: names.map((name, i) => ({ name, kind: kinds[i]!, zone: name, cost, ...nodes[i] })),
    links: [
      { from: 'edge', to: 'host', latencyUs: 10, bandwidthMbps: 1000, mtu },
      { from: 'host', to: 'cloud', latencyUs: 10, bandwidthMbps: 1000, mtu },
    ],
    ingress: 'edge',
    egress: 'cloud',
    ...change,
  } satisfies TopologyInput);
  return planChain(chain, topology, 't.json');
}

const refusals = (...args: Parameters<typeof report>) => {
  const { feasible, refusals } = report(...args);
  expect(feasible).toBe(false);
  return refusals;
};

describe('a plan that cannot exist', () => {
  it('for a worker on the only way says that it passes nothing on', () => {
    expect(refusals({}, [{}, { kind: 'worker', maxLayers: 0 }])).toContainEqual({
      constraint: 'forwarding',
      place: 'host',
      message: 'host is no device: it passes on no packet of which it computes nothing',
      lifting: 'alone',
    });
    expect(report({}, [{}, { kind: 'worker' }]).feasible).toBe(true);
    expect(report({}, [{}, { kind: 'v1model', maxLayers: 0 }]).feasible).toBe(true);
  });

  it('for the MTU names tensor, link and bytes', () => {
    const small = [{ memory: 0 }, {}, { memory: 0 }];
    const found = refusals({}, small, 250);
    expect(found).toContainEqual(
      expect.objectContaining({
        constraint: 'mtu',
        place: 'edge -> host',
        need: 260,
        limit: 250,
        lifting: 'alone',
      }),
    );
    expect(found.find((r) => r.constraint === 'mtu')!.message).toContain(
      'the MTU of edge -> host is 250: 10 too many',
    );
  });

  it('for the latency bound says by how much', () => {
    const [found, ...rest] = refusals({ objective: { minimise: 'cost', latencyUs: 15 } });
    expect(rest).toEqual([]);
    expect(found).toMatchObject({ constraint: 'latency', limit: 15, unit: 'us' });
    expect(found!.need).toBeGreaterThan(20);
  });

  it('for memory tells the least that is missing', () => {
    const found = refusals({}, [{ memory: 40 }, { memory: 45 }, { memory: 20 }]);
    expect(found).toContainEqual(
      expect.objectContaining({ constraint: 'memory', place: 'host', need: 50, limit: 45 }),
    );
  });

  it('for zones of the raw input', () => {
    const found = refusals({ constraints: { rawInput: ['edge'] } }, [{ memory: 0 }]);
    expect(found.map((r) => r.constraint)).toEqual(expect.arrayContaining(['raw input', 'memory']));
    expect(found[0]!.message).toContain('edge');
  });

  it('for an ingress outside the zone of the raw input', () => {
    const found = refusals({ constraints: { rawInput: ['cloud'] } });
    expect(found.every((r) => r.constraint === 'raw input')).toBe(true);
    expect(found.map((r) => r.place)).toContain('edge');
  });

  it('for pinned layers, allowed zones, most layers, headers, and load', () => {
    const none = [{ load: 1 }, { load: 1 }, { load: 1 }];
    const one = (r: ReturnType<typeof refusals>) => [...new Set(r.map((x) => x.constraint))];
    expect(one(refusals({}, none))).toEqual(['load']);
    expect(one(refusals({ constraints: { headers: [{ name: 'vxlan', bytes: 8 }] } }))).toEqual(['header']);
    expect(one(refusals({ constraints: { maxLayers: 0 } }))).toEqual(['layers']);
    const pinned = {
      layers: [
        { layers: 'l0', nodes: ['cloud'] },
        { layers: ['1..2'], zones: ['edge'] },
      ],
    };
    const oneWay = { from: 'edge', to: 'cloud', latencyUs: 1, bandwidthMbps: 1000, oneWay: true };
    expect(one(refusals({ constraints: pinned, links: [oneWay] }))).toEqual(
      expect.arrayContaining(['pin', 'zone']),
    );
  });

  it('for want of a link', () => {
    expect(refusals({ links: [] })).toMatchObject([{ constraint: 'walk', place: 'edge -> cloud' }]);
  });

  it('for several constraints at once says that they go together', () => {
    const found = refusals({ constraints: { headers: [{ name: 'vxlan', bytes: 8 }] } }, [
      { load: 1 },
      { load: 1 },
      { load: 1 },
    ]);
    expect(found.every((r) => r.lifting === 'together')).toBe(true);
    expect(new Set(found.map((r) => r.constraint))).toEqual(new Set(['load', 'header']));
  });

  it('always has a reason, and no plan that exists has one', () => {
    for (let seed = 0; seed < 300; seed++) {
      const problem = randomProblem(random(seed), 4, 4);
      const r = planChain(problem.chain, problem.topology, 't.json');
      expect(r.feasible).toBe(bruteForce(problem) !== undefined);
      expect(r.refusals.length > 0, `seed ${seed}`).toBe(!r.feasible);
      for (const node of r.nodes) expect(node.reason.length).toBeGreaterThan(5);
    }
  });
});

describe('reasons', () => {
  it('are true: without a node the best plan is as much slower as said', () => {
    const r = report({});
    const host = r.nodes.find((n) => n.role === 'computes')!;
    const index = r.nodes.indexOf(host);
    const without = report(
      {},
      [0, 1, 2].map((i) => (i === index ? { load: 1 } : {})),
    );
    const more = without.totals!.latencyUs - r.totals!.latencyUs;
    expect(host.reason).toContain(`${more.toFixed(3)} us slower`);
  });

  it('sum up: the parts of the latency are the whole', () => {
    for (let seed = 0; seed < 200; seed++) {
      const problem = randomProblem(random(seed), 4, 4);
      const { totals: t, steps } = planChain(problem.chain, problem.topology, 't.json');
      if (t === undefined) continue;
      expect(t.computeUs + t.linkUs + t.serialisationUs + t.packetUs).toBeCloseTo(t.latencyUs, 6);
      const layers = steps.flatMap((s) => (s.step === 'compute' ? s.layers.names : []));
      expect(layers).toEqual(problem.chain.layers);
    }
  });
});

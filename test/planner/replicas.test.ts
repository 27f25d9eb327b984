/** Several devices for the same layers: which, why no more, and that a packet may take any of them at each segment. */
import { describe, expect, it } from 'vitest';
import { type PlannedSegment, type PlanReport, planChain } from '../../src/planner/plan.ts';
import { type TopologyInput, topologySchema } from '../../src/planner/topology-schema.ts';
import { random as randomOf } from '../support/random.ts';
import { bruteForce } from './brute-force.ts';
import { chainOf, type Problem, randomProblem } from './random-problem.ts';

const segmentsOf = ({ steps }: PlanReport) => steps.filter((s): s is PlannedSegment => s.step === 'compute');
const holders = (s: PlannedSegment): readonly string[] => (s.replicas ?? [s]).map((r) => r.node);

/** A tiny model of two layers. */
const layer = { macs: 10, memory: 4, instructions: 1, bytes: 20 };
const chain = chainOf([layer, layer], 40, [0, 1, 2]);
const cost = { packetNs: 10, fixedNs: 10, macNs: 1 };
const node = (name: string, more: object = {}) => ({ name, kind: 'xdp', cost, ...more });
const link = (from: string, to: string, more: object = {}) => ({
  ...{ from, to, latencyUs: 1, bandwidthMbps: 10_000 },
  ...more,
});
const topology = (more: Partial<TopologyInput>) =>
  topologySchema.parse({
    ...{ format: 'intransit-topology', version: 1, ingress: 'in', egress: 'w', nodes: [], links: [] },
    ...more,
  } satisfies TopologyInput);

/** Ingress, three devices beside each other, and a worker behind them. */
const side = ['a', 'b', 'c'];
const diamond = (more: Partial<TopologyInput> = {}, own: Readonly<Record<string, object>> = {}) =>
  topology({
    nodes: [
      node('in', { maxLayers: 0, ...own.in }),
      ...side.map((name) => node(name, own[name])),
      { name: 'w', kind: 'worker', cost, ...own.w },
    ],
    links: side.flatMap((name, i) => [link('in', name, { latencyUs: 1 + i }), link(name, 'w')]),
    constraints: {
      layers: [
        { layers: '0..1', nodes: ['in', ...side] },
        { layers: '1..2', nodes: ['w'] },
      ],
    },
    ...more,
  });
const planOf = (t: ReturnType<typeof topology>) => planChain(chain, t, 't.json');

describe('replicas', () => {
  it('are none unless they are asked for', () => {
    const report = planOf(diamond());
    expect(segmentsOf(report)[0]).not.toHaveProperty('replicas');
    expect(report).not.toHaveProperty('tooFew');
  });

  it('are the next best places for the layers, each with how fast it is', () => {
    const report = planOf(diamond({ replicas: 2 }, { a: { load: 0.5 } }));
    const [first] = segmentsOf(report);
    expect(first!.replicas).toEqual([
      { node: 'a', kind: 'xdp', us: 0.04, price: 0, weight: 0.6 },
      { node: 'b', kind: 'xdp', us: 0.02, price: 0, weight: 1 },
    ]);
    expect(report.tooFew).toBeUndefined();
    const { latencyUs, slowestUs } = report.totals!;
    expect(slowestUs! - latencyUs).toBeCloseTo(1 - 0.02, 6);
    expect(report.nodes.map((n) => n.role)).toEqual([
      'forwards',
      'computes',
      'computes',
      'unused',
      'computes',
    ]);
  });

  it('are as many as there are, and the others are told of with constraint and amount', () => {
    const report = planOf(diamond({ replicas: 3 }, { b: { memory: 3 } }));
    expect(holders(segmentsOf(report)[0]!)).toEqual(['a', 'c']);
    expect(report.tooFew).toEqual([
      {
        layers: { from: 0, to: 1 },
        nodes: ['a', 'c'],
        wanted: 3,
        refusals: expect.arrayContaining([
          expect.objectContaining({ constraint: 'memory', place: 'b', need: 4, limit: 3 }),
        ]),
      },
    ]);
  });

  it('are too few for a plan below the least that is asked for', () => {
    const report = planOf(diamond({ replicas: 3, minReplicas: 3 }, { b: { memory: 3 } }));
    expect(report.feasible).toBe(false);
    const [own, ...others] = report.refusals;
    expect(own).toMatchObject({ constraint: 'replicas', need: 2, limit: 3, lifting: 'together' });
    expect(own!.message).toBe('layers 0..1 are to be on at least 3 devices, and can be on a, c: 1 too few');
    expect(others.map((r) => r.message)).toContain('memory on b: needs 4 bytes, limit 3, 1 too many');
  });

  it('keep the bound of latency, whichever a packet meets', () => {
    const objective = { minimise: 'cost', latencyUs: 3.5 } as const;
    const report = planOf(diamond({ replicas: 3, objective }));
    expect(holders(segmentsOf(report)[0]!)).toEqual(['a', 'b']);
    expect(report.totals!.slowestUs!).toBeLessThanOrEqual(3.5);
    const [late] = report.tooFew![0]!.refusals.filter((r) => r.place === 'c');
    expect(late!.message).toMatch(
      /with c answers take up to 4\.\d+ us, the latency bound is 3\.5 us: 0\.\d+ us/,
    );
  });

  it('stand beside each other: who is passed by on the way to another one would compute all', () => {
    const inRow = topology({
      nodes: [node('in', { maxLayers: 0 }), node('a'), node('b'), { name: 'w', kind: 'worker', cost }],
      links: [link('in', 'a'), link('a', 'b'), link('b', 'w')],
      constraints: {
        layers: [
          { layers: '0..1', nodes: ['a', 'b'] },
          { layers: '1..2', nodes: ['w'] },
        ],
      },
      replicas: 2,
    });
    const report = planOf(inRow);
    expect(holders(segmentsOf(report)[0]!)).toEqual(['a']);
    expect(report.tooFew![0]!.refusals.map((r) => r.message)).toContain(
      'jobs for b would pass a, or theirs pass b',
    );
  });

  it('move work from a node that all traffic passes, where others can share it', () => {
    const open = { in: { maxLayers: 2 } };
    expect(holders(segmentsOf(planOf(diamond({}, open)))[0]!)).toEqual(['in']);
    const report = planOf(diamond({ replicas: 3 }, open));
    expect(holders(segmentsOf(report)[0]!)).toEqual(['a', 'b', 'c']);
    // But not beyond the bound that the plan itself keeps.
    const objective = { minimise: 'cost', latencyUs: 2.1 } as const;
    const links = side.map((name) => link('in', name, { latencyUs: 1.5 }));
    const near = diamond(
      { replicas: 3, objective, links: [...links, ...side.map((s) => link(s, 'w')), link('in', 'w')] },
      open,
    );
    expect(holders(segmentsOf(planOf(near))[0]!)).toEqual(['in']);
  });

  it('are shared out evenly among segments, and go first to the one that has fewer choices', () => {
    const row = (name: string, more: object = {}) => node(name, { maxLayers: 1, ...more });
    const t = topology({
      nodes: [
        node('in', { maxLayers: 0 }),
        ...[row('a'), row('b'), row('x'), row('y', { memory: 4 })],
        { name: 'w', kind: 'worker', cost },
      ],
      links: ['a', 'b', 'x', 'y'].flatMap((n) => [
        ...[link('in', n), link(n, 'w')],
        ...['a', 'b', 'x', 'y'].filter((m) => m > n).map((m) => link(n, m)),
      ]),
      constraints: {
        layers: [
          { layers: '0..1', nodes: ['a', 'x', 'y'] },
          { layers: '1..2', nodes: ['b', 'x'] },
        ],
      },
      replicas: 2,
    });
    const report = planOf(t);
    expect(report.tooFew).toBeUndefined();
    expect(segmentsOf(report).map(holders)).toEqual([
      ['a', 'y'],
      ['b', 'x'],
    ]);
  });

  it('are no more than the nodes that a rule names', () => {
    const layers = [
      { layers: '0..1', nodes: ['a', 'b'] },
      { layers: '1..2', nodes: ['w'] },
    ];
    const report = planOf(diamond({ replicas: 3, minReplicas: 3, constraints: { layers } }));
    expect(holders(segmentsOf(report)[0]!)).toEqual(['a', 'b']);
    expect(report.tooFew).toBeUndefined();
  });

  it('stay those that were, when it is planned again', () => {
    const t = diamond({ replicas: 2 });
    const again = planChain(chain, t, 't.json', {
      kept: [
        { from: 0, to: 1, nodes: ['b', 'c'] },
        { from: 1, to: 2, nodes: ['w'] },
      ],
      held: ['b', 'c'],
    });
    expect(segmentsOf(again).map(holders)).toEqual([['b', 'c'], ['w']]);
    const alone = planChain(chain, t, 't.json', {
      kept: [
        { from: 0, to: 1, nodes: ['c'] },
        { from: 1, to: 2, nodes: ['w'] },
      ],
    });
    expect(segmentsOf(alone).map(holders)).toEqual([['c', 'a'], ['w']]);
  });
});

/** Whether a tensor gets from one node to another by way of devices, but of none of these; from the words of docs/plan.md alone. */
function isOpen(
  { chain: c, topology: t }: Problem,
  cut: number,
  ends: readonly [string, string],
  around: readonly string[],
) {
  const bytes = 20 + 8 + 32 + c.tensors[cut]!.bytes + t.constraints.headers.reduce((n, h) => n + h.bytes, 0);
  const zoneOf = (name: string) => t.nodes.find((n) => n.name === name)!.zone;
  const isAllowed = (name: string) => cut > 0 || (t.constraints.rawInput?.includes(zoneOf(name)) ?? true);
  const seen = new Set([ends[0]]);
  for (const at of seen) {
    const { kind } = t.nodes.find((n) => n.name === at)!;
    if (around.includes(at) || (at !== ends[0] && ['edge', 'worker'].includes(kind))) continue;
    for (const l of t.links) {
      if (bytes > l.mtu) continue;
      const next = l.from === at ? l.to : l.to === at && !l.oneWay ? l.from : undefined;
      if (next !== undefined && isAllowed(next)) seen.add(next);
    }
  }
  return seen.has(ends[1]);
}

interface Stop {
  readonly cut: number;
  readonly nodes: readonly string[];
}

/** Whether from each node of a stop each of the next can be reached, and not through another one of it. */
const areOpen = (problem: Problem, stops: readonly Stop[]): boolean =>
  stops.slice(1).every(({ cut, nodes }, i) =>
    stops[i]!.nodes.every((from) =>
      nodes.every((to) => {
        const around = nodes.filter((n) => n !== to);
        return !around.includes(from) && isOpen(problem, cut, [from, to], around);
      }),
    ),
  );

/** The problem with each segment on one node, and cut nowhere else. */
function pinned(problem: Problem, segments: readonly PlannedSegment[], nodes: readonly string[]): Problem {
  const { topology: t, layers, chain: c } = problem;
  const rules = segments.map(({ layers: l }, i) => ({ layers: `${l.from}..${l.to}`, nodes: [nodes[i]!] }));
  const cuts = [0, ...segments.map((s) => s.layers.to)];
  return {
    layers,
    chain: chainOf(layers, c.tensors[0]!.bytes, cuts),
    topology: { ...t, constraints: { ...t.constraints, layers: [...t.constraints.layers, ...rules] } },
  };
}

/** One of each. */
const combinations = (lists: readonly (readonly string[])[]): readonly (readonly string[])[] =>
  lists.reduce<readonly (readonly string[])[]>(
    (all, list) => all.flatMap((one) => list.map((name) => [...one, name])),
    [[]],
  );

describe('random problems', () => {
  it('have replicas of which any may be taken at each segment, and no device more', () => {
    let [shared, refused] = [0, 0];
    for (let seed = 0; seed < 300; seed++) {
      const random = randomOf(seed);
      const made = randomProblem(random, 6, 3);
      const replicas = random.int(2, 4);
      const problem = { ...made, topology: { ...made.topology, replicas } };
      const report = planChain(problem.chain, problem.topology, 't.json');
      // A node that computes twice has no replicas: pins cannot say so.
      const segments = segmentsOf(report);
      if (!report.feasible || new Set(segments.map((s) => s.node)).size < segments.length) continue;
      const groups = segments.map(holders);
      const cutOf = (from: number) => problem.chain.cuts.indexOf(from);
      const { ingress, egress, objective } = problem.topology;
      const stops = (of: readonly (readonly string[])[]): readonly Stop[] => [
        { cut: 0, nodes: [ingress] },
        ...segments.map((s, i) => ({ cut: cutOf(s.layers.from), nodes: of[i]! })),
        { cut: problem.chain.cuts.length - 1, nodes: [egress] },
      ];
      expect(new Set(groups.flat()).size, `${seed}`).toBe(groups.flat().length);
      const isShared = groups.some((g) => g.length > 1);
      // A plan alone may lead through a worker.
      if (isShared) expect(areOpen(problem, stops(groups)), `${seed}`).toBe(true);
      const { latencyUs, slowestUs = latencyUs } = report.totals!;
      for (const nodes of combinations(groups)) {
        const best = bruteForce(pinned(problem, segments, nodes));
        expect(best, `${seed} ${nodes}`).toBeDefined();
        if (objective.minimise === 'latency') expect(best!.ps / 1e6).toBeLessThanOrEqual(slowestUs + 1e-9);
      }
      if (objective.minimise === 'cost') expect(slowestUs).toBeLessThanOrEqual(objective.latencyUs);
      shared += groups.filter((g) => g.length > 1).length;
      for (const { layers, nodes, wanted, refusals } of report.tooFew ?? []) {
        expect(nodes.length).toBeLessThan(wanted);
        expect(wanted).toBeLessThanOrEqual(replicas);
        const i = segments.findIndex((s) => s.layers.from === layers.from);
        const free = problem.topology.nodes.filter(
          (n) => !['edge', 'worker'].includes(n.kind) && !groups.flat().includes(n.name),
        );
        expect(refusals).toHaveLength(free.length);
        refused += free.length;
        if (objective.minimise === 'cost') continue;
        for (const { name } of free) {
          const more = groups.map((g, j) => (j === i ? [...g, name] : g));
          const alone = segments.map((s, j) => (j === i ? name : s.node));
          const isPossible =
            areOpen(problem, stops(more)) && bruteForce(pinned(problem, segments, alone)) !== undefined;
          expect(isPossible, `${seed} ${name} for ${layers.from}..${layers.to}`).toBe(false);
        }
      }
    }
    expect(shared).toBeGreaterThan(8);
    expect(refused).toBeGreaterThan(20);
  });
});

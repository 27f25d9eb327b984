import { beforeAll, describe, expect, it } from 'vitest';
import { buildInstance } from '../../src/planner/build-instance.ts';
import type { Walk } from '../../src/planner/instance.ts';
import { overCommitted, solve } from '../../src/planner/solve.ts';
import type { Topology } from '../../src/planner/topology-schema.ts';
import { random } from '../support/random.ts';
import { type Best, bruteForce } from './brute-force.ts';
import { largeProblem, shortages } from './large-problem.ts';
import { type Problem, randomProblem } from './random-problem.ts';

const solved = ({ chain, topology }: Problem) => solve(buildInstance(chain, topology, 't.json'));

/** Smaller is better; no plan is worst. */
const rank = (t: Topology, walk: Walk | undefined): number =>
  walk === undefined ? Number.POSITIVE_INFINITY : t.objective.minimise === 'latency' ? walk.ps : walk.price;

const COUNT = 1000;
const small = (seed: number): Problem => randomProblem(random(seed), 4, 4);
/** What trying all walks finds, for the tests that want it; by seed. */
const optima: (Best | undefined)[] = [];
beforeAll(() => {
  for (let seed = 0; seed < COUNT; seed++) optima.push(bruteForce(small(seed)));
});

describe('the solver', () => {
  it('finds the optimum of 1,000 random problems that trying all walks finds', () => {
    const seen = { latency: 0, cost: 0, impossible: 0, watched: 0, twice: 0 };
    for (const [seed, best] of optima.entries()) {
      const problem = small(seed);
      const { walk, watched, proof } = solved(problem);
      expect(walk && { ps: walk.ps, price: walk.price }, `seed ${seed}`).toEqual(best);
      expect(proof.kind).toBe('optimal');
      if (best === undefined) seen.impossible++;
      else seen[problem.topology.objective.minimise]++;
      if (watched.length > 0) seen.watched++;
      const nodes = (walk?.steps ?? []).flatMap((s) => (s.kind === 'compute' ? [s.node] : []));
      if (new Set(nodes).size < nodes.length) seen.twice++;
    }
    // The problems are of all sorts, and some need the second thoughts.
    expect(Math.min(seen.latency, seen.cost, seen.impossible)).toBeGreaterThan(150);
    expect(Math.min(seen.watched, seen.twice)).toBeGreaterThan(5);
  });

  it('finds the same with the priced bound, which is for large problems', () => {
    for (const [seed, best] of optima.entries()) {
      const problem = small(seed);
      const instance = buildInstance(problem.chain, problem.topology, 't.json');
      const { walk, proof } = solve(instance, { first: 0 });
      expect(walk && { ps: walk.ps, price: walk.price }, `seed ${seed}`).toEqual(best);
      expect(proof.kind).toBe('optimal');
    }
  });

  it('gives the same plan each time, down to the choice among equals', () => {
    for (let seed = 0; seed < 50; seed++) {
      const again = () => solved(randomProblem(random(seed), 6, 5)).walk;
      expect(again()).toEqual(again());
    }
  });

  it('never gets worse by another link, less load, or one constraint less', () => {
    for (let seed = 0; seed < 300; seed++) {
      const r = random(seed);
      const problem = randomProblem(r, 5, 5);
      const { topology: t } = problem;
      const before = rank(t, solved(problem).walk);
      const name = () => r.pick(t.nodes).name;
      const [from, to] = [name(), name()];
      const link = { from, to, oneWay: true, latencyUs: r.next(), bandwidthMbps: 10_000, mtu: 1500 };
      const better: Topology[] = [
        { ...t, links: from === to ? t.links : [...t.links, link] },
        { ...t, nodes: t.nodes.map((n) => ({ ...n, load: n.load / 2 })) },
        { ...t, nodes: t.nodes.map((n) => ({ ...n, memory: undefined })) },
        { ...t, links: t.links.map((l) => ({ ...l, mtu: 9000 })) },
        { ...t, constraints: { ...t.constraints, rawInput: undefined } },
        { ...t, constraints: { ...t.constraints, layers: [] } },
      ];
      for (const [i, topology] of better.entries())
        expect(
          rank(t, solved({ ...problem, topology }).walk),
          `seed ${seed}, change ${i}`,
        ).toBeLessThanOrEqual(before);
    }
  });

  it('never has a plan when links are taken away that there was none with', () => {
    for (let seed = 0; seed < 200; seed++) {
      const problem = randomProblem(random(seed), 5, 4);
      const { topology: t } = problem;
      const before = rank(t, solved(problem).walk);
      const less = { ...t, links: t.links.filter((_, i) => i % 3 !== 0) };
      expect(rank(t, solved({ ...problem, topology: less }).walk)).toBeGreaterThanOrEqual(before);
    }
  });

  it.each(shortages)('plans 200 nodes x 50 layers, nodes being %s', (shortage) => {
    const problem = largeProblem(random(1), 200, 50, shortage, { minimise: 'latency' });
    const instance = buildInstance(problem.chain, problem.topology, 't.json');
    const { walk, proof } = solve(instance);
    expect(walk).toBeDefined();
    expect(overCommitted(instance, walk!)).toEqual([]);
    // Where it gives up, it says so with a bound below what it found.
    if (proof.kind === 'bound') expect(proof.bound).toBeLessThanOrEqual(walk!.ps);
    else expect(shortage).toBeDefined();
  });
});

import { describe, expect, it } from 'vitest';
import { buildInstance } from '../../src/planner/build-instance.ts';
import { solve } from '../../src/planner/solve.ts';
import { random } from '../support/random.ts';
import { bruteForce } from './brute-force.ts';
import { randomProblem } from './random-problem.ts';

describe('the solver', () => {
  it('finds the optimum of 1,000 random problems that trying all walks finds', () => {
    const seen = { latency: 0, cost: 0, impossible: 0, tracked: 0, revisits: 0 };
    for (let seed = 0; seed < 1000; seed++) {
      const problem = randomProblem(random(seed), 4, 4);
      const instance = buildInstance(problem.chain, problem.topology, 't.json');
      const { walk, tracked } = solve(instance);
      const best = bruteForce(problem);
      expect(walk && { ps: walk.ps, price: walk.price }, `seed ${seed}`).toEqual(best);
      if (best === undefined) seen.impossible++;
      else seen[problem.topology.objective.minimise]++;
      if (tracked.length > 0) seen.tracked++;
    }
    console.log(seen);
    expect(Math.min(seen.latency, seen.cost, seen.impossible)).toBeGreaterThan(150);
  });
});

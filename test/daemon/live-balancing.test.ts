/** Jobs that a device spreads over real workers of one address: an agent, and a BMv2. bench/balancing.ts has the figures. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { P4C, SWITCH } from '../../src/toolchain/p4c.ts';
import { cliArguments, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { BalancedNetwork } from './live/balanced.ts';
import { balance, type Spread, shardsLeaveOverloaded } from './live/balancing.ts';
import type { RawJobs, RawJobsReport } from './live/raw-jobs.ts';

const [JOBS, PER_SECOND, EACH_MS] = [400, 200, 3_000];

function expectRight({ sent, wrong, lost }: RawJobsReport): void {
  expect({ wrong, lost }).toEqual({ wrong: 0, lost: 0 });
  expect(sent).toBeGreaterThan(0);
}

/** Every job is with one worker, and the workers have what the service tells, but for the luck of so few jobs. */
function expectSpread({ seen, split, percent, told }: Spread): void {
  expectRight(seen);
  expect(split).toBe(0);
  expect(Object.keys(percent).sort()).toEqual(Object.keys(told).sort());
  for (const [worker, share] of Object.entries(told))
    expect(Math.abs(percent[worker]! - share)).toBeLessThan(8);
}

describeWith(loading, 'jobs of a service that has an address', () => {
  for (const [kind, tools] of [
    ['xdp', ['ethtool']],
    ['v1model', ['ethtool', P4C, SWITCH]],
  ] as const)
    describeWithTools(tools, `at ${kind}`, () => {
      const folder = testFolder();
      let network: BalancedNetwork;
      let jobs: RawJobs;

      beforeAll(async () => {
        const intransit = [process.execPath, ...cliArguments([])];
        network = new BalancedNetwork({ kind, folder, intransit, weights: [1, 2, 1, 2] });
        await network.begin(3);
        jobs = await network.jobs(JOBS, PER_SECOND);
        jobs.start();
      }, 300_000);
      afterAll(() => network?.close(), 60_000);

      test('stay with their worker; those of one that dies move alone, and to one that comes only its own', async () => {
        const { first, without, more, killed, came, others, ...times } = await balance(
          network,
          jobs,
          EACH_MS,
        );
        console.info(kind, times, first.percent, without.percent, more.percent);
        for (const spread of [first, without, more]) expectSpread(spread);
        expectRight(killed);
        expectRight(came);
        expect(others).toEqual([0, 0]);
      }, 240_000);

      test('leave a worker that is overloaded, and come back without swinging', async () => {
        const { seen, ...found } = await shardsLeaveOverloaded(network, jobs, 'w3', 3);
        console.info(kind, 'a worker is overloaded', found);
        expectRight(seen);
        expect(found.falls).toBe(0);
        expect(found.steps.length).toBeGreaterThan(2);
        const last = await jobs.stop();
        expect({ wrong: last.wrong, lost: last.lost }).toEqual({ wrong: 0, lost: 0 });
      }, 240_000);
    });
});

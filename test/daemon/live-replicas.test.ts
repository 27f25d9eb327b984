/** Devices that share the jobs of a service, two agents and a BMv2 behind an ingress: one dies under traffic, and comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cliArguments, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { answererOf, BalancedNetwork, THREE_REPLICAS } from './live/balanced.ts';
import { type ReplicaDeath, replicaDies, type Spread } from './live/balancing.ts';
import { hasBmv2 } from './live/network.ts';
import type { RawJobs, RawJobsReport } from './live/raw-jobs.ts';

const [JOBS, PER_SECOND, EACH_MS] = [400, 200, 3_000];
const [WORKERS, ALL] = [2, 5];

const expectRight = ({ wrong, lost, sent }: RawJobsReport): void => {
  expect({ wrong, lost }).toEqual({ wrong: 0, lost: 0 });
  expect(sent).toBeGreaterThan(0);
};

/** Every job is with one device, and devices have what the service tells, but for the luck of so few jobs. */
function expectSpread({ seen, split, percent, told }: Spread): void {
  expectRight(seen);
  expect(split).toBe(0);
  expect(Object.keys(percent).sort()).toEqual(Object.keys(told).sort());
  for (const [name, share] of Object.entries(told)) expect(Math.abs(percent[name]! - share)).toBeLessThan(8);
}

function expectAlone({ before, without, back, died, came, others, strangers }: ReplicaDeath): void {
  for (const spread of [before, without, back]) expectSpread(spread);
  expectRight(died);
  expectRight(came);
  expect({ others, strangers }).toEqual({ others: 0, strangers: 0 });
}

describeWith(loading, 'jobs of a service that three devices compute', () => {
  describeWithTools(
    ['ethtool'],
    `of which one is ${hasBmv2 ? 'a BMv2' : 'an agent too: BMv2 is not on the PATH'}`,
    () => {
      const folder = testFolder();
      let network: BalancedNetwork;
      let jobs: RawJobs;

      beforeAll(async () => {
        const intransit = [process.execPath, ...cliArguments([])];
        network = new BalancedNetwork({
          kind: 'xdp',
          folder,
          intransit,
          weights: [1, 1],
          replicas: THREE_REPLICAS,
        });
        await network.begin(WORKERS);
        jobs = await network.jobs(JOBS, PER_SECOND);
        jobs.start();
      }, 300_000);
      afterAll(() => network?.close(), 60_000);

      test.each([
        ['r2', 'forgets everything, and is given it again'],
        ['r1', 'finds what it held'],
      ])(
        'stay with their device; those of %s, which dies, move alone, and come back with it: it %s',
        async (name) => {
          const found = await replicaDies(network, jobs, name, ALL, EACH_MS);
          const { detectedMs, steeredMs, backMs, before, without } = found;
          console.info(name, { detectedMs, steeredMs, backMs }, before.percent, without.percent);
          expectAlone(found);
          expect(Object.keys(without.percent)).not.toContain(name);
        },
        240_000,
      );

      test('raw input that must stay in the zone of devices is dropped when all of these die, and no worker elsewhere sees it', async () => {
        await network.keepRawInput(['w0', 'w1']);
        const devices = THREE_REPLICAS.map((_, i) => `r${i + 1}`);
        for (const name of devices) await network.dieDevice(name);
        // Before the first device knows, requests go where nobody is.
        await sleep(2_000);
        jobs.mark();
        await sleep(1_000);
        const dark = jobs.mark();
        expect(dark.answered).toBe(0);
        expect(dark.retried).toBeGreaterThan(PER_SECOND);
        for (const name of devices) await network.startDevice(name);
        await network.shared(ALL);
        jobs.mark();
        await sleep(1_000);
        const again = jobs.mark();
        expectRight(again);
        const answerers = new Set([...again.workers.values()].flatMap((macs) => [...macs].map(answererOf)));
        expect([...answerers].sort()).toEqual(devices);
      }, 120_000);

      test('the last job has its answer', async () => {
        const { wrong, lost } = await jobs.stop();
        expect({ wrong, lost }).toEqual({ wrong: 0, lost: 0 });
      }, 60_000);
    },
  );
});

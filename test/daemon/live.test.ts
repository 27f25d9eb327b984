/** A network of real parts under jobs: a device dies, a worker is overloaded, the controller dies. bench/failover.ts has the figures. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cliArguments, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import type { Controller } from './live/controller.ts';
import type { JobsReport } from './live/jobs.ts';
import { hasBmv2, LiveNetwork, SERVICE } from './live/network.ts';
import {
  badVersionComes,
  classIsLimited,
  controllerDies,
  deviceDies,
  layerIsShared,
  versionComes,
  workerIsOverloaded,
} from './live/troubles.ts';

const what = `a network under jobs, ${hasBmv2 ? 'a BMv2 and two agents' : 'three agents: BMv2 is not on the PATH'}`;

/** No answer is wrong, and every job gets one. */
function expectRight({ begun, answered, wrong, lost }: JobsReport): void {
  expect({ wrong, lost }).toEqual({ wrong: 0, lost: 0 });
  expect(Math.min(begun, answered)).toBeGreaterThan(0);
}

describeWith(loading, what, () => {
  describeWithTools(['etcd', 'ethtool'], 'with a standby on etcd', () => {
    const folder = testFolder();
    let network: LiveNetwork;
    let first: Controller;
    let second: Controller;

    beforeAll(async () => {
      network = await LiveNetwork.lay({
        ...{ folder, perSecond: 200 },
        intransit: [process.execPath, ...cliArguments([])],
      });
      first = network.controllers[0]!;
      await network.describe(first);
      second = await network.startController();
      await network.startJobs();
    }, 240_000);
    afterAll(() => network?.close(), 60_000);

    test('a device dies: traffic is led around it, its layers move, and come back with it', async () => {
      const { without, back, ...times } = await deviceDies(network, first);
      console.info('a device dies', times);
      expectRight(without);
      expectRight(back);
    }, 180_000);

    test('a worker is overloaded: new jobs go elsewhere, and come back without swinging', async () => {
      const { seen, ...found } = await workerIsOverloaded(network, first);
      console.info('a worker is overloaded', found);
      expectRight(seen);
      expect(found.falls).toBe(0);
      expect(found.steps.length).toBeGreaterThan(2);
      expect(seen.given['Worker/w2']).toBeGreaterThan(seen.given['Worker/w1'] ?? 0);
    }, 240_000);

    test('a service is limited: what is beyond is shed, and its workers answer', async () => {
      const { seen, ...rates } = await classIsLimited(network, first, 50);
      console.info('a service is limited', rates);
      expectRight(seen);
      // Counts are a second old at most, at either end.
      expect(rates.computed).toBeLessThan(65);
      // A busy machine begins fewer jobs.
      expect(Math.min(rates.computed, rates.shed)).toBeGreaterThan(5);
    }, 120_000);

    test('a layer is shared by two devices, and one of them dies: jobs keep to the shares, and then to the other', async () => {
      const { shared, alone, ...found } = await layerIsShared(network, first);
      console.info('a layer is shared', found);
      expectRight(shared);
      expectRight(alone);
      expect(found.told).toBeGreaterThan(60);
      expect(Math.abs(found.percent - found.told)).toBeLessThan(8);
    }, 180_000);

    test('the controller dies: jobs hear nothing of it, and whoever leads next changes nothing', async () => {
      let leader = first;
      for (const when of ['once', 'again, before one that was started anew']) {
        const standby = leader === first ? second : await network.startController();
        const { seen, takenOverMs, foundMs, ...found } = await controllerDies(network, leader, standby);
        console.info('the controller dies', when, { takenOverMs, foundMs });
        expectRight(seen);
        expect(found).toEqual({ changed: [], isUntold: true });
        leader = standby;
      }
    }, 180_000);

    test('a version is tried by a share of the jobs and goes to all, and one that is late is taken back', async () => {
      const leader = network.controllers.at(-1)!;
      const { seen, share, ...times } = await versionComes(network, leader, 2);
      console.info('a version comes', { share, ...times });
      expectRight(seen);
      expect(share).toBeCloseTo(0.2, 1);
      expect(seen.versions[2]).toBeGreaterThan(seen.versions[1]! / 10);
      const { seen: tried, reason, ...found } = await badVersionComes(network, leader, 3);
      console.info('a version that is late', { reason, ...found });
      expectRight(tried);
      expect(reason).toMatch(/of its answers take up to/);
      expect(tried.versions[3]).toBeGreaterThan(0);
      // A drain of 500 ms, and not until something else happens.
      expect(found.goneMs).toBeLessThan(15_000);
      await leader.isAt(SERVICE, 2);
    }, 240_000);

    test('the last job has its answer', async () => {
      const { wrong, lost } = await network.stopJobs();
      expect({ wrong, lost }).toEqual({ wrong: 0, lost: 0 });
    }, 60_000);
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { models } from '../../src/backends/common/table-model.ts';
import { testFolder } from '../support/io.ts';
import type { WatchProcess } from '../support/watch-events.ts';
import { Deployment, startTraffic, tell } from './path.ts';
import { describeTestbed, hasBmv2 } from './suite.ts';
import type { SwitchKind, Testbed } from './testbed.ts';
import { startWorker } from './worker.ts';

const folder = testFolder();
const NAME = 'traffic-mlp';
const chain = { s1: { layers: '0..1' }, s2: { layers: '1..2' }, s3: { layers: '2..3' } };

/** No wrong answer, and no lost one, whatever happened meanwhile. */
const exact = { wrong: 0, lost: 0 };

/** Waits until a device has computed so many more. */
async function underTraffic(testbed: Testbed, name: string, packets = 300): Promise<void> {
  const computed = async () => (await testbed.outcomes(name)).computed;
  const before = await computed();
  for (const end = Date.now() + 60_000; (await computed()) < before + packets; await sleep(20))
    if (Date.now() > end) throw new Error(`no traffic at ${name}`);
}

/** A switch of BMv2 is the wire: without it nothing passes. It comes back empty. */
describeTestbed('a switch dies', 'chain', ['bmv2', 'bmv2', 'bmv2'], (testbed) => {
  let watch: WatchProcess;
  beforeAll(async () => {
    watch = await new Deployment(testbed(), folder, NAME, chain).watch();
  });
  afterAll(() => watch?.child.kill('SIGKILL'));

  test.each(['s1', 's2', 's3'])(
    '%s is killed under traffic, and gets its layers from deploy --watch',
    async (name) => {
      const traffic = startTraffic(testbed(), NAME);
      await underTraffic(testbed(), name);
      await testbed().tell('kill', name);
      await testbed().tell('start', name);
      const { report: restored, ms } = await watch.events.next('restored', name);
      await underTraffic(testbed(), name);
      const report = await traffic.stop();
      tell(testbed(), `${name} killed and brought back within ${Math.round(ms)} ms of its return`, report);
      expect(report).toMatchObject(exact);
      // Far above what it takes: that it comes back at all, on a machine that does other work beside.
      expect(report.longestPauseMs).toBeLessThan(30_000);
      // Nobody touched the others.
      expect(restored.devices.map((d) => d.name)).toEqual([name]);
      expect(watch.events.rest.filter((e) => e.event !== 'primary')).toEqual([]);
    },
  );

  test('it ends when it is told to, and leaves the switches as they are', async () => {
    expect(await watch.stop()).toMatchObject({ code: 0 });
    const traffic = startTraffic(testbed(), NAME);
    for (const name of Object.keys(chain)) await underTraffic(testbed(), name);
    expect(await traffic.stop()).toMatchObject(exact);
  });
});

/** What an agent has loaded stays in the kernel, so its death stops nothing. */
describeTestbed('an agent dies', 'chain', ['xdp', 'xdp', 'xdp'], (testbed) => {
  test('the kernel goes on, whichever is killed, and each takes over what is there', async () => {
    const watch = await new Deployment(testbed(), folder, NAME, chain).watch();
    const traffic = startTraffic(testbed(), NAME);
    for (const name of ['s1', 's2', 's3']) {
      await underTraffic(testbed(), name);
      const { computed } = await testbed().outcomes(name);
      await testbed().tell('kill', name);
      await sleep(500);
      await testbed().tell('start', name);
      expect((await watch.events.next('restored', name)).report.outcome).toBe('unchanged');
      // Its counters went on without it.
      expect((await testbed().outcomes(name)).computed).toBeGreaterThan(computed + 200);
    }
    const report = await traffic.stop();
    tell(testbed(), 'the agents of s1, s2 and s3 killed and brought back', report);
    expect(report).toMatchObject(exact);
    expect(await watch.stop()).toMatchObject({ code: 0 });
  });
});

const mixed: readonly SwitchKind[] = hasBmv2 ? ['bmv2', 'xdp', 'bmv2'] : ['xdp', 'xdp', 'xdp'];

/** A device that holds no version passes requests on untouched; whoever is behind finishes them. */
describeTestbed('a device stops computing', 'chain', mixed, (testbed) => {
  let deployment: Deployment;
  let stop = async (): Promise<void> => {};
  beforeAll(async () => {
    deployment = new Deployment(testbed(), folder, NAME, chain);
    await deployment.apply();
    stop = await startWorker(testbed(), 'h2', NAME);
  });
  afterEach(() => deployment.apply());

  test.each(['s1', 's2', 's3'])('without %s the worker finishes, and no answer is lost', async (name) => {
    const traffic = startTraffic(testbed(), NAME);
    await underTraffic(testbed(), name);
    await testbed().with(name, {}, async (client) => {
      await client.connect();
      await client.delete(await client.readAll([{ tableEntry: { tableId: models.id } }]));
    });
    await sleep(1000);
    await deployment.apply();
    await underTraffic(testbed(), name);
    const report = await traffic.stop();
    tell(testbed(), `${name} without its layers for a second`, report);
    expect(report).toMatchObject(exact);
    expect(report.byWorker).toBeGreaterThan(300);
    expect(report.byNetwork).toBeGreaterThan(300);
  });

  test('the worker ends when it is told to', () => stop());
});

const diamond: readonly SwitchKind[] = hasBmv2
  ? ['bmv2', 'bmv2', 'bmv2', 'bmv2']
  : ['xdp', 'xdp', 'xdp', 'xdp'];

/** Requests go by s3, all else, the answers among it, by s2. */
describeTestbed('a branch dies', 'diamond', diamond, (testbed) => {
  const middle = { layers: '1..2' };
  const by = (branch: string) => ({
    s1: { layers: '0..1', steer: { 1: branch } },
    s2: middle,
    s3: middle,
    s4: { layers: '2..3' },
  });

  test('requests are steered round it, and back', async () => {
    const deployment = new Deployment(testbed(), folder, NAME, by('s3'));
    await deployment.apply();
    const traffic = startTraffic(testbed(), NAME);
    await underTraffic(testbed(), 's3');
    await testbed().cut('s3');
    const { s3: _, ...rest } = by('s2');
    deployment.write(rest);
    await deployment.apply();
    await underTraffic(testbed(), 's2');
    await testbed().mend('s3');
    deployment.write(by('s3'));
    await deployment.apply();
    await underTraffic(testbed(), 's3');
    const report = await traffic.stop();
    tell(testbed(), 's3 dead, steered round', report);
    expect(report).toMatchObject(exact);
  });
});

/** What the daemon sees of traffic: counts of devices and workers, over windows, whatever begins anew. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, test } from 'vitest';
import { countsOf, measuredBy, quantileUs, since } from '../../src/daemon/sight/distribution.ts';
import { Poller } from '../../src/daemon/sight/poller.ts';
import { Sight } from '../../src/daemon/sight/sight.ts';
import { Tally } from '../../src/daemon/sight/tally.ts';
import { latencyBoundsUs, VersionMeasures } from '../../src/doors/measures.ts';
import { CONTROL_FORMAT } from '../../src/doors/worker-protocol.ts';
import { createSender } from '../../src/ends/edge/index.ts';
import { importModel } from '../../src/import/index.ts';
import { encodeFrame, encodePacket, requestPacket } from '../../src/wire/index.ts';
import { startOn } from '../agent/controller.ts';
import { layNetwork } from '../agent/network.ts';
import { smallModel } from '../controller/files.ts';
import { addresses } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { scenes } from './scene.ts';

const { network, worker, files } = scenes();

describe('counts', () => {
  it('have rates over 10 s, and none below 0 where a source begins anew', () => {
    const tally = new Tally('begin at 0');
    for (const [s, n] of [100, 110, 130, 130, 5, 25].entries()) tally.add([['a', n]], 1000 * s);
    // 10 and 20, then a restart with 5 and 20 more.
    expect(tally.rise('a', 5000)).toBe(55);
    expect(tally.rate('a', 5000)).toBe(11);
    expect(tally.total('a')).toBe(155);
    // What is older than the window is forgotten.
    tally.add([['a', 25]], 14_500);
    expect(tally.rise('a', 14_500)).toBe(20);
  });

  it('of a cell that was another version before are known from then on', () => {
    const [cells, own] = [new Tally('are known from then on'), new Tally('begin at 0')];
    for (const tally of [cells, own]) {
      tally.add([['1/1', 50]], 0);
      tally.add([['1/2', 70]], 1000);
      tally.add([['1/2', 71]], 2000);
    }
    expect([cells.rise('1/2', 2000), own.rise('1/2', 2000)]).toEqual([1, 71]);
  });

  it('of latencies give quantiles that are right to a bucket', () => {
    const r = random(5);
    const all = Array.from({ length: 5000 }, () => 80 * 10 ** (r.int(0, 3000) / 1000));
    const measures = new VersionMeasures();
    for (const us of all) measures.answer(us, 3);
    const counts = new Map(countsOf('1/1', measures.document()));
    const measured = measuredBy('1/1', (name) => counts.get(name) ?? 0);
    expect(measured).toMatchObject({ answered: 5000, margins: 5000, marginSum: 15_000 });
    const sorted = all.toSorted((a, b) => a - b);
    for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
      const [exact, found] = [sorted[Math.ceil(5000 * share) - 1]!, quantileUs(measured, share)!];
      expect(found / exact).toBeGreaterThan(0.84);
      expect(found / exact).toBeLessThan(1.2);
    }
    expect(quantileUs(since(measured, measured), 0.5)).toBeUndefined();
    // Beyond the last bound nothing is known.
    measures.answer(1e9);
    expect(measures.document().latency).toHaveLength(latencyBoundsUs.length + 1);
  });

  it('of a version that only fails are heard of', () => {
    const [sight, measures] = [new Sight(), new VersionMeasures()];
    const tell = (versions: readonly number[]) =>
      sight.worker('w', {
        ...{ format: CONTROL_FORMAT, version: 1, instance: 'i' },
        models: versions.map((version) => ({
          ...{ modelId: 7, current: 1 },
          versions: [
            { version, digest: '', layerCount: 1, engines: [], answered: 0, measures: measures.document() },
          ],
        })),
      });
    tell([]);
    tell([1]);
    measures.fail(30);
    tell([1]);
    expect(sight.versions(7)).toEqual([1]);
    expect(sight.measuredAt('worker', 7, 1, 'window')).toMatchObject({ answered: 0, failed: 30 });
  });

  test('of many are read one at a time each, at times of their own, and on after failures', async () => {
    let most = 0;
    const reads = new Map<string, { count: number; open: number }>();
    const poller = new Poller(() =>
      Array.from({ length: 5 }, (_, i) => ({
        name: `d${i}`,
        isReady: i !== 4,
        read: async () => {
          const own = reads.get(`d${i}`) ?? { count: 0, open: 0 };
          reads.set(`d${i}`, own);
          own.count++;
          most = Math.max(most, ++own.open);
          await sleep(20);
          own.open--;
          if (i === 0) throw new Error('by the test');
          return true;
        },
      })),
    );
    await expect
      .poll(() => Math.min(...[...reads.values()].map((r) => r.count)), { timeout: 60_000 })
      .toBe(2);
    poller.close();
    expect([...reads.keys()].sort()).toEqual(['d0', 'd1', 'd2', 'd3']);
    expect(most).toBe(1);
  });
});

test('a worker tells how long its answers took, and what it refused', async () => {
  const w = await worker();
  const net = network();
  await net.apply(
    ['Worker', 'w', { control: w.control }],
    ['Model', 'small', { id: 7 }],
    await net.version('small', 1, files[0]!),
    ['Service', 's', { model: 'small' }],
  );
  const reconciler = net.start();
  await net.until('Worker', 'w', ({ status }) => status.state === 'in sync');
  // Without a device nothing is placed: but the worker tells of itself.
  const { model } = await importModel(files[0]!);
  await w.worker.load({ model, modelId: 9 });
  w.worker.makeCurrent(9, 1);
  const to = { host: '127.0.0.1', port: w.worker.port };
  const sender = await createSender({ model, to, modelId: 9, rate: 200 });
  const other = await createSender({ model, to, modelId: 10, retries: 0, timeoutMs: 100 });
  await sender.send(new Uint8Array(4 * 300));
  await other.send(new Uint8Array(4));
  await Promise.all([sender.close(), other.close()]);
  const { status } = await net.until('Worker', 'w', (o) => (o.status.load?.computedPerSecond ?? 0) > 10);
  expect(status.load).toMatchObject({ utilisation: expect.any(Number), queue: expect.any(Number) });
  expect(status.metrics).toContainEqual(expect.objectContaining({ metric_type: 'service_rate', level: 0 }));
  expect(status.metrics).toContainEqual(expect.objectContaining({ level: 2 }));
  await expect
    .poll(() => reconciler.metrics())
    .toContain('intransit_worker_refused_total{worker="w",reason="unknown_model"} 1');
  expect(reconciler.metrics()).toMatch(/intransit_worker_overloaded\{worker="w"\} [01]\n/);
});

describeWith(loading, 'an agent under traffic', () => {
  test('is read, told of, and read on after a start from nothing', async () => {
    using veths = layNetwork(2);
    let agent = await startOn(veths);
    const w = await worker();
    const net = network({ probeMs: 300 });
    try {
      await net.apply(
        [
          'Device',
          'd',
          {
            target: 'xdp',
            address: agent.address,
            forwarding: { ports: [{ ingress: 1, egress: 2 }], routes: [] },
          },
        ],
        ['Worker', 'w', { control: w.control }],
        ['Link', 'd-w', { from: { node: 'd', port: 2 }, to: { node: 'w' } }],
        ['Model', 'small', { id: 7 }],
        await net.version('small', 1, files[0]!),
        [
          'Service',
          's',
          { model: 'small', ingress: 'd', policy: { layers: [{ layers: '0..2', nodes: ['d'] }] } },
        ],
      );
      const reconciler = net.start();
      await net.until('Device', 'd', (o) => o.status.state === 'in sync', 120_000);
      const row = new Uint8Array(4);
      let sent = 0;
      const packet = (modelId: number) =>
        encodeFrame(
          addresses,
          encodePacket(
            requestPacket(row, {
              ...{ modelId, modelVersion: 0, layerCount: smallModel().layers.length, nextLayer: 0 },
              ...{ element: 'uint8', jobId: 1n, sequence: sent++ },
            }),
          ),
        );
      const sendOnce = () => {
        for (let i = 0; i < 3; i++) veths.ports[0]!.socket.send(packet(i === 2 ? 8 : 7));
      };
      // For as long as it takes to be seen, on a machine that does other work beside.
      const sendUntil = async (isSeen: () => Promise<boolean>) => {
        for (let i = 1; i % 50 !== 0 || !(await isSeen()); i++) {
          sendOnce();
          await sleep(20);
        }
      };
      await sendUntil(async () => ((await net.status('Device', 'd')).load?.computedPerSecond ?? 0) > 1);
      const { load } = await net.status('Device', 'd');
      // Two of three were for the model that is here.
      expect(load!.computedPerSecond! / load!.passedPerSecond!).toBeGreaterThan(1.5);
      expect(load!.computedPerSecond! / load!.passedPerSecond!).toBeLessThan(2.5);
      expect(load!.shedPerSecond).toBe(0);
      await sendUntil(async () => {
        const [service, placement] = [await net.status('Service', 's'), await net.status('Placement', 's')];
        expect(service.latency?.by).toBeUndefined();
        return (
          (service.rates?.networkPerSecond ?? 0) > 0 && (placement.segments?.[0]?.computedPerSecond ?? 0) > 0
        );
      });
      const counted = () =>
        Number(
          /intransit_inferences_total\{device="d",model="7",version="1",outcome="computed"\} (\d+)/.exec(
            reconciler.metrics(),
          )?.[1],
        );
      await expect.poll(counted, { timeout: 60_000 }).toBe((2 * sent) / 3);
      expect(reconciler.metrics()).toContain(
        `intransit_device_packet_reasons_total{device="d",reason="unknown_model"} ${sent / 3}`,
      );
      expect(reconciler.metrics()).toContain('intransit_table_entries{device="d",table="models"} 2');
      // All that it counted is gone with its data plane.
      const before = sent;
      await agent.remove();
      await net.condition('Device', 'd', 'Reachable', 'Lost');
      agent = await startOn(veths);
      await net.until('Device', 'd', (o) => o.status.state === 'in sync', 120_000);
      for (let i = 0; i < 50; i++) sendOnce();
      await expect.poll(counted, { timeout: 60_000 }).toBeGreaterThan((2 * before) / 3);
      expect(counted()).toBeLessThanOrEqual((2 * sent) / 3);
      const rates = (await net.status('Device', 'd')).load!;
      for (const rate of [rates.computedPerSecond, rates.passedPerSecond])
        expect(rate).toBeGreaterThanOrEqual(0);
    } finally {
      await net.stop();
      await agent.remove();
    }
  });
});

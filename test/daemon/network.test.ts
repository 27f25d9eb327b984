import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { models, slotMeter, steer } from '../../src/backends/common/table-model.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { psaTarget } from '../targets/psa/target.ts';
import { psaDevice } from './network-support.ts';
import { intruder, scenes, splitService } from './scene.ts';

const { files, device, scene } = scenes();

describe('the network', () => {
  test('a service is placed, installed from the end of its path, and told of', async () => {
    const { net, w, d1 } = await scene();
    const placement = await net.spec('Placement', 's');
    expect(placement.segments.map((s) => [s.node, s.layers])).toEqual([
      ['d1', '0..1'],
      ['d2', '1..2'],
    ]);
    const status = await net.status('Device', 'd1');
    expect(status.models).toMatchObject([
      { modelId: 7, current: 1, versions: [{ version: 1, layers: '0..1' }] },
    ]);
    expect(status.conditions.map((c) => [c.type, c.status])).toEqual([
      ['Reachable', 'True'],
      ['Ready', 'True'],
    ]);
    // A worker finishes whatever the devices leave.
    expect(w.worker.held()).toMatchObject([{ modelId: 7, current: 1 }]);
    const steered = d1.device.applied.filter((c) => c.entity.tableEntry?.tableId === steer.id);
    expect(steered).toHaveLength(2);
    const reasons = (await net.events({ kind: 'Device', name: 'd1' })).map((e) => e.reason);
    expect(reasons).toEqual([
      ...['Created', 'Reached', 'Changing', 'ProgramDone', 'Changing', 'WeightsDone', 'VersionDone'],
      ...['Changing', 'CurrentDone', 'Changing', 'ForwardingDone'],
    ]);
    expect((await net.status('Service', 's')).version).toBe(1);
  });

  test('one that is started anew finds everything, and writes nothing', async () => {
    const { net, writes } = await scene();
    await net.stop();
    writes();
    const before = (await net.events()).length;
    net.start();
    await sleep(1000);
    await net.inSync('d1', 'd2');
    expect(writes()).toEqual([0, 0]);
    const since = (await net.events()).slice(before).map((e) => e.reason);
    expect(new Set(since)).toEqual(new Set(['Leading', 'Reached']));
  });

  test('what is not as it was left is found by reading back, and mended', async () => {
    const { net, d2 } = await scene({ readbackMs: 300 });
    // Without a primary of its own above the daemon's: as a fault of the device's own would.
    await intruder(d2, async (client) => {
      const all = await client.readAll([{ tableEntry: {} }, { tableEntry: { isDefaultAction: true } }]);
      await client.delete(
        all.filter((e) => e.tableEntry?.tableId === models.id && !e.tableEntry.isDefaultAction),
      );
      // A changed default action too.
      const weights = all.filter(
        (e) => e.tableEntry?.isDefaultAction && e.tableEntry.action?.action?.params?.length,
      );
      await client.modify(weights.map((e) => ({ tableEntry: { ...e.tableEntry!, action: undefined! } })));
    });
    await net.until(
      'Device',
      'd2',
      ({ status }) => status.models?.some((m) => m.current === 1) === true && status.state === 'in sync',
    );
    await expect
      .poll(async () => (await net.events({ kind: 'Device', name: 'd2' })).map((e) => e.reason), {
        timeout: 60_000,
      })
      .toContain('TakenOver');
    await expect
      .poll(
        async () =>
          (await net.events({ kind: 'Device', name: 'd2' })).filter((e) => e.reason === 'WeightsDone'),
        {
          timeout: 60_000,
        },
      )
      .toHaveLength(2);
  });

  test('a class limits a service on every device; what is changed there is mended', async () => {
    const { net, d1, d2 } = await scene({ readbackMs: 300 });
    const slotsLimited = async ({ address }: typeof d1) => {
      // Only looks: nobody is displaced.
      const client = new P4Client({ address, deviceId: 1n, electionId: 0n, ...psaTarget.device });
      try {
        await client.connect();
        const read = await client.readAll([{ meterEntry: { meterId: slotMeter.id } }]);
        return read.flatMap(({ meterEntry: m }) =>
          m?.config ? [[Number(m.index?.index ?? 0), Number(m.config.pir), Number(m.config.pburst)]] : [],
        );
      } finally {
        client.close();
      }
    };
    const settled = async (expected: unknown) => {
      for (const node of [d1, d2])
        await expect.poll(() => slotsLimited(node), { timeout: 20_000, interval: 300 }).toEqual(expected);
    };
    await settled([]);
    await net.apply(['Service', 's', { ...splitService, class: { inferencesPerSecond: 500 } }]);
    await settled([[0, 500, 50]]);
    await intruder(d2, (client) =>
      client.modify([{ meterEntry: { meterId: slotMeter.id, index: { index: 0 } } }]).then(() => undefined),
    );
    await settled([[0, 500, 50]]);
    await net.apply(['Service', 's', splitService]);
    await settled([]);
  });

  test('a device that refuses keeps its last good version, and says so', async () => {
    const { net, d2 } = await scene();
    d2.device.refuses = ({ entity }) => entity.tableEntry?.isDefaultAction === true;
    await net.apply(await net.version('small', 2, files[1]!));
    const { status } = await net.condition('Device', 'd2', 'Ready', 'NotReconciled');
    expect(status.conditions.find((c) => c.type === 'Ready')?.message).toContain('refused by the test');
    for (const name of ['d1', 'd2'] as const)
      await net.until('Device', name, (d) => d.status.models?.[0]?.current === 1);
    expect((await net.status('Service', 's')).version).toBe(1);
    d2.device.refuses = () => false;
    await net.until('Service', 's', (s) => s.status.version === 2);
  });

  test('a device that is lost is led around, and brought back alone', async () => {
    const { net, d1, d2, w } = await scene();
    const lost = performance.now();
    await d2.server.close();
    await net.condition('Device', 'd2', 'Reachable', 'Lost');
    // Layers that it had are left to the worker.
    await expect
      .poll(() => d1.device.applied.filter((c) => c.entity.tableEntry?.tableId === steer.id).length, {
        timeout: 5000,
      })
      .toBeGreaterThan(2);
    expect(performance.now() - lost).toBeLessThan(5000);
    await net.until('Placement', 's', (p) => p.spec.segments.some((s) => s.node === 'w'));
    expect(w.worker.held()[0]!.current).toBe(1);
    expect((await net.events({ kind: 'Service', name: 's' })).map((e) => e.reason)).toContain('Moved');
  });

  test('another device under the same name gets what the first one had', async () => {
    const { net } = await scene();
    const other = await device();
    await net.apply(psaDevice('d2', other));
    await expect.poll(() => other.device.commits, { timeout: 60_000 }).toBe(1);
    await net.until(
      'Device',
      'd2',
      ({ status }) => status.state === 'in sync' && status.models?.[0]?.current === 1,
    );
  });
});

describe('a rollout', () => {
  test('goes by steps that are written down, and is complete', async () => {
    const { net, w } = await scene();
    // The service names the version that it has: a rollout moves it.
    await net.apply(await net.version('small', 2, files[1]!), [
      'Rollout',
      'r',
      { service: 's', version: 2, drainMs: 50 },
    ]);
    await net.until('Rollout', 'r', ({ status }) => status.phase === 'complete');
    const reasons = (await net.events({ kind: 'Rollout', name: 'r' })).map((e) => e.reason);
    expect(reasons).toEqual(['Created', 'Installing', 'Flipping', 'Draining', 'Removing', 'Complete']);
    const { status } = await net.until('Device', 'd1', (d) => d.status.models?.[0]?.versions.length === 1);
    expect(status.models?.[0]).toMatchObject({ current: 2, versions: [{ version: 2 }] });
    await expect
      .poll(() => w.worker.held()[0]!.versions.map((v) => v.version), { timeout: 5000 })
      .toEqual([2]);
    expect((await net.status('Service', 's')).version).toBe(2);
  });

  test('is paused beside the current version, resumed after a restart, and taken back', async () => {
    const { net } = await scene();
    const both = ({
      status,
    }: {
      status: { models?: { current?: number | undefined; versions: unknown[] }[] | undefined };
    }) => status.models?.[0]?.versions.length === 2 && status.models[0].current === 1;
    await net.apply(await net.version('small', 2, files[1]!), [
      'Rollout',
      'r',
      { service: 's', version: 2, drainMs: 50, paused: true },
    ]);
    await sleep(300);
    expect((await net.status('Rollout', 'r')).phase).toBeUndefined();
    // In the middle of it the daemon ends.
    await net.apply(['Rollout', 'r', { service: 's', version: 2, drainMs: 50 }]);
    await net.until('Rollout', 'r', ({ status }) => status.phase !== undefined);
    await net.stop();
    net.start();
    await net.until('Rollout', 'r', ({ status }) => status.phase === 'complete');
    await net.apply(['Rollout', 'r', { service: 's', version: 2, drainMs: 50, rollback: true }]);
    await net.until('Rollout', 'r', ({ status }) => status.phase === 'rolled back');
    await net.until('Device', 'd1', ({ status }) => status.models?.[0]?.current === 1 && !both({ status }));
    expect((await net.status('Service', 's')).version).toBe(1);
  });

  test('that a device refuses fails, and the version before goes on', async () => {
    const { net, d2 } = await scene();
    d2.device.refuses = ({ type, entity }) => type === 'MODIFY' && entity.tableEntry?.tableId === models.id;
    await net.apply(await net.version('small', 2, files[1]!), [
      'Rollout',
      'r',
      { service: 's', version: 2, drainMs: 50 },
    ]);
    const failed = await net.until('Rollout', 'r', ({ status }) => status.phase === 'failed');
    expect(failed.status.previous).toBe(1);
    d2.device.refuses = () => false;
    await net.inSync('d1', 'd2');
    expect((await net.status('Device', 'd1')).models?.[0]).toMatchObject({ current: 1 });
  });
});

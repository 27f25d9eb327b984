import { mkdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { steer } from '../../src/backends/common/table-model.ts';
import { openSqlite, type Store, StoreUnavailable } from '../../src/daemon/store/index.ts';
import { Fault, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { FaultyDevice, type MemoryNode } from '../controller/support.ts';
import { psaDevice } from './network-support.ts';
import { scenes } from './scene.ts';

const { files, folder, open, device, worker, scene } = scenes();

/** A server of one device at an address. */
async function serve(device: FaultyDevice, address: string): Promise<P4RuntimeServer> {
  const server = new P4RuntimeServer();
  server.addDevice(device, { deviceId: 1n });
  await server.listen({ address });
  open.push({ close: () => server.close() });
  return server;
}

/** Between a controller and a device: it can fall silent without a word, as a host without power does, or be slow. */
async function wire(node: MemoryNode) {
  const sockets = new Set<Socket>();
  const state = { isSilent: false, delayMs: 0 };
  const [host, port] = node.address.split(':');
  const server = createServer((from) => {
    const to = connect(Number(port), host!);
    for (const [a, b] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(a);
      a.on('error', () => b.destroy()).on('close', () => b.destroy());
      a.on('data', (bytes) => {
        if (!state.isSilent) setTimeout(() => b.writable && !state.isSilent && b.write(bytes), state.delayMs);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  const at = server.address();
  return { state, node: { ...node, address: `127.0.0.1:${typeof at === 'object' ? at?.port : 0}` } };
}

const isAtVersion =
  (version: number) =>
  ({
    status,
  }: {
    status: { state?: string | undefined; models?: { current?: number | undefined }[] | undefined };
  }) =>
    status.state === 'in sync' && status.models?.[0]?.current === version;

describe('a device', () => {
  test('that starts anew without anything gets everything again', async () => {
    const { net, d2 } = await scene();
    await d2.server.close();
    await net.condition('Device', 'd2', 'Reachable', 'Lost');
    const fresh = new FaultyDevice();
    await serve(fresh, d2.address);
    await net.until('Device', 'd2', isAtVersion(1));
    expect(fresh.commits).toBe(1);
    await net.condition('Service', 's', 'Ready', 'InSync');
  });

  test('that falls silent on an open connection is led around', async () => {
    const [silent, w, d1] = [await wire(await device()), await worker(), await device()];
    const { net } = await scene({ probeMs: 200, timeoutMs: 500 }, { d1, d2: silent.node, w });
    silent.state.isSilent = true;
    await net.condition('Device', 'd2', 'Reachable', 'Lost');
    await net.until('Placement', 's', (p) => p.spec.segments.some((segment) => segment.node === 'w'));
    silent.state.isSilent = false;
    await net.inSync('d2');
  });

  test('that is slow is waited for, and keeps nobody else', async () => {
    const slow = await wire(await device());
    slow.state.delayMs = 60;
    const { net } = await scene({}, { d2: slow.node });
    await net.apply(await net.version('small', 2, files[1]!));
    await net.until('Service', 's', (s) => s.status.version === 2);
    expect((await net.status('Device', 'd2')).models?.[0]?.current).toBe(2);
  });

  test.each([
    ['whose table is full', 8, 'the table is full'],
    ['that takes a batch in part', 13, 'not this one'],
  ])('%s keeps its last good version, says so, and goes on once it can', async (_, code, message) => {
    const { net, d2 } = await scene();
    let taken = 0;
    const { apply } = d2.device;
    d2.device.apply = (change) => {
      // The first changes of the batch are taken.
      if (change.entity.tableEntry !== undefined && ++taken > 1) throw new Fault(code, message);
      apply.call(d2.device, change);
    };
    await net.apply(await net.version('small', 2, files[1]!));
    const { status } = await net.condition('Device', 'd2', 'Ready', 'NotReconciled');
    expect(status.conditions.find((c) => c.type === 'Ready')?.message).toContain(message);
    for (const name of ['d1', 'd2']) expect((await net.status('Device', name)).models?.[0]?.current).toBe(1);
    d2.device.apply = apply;
    await net.until('Service', 's', (s) => s.status.version === 2);
    await net.until('Device', 'd2', ({ status: { models: held } }) => held?.[0]?.versions.length === 1);
  });

  test('with certificates that cannot be read is told of, and harms nobody', async () => {
    const { net } = await scene();
    const ca = join(folder, `later-${Date.now()}.pem`);
    await net.apply(psaDevice('d3', await device(), { tls: { ca } }), [
      'Worker',
      'w3',
      { control: '127.0.0.1:1', tls: { ca } },
    ]);
    for (const [kind, name] of [
      ['Device', 'd3'],
      ['Worker', 'w3'],
    ] as const) {
      const { status } = await net.condition(kind, name, 'Reachable', 'Lost');
      expect(status.conditions.find((c) => c.type === 'Reachable')?.message).toContain(ca);
    }
    // Everything else goes on.
    await net.apply(await net.version('small', 2, files[1]!));
    await net.until('Service', 's', (s) => s.status.version === 2);
    await net.objects.delete(
      [
        { kind: 'Device', name: 'd3' },
        { kind: 'Worker', name: 'w3' },
      ],
      { actor: 'test' },
    );
    await net.condition('Service', 's', 'Ready', 'InSync');
  });
});

describe('the clock', () => {
  afterEach(() => void vi.useRealTimers());

  test.each([86_400_000, -86_400_000])('that jumps by %i ms changes nothing', async (ms) => {
    const { net, writes } = await scene();
    writes();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
    await sleep(1500);
    expect(writes()).toEqual([0, 0]);
    const leading = await net.events({ kind: 'Controller' as never });
    expect(leading.filter((e) => e.reason === 'Leading')).toHaveLength(1);
    await net.apply(await net.version('small', 2, files[1]!));
    await net.until('Service', 's', (s) => s.status.version === 2);
  });
});

/** A store whose calls go through a hand. */
function through(store: Store, before: () => void): Store {
  const guard =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      before();
      return await call(...args);
    };
  return {
    name: store.name,
    isShared: store.isShared,
    placeOf: (kind, name) => store.placeOf(kind, name),
    read: guard(() => store.read()),
    get: guard((kind, name) => store.get(kind, name)),
    pick: guard((names) => store.pick(names)),
    commit: guard((batch) => store.commit(batch)),
    watch: guard((after, listener, signal) => store.watch(after, listener, signal)),
    events: guard((filter) => store.events(filter)),
    leases: {
      acquire: guard((lease, holder, ttl) => store.leases.acquire(lease, holder, ttl)),
      renew: guard((term) => store.leases.renew(term)),
      release: guard((term) => store.leases.release(term)),
      holder: guard((lease) => store.leases.holder(lease)),
      held: guard((...args: Parameters<typeof store.leases.held>) => store.leases.held(...args)),
      terms: guard(() => store.leases.terms()),
      raise: guard((lease, term) => store.leases.raise(lease, term)),
    },
    blobs: store.blobs,
    close: () => store.close(),
  };
}

function ownStore(name: string): Store {
  mkdirSync(join(folder, name));
  return openSqlite(join(folder, name, 'store.db'));
}

describe('the store', () => {
  test('that is gone for a while stops nothing, and hears of everything afterwards', async () => {
    let isGone = false;
    const store = through(ownStore('gone'), () => {
      if (isGone) throw new StoreUnavailable('gone, by the test');
    });
    const { net, d1, d2, writes } = await scene({}, { store });
    writes();
    const steered = () => d1.device.applied.filter((c) => c.entity.tableEntry?.tableId === steer.id).length;
    const before = steered();
    isGone = true;
    await sleep(1500);
    expect(writes()).toEqual([0, 0]);
    // A device that dies meanwhile is led around all the same.
    await d2.server.close();
    await expect.poll(steered, { timeout: 60_000 }).toBeGreaterThan(before);
    isGone = false;
    await net.condition('Device', 'd2', 'Reachable', 'Lost');
    expect((await net.events()).map((e) => e.reason)).toContain('Lost');
    // What was done is told after what was to be done, in a commit of its own.
    await expect
      .poll(async () => (await net.events({ name: 'd1' })).at(-1)?.reason, { timeout: 60_000 })
      .toBe('ForwardingDone');
  });
});

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Objects } from '../../../src/daemon/objects/index.ts';
import { Registry, registrationSchema } from '../../../src/daemon/registry/index.ts';
import { Keys } from '../../../src/daemon/store/etcd/keys.ts';
import { EtcdLeases } from '../../../src/daemon/store/etcd/leases.ts';
import { type Calls, EtcdRpc } from '../../../src/daemon/store/etcd/rpc.ts';
import {
  copyStore,
  openSqlite,
  openStore,
  type Store,
  StoreFenced,
} from '../../../src/daemon/store/index.ts';
import { type RunningEtcd, startEtcd } from '../../support/etcd.ts';
import { testFolder } from '../../support/io.ts';
import { describeWithTools } from '../../support/machine.ts';
import { describeStore, sleep } from './suite.ts';

describeWithTools(['etcd'], 'etcd', () => {
  const folder = testFolder();
  let etcd: RunningEtcd;
  let count = 0;

  beforeAll(async () => {
    etcd = await startEtcd(folder);
  });
  afterAll(() => etcd.kill());

  const names = new WeakMap<Store, string>();
  const openAt = async (name: string) => {
    const store = await openStore(name);
    names.set(store, name);
    return store;
  };
  const fresh = () => openAt(`etcd:${etcd.place}/test-${process.pid}-${count++}`);

  describeStore('store', fresh, async (store) => {
    const name = names.get(store)!;
    await store.close();
    return openAt(name);
  });

  it('is shared: one process sees what another writes, and one of two leads', async () => {
    const one = await fresh();
    const other = await openStore(names.get(one)!);
    const seen: string[] = [];
    const abort = new AbortController();
    const { revision } = await one.read();
    await other.watch(
      revision,
      {
        onBatch: (batch) => {
          for (const c of batch.changes) if (c.type === 'put') seen.push(c.record.name);
        },
        onLost: () => {},
      },
      abort.signal,
    );
    const terms = await Promise.all([one, other].map((s) => s.leases.acquire('leader', 'x', 5000)));
    expect(terms.filter((t) => t !== undefined)).toHaveLength(1);
    await one.commit({ changes: [{ op: 'put', kind: 'A', name: 'a', value: 1, expect: 'absent' }] });
    for (let i = 0; i < 200 && seen.length === 0; i++) await sleep(20);
    expect(seen).toEqual(['a']);
    abort.abort();
    await Promise.all([one.close(), other.close()]);
  });

  it('a holder that is silent for its time is followed at once, and cannot write any more', async () => {
    const one = await fresh();
    const other = await openStore(names.get(one)!);
    const first = (await one.leases.acquire('leader', 'a', 400))!;
    const looks = async (): Promise<number> => {
      for (const begun = performance.now(); ; await sleep(50)) {
        const term = await other.leases.acquire('leader', 'b', 400);
        if (term !== undefined) return term.term;
        if (performance.now() - begun > 20_000) throw new Error('it is not followed');
      }
    };
    // As long as its beat is seen it keeps the lease.
    const beating = setInterval(() => void one.leases.renew(first), 100);
    await sleep(1000);
    expect(await other.leases.acquire('leader', 'b', 400)).toBeUndefined();
    clearInterval(beating);
    await sleep(150);
    expect(await looks()).toBeGreaterThan(first.term);
    await expect(one.commit({ changes: [], fence: first })).rejects.toBeInstanceOf(StoreFenced);
    expect(await one.leases.renew(first)).toBe(false);
    expect((await other.leases.holder('leader'))?.holder).toBe('b');
    await Promise.all([one.close(), other.close()]);
  });

  it("is acquired also where etcd ends the lease beneath before one's turn has come", async () => {
    class Crowded extends EtcdRpc {
      granted = 0;

      override async call<N extends keyof Calls>(name: N, request: Calls[N][0]): Promise<Calls[N][1]> {
        const answer = await super.call(name, request);
        if (name === 'Lease.LeaseGrant' && ++this.granted < 3)
          await super.call('Lease.LeaseRevoke', { ID: (answer as Calls['Lease.LeaseGrant'][1]).ID });
        return answer;
      }
    }
    const rpc = new Crowded([etcd.place]);
    const leases = new EtcdLeases(rpc, new Keys(`/crowd-${process.pid}/`));
    const term = (await leases.acquire('leader', 'a', 5000))!;
    expect([rpc.granted, term.term, (await leases.holder('leader'))?.holder]).toEqual([3, 1, 'a']);
    expect(await leases.renew(term)).toBe(true);
    rpc.close();
  });

  it('a watch that is lost is told of once', async () => {
    const own = await startEtcd(join(folder, 'lost'));
    const store = await openStore(`etcd:${own.place}`);
    let lost = 0;
    const { revision } = await store.read();
    await store.watch(revision, { onBatch: () => {}, onLost: () => lost++ }, new AbortController().signal);
    await own.kill();
    for (let i = 0; i < 500 && lost === 0; i++) await sleep(20);
    await sleep(300);
    expect(lost).toBe(1);
    await store.close();
  });

  it('nodes of two controllers: one hears a heartbeat of what was announced to the other, which ends', async () => {
    const one = await fresh();
    const other = await openStore(names.get(one)!);
    const registryOf = (store: Store) =>
      new Registry(new Objects(store), { isLeading: () => false, sweepMs: 60_000 });
    const [first, second] = [registryOf(one), registryOf(other)];
    const given = registrationSchema.parse({
      kind: 'Worker',
      name: 'w1',
      instance: 'a',
      leaseMs: 5000,
      capability: {
        kind: 'worker',
        accelerator: 'cpu',
        couldHold: { layers: 255, memoryBytes: 1e9 },
        load: 0,
      },
      spec: { control: '127.0.0.1:7000' },
    });
    const by = { actor: 'w1', isLocal: false };
    expect((await first.register(given, by)).action).toBe('created');
    const held = await one.leases.holder('node/Worker/w1');
    expect((await second.register(given, by)).action).toBe('configured');
    await first.close();
    await one.close();
    expect((await second.register(given, by)).action).toBe('renewed');
    expect(await other.leases.holder('node/Worker/w1')).toEqual(held);
    await expect(second.register({ ...given, instance: 'b' }, by)).rejects.toThrow(/another instance/);
    await second.leave('Worker', 'w1', 'a');
    expect((await other.read()).records).toEqual([]);
    expect(await other.leases.holder('node/Worker/w1')).toBeUndefined();
    await second.close();
    await other.close();
  });

  it('refuses more than it takes at once, and writes nothing of it', async () => {
    const store = await fresh();
    const changes = Array.from({ length: 300 }, (_, i) => ({
      ...{ op: 'put' as const, kind: 'A', name: `a${i}`, value: i, expect: 'any' as const },
    }));
    await expect(store.commit({ changes })).rejects.toThrow(/more than etcd takes at once/);
    expect((await store.read()).records).toEqual([]);
    await store.close();
  });

  describe('a store is moved', () => {
    it('from SQLite to etcd and back, with log, files and terms', async () => {
      const from = openSqlite(join(folder, 'from.db'));
      for (let i = 0; i < 3; i++)
        await from.commit({
          changes: Array.from({ length: 80 }, (_, j) => ({
            ...{
              op: 'put' as const,
              kind: 'A',
              name: `a${i}-${j}`,
              value: { i, j },
              expect: 'absent' as const,
            },
          })),
          events: ['x', 'y'].map((reason) => ({
            ...{
              actor: 'me',
              type: 'Normal' as const,
              reason,
              message: `${i}`,
              object: { kind: 'A', name: 'a' },
            },
          })),
        });
      const digest = await from.blobs.put(Buffer.alloc(2_500_000, 7));
      const term = (await from.leases.acquire('leader', 'a', 1000))!.term;
      const middle = await fresh();
      expect(await copyStore(from, middle)).toEqual({ objects: 240, events: 6, files: 1 });
      await expect(copyStore(from, middle)).rejects.toThrow(/not empty/);
      const back = openSqlite(join(folder, 'back.db'));
      await copyStore(middle, back);
      const contents = async (store: Store) => ({
        records: (await store.read()).records.map(({ revision: _, ...rest }) => rest),
        events: (await store.events({ limit: 100 })).map(({ id: _, ...rest }) => rest),
      });
      expect(await contents(middle)).toEqual(await contents(from));
      expect(await contents(back)).toEqual(await contents(from));
      expect((await back.blobs.get(digest))?.length).toBe(2_500_000);
      expect((await back.leases.acquire('leader', 'b', 1000))!.term).toBeGreaterThan(term);
      await Promise.all([from, middle, back].map((s) => s.close()));
    });
  });
});

it('nobody at an address is told', async () => {
  await expect(openStore('etcd:127.0.0.1:1')).rejects.toThrow(/store etcd:127\.0\.0\.1:1: .*etcd/);
  await expect(openStore('etcd:nonsense')).rejects.toThrow(/no address/);
  await expect(openStore('redis:x')).rejects.toThrow(/no known kind/);
});

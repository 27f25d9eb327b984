import { describe, expect, it } from 'vitest';
import {
  type Batch,
  type Store,
  StoreCompacted,
  StoreConflict,
  StoreFenced,
  type WatchBatch,
} from '../../../src/daemon/store/index.ts';

type Change = Batch['changes'][number];

const put = (
  name: string,
  value: unknown,
  expected: number | 'absent' | 'any' = 'any',
  kind = 'Device',
): Change => ({
  op: 'put',
  kind,
  name,
  value,
  expect: expected,
});

const remove = (name: string, expected: number | 'any' = 'any'): Change => ({
  op: 'delete',
  kind: 'Device',
  name,
  expect: expected,
});

const event = (message: string, extra: object = {}) => ({
  actor: 'tester',
  type: 'Normal' as const,
  reason: 'Tested',
  message,
  object: { kind: 'Device', name: 's1' },
  ...extra,
});

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a watch has told what is asked of it. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await sleep(5);
  expect(condition()).toBe(true);
}

/** Shortest time of a lease that every store can keep. */
const LEASE_MS = 1500;

/**
 * What every store must do.
 * @param open an empty store at each call, which the caller closes
 * @param reopen closes it, and opens what it had written
 */
export function describeStore(
  title: string,
  open: () => Promise<Store>,
  reopen: (store: Store) => Promise<Store>,
): void {
  const use = async (work: (store: Store) => Promise<void>) => {
    const store = await open();
    try {
      await work(store);
    } finally {
      await store.close();
    }
  };

  describe(title, () => {
    it('begins empty', () =>
      use(async (store) => {
        expect((await store.read()).records).toEqual([]);
        expect(await store.get('Device', 's1')).toBeUndefined();
        expect(await store.events({ limit: 10 })).toEqual([]);
        expect((await store.leases.terms()).size).toBe(0);
        expect(await store.blobs.list()).toEqual([]);
      }));

    it('gives back what was put, at the revision of its commit', () =>
      use(async (store) => {
        const value = { spec: { text: 'ä\u0000\u2028"', list: [1, null, 2.5e-7], deep: { a: [] } } };
        const first = await store.commit({ changes: [put('s1', value), put('s2', 2)] });
        const second = await store.commit({ changes: [put('s1', 1, first.revision)] });
        expect(second.revision).toBeGreaterThan(first.revision);
        expect(await store.get('Device', 's1')).toEqual({
          kind: 'Device',
          name: 's1',
          value: 1,
          revision: second.revision,
        });
        const { records, revision } = await store.read();
        expect(records.map((r) => [r.name, r.revision])).toEqual([
          ['s1', second.revision],
          ['s2', first.revision],
        ]);
        expect(revision).toBe(second.revision);
        await store.commit({ changes: [put('s3', value)] });
        expect((await store.get('Device', 's3'))?.value).toEqual(value);
      }));

    it('tells kinds apart that share a name, and names that begin alike', () =>
      use(async (store) => {
        await store.commit({
          changes: [put('s', 1), put('s', 2, 'absent', 'Worker'), put('s.1', 3), put('s-1', 4)],
        });
        expect((await store.get('Worker', 's'))?.value).toBe(2);
        await store.commit({ changes: [remove('s')] });
        expect((await store.read()).records.map((r) => r.value).sort()).toEqual([2, 3, 4]);
      }));

    it('refuses what is not as expected, and then writes nothing of the batch', () =>
      use(async (store) => {
        const { revision } = await store.commit({ changes: [put('s1', 1, 'absent')] });
        await store.commit({ changes: [put('s1', 2)] });
        const refused: readonly Change[] = [
          put('s1', 3, revision),
          put('s1', 3, 'absent'),
          put('s9', 3, revision),
          remove('s1', revision),
          remove('s9', revision),
        ];
        for (const change of refused)
          await expect(
            store.commit({ changes: [put('other', 1), change], events: [event('never')] }),
          ).rejects.toBeInstanceOf(StoreConflict);
        expect((await store.read()).records.map((r) => [r.name, r.value])).toEqual([['s1', 2]]);
        expect(await store.events({ limit: 10 })).toEqual([]);
        await expect(store.commit({ changes: [put('s1', 3, revision)] })).rejects.toMatchObject({
          key: 'Device/s1',
          expected: revision,
        });
      }));

    it('deletes, also what is not there', () =>
      use(async (store) => {
        const { revision } = await store.commit({ changes: [put('s1', 1)] });
        await store.commit({ changes: [remove('s1', revision), remove('s9')] });
        expect((await store.read()).records).toEqual([]);
        await store.commit({ changes: [put('s1', 2, 'absent')] });
      }));

    it('of two batches of specs with one basis takes the first', () =>
      use(async (store) => {
        const { specRevision: basis } = await store.read();
        await store.commit({ changes: [put('s1', 1)], basis });
        await expect(store.commit({ changes: [put('s2', 1)], basis })).rejects.toBeInstanceOf(StoreConflict);
        await store.commit({ changes: [put('s1', { status: 1 })] });
        const now = (await store.read()).specRevision;
        expect(now).toBeGreaterThan(basis);
        await store.commit({ changes: [put('s2', 1)], basis: now });
        expect((await store.read()).records).toHaveLength(2);
      }));

    it('of many writers at once lets one have each revision', () =>
      use(async (store) => {
        await store.commit({ changes: [put('n', 0)] });
        const add = async (): Promise<void> => {
          for (;;) {
            const record = (await store.get('Device', 'n'))!;
            try {
              await store.commit({ changes: [put('n', (record.value as number) + 1, record.revision)] });
              return;
            } catch (error) {
              if (!(error instanceof StoreConflict)) throw error;
            }
          }
        };
        await Promise.all(Array.from({ length: 25 }, add));
        expect((await store.get('Device', 'n'))?.value).toBe(25);
      }));

    it('tells watchers of each commit once and in order, those before them too', () =>
      use(async (store) => {
        const { revision: start } = await store.commit({ changes: [put('s0', 0)] });
        await store.commit({ changes: [put('s1', 1), put('s2', 2)], events: [event('one'), event('two')] });
        const seen: WatchBatch[] = [];
        const abort = new AbortController();
        const listener = {
          onBatch: (batch: WatchBatch) => void seen.push(batch),
          onLost: (error: Error) => {
            throw error;
          },
        };
        await store.watch(start, listener, abort.signal);
        await store.commit({ changes: [remove('s1')] });
        for (let i = 0; i < 20; i++) await store.commit({ changes: [put('s2', i)] });
        await store.commit({ changes: [], events: [event('three')] });
        await until(() => seen.some((b) => b.events.some((e) => e.message === 'three')));
        abort.abort();
        await store.commit({ changes: [put('late', 1)] });
        await sleep(50);
        const revisions = seen.map((b) => b.revision);
        expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
        expect(new Set(revisions).size).toBe(revisions.length);
        const changes = seen.flatMap((b) =>
          b.changes.map((c) => (c.type === 'put' ? [c.record.name, c.record.value] : [c.name, 'gone'])),
        );
        expect(changes).toEqual([
          ['s1', 1],
          ['s2', 2],
          ['s1', 'gone'],
          ...Array.from({ length: 20 }, (_, i) => ['s2', i]),
        ]);
        expect(seen.flatMap((b) => b.events.map((e) => e.message))).toEqual(['one', 'two', 'three']);
      }));

    it('keeps a log that can be asked by object, actor and time', () =>
      use(async (store) => {
        const at = (second: number) => ({ time: new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString() });
        await store.commit({
          changes: [],
          events: [event('a', at(1)), event('b', { ...at(2), actor: 'other' })],
        });
        await store.commit({
          changes: [put('s1', 1)],
          events: [event('c', { ...at(3), object: { kind: 'Worker', name: 's1' } }), event('d', at(4))],
        });
        const ask = async (filter: object) =>
          (await store.events({ limit: 100, ...filter })).map((e) => e.message).join('');
        expect(await ask({})).toBe('abcd');
        expect(await ask({ kind: 'Device' })).toBe('abd');
        expect(await ask({ kind: 'Worker', name: 's1' })).toBe('c');
        expect(await ask({ name: 'nobody' })).toBe('');
        expect(await ask({ actor: 'other' })).toBe('b');
        expect(await ask({ since: at(2).time, until: at(4).time })).toBe('bc');
        expect(await ask({ limit: 2 })).toBe('cd');
        const all = await store.events({ limit: 100 });
        expect(new Set(all.map((e) => e.id)).size).toBe(4);
        expect(all[0]).toMatchObject({ ...event('a'), ...at(1) });
      }));

    it('a lease has one holder at a time, and its terms count up', () =>
      use(async (store) => {
        const { leases } = store;
        const first = (await leases.acquire('leader', 'a', LEASE_MS))!;
        expect(await leases.acquire('leader', 'b', LEASE_MS)).toBeUndefined();
        expect(await leases.holder('leader')).toEqual({ holder: 'a', term: first.term });
        expect(await leases.renew(first)).toBe(true);
        expect(await leases.acquire('another', 'b', LEASE_MS)).toBeDefined();
        await leases.release(first);
        expect(await leases.holder('leader')).toBeUndefined();
        const second = (await leases.acquire('leader', 'b', LEASE_MS))!;
        expect(second.term).toBeGreaterThan(first.term);
        expect(await leases.renew(first)).toBe(false);
        // Who was before takes nothing away from who is.
        await leases.release(first);
        expect(await leases.renew(second)).toBe(true);
        await leases.raise('leader', 1000);
        await leases.release(second);
        expect((await leases.acquire('leader', 'c', LEASE_MS))!.term).toBeGreaterThan(1000);
      }));

    it('keeps one count of terms for leases whose names begin alike', () =>
      use(async ({ leases }) => {
        let last = 0;
        for (const name of ['node/a', 'node/b', 'node/Worker/c', 'node/a']) {
          const term = (await leases.acquire(name, 'x', LEASE_MS, true))!;
          expect(term.term).toBeGreaterThan(last);
          last = term.term;
          await leases.release(term);
        }
        const many = await Promise.all(
          Array.from({ length: 10 }, (_, i) => leases.acquire(`node/n${i}`, 'x', LEASE_MS, true)),
        );
        expect(new Set(many.map((term) => term?.term)).size).toBe(10);
        expect([...(await leases.terms()).keys()]).toEqual(['node']);
      }));

    it('tells which leases are held, by the beginning of their names', () =>
      use(async ({ leases }) => {
        const [one] = [await leases.acquire('node/a/1', 'x', LEASE_MS, true)];
        await leases.acquire('node/b', 'y', LEASE_MS, true);
        await leases.acquire('nodes', 'z', LEASE_MS);
        expect([...(await leases.held('node/'))].sort()).toEqual(['node/a/1', 'node/b']);
        await leases.release(one!);
        expect([...(await leases.held('node/'))]).toEqual(['node/b']);
      }));

    it('a lease that nobody renews ends, and what its holder writes then is refused', () =>
      use(async (store) => {
        const { leases } = store;
        const first = (await leases.acquire('leader', 'a', LEASE_MS))!;
        await store.commit({ changes: [put('s1', 1)], fence: first });
        const began = Date.now();
        let second: Awaited<ReturnType<typeof leases.acquire>>;
        while (second === undefined && Date.now() - began < 30_000) {
          await sleep(100);
          second = await leases.acquire('leader', 'b', LEASE_MS);
        }
        expect(second!.term).toBeGreaterThan(first.term);
        await expect(store.commit({ changes: [put('s1', 2)], fence: first })).rejects.toBeInstanceOf(
          StoreFenced,
        );
        expect((await store.get('Device', 's1'))?.value).toBe(1);
        await store.commit({ changes: [put('s1', 3)], fence: second! });
      }));

    it('keeps files by their digests', () =>
      use(async (store) => {
        const bytes = new Uint8Array(3_000_000).map((_, i) => (i * i) >> 3);
        const digest = await store.blobs.put(bytes);
        expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(await store.blobs.put(bytes)).toBe(digest);
        const empty = await store.blobs.put(new Uint8Array(0));
        expect(Buffer.compare((await store.blobs.get(digest))!, Buffer.from(bytes))).toBe(0);
        expect(await store.blobs.get(empty)).toHaveLength(0);
        expect([...(await store.blobs.list())].sort()).toEqual([digest, empty].sort());
        expect(await store.blobs.has(digest)).toBe(true);
        await store.blobs.delete(digest);
        expect([await store.blobs.get(digest), await store.blobs.has(digest)]).toEqual([undefined, false]);
      }));

    it('remembers everything but who held a lease', async () => {
      const before = await open();
      const { revision } = await before.commit({
        changes: [put('s1', { a: 1 }), put('s2', 2)],
        basis: (await before.read()).specRevision,
        events: [event('kept')],
      });
      const digest = await before.blobs.put(Buffer.from('weights'));
      const term = (await before.leases.acquire('leader', 'a', LEASE_MS))!;
      const snapshot = await before.read();
      const events = await before.events({ limit: 10 });
      const after = await reopen(before);
      try {
        const { records, specRevision } = await after.read();
        expect([records, specRevision]).toEqual([snapshot.records, snapshot.specRevision]);
        expect(await after.events({ limit: 10 })).toEqual(events);
        expect((await after.blobs.get(digest))?.toString()).toBe('weights');
        expect((await after.leases.terms()).get('leader')).toBe(term.term);
        expect((await after.commit({ changes: [put('s3', 3)] })).revision).toBeGreaterThan(revision);
      } finally {
        await after.close();
      }
    });

    it('does not tell half of what came after a revision that it has forgotten', () =>
      use(async (store) => {
        const listener = { onBatch: () => {}, onLost: () => {} };
        const abort = new AbortController();
        await expect(store.watch(-1, listener, abort.signal)).rejects.toBeInstanceOf(StoreCompacted);
        abort.abort();
      }));
  });
}

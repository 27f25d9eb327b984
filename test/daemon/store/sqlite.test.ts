import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { openSqlite } from '../../../src/daemon/store/index.ts';
import { closeDatabase, openDatabase } from '../../../src/daemon/store/sqlite-database.ts';
import { testFolder } from '../../support/io.ts';
import { random } from '../../support/random.ts';
import { describeStore } from './suite.ts';

const folder = testFolder();
let count = 0;
const freshFile = () => join(folder, `store-${count++}`, 'store.db');
const files = new WeakMap<object, string>();

const openAt = (file: string) => {
  const store = openSqlite(file);
  files.set(store, file);
  return store;
};

describeStore(
  'SQLite',
  async () => openAt(freshFile()),
  async (store) => {
    const file = files.get(store)!;
    await store.close();
    return openAt(file);
  },
);

it("is its user's alone, with all that belongs to it", async () => {
  const file = freshFile();
  mkdirSync(join(file, '..'), { mode: 0o755 });
  writeFileSync(file, '');
  chmodSync(file, 0o666);
  const store = openSqlite(file);
  await store.commit({ changes: [{ op: 'put', kind: 'A', name: 'a', value: 1, expect: 'any' }] });
  const modes = readdirSync(join(file, '..')).map((name) => [
    name,
    statSync(join(file, '..', name)).mode & 0o777,
  ]);
  expect(modes.length).toBeGreaterThan(1);
  for (const [name, mode] of modes) expect([name, mode]).toEqual([name, 0o600]);
  await store.close();
});

it('belongs to one process at a time', async () => {
  const file = freshFile();
  const store = openSqlite(file);
  expect(() => openSqlite(file)).toThrow(/another controller is at work on it[\s\S]*etcd/);
  await store.close();
  await openSqlite(file).close();
});

it('refuses files that are none of its own', async () => {
  const text = freshFile();
  mkdirSync(join(text, '..'));
  writeFileSync(text, 'no database, but more than a header of a hundred bytes. '.repeat(100));
  expect(() => openSqlite(text)).toThrow(/store sqlite:.*not a database/);
  const other = join(folder, 'other.db');
  const db = openDatabase(other);
  db.exec('create table t (a)');
  closeDatabase(db);
  expect(() => openSqlite(other)).toThrow(/of another program/);
  expect(() => openSqlite(folder)).toThrow(/store sqlite:/);
  const later = freshFile();
  await openSqlite(later).close();
  const changed = openDatabase(later);
  changed.exec("update meta set value = 99 where name = 'format'");
  closeDatabase(changed);
  expect(() => openSqlite(later)).toThrow(/format 99/);
});

it('forgets old changes, and says so to those who ask for them', async () => {
  const store = openSqlite(freshFile(), { history: 20 });
  const changes = [{ op: 'put' as const, kind: 'A', name: 'a', value: 1, expect: 'any' as const }];
  for (let i = 0; i < 50; i++) await store.commit({ changes });
  const seen: number[] = [];
  const listener = {
    onBatch: ({ revision }: { revision: number }) => void seen.push(revision),
    onLost: () => {},
  };
  const { signal } = new AbortController();
  await expect(store.watch(1, listener, signal)).rejects.toThrow(/not remembered/);
  await store.watch(45, listener, signal);
  expect(seen).toEqual([46, 47, 48, 49, 50]);
  await store.close();
});

it('a kill takes nothing away that was acknowledged, and leaves no half of a commit', async () => {
  const file = freshFile();
  const r = random(9);
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    const writer = spawn(process.execPath, ['--import', 'tsx', 'test/daemon/store/writer.ts', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => writer.once('exit', resolve));
    const lines = createInterface({ input: writer.stdout });
    let left = r.int(1, 60);
    for await (const line of lines) {
      acknowledged = Number(line);
      if (--left === 0) writer.kill('SIGKILL');
    }
    await ended;
    const store = openSqlite(file);
    const { records } = await store.read();
    const values = new Map(records.map((x) => [x.name, x.value as number]));
    expect(values.get('a')).toBe(values.get('b'));
    expect(values.get('a')).toBeGreaterThanOrEqual(acknowledged);
    const events = await store.events({ limit: 100_000 });
    expect(events.map((e) => e.message)).toEqual(
      Array.from({ length: values.get('a')! }, (_, i) => `${i + 1}`),
    );
    await store.close();
  }
});

it('closes a connection once, however it ends', () => {
  // What is freed is filled with the mark that SQLite has on open connections: whatever closes one again takes it for such, and dies.
  const env = { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.perturb=118:glibc.malloc.tcache_count=0' };
  const args = ['--expose-gc', '--import', 'tsx', 'test/daemon/store/closer.ts'];
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    [...args, join(folder, 'once.db'), freshFile()],
    { env, encoding: 'utf8' },
  );
  expect([status, signal, stderr]).toEqual([0, null, '']);
});

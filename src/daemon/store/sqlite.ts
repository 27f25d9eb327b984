import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import type Database from 'libsql';
import { refuse } from '../../diagnostics/index.ts';
import { ensureFolder, type Lock, lockFile, messageOf } from '../../durable/index.ts';
import { digestOf } from './digest.ts';
import { closeDatabase, openDatabase } from './sqlite-database.ts';
import { prepareSchema } from './sqlite-schema.ts';
import {
  type Batch,
  type Blobs,
  type Change,
  type Committed,
  type EventFilter,
  type EventInput,
  type Leases,
  type RecordName,
  type Snapshot,
  type Store,
  StoreCompacted,
  StoreConflict,
  type StoreEvent,
  StoreFenced,
  type StoreRecord,
  StoreUnavailable,
  type Term,
  termsOf,
  type WatchBatch,
  type WatchChange,
  type WatchListener,
} from './store.ts';
import { storedValue } from './stored-value.ts';

/** Of a store in a file. */
export interface SqliteOptions {
  /** Revisions that watchers may lag behind; default 10,000. */
  readonly history?: number;
}

interface ObjectRow {
  readonly kind: string;
  readonly name: string;
  readonly revision: number;
  readonly value: string;
}

interface ChangeRow {
  readonly revision: number;
  readonly kind: string;
  readonly name: string;
  readonly value: string | null;
}

interface EventRow extends Omit<EventInput, 'object' | 'time'> {
  readonly revision: number;
  readonly ordinal: number;
  readonly time: string;
  readonly kind: string;
  readonly name: string;
}

/**
 * Opens or makes the file; one process has it at a time, and nobody else's user can read it.
 * @throws DiagnosticError `store`
 */
export function openSqlite(path: string, { history = 10_000 }: SqliteOptions = {}): Store {
  const file = resolve(path);
  const name = `sqlite:${path}`;
  let lock: Lock | undefined;
  let db: Database.Database | undefined;
  try {
    ensureFolder(dirname(file), 0o700);
    lock = lockFile(`${file}.lock`);
    if (lock === undefined)
      return refuse('store', {
        store: name,
        reason: 'another controller is at work on it',
        remedy: 'stop that one; several controllers beside each other need an etcd store',
      });
    closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
    chmodSync(file, 0o600);
    db = openDatabase(file);
    prepareSchema(db);
    return new SqliteStore(db, name, lock, history);
  } catch (error) {
    if (db !== undefined) closeDatabase(db);
    lock?.release();
    if (error instanceof Error && error.name === 'DiagnosticError') throw error;
    return refuse('store', { store: name, reason: messageOf(error) });
  }
}

class SqliteStore implements Store {
  readonly name: string;
  readonly isShared = false;
  readonly leases: Leases;
  readonly blobs: Blobs;
  readonly #db: Database.Database;
  readonly #lock: Lock;
  readonly #history: number;
  readonly #listeners = new Set<WatchListener>();
  readonly #held: HeldLeases;
  readonly #statements = new Map<string, Database.Statement>();
  #commits = 0;

  constructor(db: Database.Database, name: string, lock: Lock, history: number) {
    this.#history = history;
    this.#db = db;
    this.name = name;
    this.#lock = lock;
    this.#held = new HeldLeases(db);
    this.leases = this.#held;
    this.blobs = new SqliteBlobs(db);
    this.#clear();
  }

  placeOf(kind: string, name: string): string {
    return `${kind}/${name} in the table objects`;
  }

  async read(): Promise<Snapshot> {
    return guarded(() => ({
      revision: this.#meta('revision'),
      specRevision: this.#meta('specRevision'),
      records: this.#rows('select * from objects order by kind, name').map(recordOf),
    }));
  }

  async get(kind: string, name: string): Promise<StoreRecord | undefined> {
    return guarded(
      () => this.#rows('select * from objects where kind = ? and name = ?', kind, name).map(recordOf)[0],
    );
  }

  async pick(names: readonly RecordName[]): Promise<readonly StoreRecord[]> {
    const text = 'select * from objects where kind = ? and name = ?';
    return guarded(() => names.flatMap(({ kind, name }) => this.#rows(text, kind, name).map(recordOf)));
  }

  async commit(batch: Batch): Promise<Committed> {
    const events = (batch.events ?? []).map((e) => ({ ...e, time: e.time ?? new Date().toISOString() }));
    const told = guarded(() => this.#db.transaction(() => this.#write(batch, events)).immediate());
    for (const listener of [...this.#listeners]) listener.onBatch(told);
    if (++this.#commits % (this.#history / 10) === 0) this.#clear();
    return { revision: told.revision };
  }

  async watch(after: number, listener: WatchListener, signal: AbortSignal): Promise<void> {
    // Nothing of this waits, so no commit comes between what was and what will be.
    for (const batch of guarded(() => this.#since(after))) listener.onBatch(batch);
    this.#listeners.add(listener);
    const stop = () => this.#listeners.delete(listener);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }

  async events({ kind, name, actor, since, until, limit }: EventFilter): Promise<readonly StoreEvent[]> {
    const conditions = Object.entries({
      'kind =': kind,
      'name =': name,
      'actor =': actor,
      'time >=': since,
      'time <': until,
    });
    const given = conditions.filter(([, value]) => value !== undefined);
    const where = given.length === 0 ? '' : `where ${given.map(([test]) => `${test} ?`).join(' and ')}`;
    const values = given.map(([, value]) => value);
    const text = `select * from events ${where} order by revision desc, ordinal desc limit ?`;
    return guarded(() => (this.#statement(text).all(...values, limit) as EventRow[]).map(eventOf).reverse());
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    closeDatabase(this.#db);
    this.#lock.release();
  }

  #write(batch: Batch, events: readonly (EventInput & { readonly time: string })[]): WatchBatch {
    if (batch.fence !== undefined && !this.#held.isHeld(batch.fence)) throw new StoreFenced(batch.fence);
    const specRevision = this.#meta('specRevision');
    if (batch.basis !== undefined && batch.basis !== specRevision)
      throw new StoreConflict(undefined, batch.basis, specRevision);
    const revision = this.#meta('revision') + 1;
    const changes = batch.changes.map((change, ordinal) => this.#change(change, revision, ordinal));
    const insert = this.#statement('insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    for (const [ordinal, e] of events.entries())
      insert.run(
        revision,
        ordinal,
        e.time,
        e.actor,
        e.type,
        e.reason,
        e.message,
        e.object.kind,
        e.object.name,
      );
    const set = this.#statement('update meta set value = ? where name = ?');
    set.run(revision, 'revision');
    if (batch.basis !== undefined) set.run(revision, 'specRevision');
    return {
      revision,
      changes,
      events: events.map((e, ordinal) => ({ ...e, id: `${revision}.${ordinal}` })),
    };
  }

  #change(change: Change, revision: number, ordinal: number): WatchChange {
    const { op, kind, name, expect } = change;
    const [row] = this.#rows('select * from objects where kind = ? and name = ?', kind, name);
    const isAsExpected =
      expect === 'any' || (expect === 'absent' ? row === undefined : row?.revision === expect);
    if (!isAsExpected) throw new StoreConflict(`${kind}/${name}`, expect, row?.revision);
    const value = op === 'put' ? JSON.stringify(change.value) : null;
    this.#statement('insert into changes values (?, ?, ?, ?, ?)').run(revision, ordinal, kind, name, value);
    if (op === 'delete') {
      this.#statement('delete from objects where kind = ? and name = ?').run(kind, name);
      return { type: 'delete', kind, name };
    }
    this.#statement('insert or replace into objects values (?, ?, ?, ?)').run(kind, name, revision, value);
    return { type: 'put', record: { kind, name, revision, value: change.value } };
  }

  #since(after: number): readonly WatchBatch[] {
    if (after < this.#meta('compacted') || after > this.#meta('revision'))
      throw new StoreCompacted(`revisions up to ${after} are not remembered`);
    const changes = this.#statement(
      'select * from changes where revision > ? order by revision, ordinal',
    ).all(after) as ChangeRow[];
    const events = this.#statement('select * from events where revision > ? order by revision, ordinal').all(
      after,
    ) as EventRow[];
    const batches = new Map<number, { changes: WatchChange[]; events: StoreEvent[] }>();
    const batch = (revision: number) => {
      const made = batches.get(revision) ?? { changes: [], events: [] };
      batches.set(revision, made);
      return made;
    };
    for (const row of changes) batch(row.revision).changes.push(changeOf(row));
    for (const row of events) batch(row.revision).events.push(eventOf(row));
    return [...batches].sort(([a], [b]) => a - b).map(([revision, rest]) => ({ revision, ...rest }));
  }

  #clear(): void {
    const compacted = this.#meta('revision') - this.#history;
    if (compacted <= this.#meta('compacted')) return;
    this.#db.transaction(() => {
      this.#statement('delete from changes where revision <= ?').run(compacted);
      this.#statement("update meta set value = ? where name = 'compacted'").run(compacted);
    })();
  }

  /** Each is prepared once: that costs more than running it. */
  #statement(text: string): Database.Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const made = this.#db.prepare(text);
    this.#statements.set(text, made);
    return made;
  }

  #meta(name: 'revision' | 'specRevision' | 'compacted'): number {
    return (this.#statement('select value from meta where name = ?').get(name) as { value: number }).value;
  }

  #rows(text: string, ...values: string[]): ObjectRow[] {
    return this.#statement(text).all(...values) as ObjectRow[];
  }
}

/**
 * The file has one process, so a lease is only that process' own affair: its time is kept by a clock that does not jump, and
 * all have ended when another process begins. Terms are on disk.
 */
class HeldLeases implements Leases {
  readonly #db: Database.Database;
  readonly #held = new Map<string, { holder: string; term: number; ttlMs: number; until: number }>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  async acquire(lease: string, holder: string, ttlMs: number): Promise<Term | undefined> {
    if (this.#current(lease) !== undefined) return undefined;
    const term = guarded(() => this.#next(termsOf(lease), 0));
    this.#held.set(lease, { holder, term, ttlMs, until: performance.now() + ttlMs });
    return { lease, term };
  }

  async renew(term: Term): Promise<boolean> {
    const held = this.#current(term.lease);
    if (held === undefined || held.term !== term.term) return false;
    held.until = performance.now() + held.ttlMs;
    return true;
  }

  async release({ lease, term }: Term): Promise<void> {
    if (this.#held.get(lease)?.term === term) this.#held.delete(lease);
  }

  async holder(lease: string) {
    const held = this.#current(lease);
    return held && { holder: held.holder, term: held.term };
  }

  async held(prefix: string): Promise<ReadonlySet<string>> {
    return new Set(
      [...this.#held.keys()].filter((l) => l.startsWith(prefix) && this.#current(l) !== undefined),
    );
  }

  async terms(): Promise<ReadonlyMap<string, number>> {
    const rows = guarded(
      () => this.#db.prepare('select * from terms').all() as { lease: string; term: number }[],
    );
    return new Map(rows.map(({ lease, term }) => [lease, term]));
  }

  async raise(lease: string, term: number): Promise<void> {
    guarded(() => this.#next(termsOf(lease), term - 1));
  }

  isHeld({ lease, term }: Term): boolean {
    return this.#current(lease)?.term === term;
  }

  #current(lease: string) {
    const held = this.#held.get(lease);
    return held !== undefined && performance.now() < held.until ? held : undefined;
  }

  #next(lease: string, above: number): number {
    return this.#db
      .transaction(() => {
        const row = this.#db.prepare('select term from terms where lease = ?').get(lease) as
          | { term: number }
          | undefined;
        const term = Math.max(row?.term ?? 0, above) + 1;
        this.#db.prepare('insert or replace into terms values (?, ?)').run(lease, term);
        return term;
      })
      .immediate();
  }
}

class SqliteBlobs implements Blobs {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = digestOf(bytes);
    guarded(() =>
      this.#db.prepare('insert or ignore into blobs values (?, ?)').run(digest, Buffer.from(bytes)),
    );
    return digest;
  }

  async get(digest: string): Promise<Buffer | undefined> {
    const row = guarded(() => this.#db.prepare('select bytes from blobs where digest = ?').get(digest)) as
      | { bytes: Uint8Array }
      | undefined;
    return row && Buffer.from(row.bytes);
  }

  async has(digest: string): Promise<boolean> {
    return (
      guarded(() => this.#db.prepare('select 1 as found from blobs where digest = ?').get(digest)) !==
      undefined
    );
  }

  async list(): Promise<readonly string[]> {
    const rows = guarded(() => this.#db.prepare('select digest from blobs').all() as { digest: string }[]);
    return rows.map(({ digest }) => digest);
  }

  async delete(digest: string): Promise<void> {
    guarded(() => this.#db.prepare('delete from blobs where digest = ?').run(digest));
  }
}

const recordOf = ({ kind, name, revision, value }: ObjectRow): StoreRecord => ({
  kind,
  name,
  revision,
  value: storedValue(value),
});

const changeOf = ({ kind, name, revision, value }: ChangeRow): WatchChange =>
  value === null
    ? { type: 'delete', kind, name }
    : { type: 'put', record: { kind, name, revision, value: storedValue(value) } };

const eventOf = ({
  revision,
  ordinal,
  time,
  actor,
  type,
  reason,
  message,
  kind,
  name,
}: EventRow): StoreEvent => ({
  id: `${revision}.${ordinal}`,
  time,
  actor,
  type,
  reason,
  message,
  object: { kind, name },
});

/** What the library says of the disk is one kind of error to everybody else. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && error.name === 'SqliteError') throw new StoreUnavailable(error.message);
    throw error;
  }
}

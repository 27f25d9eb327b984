/**
 * What the daemon remembers. SQLite and etcd implement this, and pass one suite (`test/daemon/store-suite.ts`).
 *
 * - What a call has acknowledged is on disk, and what it refused left no trace.
 * - Every commit has a revision of its own, larger than all before. The revision of a record is that of the commit that wrote it.
 * - Reads see all of a commit or nothing of it.
 */
export interface Store {
  /** For messages: `sqlite:/var/lib/...`. */
  readonly name: string;
  /** Whether another process may have it too, and lead when this one falls silent. */
  readonly isShared: boolean;
  /** Where a record stands, as an operator finds it. */
  placeOf(kind: string, name: string): string;
  /** Every record at one moment. */
  read(): Promise<Snapshot>;
  get(kind: string, name: string): Promise<StoreRecord | undefined>;
  /** Those of some names that are there; what comes between is told by their revisions when they are written. */
  pick(names: readonly RecordName[]): Promise<readonly StoreRecord[]>;
  /** @throws StoreConflict, StoreFenced, StoreUnavailable; nothing of it is written then */
  commit(batch: Batch): Promise<Committed>;
  /**
   * Tells of every commit behind a revision, in order and each once, until the signal. After `onLost` a watch has ended, and is
   * begun anew from a fresh `read`.
   * @throws StoreCompacted where what came after that revision is not remembered any more
   */
  watch(after: number, listener: WatchListener, signal: AbortSignal): Promise<void>;
  /** Of the log; the oldest first, of those beyond the limit the newest. */
  events(filter: EventFilter): Promise<readonly StoreEvent[]>;
  readonly leases: Leases;
  readonly blobs: Blobs;
  close(): Promise<void>;
}

/** A record is named by its kind and name; names are of one kind. */
export interface RecordName {
  readonly kind: string;
  readonly name: string;
}

/** A record as it stood at its revision. */
export interface StoreRecord extends RecordName {
  /** JSON; an `UnreadableValue` where it is none. */
  readonly value: unknown;
  readonly revision: number;
}

/** All records at one revision. */
export interface Snapshot {
  readonly revision: number;
  /** Of the last batch of specs. */
  readonly specRevision: number;
  readonly records: readonly StoreRecord[];
}

/** What a record must be before: at this revision, not there, or whatever it is. */
export type Expectation = number | 'absent' | 'any';

/** One write of a batch. The batch is refused as a whole where one of its expectations does not hold. */
export type Change =
  | {
      readonly op: 'put';
      readonly kind: string;
      readonly name: string;
      readonly value: unknown;
      readonly expect: Expectation;
    }
  | { readonly op: 'delete'; readonly kind: string; readonly name: string; readonly expect: number | 'any' };

/** All of it happens, or nothing. */
export interface Batch {
  readonly changes: readonly Change[];
  /**
   * Of a batch of specs: the `specRevision` of the snapshot with which it was found right. Another batch of specs since then is
   * a conflict: what it refers to may be gone.
   */
  readonly basis?: number;
  /** Refused unless this term of the lease goes on. */
  readonly fence?: Term;
  /** Into the log, with the changes. */
  readonly events?: readonly EventInput[];
}

/** The revision that the records of a batch have now. */
export interface Committed {
  readonly revision: number;
}

/** An entry of the log, as somebody writes it. */
export interface EventInput {
  /** ISO 8601; default now. */
  readonly time?: string;
  /** Who: a client by the name of its certificate or its user, or a part of the daemon. */
  readonly actor: string;
  readonly type: 'Normal' | 'Warning';
  /** One word for programs. */
  readonly reason: string;
  readonly message: string;
  readonly object: { readonly kind: string; readonly name: string };
}

/** The same, kept. */
export interface StoreEvent extends EventInput {
  /** Revision of its commit, and its place among those of it: `17.0`. */
  readonly id: string;
  readonly time: string;
}

/** Which entries of the log are asked for: those for which all that is given holds. */
export interface EventFilter {
  readonly kind?: string | undefined;
  readonly name?: string | undefined;
  readonly actor?: string | undefined;
  /** ISO 8601, inclusive. */
  readonly since?: string | undefined;
  /** ISO 8601, exclusive. */
  readonly until?: string | undefined;
  readonly limit: number;
}

/** What a commit did to one record; of several changes of a batch each is told. */
export type WatchChange =
  | { readonly type: 'put'; readonly record: StoreRecord }
  | { readonly type: 'delete'; readonly kind: string; readonly name: string };

/** All of one commit. */
export interface WatchBatch {
  readonly revision: number;
  readonly changes: readonly WatchChange[];
  readonly events: readonly StoreEvent[];
}

/** Hears of commits; `onLost` is the last call. */
export interface WatchListener {
  readonly onBatch: (batch: WatchBatch) => void;
  readonly onLost: (error: Error) => void;
}

/** One holder's time with a lease. Terms count up for good, so whoever was before can be told from whoever is. */
export interface Term {
  readonly lease: string;
  readonly term: number;
}

/** Leases whose names begin alike up to a slash share one count of terms: names that come and go leave nothing behind. */
export const termsOf = (lease: string): string => lease.split('/')[0]!;

/** Rights that one holder has at a time, and that end unless they are renewed. */
export interface Leases {
  /**
   * @param ttlMs without a renewal for so long it ends, and somebody else may have it
   * @param isOthers it is held for somebody who may prolong it through any process: it goes on when this one ends
   * @returns undefined while somebody has it
   */
  acquire(lease: string, holder: string, ttlMs: number, isOthers?: boolean): Promise<Term | undefined>;
  /** @returns whether the term goes on */
  renew(term: Term): Promise<boolean>;
  release(term: Term): Promise<void>;
  holder(lease: string): Promise<{ readonly holder: string; readonly term: number } | undefined>;
  /** Leases that somebody has, of those whose names begin so. */
  held(prefix: string): Promise<ReadonlySet<string>>;
  /** Terms that there were, by `termsOf` a lease. */
  terms(): Promise<ReadonlyMap<string, number>>;
  /** Later terms will be greater than this. */
  raise(lease: string, term: number): Promise<void>;
}

/** Files by the digest of their bytes, `sha256:...`. */
export interface Blobs {
  put(bytes: Uint8Array): Promise<string>;
  get(digest: string): Promise<Buffer | undefined>;
  has(digest: string): Promise<boolean>;
  list(): Promise<readonly string[]>;
  delete(digest: string): Promise<void>;
}

/** Most bytes of one file. */
export const MOST_BLOB_BYTES = 64 * 2 ** 20;

/** Somebody else was faster. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict';
  /** `Kind/name`, or undefined where it is the specs as a whole. */
  readonly key: string | undefined;
  readonly expected: Expectation;
  /** Undefined: it is not there. */
  readonly actual: number | undefined;

  constructor(key: string | undefined, expected: Expectation, actual: number | undefined) {
    super(`${key ?? 'the specs'}: expected ${expected}, found ${actual ?? 'nothing'}`);
    this.key = key;
    this.expected = expected;
    this.actual = actual;
  }
}

/** The term has ended: another may be at work. */
export class StoreFenced extends Error {
  override readonly name = 'StoreFenced';

  constructor({ lease, term }: Term) {
    super(`term ${term} of ${lease} has ended`);
  }
}

/** Cannot be read or written now: the disk is full, nobody answers. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** A batch is more than the store takes at once. */
export class StoreTooLarge extends Error {
  override readonly name = 'StoreTooLarge';
}

/** What came after that revision is not remembered any more: read anew. */
export class StoreCompacted extends Error {
  override readonly name = 'StoreCompacted';
}

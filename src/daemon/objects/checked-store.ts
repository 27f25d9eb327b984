import { isKindName, type Kind, kindNames, kinds, manifestSchema } from '../manifests/index.ts';
import {
  type Batch,
  type Blobs,
  type Committed,
  type EventFilter,
  type Leases,
  type RecordName,
  type Snapshot,
  type Store,
  type StoreEvent,
  type StoreRecord,
  UnreadableValue,
  type WatchChange,
  type WatchListener,
} from '../store/index.ts';
import { recordKey } from './stored.ts';

/** Something stands where an object should, and is none: somebody else wrote there, or a disk did. */
export interface DamagedObject {
  readonly kind: string;
  readonly name: string;
  readonly revision: number;
  /** Where it is and what is wrong with it. */
  readonly message: string;
}

const MOST_REASONS = 3;

/**
 * A store whose records are objects, whatever others have written there: what is none is left out of all that is read, told of once,
 * and keeps nobody from the rest.
 */
export class CheckedStore implements Store {
  readonly #store: Store;
  readonly #tell: (damaged: DamagedObject) => void;
  /** Revisions of records that were found right: each is looked at once. */
  readonly #right = new Map<string, number>();
  readonly #damaged = new Map<string, DamagedObject>();

  constructor(store: Store, tell: (damaged: DamagedObject) => void) {
    this.#store = store;
    this.#tell = tell;
  }

  get name(): string {
    return this.#store.name;
  }

  get isShared(): boolean {
    return this.#store.isShared;
  }

  get leases(): Leases {
    return this.#store.leases;
  }

  get blobs(): Blobs {
    return this.#store.blobs;
  }

  /** What was found last in the place of objects, by `Kind/name`. */
  get damaged(): ReadonlyMap<string, DamagedObject> {
    return this.#damaged;
  }

  placeOf(kind: string, name: string): string {
    return this.#store.placeOf(kind, name);
  }

  async read(): Promise<Snapshot> {
    const { records, ...rest } = await this.#store.read();
    const found = new Set(records.map(recordKey));
    // What came after this moment is another reader's to tell.
    for (const [key, { revision }] of this.#damaged)
      if (!found.has(key) && revision <= rest.revision) this.#damaged.delete(key);
    return { ...rest, records: records.filter((r) => this.#isRight(r)) };
  }

  async get(kind: string, name: string): Promise<StoreRecord | undefined> {
    const record = await this.#store.get(kind, name);
    if (record === undefined) this.#damaged.delete(recordKey({ kind, name }));
    return record !== undefined && this.#isRight(record) ? record : undefined;
  }

  async pick(names: readonly RecordName[]): Promise<readonly StoreRecord[]> {
    return (await this.#store.pick(names)).filter((r) => this.#isRight(r));
  }

  async commit(batch: Batch): Promise<Committed> {
    return this.#store.commit(batch);
  }

  async watch(after: number, listener: WatchListener, signal: AbortSignal): Promise<void> {
    const onBatch: WatchListener['onBatch'] = ({ changes, ...rest }) =>
      listener.onBatch({ ...rest, changes: changes.filter((c) => this.#isKnown(c)) });
    await this.#store.watch(after, { ...listener, onBatch }, signal);
  }

  async events(filter: EventFilter): Promise<readonly StoreEvent[]> {
    return this.#store.events(filter);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  /** Whoever watches goes on with what it knows of an object that was damaged. */
  #isKnown(change: WatchChange): boolean {
    if (change.type === 'put') return this.#isRight(change.record);
    this.#damaged.delete(recordKey(change));
    this.#right.delete(recordKey(change));
    return true;
  }

  #isRight(record: StoreRecord): boolean {
    const key = recordKey(record);
    const { kind, name, revision } = record;
    if (this.#right.get(key) === revision) return true;
    const known = this.#damaged.get(key);
    if (known?.revision === revision) return false;
    const reason = faultOf(record);
    if (reason === undefined) {
      this.#right.set(key, revision);
      this.#damaged.delete(key);
      return true;
    }
    this.#right.delete(key);
    const damaged = { kind, name, revision, message: `${this.placeOf(kind, name)} ${reason}` };
    this.#damaged.set(key, damaged);
    this.#tell(damaged);
    return false;
  }
}

/** What is wrong with a record; undefined where it is an object. */
function faultOf({ kind, name, value }: StoreRecord): string | undefined {
  if (!isKindName(kind)) return `is of no kind that there is (${kindNames.join(', ')})`;
  if (value instanceof UnreadableValue) return value.reason;
  const issues = [...issuesOf(kind, value)];
  if (issues.length > 0) return `is no ${kind}: ${issues.slice(0, MOST_REASONS).join('; ')}`;
  const { metadata } = value as { readonly metadata: Record<string, unknown> };
  if (metadata.name !== name) return `is an object of another name`;
  const missing = ['generation', 'uid', 'creationTimestamp'].filter((field) => metadata[field] === undefined);
  return missing.length === 0 ? undefined : `is no ${kind}: metadata.${missing[0]} is missing`;
}

/** Fields that a later program has beside those of this one do no harm. */
function* issuesOf(kind: Kind, value: unknown): Generator<string> {
  const status = typeof value === 'object' && value !== null ? Reflect.get(value, 'status') : undefined;
  for (const [schema, part, at] of [
    [manifestSchema(kind), value, []],
    [kinds[kind].status, status, ['status']],
  ] as const) {
    const { error } = schema.safeParse(part);
    for (const { code, path, message } of error?.issues ?? [])
      if (code !== 'unrecognized_keys') yield `${[...at, ...path].join('.') || 'its top'}: ${message}`;
  }
}

import { isKind, isKindName, keyOf, type StoredObject } from '../manifests/index.ts';
import { type Objects, objectOf } from '../objects/index.ts';
import type { WatchBatch } from '../store/index.ts';

/** Who hears of changes. */
export interface RecordsHost {
  /** Another spec of a device or worker. */
  readonly onNode: (name: string) => void;
  /** Something that turns go by. */
  readonly onChange: () => void;
  /** Changes are not heard of any more: `watch` has to be called again. */
  readonly onLost: () => void;
}

/** The objects of a store as they were heard of last. */
export class Records {
  readonly #objects: Objects;
  readonly #host: RecordsHost;
  readonly #known = new Map<string, StoredObject>();
  #revision = 0;
  #specRevision = 0;
  #watching: AbortController | undefined;

  constructor(objects: Objects, host: RecordsHost) {
    this.#objects = objects;
    this.#host = host;
  }

  /** Counts changes of what turns go by; states of nodes that come back from the store are none. */
  get revision(): number {
    return this.#revision;
  }

  /** Counts those of them that are not of a status alone. */
  get specRevision(): number {
    return this.#specRevision;
  }

  values(): MapIterator<StoredObject> {
    return this.#known.values();
  }

  /** What was just written is known before it comes back; nobody is told. */
  put(object: StoredObject): void {
    this.#known.set(keyOf(object), object);
    this.#revision++;
  }

  /** Something else that turns go by has changed. */
  touch(): void {
    this.#revision++;
  }

  /** All objects, and every change of them from then on. */
  async watch(): Promise<void> {
    this.end();
    const watching = new AbortController();
    this.#watching = watching;
    const { revision, objects } = await this.#objects.list();
    this.#known.clear();
    for (const object of objects) this.#known.set(keyOf(object), object);
    this.#revision++;
    this.#specRevision++;
    const onBatch = (batch: WatchBatch) => this.#changed(batch);
    const onLost = () => {
      if (!watching.signal.aborted) this.#host.onLost();
    };
    await this.#objects.store.watch(revision, { onBatch, onLost }, watching.signal);
  }

  /** Hears of no more changes. */
  end(): void {
    this.#watching?.abort();
  }

  #changed({ changes }: WatchBatch): void {
    let counts = false;
    for (const change of changes) {
      const { kind, name } = change.type === 'put' ? change.record : change;
      if (!isKindName(kind)) continue;
      const key = `${kind}/${name}`;
      const before = this.#known.get(key);
      if (change.type === 'delete') {
        this.#known.delete(key);
        counts = true;
        this.#specRevision++;
        continue;
      }
      const object = objectOf(change.record);
      this.#known.set(key, object);
      const isNode = kind === 'Device' || kind === 'Worker';
      const { generation, uid } = object.metadata;
      const same = before?.metadata.generation === generation && before.metadata.uid === uid;
      if (!same || !(isNode || isOnlyMeasured(before, object))) counts = true;
      if (same) continue;
      this.#specRevision++;
      if (isNode) this.#host.onNode(name);
    }
    if (!counts) return;
    this.#revision++;
    this.#host.onChange();
  }
}

/** Whether nothing else is new of an object than what is measured of it. */
function isOnlyMeasured(before: StoredObject, now: StoredObject): boolean {
  if (now.kind === 'Placement' || now.kind === 'FlowPolicy') return true;
  if (!isKind(before, 'Service') || !isKind(now, 'Service')) return false;
  return before.status.version === now.status.version && before.status.model === now.status.model;
}

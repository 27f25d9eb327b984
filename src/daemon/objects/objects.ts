import { randomUUID } from 'node:crypto';
import { suggestions } from '../../p4runtime/suggestions.ts';
import {
  API_VERSION,
  fault,
  type Kind,
  keyOf,
  Refused,
  referrers,
  type SpecOf,
  type StatusOf,
  type StoredObject,
  universeOf,
} from '../manifests/index.ts';
import {
  type Batch,
  type EventInput,
  type Store,
  StoreConflict,
  StoreTooLarge,
  type Term,
} from '../store/index.ts';
import { type Admission, type Applied, type ApplyOptions, planApply, validated } from './apply.ts';
import { CheckedStore, type DamagedObject } from './checked-store.ts';
import { fileDigests, keptOf, type ObjectName, objectOf, recordKey, sameJson } from './stored.ts';

/** How often a change is begun anew because another one came between. */
const ATTEMPTS = 20;

/** Of a deletion. */
export interface DeleteOptions extends ApplyOptions {
  /** Only this version of the one object that is named. */
  readonly resourceVersion?: string | undefined;
}

/** A new status of one object, made of the one that it has. */
export interface StatusChange<K extends Kind = Kind> {
  readonly kind: K;
  readonly name: string;
  /** Undefined leaves it as it is. */
  readonly change: (object: StoredObject<K>) => StatusOf<K> | undefined;
}

interface Written {
  readonly events?: readonly EventInput[];
  readonly fence?: Term | undefined;
}

/**
 * The objects of a store: what operators apply and delete, all of a call or nothing, and what the daemon itself writes of
 * them. Whoever waits for changes watches the store.
 */
export class Objects {
  readonly store: CheckedStore;
  readonly #admit: Admission;
  readonly #listeners = new Set<(damaged: DamagedObject) => void>();

  /** @param admit what else must be right before objects are taken; default nothing */
  constructor(store: Store, admit: Admission = async () => []) {
    this.store = new CheckedStore(store, (damaged) => {
      for (const listener of this.#listeners) listener(damaged);
    });
    this.#admit = admit;
  }

  /** Hears of each record that is no object, when it is first met. @returns what ends that */
  onDamaged(listener: (damaged: DamagedObject) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All at one moment, with the revision behind which a watch goes on. */
  async list(kind?: Kind): Promise<{ readonly revision: number; readonly objects: readonly StoredObject[] }> {
    const { revision, records } = await this.store.read();
    return { revision, objects: records.filter((r) => kind === undefined || r.kind === kind).map(objectOf) };
  }

  async get<K extends Kind>(kind: K, name: string): Promise<StoredObject<K> | undefined> {
    const record = await this.store.get(kind, name);
    // Records of a kind are objects of that kind.
    return record && (objectOf(record) as StoredObject<K>);
  }

  /** @throws Refused where there is none */
  async need<K extends Kind>(kind: K, name: string): Promise<StoredObject<K>> {
    const object = await this.get(kind, name);
    if (object !== undefined) return object;
    const damaged = this.store.damaged.get(`${kind}/${name}`);
    if (damaged !== undefined) throw new Refused('Conflict', [damagedFault(damaged)]);
    throw new Refused('NotFound', [unknownFault({ kind, name }, (await this.list(kind)).objects)]);
  }

  /** @throws Refused with place and remedy of every fault; nothing is written then */
  async apply(documents: readonly unknown[], options: ApplyOptions): Promise<readonly Applied[]> {
    const manifests = validated(documents);
    return again(async () => {
      const snapshot = await this.store.read();
      const plan = await planApply(this.store, snapshot, manifests, options, this.#admit);
      if (options.dryRun || plan.changes.length === 0) return plan.applied;
      const { changes, events } = plan;
      const { revision } = await this.#commit({ changes, events, basis: snapshot.specRevision });
      return plan.applied.map((a) =>
        a.action === 'unchanged' ? a : { ...a, object: atRevision(a.object, revision) },
      );
    });
  }

  /** @throws Refused where one is not there, or others refer to it; nothing is deleted then */
  async delete(names: readonly ObjectName[], options: DeleteOptions): Promise<readonly StoredObject[]> {
    return again(async () => {
      const snapshot = await this.store.read();
      const objects = snapshot.records.map(objectOf);
      const universe = universeOf(objects);
      const wanted = new Set(names.map(recordKey));
      const damaged = names.flatMap((n) => this.store.damaged.get(recordKey(n)) ?? []);
      const missing = names.filter(
        (n) => !universe.has(recordKey(n)) && !this.store.damaged.has(recordKey(n)),
      );
      if (missing.length > 0)
        throw new Refused(
          'NotFound',
          missing.map((n) => unknownFault(n, objects)),
        );
      const whole = names.filter((n) => universe.has(recordKey(n)));
      const faults = whole.flatMap((n) => deleteFaults(n, universe, wanted, options.resourceVersion));
      if (faults.length > 0) throw new Refused('Conflict', faults);
      const byKey = new Map(objects.map((o) => [keyOf(o), o]));
      const gone = [...wanted].flatMap((key) => byKey.get(key) ?? []);
      // What the daemon made of a service goes with it.
      const derived = objects.filter(
        (o) => o.kind === 'Placement' && wanted.has(`Service/${o.metadata.name}`),
      );
      if (options.dryRun) return gone;
      await this.#commit({
        changes: [
          ...[...gone, ...derived].map(({ kind, metadata }) => ({
            kind,
            name: metadata.name,
            expect: Number(metadata.resourceVersion),
          })),
          ...damaged.map(({ kind, name, revision }) => ({ kind, name, expect: revision })),
        ].map((change) => ({ op: 'delete', ...change })),
        events: [...gone.map(({ kind, metadata: { name } }) => ({ kind, name })), ...damaged].map(
          ({ kind, name }) => ({
            actor: options.actor,
            type: 'Normal',
            reason: 'Deleted',
            message: 'deleted',
            object: { kind, name },
          }),
        ),
        basis: snapshot.specRevision,
      });
      await this.#dropFiles(gone, objects);
      return gone;
    });
  }

  /**
   * Writes statuses that the daemon has found, in one commit; those of objects that are gone are left out.
   * @throws StoreFenced where the term has ended
   */
  async setStatus(changes: readonly StatusChange[], { events = [], fence }: Written = {}): Promise<void> {
    await again(async () => {
      const records = new Map((await this.store.pick(changes)).map((r) => [recordKey(r), r]));
      const puts = changes.flatMap(({ kind, name, change }) => {
        const record = records.get(`${kind}/${name}`);
        if (record === undefined) return [];
        const object = objectOf(record);
        const status = change(object);
        if (status === undefined || sameJson(status, object.status)) return [];
        const value = keptOf({ ...object, status });
        return [{ op: 'put' as const, kind, name, value, expect: record.revision }];
      });
      if (puts.length > 0 || events.length > 0)
        await this.store.commit({ changes: puts, events, ...(fence && { fence }) });
    });
  }

  /** Writes, or with undefined removes, what the daemon makes of a service. @throws StoreFenced where the term has ended */
  async setPlacement(
    name: string,
    spec: SpecOf<'Placement'> | undefined,
    { events = [], fence }: Written = {},
  ): Promise<void> {
    await again(async () => {
      const record = await this.store.get('Placement', name);
      const before = record && objectOf(record);
      if (spec === undefined ? before === undefined : before !== undefined && sameJson(before.spec, spec))
        return;
      const kind = 'Placement';
      const damaged = this.store.damaged.get(`Placement/${name}`);
      const expect = record?.revision ?? damaged?.revision ?? 'absent';
      const change =
        spec === undefined
          ? ({ op: 'delete', kind, name, expect: record!.revision } as const)
          : ({ op: 'put', kind, name, value: keptOf(placementOf(name, spec, before)), expect } as const);
      await this.store.commit({ changes: [change], events, ...(fence && { fence }) });
    });
  }

  /** Into the log, without a change. */
  async log(events: readonly EventInput[], fence?: Term): Promise<void> {
    if (events.length > 0) await this.store.commit({ changes: [], events, ...(fence && { fence }) });
  }

  async #commit(batch: Batch) {
    try {
      return await this.store.commit(batch);
    } catch (error) {
      if (!(error instanceof StoreTooLarge)) throw error;
      const remedy = 'apply the file in several parts, what is referred to first';
      throw new Refused('TooLarge', [fault('controller', { reason: error.message, remedy })]);
    }
  }

  /** Files that no version names any more. */
  async #dropFiles(gone: readonly StoredObject[], objects: readonly StoredObject[]): Promise<void> {
    const kept = new Set(fileDigests(objects.filter((o) => !gone.includes(o))));
    for (const digest of fileDigests(gone)) if (!kept.has(digest)) await this.store.blobs.delete(digest);
  }
}

/** Another one may have come between: then what is right is found anew. */
async function again<T>(attempt: () => Promise<T>): Promise<T> {
  for (let i = 1; ; i++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StoreConflict) || i === ATTEMPTS) throw error;
    }
  }
}

const atRevision = (object: StoredObject, revision: number): StoredObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: `${revision}` },
});

const damagedFault = ({ kind, name, message }: DamagedObject) =>
  fault('object-damaged', { what: message }, { object: `${kind}/${name}` });

function unknownFault(name: ObjectName, objects: readonly StoredObject[]) {
  const names = objects.filter((o) => o.kind === name.kind).map((o) => o.metadata.name);
  const object = recordKey(name);
  return fault('object-unknown', { object, near: suggestions(name.name, names) }, { object });
}

function deleteFaults(
  { kind, name }: ObjectName,
  universe: ReturnType<typeof universeOf>,
  wanted: ReadonlySet<string>,
  resourceVersion: string | undefined,
) {
  const object = `${kind}/${name}`;
  if (kind === 'Placement') return [fault('manifest-derived', { object, kind }, { object })];
  const current = universe.get(object)!.metadata.resourceVersion!;
  if (resourceVersion !== undefined && resourceVersion !== current)
    return [fault('object-conflict', { object, given: resourceVersion, current }, { object })];
  const by = referrers(universe, object).filter((key) => !wanted.has(key));
  return by.length === 0 ? [] : [fault('object-referenced', { object, by: by.slice(0, 10) }, { object })];
}

function placementOf(
  name: string,
  spec: SpecOf<'Placement'>,
  before: StoredObject | undefined,
): StoredObject {
  return {
    apiVersion: API_VERSION,
    kind: 'Placement',
    metadata: {
      name,
      generation: (before?.metadata.generation ?? 0) + 1,
      uid: before?.metadata.uid ?? randomUUID(),
      creationTimestamp: before?.metadata.creationTimestamp ?? new Date().toISOString(),
      resourceVersion: '0',
    },
    spec,
    status: before?.status ?? { conditions: [] },
  };
}

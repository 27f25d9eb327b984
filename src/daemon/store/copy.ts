import { refuse } from '../../diagnostics/index.ts';
import type { EventInput, Store } from './store.ts';
import { UnreadableValue } from './stored-value.ts';

/** Objects and events that go over in one commit: what etcd takes at once. */
const PORTION = 100;

/** How much was copied. */
export interface CopyReport {
  readonly objects: number;
  readonly events: number;
  readonly files: number;
}

/**
 * Everything of one store into another, which is empty: objects, log, files, and the terms of leases, so that election ids do
 * not go back. Revisions are those of the other store.
 * @pre no controller is at work on either
 * @throws DiagnosticError `store` where the other is not empty
 */
export async function copyStore(from: Store, to: Store): Promise<CopyReport> {
  const there = await to.read();
  if (there.records.length > 0 || (await to.events({ limit: 1 })).length > 0)
    refuse('store', { store: to.name, reason: 'it is not empty', remedy: 'name one that is new' });
  const { records } = await from.read();
  const damaged = records.find(({ value }) => value instanceof UnreadableValue);
  if (damaged !== undefined) refuseDamaged(from, from.placeOf(damaged.kind, damaged.name));
  const digests = await from.blobs.list();
  for (const digest of digests) {
    const bytes = await from.blobs.get(digest);
    if (bytes === undefined) refuseDamaged(from, `the file ${digest}`);
    await to.blobs.put(bytes);
  }
  for (const [lease, term] of await from.leases.terms()) await to.leases.raise(lease, term);
  const events = await from.events({ limit: Number.MAX_SAFE_INTEGER });
  for (const portion of portions(events))
    await to.commit({ changes: [], events: portion.map(({ id: _, ...event }): EventInput => event) });
  for (const portion of portions(records))
    await to.commit({
      changes: portion.map(({ kind, name, value }) => ({ op: 'put', kind, name, value, expect: 'absent' })),
      basis: (await to.read()).specRevision,
    });
  return { objects: records.length, events: events.length, files: digests.length };
}

function refuseDamaged(store: Store, what: string): never {
  const remedy = 'delete it or put it right first';
  return refuse('store', { store: store.name, reason: `${what} cannot be read`, remedy });
}

function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += PORTION) yield items.slice(i, i + PORTION);
}

import type { P4InfoIndex } from '../p4info-index.ts';
import type { Message, MessageName } from '../proto/messages.ts';
import type { Change } from './device.ts';
import type { Store } from './store.ts';

/** What an update does. */
export type UpdateType = Change['type'];

/** What the checks of an update look at. */
export interface WriteContext {
  readonly index: P4InfoIndex;
  readonly store: Store;
}

/** A checked update: what the device is to do, and what the store keeps if it did; `commit` returns what undoes it. */
export interface Prepared {
  readonly change: Change;
  /** What the device does to undo it. */
  readonly inverse: Change;
  commit(): () => void;
}

/** Checks one update of an entity of a kind. @throws Fault */
export type Prepare<N extends MessageName> = (
  context: WriteContext,
  type: UpdateType,
  entry: Message<N>,
) => Prepared;

const back = { INSERT: 'DELETE', DELETE: 'INSERT', MODIFY: 'MODIFY' } as const;

/** A checked update of an entity. @param old what it was; where it was not there, what it will be */
export const prepared = (
  type: UpdateType,
  entity: Change['entity'],
  old: Change['entity'],
  commit: Prepared['commit'],
): Prepared => ({ change: { type, entity }, inverse: { type: back[type], entity: old }, commit });

/** Sets or removes an item of a map, with its undoing. */
export function change<K, V>(map: Map<K, V>, key: K, value: V | undefined): () => void {
  const before = map.get(key);
  const put = (v: V | undefined): void => {
    if (v === undefined) map.delete(key);
    else map.set(key, v);
  };
  put(value);
  return () => put(before);
}

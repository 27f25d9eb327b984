import type { P4InfoIndex } from '../p4info-index.ts';
import type { Change } from './device.ts';
import type { Store } from './store.ts';

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

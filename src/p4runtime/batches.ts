import { entityGroup, entityKey } from './entity-key.ts';
import type { Init } from './proto/messages.ts';

/** Some updates of a longer list. */
export interface Batch {
  /** Index of the first in that list. */
  readonly offset: number;
  readonly updates: readonly Init<'Update'>[];
}

/**
 * Cuts updates into stages of batches. The batches of one stage may be on their way together, in any order; a stage begins
 * when the one before is answered. So the order that the caller gave holds between tables, between kinds of entities,
 * between insertions and deletions, and for two updates of one entity. The order within a Write is free by the standard
 * (section "Batching and Ordering of Updates"), so two updates of one entity never share one either.
 */
export function planBatches(updates: readonly Init<'Update'>[], size: number): readonly (readonly Batch[])[] {
  const stages: Batch[][] = [];
  let start = 0;
  let previous: Init<'Update'> | undefined;
  let keys = new Set<string>();
  const cut = (end: number): void => {
    const batches: Batch[] = [];
    for (let at = start; at < end; at += size)
      batches.push({ offset: at, updates: updates.slice(at, Math.min(end, at + size)) });
    if (batches.length > 0) stages.push(batches);
    start = end;
    keys = new Set();
  };
  updates.forEach((update, i) => {
    const key = entityKey(update.entity ?? {});
    if (previous === undefined || !sameGroup(previous, update) || keys.has(key)) cut(i);
    previous = update;
    keys.add(key);
  });
  cut(updates.length);
  return stages;
}

function sameGroup(a: Init<'Update'>, b: Init<'Update'>): boolean {
  if (a.type !== b.type) return false;
  const [x, y] = [a.entity?.tableEntry, b.entity?.tableEntry];
  if (x !== undefined || y !== undefined) return x?.tableId === y?.tableId;
  return entityGroup(a.entity ?? {}) === entityGroup(b.entity ?? {});
}

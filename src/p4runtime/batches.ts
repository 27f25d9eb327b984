import { entityHash } from './entity-hash.ts';
import { entityGroup } from './entity-key.ts';
import type { Init } from './proto/messages.ts';

/** Some updates of a longer list. */
export interface Batch {
  /** Index of the first in that list. */
  readonly offset: number;
  readonly updates: readonly Init<'Update'>[];
  /** Whether it may be sent only when all batches before it are answered. */
  readonly afterAll: boolean;
}

/**
 * Cuts updates into batches, one after the other as they are asked for: while a device works on the first, the next is
 * made. The order that the caller gave holds between tables, between kinds of entities, between insertions and deletions,
 * and for two updates of one entity; what stands between two such borders may be on its way together, in any order. The
 * order within a Write is free by the standard (section "Batching and Ordering of Updates"), so two updates of one entity
 * never share one either. Entities are told apart by a hash: two that share one by chance only wait for each other.
 */
export function* planBatches(updates: readonly Init<'Update'>[], size: number): Generator<Batch, void, void> {
  let start = 0;
  let afterAll = false;
  let previous: Init<'Update'> | undefined;
  const seen = new Set<number>();
  for (let i = 0; i < updates.length; i++) {
    const update = updates[i]!;
    const hash = entityHash(update.entity ?? {});
    const border = previous !== undefined && (!sameGroup(previous, update) || seen.has(hash));
    if (border || i - start === size) {
      yield { offset: start, updates: updates.slice(start, i), afterAll };
      start = i;
      afterAll = border;
    }
    if (border) seen.clear();
    previous = update;
    seen.add(hash);
  }
  if (start < updates.length) yield { offset: start, updates: updates.slice(start), afterAll };
}

function sameGroup(a: Init<'Update'>, b: Init<'Update'>): boolean {
  if (a.type !== b.type) return false;
  const [x, y] = [a.entity?.tableEntry, b.entity?.tableEntry];
  if (x !== undefined || y !== undefined) return x?.tableId === y?.tableId;
  return entityGroup(a.entity ?? {}) === entityGroup(b.entity ?? {});
}

import { entitiesByKey, isSameEntity } from './normal-form.ts';
import type { Entity, Update } from './types.ts';
import { isAlwaysThere, removal } from './whole-entity.ts';

/** Order in which things may be inserted: what others refer to comes first. Deletion goes the other way. */
const ORDER = ['member', 'group', 'multicast', 'clone', 'table'] as const;
const rank = (key: string): number => ORDER.findIndex((kind) => key.startsWith(kind));

/** The updates that lead from what is to what should be, in an order in which each of them can be done. */
export function difference(
  is: Iterable<Entity>,
  should: Iterable<Entity>,
  constTables: ReadonlySet<number>,
): readonly Update[] {
  const present = entitiesByKey(is);
  const wanted = entitiesByKey(should);
  const write: { readonly update: Update; readonly rank: number }[] = [];
  const remove: { readonly update: Update; readonly rank: number }[] = [];
  for (const [key, entity] of wanted) {
    const old = present.get(key);
    if (old !== undefined && isSameEntity(old, entity)) continue;
    const modify = old !== undefined || isAlwaysThere(entity);
    write.push({ update: { type: modify ? 'MODIFY' : 'INSERT', entity }, rank: rank(key) });
  }
  for (const [key, entity] of present) {
    const fixed =
      entity.tableEntry !== undefined &&
      (entity.tableEntry.isConst || constTables.has(entity.tableEntry.tableId ?? 0));
    if (!wanted.has(key) && !fixed) remove.push({ update: removal(entity), rank: rank(key) });
  }
  write.sort((a, b) => a.rank - b.rank);
  remove.sort((a, b) => b.rank - a.rank);
  // Entries go first, so that there is room; what they name goes last.
  const tables = ORDER.length - 1;
  const [entries, named] = [remove.filter((r) => r.rank === tables), remove.filter((r) => r.rank < tables)];
  return [...entries, ...write, ...named].map(({ update }) => update);
}

import type { Entity, Update } from './types.ts';

/** Whether an entity is there whatever is written, and so is only ever modified: a default action, or a cell of a meter. */
export const isAlwaysThere = ({ tableEntry, meterEntry }: Entity): boolean =>
  tableEntry?.isDefaultAction === true || meterEntry !== undefined;

/** The update by which an entity comes. What is there always is modified. */
export const insertion = (
  entity: Entity,
): { readonly type: 'INSERT' | 'MODIFY'; readonly entity: Entity } => ({
  type: isAlwaysThere(entity) ? 'MODIFY' : 'INSERT',
  entity,
});

/** The update by which an entity goes. What is there always is put back to what the program says. */
export function removal(entity: Entity): Update {
  const { tableEntry, meterEntry } = entity;
  if (tableEntry?.isDefaultAction)
    return { type: 'MODIFY', entity: { tableEntry: { tableId: tableEntry.tableId, isDefaultAction: true } } };
  if (meterEntry !== undefined) {
    const { meterId, index } = meterEntry;
    return { type: 'MODIFY', entity: { meterEntry: { meterId, index } } };
  }
  return { type: 'DELETE', entity };
}

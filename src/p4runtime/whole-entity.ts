import type { Entity, Update } from './types.ts';

/** The update by which an entity comes. A default action is there always, and so is modified. */
export const insertion = (entity: Entity): Update => ({
  type: entity.tableEntry?.isDefaultAction ? 'MODIFY' : 'INSERT',
  entity,
});

/** The update by which an entity goes. A default action is not deleted, but put back to what the program says. */
export const removal = (entity: Entity): Update =>
  entity.tableEntry?.isDefaultAction
    ? {
        type: 'MODIFY',
        entity: { tableEntry: { tableId: entity.tableEntry.tableId, isDefaultAction: true } },
      }
    : { type: 'DELETE', entity };

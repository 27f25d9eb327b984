import { entityKey } from './entity-key.ts';
import type { Init } from './proto/messages.ts';

type Update = Init<'Update'>;
type Entity = Init<'Entity'>;

/** The request that reads the entity of an update as it is now. */
export function readRequestOf({ entity = {} }: Update): Entity {
  const e = entity;
  if (e.tableEntry) {
    const { tableId, match, priority, isDefaultAction } = e.tableEntry;
    return { tableEntry: { tableId, match, priority, isDefaultAction } };
  }
  if (e.actionProfileMember) return { actionProfileMember: { ...e.actionProfileMember, action: undefined } };
  if (e.actionProfileGroup)
    return { actionProfileGroup: { ...e.actionProfileGroup, members: [], maxSize: 0 } };
  if (e.counterEntry) return { counterEntry: { ...e.counterEntry, data: undefined } };
  if (e.meterEntry) return { meterEntry: { ...e.meterEntry, config: undefined } };
  if (e.registerEntry) return { registerEntry: { ...e.registerEntry, data: undefined } };
  if (e.directCounterEntry) return { directCounterEntry: { ...e.directCounterEntry, data: undefined } };
  if (e.directMeterEntry) return { directMeterEntry: { ...e.directMeterEntry, config: undefined } };
  return e;
}

/** Updates whose inverse needs to know what was there: everything but insertions. */
export const needsBefore = (updates: readonly Update[]): readonly Update[] =>
  updates.filter((u) => u.type !== 'INSERT');

/**
 * The updates that undo `done`, the last first. What was there is looked up in `before` by its key; an update whose
 * entity was not there, and yet worked, cannot be (the device would have refused it).
 */
export function inverseOf(done: readonly Update[], before: ReadonlyMap<string, Entity>): readonly Update[] {
  const undo: Update[] = [];
  for (const { type, entity = {} } of [...done].reverse()) {
    const old = before.get(entityKey(entity));
    if (type === 'INSERT') undo.push({ type: 'DELETE', entity });
    else if (old !== undefined) undo.push({ type: type === 'DELETE' ? 'INSERT' : 'MODIFY', entity: old });
  }
  return undo;
}

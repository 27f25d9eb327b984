import type { ExternInfo, P4InfoIndex } from '../p4info-index.ts';
import type { Message } from '../proto/messages.ts';
import { exists, invalid, notFound, unsupported } from './fault.ts';
import { cellsOf } from './store.ts';
import { change, type Prepared, prepared, type UpdateType, type WriteContext } from './write-context.ts';

/** The instances that two ids name; 0 is any. @throws Fault INVALID_ARGUMENT where they name none */
export function externsNamed(
  index: P4InfoIndex,
  { externTypeId, externId }: Pick<Message<'ExternEntry'>, 'externTypeId' | 'externId'>,
): readonly ExternInfo[] {
  const found = [...index.externs].filter(
    (e) => (externTypeId === 0 || e.typeId === externTypeId) && (externId === 0 || e.id === externId),
  );
  if (found.length === 0 && (externTypeId !== 0 || externId !== 0))
    throw invalid(`there is no extern ${externId} of type ${externTypeId}`);
  return found;
}

/** Where the store keeps the entries of an instance. */
export const externCell = (typeId: number, id: number): string => `${typeId} ${id}`;

/** Section "ExternEntry": what an entry holds, the architecture says, so the device. */
export function prepareExtern(
  { index, store }: WriteContext,
  type: UpdateType,
  entry: Message<'ExternEntry'>,
): Prepared {
  const { externTypeId, externId } = entry;
  if (externTypeId === 0 || externId === 0) throw invalid('an extern needs the id of its type and its own');
  externsNamed(index, entry);
  const { device } = store;
  if (device.externKey === undefined) throw unsupported('externs');
  if (entry.entry === undefined) throw invalid('the extern has no entry');
  const entries = cellsOf(store.externs, externCell(externTypeId, externId));
  const key = device.externKey(entry);
  const old = entries.get(key);
  if (type === 'INSERT' && old !== undefined) throw exists('the extern has this entry');
  if (type !== 'INSERT' && old === undefined) throw notFound('the extern has no such entry');
  const isGone = type === 'DELETE';
  return prepared(type, { externEntry: isGone ? old! : entry }, { externEntry: old ?? entry }, () =>
    change(entries, key, isGone ? undefined : entry),
  );
}

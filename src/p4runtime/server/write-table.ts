import { tableEntryKey } from '../entity-key.ts';
import type { TableInfo } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { checkRoom, checkTableAction } from './check-action.ts';
import { checkMatch } from './check-match.ts';
import { checkMeterConfig, checkMeterCounts } from './check-meter.ts';
import { denied, exists, invalid, notFound } from './fault.ts';
import { change, type Prepared, prepared, type UpdateType, type WriteContext } from './write-context.ts';

type Entry = Init<'TableEntry'>;
type Incoming = Message<'TableEntry'>;

/** @throws Fault INVALID_ARGUMENT */
export function tableOf({ index }: WriteContext, tableId: number): TableInfo {
  const table = index.tables.find(tableId);
  if (tableId === 0 || table === undefined) throw invalid(`there is no table ${tableId}`);
  return table;
}

/** Match and priority, checked. @throws Fault INVALID_ARGUMENT */
export function checkKey(table: TableInfo, entry: Incoming): Entry {
  const match = checkMatch(table.fields, entry.match);
  const { priority } = entry;
  if (table.needsPriority ? priority < 1 : priority !== 0)
    throw invalid(
      `a priority of ${priority} in ${table.name}, whose entries ${table.needsPriority ? 'may' : 'cannot'} overlap`,
    );
  return { tableId: table.id, match, priority };
}

/** Checks one update of a table in the order of the standard (section "TableEntry"). */
export function prepareTableEntry(context: WriteContext, type: UpdateType, entry: Incoming): Prepared {
  const table = tableOf(context, entry.tableId);
  if (entry.isDefaultAction) return prepareDefault(context, table, type, entry);
  if (type === 'INSERT' && table.fields.size === 0)
    throw invalid(`${table.name} has no key, so only a default action`);
  if (entry.isConst && type !== 'DELETE') throw invalid('is_const is the program’s to say');
  const touchesAction = type !== 'MODIFY' || entry.action !== undefined;
  if (table.info.isConstTable && touchesAction) throw denied(`${table.name} is constant`);
  const key = checkKey(table, entry);
  const entries = context.store.entries(table.id);
  const id = tableEntryKey(key);
  const old = entries.get(id);
  if (old?.isConst && touchesAction) throw denied(`this entry of ${table.name} is constant`);
  if (type === 'INSERT' && old !== undefined) throw exists(`${table.name} has this entry`);
  if (type !== 'INSERT' && old === undefined) throw notFound(`${table.name} has no such entry`);
  const set = (value: Entry | undefined) => () => change(entries, id, value);
  if (type === 'DELETE') return preparedEntry(type, old!, old!, set(undefined));
  const entity = contents(context, table, key, entry, old);
  if (type === 'INSERT') checkRoom(table.name, entries.size, Number(table.info.size));
  return preparedEntry(type, withCleared(entity, entry), old ?? entity, set(entity));
}

/** What the device is to do: counts of a meter are cleared once, and are no part of the entry. */
const withCleared = (entity: Entry, { meterCounterData }: Incoming): Entry =>
  meterCounterData === undefined ? entity : { ...entity, meterCounterData };

const preparedEntry = (type: UpdateType, entry: Entry, old: Entry, commit: Prepared['commit']): Prepared =>
  prepared(type, { tableEntry: entry }, { tableEntry: old }, commit);

/** The whole new state of an entry: a modification is no difference, but for the action and the counter. */
function contents(
  context: WriteContext,
  table: TableInfo,
  key: Entry,
  entry: Incoming,
  old: Entry | undefined,
): Entry {
  const { index, store } = context;
  if (entry.action === undefined && old === undefined) throw invalid('an entry needs an action');
  const action =
    entry.action === undefined ? old?.action : checkTableAction(index, store, table, entry.action, 'entries');
  checkDirect(context, table, entry);
  if (entry.idleTimeoutNs < 0n) throw invalid('a negative idle timeout');
  if (entry.idleTimeoutNs !== 0n && table.info.idleTimeoutBehavior === 'NO_TIMEOUT')
    throw invalid(`${table.name} has no idle timeout`);
  if (entry.timeSinceLastHit !== undefined) throw invalid('time_since_last_hit is for reading');
  return {
    ...key,
    action,
    metadata: entry.metadata,
    controllerMetadata: entry.controllerMetadata,
    idleTimeoutNs: entry.idleTimeoutNs,
    isConst: old?.isConst ?? false,
    ...directData(table, entry, old),
  };
}

function checkDirect({ store }: WriteContext, table: TableInfo, entry: Incoming): void {
  if (entry.counterData !== undefined && table.directCounter === undefined)
    throw invalid(`${table.name} has no direct counter`);
  if (entry.meterConfig !== undefined) {
    if (table.directMeter === undefined) throw invalid(`${table.name} has no direct meter`);
    checkMeterConfig(table.directMeter.info.spec, entry.meterConfig);
  }
  if (entry.meterCounterData === undefined) return;
  if (table.directMeter === undefined) throw invalid(`${table.name} has no direct meter`);
  checkMeterCounts(entry.meterCounterData, store.device.readDirectMeterCounts !== undefined);
}

function directData(table: TableInfo, entry: Incoming, old: Entry | undefined): Entry {
  const counterData = entry.counterData ?? old?.counterData ?? { byteCount: 0n, packetCount: 0n };
  return {
    ...(table.directCounter !== undefined && { counterData }),
    ...(entry.meterConfig !== undefined && { meterConfig: entry.meterConfig }),
  };
}

/** Section "Default Entry". */
function prepareDefault(
  context: WriteContext,
  table: TableInfo,
  type: UpdateType,
  entry: Incoming,
): Prepared {
  if (type !== 'MODIFY') throw invalid('a default action is only modified');
  if (entry.match.length > 0 || entry.priority !== 0) throw invalid('a default action has no key');
  if (entry.idleTimeoutNs !== 0n || entry.timeSinceLastHit !== undefined)
    throw invalid('a default action never idles');
  if (entry.isConst) throw invalid('is_const is the program’s to say');
  if (table.info.constDefaultActionId !== 0 || table.profileId !== 0)
    throw denied(`the default action of ${table.name} is constant`);
  const { defaults, ownDefaults } = context.store;
  const old = defaults.get(table.id);
  const own = ownDefaults.get(table.id) ?? programDefault(table);
  const { action: given, meterConfig, counterData, meterCounterData } = entry;
  if ([given, meterConfig, counterData, meterCounterData].every((part) => part === undefined))
    return preparedEntry(type, own, old ?? own, () => change(defaults, table.id, undefined));
  checkDirect(context, table, entry);
  const action =
    entry.action === undefined
      ? own.action
      : checkTableAction(context.index, context.store, table, entry.action, 'default');
  const entity: Entry = {
    tableId: table.id,
    isDefaultAction: true,
    action,
    metadata: entry.metadata,
    controllerMetadata: entry.controllerMetadata,
    ...directData(table, entry, old),
  };
  return preparedEntry(type, withCleared(entity, entry), old ?? own, () =>
    change(defaults, table.id, entity),
  );
}

/** The program's own default action, as far as P4Info tells it. */
export function programDefault(table: TableInfo): Entry {
  const initial = table.info.initialDefaultAction;
  const actionId = initial?.actionId ?? table.info.constDefaultActionId;
  const params = (initial?.arguments ?? []).map(({ paramId, value }) => ({ paramId, value }));
  return {
    tableId: table.id,
    isDefaultAction: true,
    ...(actionId !== 0 && { action: { action: { actionId, params } } }),
    ...(table.directCounter !== undefined && { counterData: { byteCount: 0n, packetCount: 0n } }),
  };
}

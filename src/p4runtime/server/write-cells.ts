import { tableEntryKey } from '../entity-key.ts';
import type { Named } from '../name-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { checkData } from './check-data.ts';
import { checkMatch } from './check-match.ts';
import { checkMeterConfig, checkMeterCounts } from './check-meter.ts';
import { exhausted, exists, invalid, notFound, outOfRange } from './fault.ts';
import { cellsOf } from './store.ts';
import { change, type Prepare, type Prepared, type UpdateType, type WriteContext } from './write-context.ts';
import { checkKey, tableOf } from './write-table.ts';

type Index = Message<'Index'> | undefined;

const ZERO = { byteCount: 0n, packetCount: 0n } as const;

/** Cells have always been there. @throws Fault INVALID_ARGUMENT */
function requireModify(type: UpdateType, what: string): void {
  if (type !== 'MODIFY') throw invalid(`a ${what} is only modified`);
}

/** The cells that an update means: one, or without an index all. @throws Fault INVALID_ARGUMENT, OUT_OF_RANGE */
export function cellsMeant(what: string, index: Index, size: number): readonly number[] {
  if (index === undefined) return Array.from({ length: size }, (_, i) => i);
  if (index.index < 0n) throw invalid(`${what}: index ${index.index} is negative`);
  if (index.index >= BigInt(size)) throw outOfRange(`${what}: index ${index.index} is not below ${size}`);
  return [Number(index.index)];
}

function required<T extends Named>(object: T | undefined, what: string, id: number): T {
  if (object === undefined || id === 0) throw invalid(`there is no ${what} ${id}`);
  return object;
}

/** Modifies some cells of an array to one value; undefined is the default. */
function prepareCells<T>(
  cells: Map<number, T>,
  indices: readonly number[],
  value: T | undefined,
  entity: (value: T | undefined) => Init<'Entity'>,
): Prepared {
  return {
    change: { type: 'MODIFY', entity: entity(value) },
    inverse: { type: 'MODIFY', entity: entity(cells.get(indices[0] ?? 0)) },
    commit() {
      const undo = indices.map((i) => change(cells, i, value));
      return () => {
        for (const u of undo) u();
      };
    },
  };
}

/** Without data the cells keep what they have. @throws Fault */
export const prepareCounter: Prepare<'CounterEntry'> = ({ index, store }, type, entry) => {
  requireModify(type, 'counter');
  const counter = required(index.counters.find(entry.counterId), 'counter', entry.counterId);
  const indices = cellsMeant(counter.name, entry.index, Number(counter.info.size));
  const cells = cellsOf(store.counters, counter.id);
  // Without data the cells keep theirs.
  if (entry.data === undefined) return prepareCells(cells, [], undefined, () => ({ counterEntry: entry }));
  return prepareCells(cells, indices, entry.data, (data = ZERO) => ({ counterEntry: { ...entry, data } }));
};

/** Without a config the cells go back to the default, which colours nothing. @throws Fault */
export const prepareMeter: Prepare<'MeterEntry'> = ({ index, store }, type, entry) => {
  requireModify(type, 'meter');
  const meter = required(index.meters.find(entry.meterId), 'meter', entry.meterId);
  const indices = cellsMeant(meter.name, entry.index, Number(meter.info.size));
  if (entry.config !== undefined) checkMeterConfig(meter.info.spec, entry.config);
  checkMeterCounts(entry.counterData, store.device.readMeterCounts !== undefined);
  return prepareCells<Init<'MeterConfig'>>(
    cellsOf(store.meters, meter.id),
    indices,
    entry.config,
    (config) => ({
      meterEntry: { ...entry, config },
    }),
  );
};

/** The data must be of the register's type. @throws Fault */
export const prepareRegister: Prepare<'RegisterEntry'> = ({ index, store }, type, entry) => {
  requireModify(type, 'register');
  const register = required(index.registers.find(entry.registerId), 'register', entry.registerId);
  const indices = cellsMeant(register.name, entry.index, register.info.size);
  if (entry.data === undefined) throw invalid('a register needs data');
  const checked = checkData(index.p4info.typeInfo, register.info.typeSpec ?? {}, entry.data);
  return prepareCells(cellsOf(store.registers, register.id), indices, checked, (data) => ({
    registerEntry: { ...entry, data },
  }));
};

/** All members at once, in place of those that are there. @throws Fault */
export const prepareValueSet: Prepare<'ValueSetEntry'> = ({ index, store }, type, entry) => {
  requireModify(type, 'value set');
  const set = required(index.valueSets.find(entry.valueSetId), 'value set', entry.valueSetId);
  if (entry.members.length > set.info.size) throw exhausted(`${set.name} holds ${set.info.size} members`);
  const members = entry.members.map((m) => ({ match: checkMatch(set.fields, m.match) }));
  const keys = new Set(members.map((m) => tableEntryKey(m)));
  if (keys.size < members.length) throw exists(`a member of ${set.name} is given twice`);
  const entity = (all: readonly Init<'ValueSetMember'>[] = []) => ({
    valueSetEntry: { valueSetId: set.id, members: all },
  });
  return {
    change: { type, entity: entity(members) },
    inverse: { type, entity: entity(store.valueSets.get(set.id)) },
    commit: () => change(store.valueSets, set.id, members.length === 0 ? undefined : members),
  };
};

/** Counter or meter of one entry: found by its key. */
export function prepareDirect(
  context: WriteContext,
  type: UpdateType,
  key: Message<'TableEntry'> | undefined,
  kind: 'counter' | 'meter',
  data: {
    readonly counter?: Init<'CounterData'>;
    readonly meter?: Message<'MeterConfig'>;
    readonly counts?: Message<'MeterCounterData'>;
  },
): Prepared {
  requireModify(type, `direct ${kind}`);
  if (key === undefined) throw invalid(`a direct ${kind} needs the entry`);
  const table = tableOf(context, key.tableId);
  const resource = kind === 'counter' ? table.directCounter : table.directMeter;
  if (resource === undefined) throw invalid(`${table.name} has no direct ${kind}`);
  if (data.meter !== undefined) checkMeterConfig(table.directMeter?.info.spec, data.meter);
  checkMeterCounts(data.counts, context.store.device.readDirectMeterCounts !== undefined);
  const entries = context.store.entries(table.id);
  const checked = checkKey(table, key);
  const id = tableEntryKey(checked);
  const old = entries.get(id);
  if (old === undefined) throw notFound(`${table.name} has no such entry`);
  const { meterConfig: _, ...rest } = old;
  const entry: Init<'TableEntry'> =
    kind === 'counter'
      ? { ...old, counterData: data.counter ?? old.counterData }
      : { ...rest, ...(data.meter !== undefined && { meterConfig: data.meter }) };
  const direct = (e: Init<'TableEntry'>): Init<'Entity'> =>
    kind === 'counter'
      ? { directCounterEntry: { tableEntry: checked, data: e.counterData } }
      : { directMeterEntry: { tableEntry: checked, config: e.meterConfig, counterData: data.counts } };
  return {
    change: { type, entity: direct(entry) },
    inverse: { type, entity: direct(old) },
    commit: () => change(entries, id, entry),
  };
}

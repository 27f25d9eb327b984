import { tableEntryKey } from '../entity-key.ts';
import type { Named, NameIndex } from '../name-index.ts';
import type { P4InfoIndex, ResourceInfo, TableInfo } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { zeroData } from './check-data.ts';
import type { P4Device } from './device.ts';
import { invalid, notFound, unsupported } from './fault.ts';
import type { Store } from './store.ts';
import { cellsMeant } from './write-cells.ts';
import { externCell, externsNamed } from './write-extern.ts';
import { checkKey, tableOf } from './write-table.ts';

type Entity = Init<'Entity'>;
type Entry = Init<'TableEntry'>;

interface ReadContext {
  readonly index: P4InfoIndex;
  readonly store: Store;
  readonly device: P4Device;
}

const ZERO = { byteCount: 0n, packetCount: 0n } as const;

/** What one request of a Read names (section "Wildcard Reads"). @throws Fault */
export async function readEntity(
  context: ReadContext,
  request: Message<'Entity'>,
): Promise<readonly Entity[]> {
  const r = request;
  const { index, store } = context;
  if (r.tableEntry) return readTable(context, r.tableEntry);
  if (r.actionProfileMember) {
    const { actionProfileId, memberId } = r.actionProfileMember;
    const all = profiles(index, actionProfileId).flatMap((id) => pick(store.members(id), memberId));
    return all.map((actionProfileMember) => ({ actionProfileMember }));
  }
  if (r.actionProfileGroup) {
    const { actionProfileId, groupId } = r.actionProfileGroup;
    const all = profiles(index, actionProfileId).flatMap((id) => pick(store.groups(id), groupId));
    return all.map((actionProfileGroup) => ({ actionProfileGroup }));
  }
  if (r.counterEntry) return readCounters(context, r.counterEntry);
  if (r.meterEntry) return readMeters(context, r.meterEntry);
  if (r.registerEntry) return readRegisters(context, r.registerEntry);
  if (r.directCounterEntry) return readDirect(context, r.directCounterEntry.tableEntry, 'counter');
  if (r.directMeterEntry) {
    const { tableEntry, counterData } = r.directMeterEntry;
    return readDirect(context, tableEntry, 'meter', counterData !== undefined);
  }
  if (r.valueSetEntry) return readValueSets(context, r.valueSetEntry.valueSetId);
  if (r.packetReplicationEngineEntry) return readReplication(store, r.packetReplicationEngineEntry);
  if (r.digestEntry) {
    const { digestId } = r.digestEntry;
    if (digestId !== 0 && index.digests.find(digestId) === undefined)
      throw invalid(`there is no digest ${digestId}`);
    return [...store.digests]
      .filter(([id]) => digestId === 0 || id === digestId)
      .map(([id, config]) => ({ digestEntry: { digestId: id, config } }));
  }
  if (r.externEntry) return readExterns(context, r.externEntry);
  throw invalid('the request has no entity');
}

const pick = <T>(items: ReadonlyMap<number, T>, id: number): readonly T[] => {
  if (id === 0) return [...items.values()];
  const item = items.get(id);
  return item === undefined ? [] : [item];
};

function profiles(index: P4InfoIndex, id: number): readonly number[] {
  if (id === 0) return [...index.profiles].map((p) => p.id);
  if (index.profiles.find(id) === undefined) throw invalid(`there is no action profile ${id}`);
  return [id];
}

async function readTable(context: ReadContext, request: Message<'TableEntry'>): Promise<readonly Entity[]> {
  const { index, store, device } = context;
  const tables = request.tableId === 0 ? [...index.tables] : [tableOf(context, request.tableId)];
  if (request.tableId === 0 && request.match.length > 0) throw invalid('a key needs a table');
  const found: Entry[] = [];
  for (const table of tables) {
    const candidates = request.isDefaultAction
      ? [
          store.defaults.get(table.id) ??
            store.ownDefaults.get(table.id) ?? { tableId: table.id, isDefaultAction: true },
        ]
      : select(table, store.entries(table.id), request);
    for (const entry of candidates)
      if (passes(entry, request)) found.push(await dressed(table, entry, request, device));
  }
  return found.map((tableEntry) => ({ tableEntry }));
}

function select(
  table: TableInfo,
  entries: ReadonlyMap<string, Entry>,
  request: Message<'TableEntry'>,
): readonly Entry[] {
  if (request.match.length === 0) return [...entries.values()];
  const entry = entries.get(tableEntryKey(checkKey(table, request)));
  return entry === undefined ? [] : [entry];
}

/** Filters: priority, action id, both metadata fields; each at its default lets all pass. */
function passes(entry: Entry, request: Message<'TableEntry'>): boolean {
  if (request.priority !== 0 && entry.priority !== request.priority) return false;
  const actionId = request.action?.action?.actionId ?? 0;
  if (actionId !== 0 && entry.action?.action?.actionId !== actionId) return false;
  if (request.controllerMetadata !== 0n && entry.controllerMetadata !== request.controllerMetadata)
    return false;
  return (
    request.metadata.length === 0 ||
    Buffer.compare(request.metadata, entry.metadata ?? new Uint8Array(0)) === 0
  );
}

/** Direct resources and the age are there only if asked for. */
async function dressed(
  table: TableInfo,
  entry: Entry,
  request: Message<'TableEntry'>,
  device: P4Device,
): Promise<Entry> {
  const { counterData, meterConfig, ...rest } = entry;
  const live = device.readDirectCounter;
  const data = request.counterData && counterData && (live ? await live.call(device, entry) : counterData);
  const counts =
    request.meterCounterData && table.directMeter ? await directCounts(device, entry) : undefined;
  const age = request.timeSinceLastHit &&
    !entry.isDefaultAction && { elapsedNs: (await device.timeSinceLastHit?.(entry)) ?? 0n };
  return {
    ...rest,
    ...(data && { counterData: data }),
    ...(request.meterConfig && meterConfig && { meterConfig }),
    ...(counts && { meterCounterData: counts }),
    ...(age && { timeSinceLastHit: age }),
  };
}

function directCounts(
  device: P4Device,
  entry: Entry,
): Init<'MeterCounterData'> | Promise<Init<'MeterCounterData'>> {
  if (device.readDirectMeterCounts === undefined) throw unsupported('counts of meters');
  return device.readDirectMeterCounts(entry);
}

/** One array of cells by its id, or all of them for 0. @throws Fault INVALID_ARGUMENT */
function meant<T extends Named>(arrays: NameIndex<T>, what: string, id: number): readonly T[] {
  if (id === 0) return [...arrays];
  const array = arrays.find(id);
  if (array === undefined) throw invalid(`there is no ${what} ${id}`);
  return [array];
}

/** An index counts where one array is named. */
const cellsRead = (
  array: ResourceInfo<'Counter' | 'Meter'>,
  id: number,
  index: Message<'Index'> | undefined,
) => cellsMeant(array.name, id === 0 ? undefined : index, Number(array.info.size));

async function readCounters(
  { index, store, device }: ReadContext,
  request: Message<'CounterEntry'>,
): Promise<readonly Entity[]> {
  const found: Entity[] = [];
  for (const counter of meant(index.counters, 'counter', request.counterId)) {
    for (const cell of cellsRead(counter, request.counterId, request.index)) {
      const data = device.readCounter
        ? await device.readCounter(counter.id, cell)
        : store.counters.get(counter.id)?.get(cell);
      found.push({ counterEntry: { counterId: counter.id, index: { index: cell }, data: data ?? ZERO } });
    }
  }
  return found;
}

async function readMeters(
  { index, store, device }: ReadContext,
  request: Message<'MeterEntry'>,
): Promise<readonly Entity[]> {
  const meters = meant(index.meters, 'meter', request.meterId);
  const wanted = request.counterData !== undefined;
  if (wanted && device.readMeterCounts === undefined) throw unsupported('counts of meters');
  const found: Entity[] = [];
  for (const meter of meters) {
    for (const cell of cellsRead(meter, request.meterId, request.index)) {
      const counts = wanted ? await device.readMeterCounts?.(meter.id, cell) : undefined;
      const config = store.meters.get(meter.id)?.get(cell);
      found.push({
        meterEntry: { meterId: meter.id, index: { index: cell }, config, counterData: counts },
      });
    }
  }
  return found;
}

function readRegisters({ index, store }: ReadContext, request: Message<'RegisterEntry'>): readonly Entity[] {
  const id = request.registerId;
  if (id !== 0 && index.registers.find(id) === undefined) throw invalid(`there is no register ${id}`);
  return [...index.registers]
    .filter((register) => id === 0 || id === register.id)
    .flatMap((register) => {
      const written = store.registers.get(register.id);
      const cells = cellsMeant(register.name, id === 0 ? undefined : request.index, register.info.size);
      const zero = zeroData(index.p4info.typeInfo, register.info.typeSpec ?? {});
      return cells.map((cell) => ({
        registerEntry: { registerId: register.id, index: { index: cell }, data: written?.get(cell) ?? zero },
      }));
    });
}

function readValueSets({ index, store }: ReadContext, id: number): readonly Entity[] {
  if (id !== 0 && index.valueSets.find(id) === undefined) throw invalid(`there is no value set ${id}`);
  return [...index.valueSets]
    .filter((set) => id === 0 || id === set.id)
    .map((set) => ({ valueSetEntry: { valueSetId: set.id, members: store.valueSets.get(set.id) ?? [] } }));
}

function readExterns(
  { index, store, device }: ReadContext,
  request: Message<'ExternEntry'>,
): readonly Entity[] {
  const externs = externsNamed(index, request);
  if (device.externKey === undefined) throw unsupported('externs');
  return externs
    .flatMap((e) => [...(store.externs.get(externCell(e.typeId, e.id))?.values() ?? [])])
    .map((externEntry) => ({ externEntry }));
}

function readReplication(store: Store, request: Message<'PacketReplicationEngineEntry'>): readonly Entity[] {
  const { multicastGroupEntry: group, cloneSessionEntry: session } = request;
  if (group !== undefined)
    return pick(store.multicast, group.multicastGroupId).map((multicastGroupEntry) => ({
      packetReplicationEngineEntry: { multicastGroupEntry },
    }));
  if (session === undefined) throw invalid('the replication entry is of no kind');
  return pick(store.clones, session.sessionId).map((cloneSessionEntry) => ({
    packetReplicationEngineEntry: { cloneSessionEntry },
  }));
}

function readDirect(
  context: ReadContext,
  key: Message<'TableEntry'> | undefined,
  kind: 'counter' | 'meter',
  counts = false,
): Promise<readonly Entity[]> {
  if (key === undefined) throw invalid(`a direct ${kind} needs the entry`);
  const has = (table: TableInfo) =>
    (kind === 'counter' ? table.directCounter : table.directMeter) !== undefined;
  const tables = key.tableId === 0 ? [...context.index.tables].filter(has) : [tableOf(context, key.tableId)];
  const entries = tables.flatMap((table) => {
    if (!has(table)) throw invalid(`${table.name} has no direct ${kind}`);
    const found = select(table, context.store.entries(table.id), key);
    if (key.match.length > 0 && found.length === 0) throw notFound(`${table.name} has no such entry`);
    return found;
  });
  return Promise.all(
    entries.map(async (entry) => {
      const { tableId, match, priority } = entry;
      const tableEntry = { tableId, match, priority };
      if (kind === 'meter') {
        const counterData = counts ? await directCounts(context.device, entry) : undefined;
        return { directMeterEntry: { tableEntry, config: entry.meterConfig, counterData } };
      }
      const live = await context.device.readDirectCounter?.(entry);
      return { directCounterEntry: { tableEntry, data: live ?? entry.counterData } };
    }),
  );
}

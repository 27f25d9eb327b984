import { type ActionInput, type EntryAction, encodeAction, encodeEntryAction } from './actions.ts';
import { type DataValue, decodeData } from './data.ts';
import { encodeData } from './data-encode.ts';
import { type DecodedTableEntry, decodeTableEntry } from './decode-entry.ts';
import type {
  CounterValue,
  DefaultActionInput,
  DigestConfig,
  DirectResources,
  MeterRates,
  ReplicaInput,
  TableEntryInput,
  TableKeyInput,
} from './entity-inputs.ts';
import { type P4RuntimeError, refusal } from './errors.ts';
import { encodeMatch, type MatchValue } from './match.ts';
import { P4InfoIndex, type TableInfo } from './p4info-index.ts';
import type { ConfigInit, Init, Message } from './proto/messages.ts';
import type { ActionCall, AnyProgram, ProgramTypes } from './typed.ts';
import { encodeValue, type Port, portBytes, type Value } from './values.ts';

type Entity = Init<'Entity'>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const EMPTY = new Uint8Array(0);

/** Inputs with the types of one program taken off, which is how they are encoded. */
interface LooseEntry {
  readonly table: string;
  readonly match?: object;
  readonly action?: EntryAction;
  readonly priority?: number;
  readonly metadata?: Uint8Array;
  readonly idleTimeoutNs?: bigint | number;
  readonly counter?: CounterValue;
  readonly meter?: MeterRates;
}

/**
 * Entities by the names of one program's P4Info. All checks that need no device are made here: names, match kinds, widths,
 * priorities, parameters, so that what is wrong is refused with its name before anything is sent.
 */
export class P4Program<P extends ProgramTypes = AnyProgram> {
  readonly index: P4InfoIndex;

  /** @throws P4RuntimeError `bad-p4info` */
  constructor(p4info: ConfigInit<'P4Info'>) {
    this.index = new P4InfoIndex(p4info);
  }

  /** @throws P4RuntimeError `unknown-name`, `bad-value`, `bad-entry` */
  tableEntry(input: TableEntryInput<P>): Entity {
    const loose: LooseEntry = input;
    const table = this.index.tables.get(loose.table);
    const { action, metadata, idleTimeoutNs, counter, meter } = loose;
    if (action !== undefined) this.#checkAction(table, action, 'entries');
    const encoded = action === undefined ? undefined : encodeEntryAction(this.index, action);
    const tableEntry: Mutable<Init<'TableEntry'>> = this.#key(table, loose, encoded);
    if (metadata !== undefined) tableEntry.metadata = metadata;
    if (idleTimeoutNs !== undefined) tableEntry.idleTimeoutNs = idleTimeoutNs;
    if (counter !== undefined) tableEntry.counterData = counterData(counter);
    if (meter !== undefined) tableEntry.meterConfig = meter;
    return { tableEntry };
  }

  /** The other way: an entry of the device by names. @throws P4RuntimeError `unknown-name`, `bad-answer`, `bad-value` */
  decodeTableEntry(entry: Message<'TableEntry'>): DecodedTableEntry<P> {
    return decodeTableEntry<P>(this.index, entry);
  }

  /** Only to MODIFY, or to read. */
  defaultAction(input: DefaultActionInput<P>): Entity {
    const loose: Omit<LooseEntry, 'action'> & { readonly action?: ActionInput } = input;
    const table = this.index.tables.get(loose.table);
    const { action, metadata, counter, meter } = loose;
    if (action !== undefined) this.#checkAction(table, action, 'default');
    return {
      tableEntry: {
        tableId: table.id,
        isDefaultAction: true,
        ...(action !== undefined && { action: encodeEntryAction(this.index, action) }),
        ...(metadata !== undefined && { metadata }),
        ...(counter !== undefined && { counterData: counterData(counter) }),
        ...(meter !== undefined && { meterConfig: meter }),
      },
    };
  }

  /** All entries of a table, or of all tables, with what belongs to each of them if that is asked for. */
  allEntries(table?: keyof P['tables'] & string, direct: DirectResources = {}): Entity {
    return {
      tableEntry: {
        tableId: this.#tableId(table),
        ...(direct.counters && { counterData: {} }),
        ...(direct.meters && { meterConfig: {} }),
        ...(direct.meterCounters && { meterCounterData: {} }),
        ...(direct.timeSinceLastHit && { timeSinceLastHit: {} }),
      },
    };
  }

  /** Direct counters of all entries of a table, or of all tables. */
  allDirectCounters(table?: keyof P['tables'] & string): Entity {
    return { directCounterEntry: { tableEntry: { tableId: this.#tableId(table) } } };
  }

  /** Direct meters of all entries of a table, or of all tables. */
  allDirectMeters(table?: keyof P['tables'] & string): Entity {
    return { directMeterEntry: { tableEntry: { tableId: this.#tableId(table) } } };
  }

  #tableId(table: string | undefined): number {
    return table === undefined ? 0 : this.index.tables.get(table).id;
  }

  member<N extends keyof P['profiles'] & string>(
    profile: N,
    memberId: number,
    action?: ActionCall<P, P['profiles'][N]>,
  ): Entity {
    const actionProfileId = this.index.profiles.get(profile).id;
    const call: ActionInput | undefined = action;
    return {
      actionProfileMember: {
        actionProfileId,
        memberId,
        ...(call !== undefined && { action: encodeAction(this.index, call) }),
      },
    };
  }

  group(
    profile: keyof P['profiles'] & string,
    groupId: number,
    members: readonly {
      readonly memberId: number;
      readonly weight: number;
      readonly watchPort?: Port;
    }[] = [],
    maxSize = 0,
  ): Entity {
    const actionProfileId = this.index.profiles.get(profile).id;
    const encoded = members.map(({ memberId, weight, watchPort }) => ({
      memberId,
      weight,
      ...(watchPort !== undefined && { watchPort: portBytes(watchPort) }),
    }));
    return { actionProfileGroup: { actionProfileId, groupId, members: encoded, maxSize } };
  }

  /** One cell, or all without an index; with a value to set it. */
  counter(name: P['counters'], cell?: number | bigint, value?: CounterValue): Entity {
    const counterId = this.index.counters.get(name).id;
    return {
      counterEntry: { counterId, ...cellOf(cell), ...(value !== undefined && { data: counterData(value) }) },
    };
  }

  /**
   * Without rates: the default, which marks everything green. With `counts` a read returns what was counted of each colour, and a
   * modification clears it (P4Runtime 1.4).
   */
  meter(name: P['meters'], cell?: number | bigint, rates?: MeterRates, { counts = false } = {}): Entity {
    const meterId = this.index.meters.get(name).id;
    return { meterEntry: { meterId, ...cellOf(cell), ...meterParts(rates, counts) } };
  }

  /** One cell, or all without an index; with data to set it: `registerData` makes it from values. */
  register(name: P['registers'], cell?: number | bigint, data?: Init<'P4Data'>): Entity {
    const registerId = this.index.registers.get(name).id;
    return { registerEntry: { registerId, ...cellOf(cell), ...(data !== undefined && { data }) } };
  }

  /** What a cell is to hold. @throws P4RuntimeError `bad-value` on what its type does not have */
  registerData(name: P['registers'], value: DataValue): Init<'P4Data'> {
    return encodeData(this.index, this.index.registers.get(name).info.typeSpec ?? {}, value);
  }

  /** What a cell holds. @throws P4RuntimeError `bad-answer` */
  decodeRegister(entry: Message<'RegisterEntry'>): DataValue | undefined {
    const { info } = this.index.registers.get(entry.registerId);
    return entry.data === undefined ? undefined : decodeData(this.index, info.typeSpec, entry.data);
  }

  directCounter(key: TableKeyInput<P>, value?: CounterValue): Entity {
    const loose: LooseEntry = key;
    const tableEntry = this.#key(this.index.tables.get(loose.table), loose);
    return { directCounterEntry: { tableEntry, ...(value !== undefined && { data: counterData(value) }) } };
  }

  /** As `meter`. */
  directMeter(key: TableKeyInput<P>, rates?: MeterRates, { counts = false } = {}): Entity {
    const loose: LooseEntry = key;
    const tableEntry = this.#key(this.index.tables.get(loose.table), loose);
    return { directMeterEntry: { tableEntry, ...meterParts(rates, counts) } };
  }

  /** Each member has one value for each field of the set, in order. */
  valueSet(name: P['valueSets'], members: readonly (readonly MatchValue[])[]): Entity {
    const set = this.index.valueSets.get(name);
    const encoded = members.map((values) => ({
      match: set.fields.flatMap((field, i) => {
        const value = values[i];
        if (value === undefined)
          throw refusal('bad-entry', `a member of ${set.name} has ${set.fields.length} values`);
        return encodeMatch(field, value) ?? [];
      }),
    }));
    return { valueSetEntry: { valueSetId: set.id, members: encoded } };
  }

  /** `metadata` is the controller's own, kept beside it (P4Runtime 1.4). */
  multicastGroup(
    groupId: number,
    replicas: readonly ReplicaInput[] = [],
    { metadata = EMPTY }: { readonly metadata?: Uint8Array } = {},
  ): Entity {
    const multicastGroupEntry = {
      multicastGroupId: groupId,
      replicas: replicas.map(replica),
      ...(metadata.length > 0 && { metadata }),
    };
    return { packetReplicationEngineEntry: { multicastGroupEntry } };
  }

  /** `truncateTo` in bytes; 0 copies whole packets. */
  cloneSession(
    sessionId: number,
    replicas: readonly ReplicaInput[] = [],
    truncateTo = 0,
    { classOfService = 0 }: { readonly classOfService?: number } = {},
  ): Entity {
    const cloneSessionEntry = {
      sessionId,
      replicas: replicas.map(replica),
      packetLengthBytes: truncateTo,
      ...(classOfService !== 0 && { classOfService }),
    };
    return { packetReplicationEngineEntry: { cloneSessionEntry } };
  }

  digest(name: P['digests'], config: DigestConfig = {}): Entity {
    return { digestEntry: { digestId: this.index.digests.get(name).id, config } };
  }

  /** A packet to the device, its metadata by the names in the controller header `packet_out`. */
  packetOut(payload: Uint8Array, metadata: P['packetOut']): Init<'PacketOut'> {
    const header = this.index.headers.find('packet_out');
    const given = Object.entries(metadata) as [string, Value][];
    if (header === undefined && given.length > 0)
      throw refusal(
        'unknown-name',
        'the program has no controller header packet_out: a packet takes no metadata',
      );
    const fields = given.map(([name, value]) => {
      const field = header!.fields.get(name);
      return { metadataId: field.id, value: encodeValue(field, value) };
    });
    const sent = new Set(fields.map((f) => f.metadataId));
    const rest = [...(header?.fields ?? [])].filter((f) => !sent.has(f.id));
    const missing = rest.filter((f) => !f.padding).map((f) => f.name);
    if (missing.length > 0) throw refusal('bad-entry', `the packet lacks metadata ${missing.join(', ')}`);
    return {
      payload,
      metadata: [
        ...fields,
        ...rest.map((f) => ({ metadataId: f.id, value: f.bitwidth === 0 ? EMPTY : Uint8Array.of(0) })),
      ],
    };
  }

  /** Something of an architecture that the standard does not know, packed as that architecture has it. */
  extern(
    name: Exclude<P['externs'], undefined>,
    entry?: { readonly typeUrl: string; readonly value: Uint8Array },
  ): Entity {
    const { id, typeId } = this.index.externs.get(name);
    return {
      externEntry: { externTypeId: typeId, externId: id, ...(entry !== undefined && { entry }) },
    };
  }

  #key(table: TableInfo, input: LooseEntry, action?: Init<'TableAction'>): Init<'TableEntry'> {
    let exact = 0;
    const given = (input.match ?? {}) as { readonly [name: string]: MatchValue };
    const names = Object.keys(given);
    // As long as it may get: a list that grows takes room for many.
    let match = new Array<Init<'FieldMatch'>>(names.length);
    let fields = 0;
    for (const name of names) {
      const field = table.fields.get(name);
      const value = given[name]!;
      if (field.match === 'EXACT') exact++;
      const encoded = encodeMatch(field, value);
      if (encoded !== undefined) match[fields++] = encoded;
    }
    if (fields < names.length) match = match.slice(0, fields);
    if (exact < table.exactFields) throw missingFields(table, input.match ?? {});
    const priority = input.priority ?? 0;
    if (table.needsPriority && priority < 1)
      throw refusal(
        'bad-entry',
        `an entry of ${table.name} needs a priority of 1 or more: its entries may overlap`,
      );
    if (!table.needsPriority && priority !== 0)
      throw refusal('bad-entry', `an entry of ${table.name} has no priority: its entries cannot overlap`);
    return entryOf(table.id, match, priority, action);
  }

  #checkAction(table: TableInfo, input: EntryAction, use: 'entries' | 'default'): void {
    const indirect = table.profileId !== 0;
    if ('name' in input ? indirect : !indirect)
      throw refusal(
        'bad-entry',
        `${table.name} ${indirect ? 'takes members, groups or one-shots' : 'takes actions only'}`,
      );
    const names =
      'name' in input ? [input.name] : 'oneShot' in input ? input.oneShot.map((m) => m.action.name) : [];
    for (const name of names) {
      const ref = table.actions.get(this.index.actions.get(name).id);
      if (ref === undefined) throw foreignAction(table, name);
      if (ref.scope !== 'both' && ref.scope !== use)
        throw refusal(
          'bad-entry',
          `${name} is for ${ref.scope === 'default' ? 'the default action' : 'entries'} only in ${table.name}`,
        );
    }
  }
}

/** Most entries are key and action: each is made in one piece, because thousands are. */
function entryOf(
  tableId: number,
  match: readonly Init<'FieldMatch'>[],
  priority: number,
  action: Init<'TableAction'> | undefined,
): Init<'TableEntry'> {
  if (priority === 0) return action === undefined ? { tableId, match } : { tableId, match, action };
  return action === undefined ? { tableId, match, priority } : { tableId, match, action, priority };
}

const cellOf = (cell: number | bigint | undefined) => (cell === undefined ? {} : { index: { index: cell } });
const meterParts = (rates: MeterRates | undefined, counts: boolean) => ({
  ...(rates !== undefined && { config: rates }),
  ...(counts && { counterData: {} }),
});
const counterData = ({ packets, bytes }: CounterValue) => ({ packetCount: packets, byteCount: bytes });

const replica = ({ port, instance = 0, backups = [] }: ReplicaInput): Init<'Replica'> => ({
  port: portBytes(port),
  instance,
  ...(backups.length > 0 && {
    backupReplicas: backups.map((b) => ({ port: portBytes(b.port), instance: b.instance ?? 0 })),
  }),
});

function missingFields(table: TableInfo, given: object): P4RuntimeError {
  const missing = [...table.fields]
    .filter((f) => f.match === 'EXACT' && !(f.name in given))
    .map((f) => f.name);
  return refusal('bad-entry', `an entry of ${table.name} lacks ${missing.join(', ')}`);
}

function foreignAction(table: TableInfo, name: string): P4RuntimeError {
  const own = [...table.actions.values()].map((a) => a.action.name).join(', ');
  return refusal('bad-entry', `${name} is no action of ${table.name}, which has ${own}`);
}

import { refusal } from './errors.ts';
import { type Named, NameIndex } from './name-index.ts';
import type { Config, ConfigInit } from './proto/messages.ts';
import { configCodec } from './proto/registry.ts';
import type { ValueType } from './values.ts';

/** Match kinds of P4Runtime. */
export type MatchKind = 'EXACT' | 'LPM' | 'TERNARY' | 'RANGE' | 'OPTIONAL';

/** A parameter of an action, or a field of a controller header. */
export interface FieldInfo extends Named, ValueType {}

/** A field of the key of a table, or of a value set. */
export interface MatchFieldInfo extends FieldInfo {
  readonly match: MatchKind;
}

/** An action with its parameters. */
export interface ActionInfo extends Named {
  readonly params: NameIndex<FieldInfo>;
}

/** An action of a table: for its entries, its default action, or both. */
export interface ActionRefInfo {
  readonly action: ActionInfo;
  readonly scope: 'both' | 'entries' | 'default';
}

/** An action profile or selector. */
export interface ProfileInfo extends Named {
  readonly info: Config<'ActionProfile'>;
  /** Actions of the tables that use it. */
  readonly actionIds: ReadonlySet<number>;
}

/** A table with all that belongs to it. */
export interface TableInfo extends Named {
  readonly info: Config<'Table'>;
  readonly fields: NameIndex<MatchFieldInfo>;
  readonly actions: ReadonlyMap<number, ActionRefInfo>;
  /** Entries may overlap, so they need a priority (section "TableEntry"). */
  readonly needsPriority: boolean;
  /** Fields that every entry must match. */
  readonly exactFields: number;
  readonly directCounter: DirectInfo<'DirectCounter'> | undefined;
  readonly directMeter: DirectInfo<'DirectMeter'> | undefined;
  readonly profileId: number;
}

interface DirectInfo<N extends 'DirectCounter' | 'DirectMeter'> extends Named {
  readonly info: Config<N>;
}

/** Any other object, with its message. */
export type ResourceInfo<N extends 'Counter' | 'Meter' | 'Register' | 'Digest'> = Named & {
  readonly info: Config<N>;
};

/** A value set of a parser. */
export interface ValueSetInfo extends Named {
  readonly info: Config<'ValueSet'>;
  /** In order; the only field of a plain set has no name. */
  readonly fields: readonly MatchFieldInfo[];
}

interface HeaderFieldInfo extends FieldInfo {
  /** Part of the header on the wire, and of no use to a controller: `@padding`, or a name that says so. */
  readonly padding: boolean;
}

/** The metadata of packets to or from controllers: `packet_out`, `packet_in`. */
export interface HeaderInfo extends Named {
  readonly fields: NameIndex<HeaderFieldInfo>;
}

/** An instance of an extern that P4Runtime does not know. */
export interface ExternInfo extends Named {
  readonly typeId: number;
  readonly typeName: string;
}

const p4infoCodec = configCodec('P4Info');

const named = (what: string, preamble: Config<'Preamble'> | undefined): Named => {
  if (preamble === undefined) throw refusal('bad-p4info', `a ${what} has no preamble`);
  return { id: preamble.id, name: preamble.name, alias: preamble.alias };
};

const field = (f: { id: number; name: string; bitwidth: number }): FieldInfo => ({
  id: f.id,
  name: f.name,
  alias: '',
  bitwidth: f.bitwidth,
});

const headerField = (f: Config<'ControllerPacketMetadata.Metadata'>): HeaderFieldInfo => ({
  ...field(f),
  padding:
    /^_*pad/.test(f.name) ||
    f.annotations.some((text) => /^@padding\b/.test(text)) ||
    f.structuredAnnotations.some(({ name }) => name === 'padding'),
});

function matchField(f: Config<'MatchField'>, table: string): MatchFieldInfo {
  const kind = f.matchType;
  if (kind === undefined || typeof kind === 'number' || kind === 'UNSPECIFIED')
    throw refusal('bad-p4info', `field ${f.name} of ${table} has match kind ${f.otherMatchType ?? kind}`);
  return { ...field(f), match: kind };
}

/** What a program offers, by id, name or alias. Made once a pipeline; throws on a P4Info that contradicts itself. */
export class P4InfoIndex {
  readonly p4info: Config<'P4Info'>;
  readonly actions: NameIndex<ActionInfo>;
  readonly tables: NameIndex<TableInfo>;
  readonly profiles: NameIndex<ProfileInfo>;
  readonly counters: NameIndex<ResourceInfo<'Counter'>>;
  readonly meters: NameIndex<ResourceInfo<'Meter'>>;
  readonly registers: NameIndex<ResourceInfo<'Register'>>;
  readonly valueSets: NameIndex<ValueSetInfo>;
  readonly digests: NameIndex<ResourceInfo<'Digest'>>;
  readonly directCounters: NameIndex<DirectInfo<'DirectCounter'>>;
  readonly directMeters: NameIndex<DirectInfo<'DirectMeter'>>;
  readonly headers: NameIndex<HeaderInfo>;
  /** Instances of all types of externs; two types may give one id to different things. */
  readonly externs: NameIndex<ExternInfo>;

  /** @throws P4RuntimeError `bad-p4info` */
  constructor(p4info: ConfigInit<'P4Info'>) {
    // Through the codec, so that fields left out have their defaults.
    const info = p4infoCodec.decode(p4infoCodec.encode(p4info));
    this.p4info = info;
    this.actions = new NameIndex(
      'action',
      info.actions.map((a) => ({
        ...named('action', a.preamble),
        params: new NameIndex(`parameter of ${a.preamble?.name}`, a.params.map(field)),
      })),
    );
    this.counters = resources('counter', info.counters);
    this.meters = resources('meter', info.meters);
    this.registers = resources('register', info.registers);
    this.valueSets = new NameIndex(
      'value set',
      info.valueSets.map((v) => {
        const name = named('value set', v.preamble);
        return { ...name, info: v, fields: v.match.map((f) => matchField(f, name.name)) };
      }),
    );
    this.digests = resources('digest', info.digests);
    this.directCounters = resources('direct counter', info.directCounters);
    this.directMeters = resources('direct meter', info.directMeters);
    this.tables = new NameIndex(
      'table',
      info.tables.map((t) => this.#table(t)),
    );
    this.profiles = new NameIndex(
      'action profile',
      info.actionProfiles.map((p) => this.#profile(p)),
    );
    this.headers = new NameIndex(
      'controller header',
      info.controllerPacketMetadata.map((h) => ({
        ...named('controller header', h.preamble),
        fields: new NameIndex(`field of ${h.preamble?.name}`, h.metadata.map(headerField)),
      })),
    );
    this.externs = new NameIndex('extern', externsOf(info.externs), { sharedIds: true });
  }

  #table(info: Config<'Table'>): TableInfo {
    const name = named('table', info.preamble);
    const fields = info.matchFields.map((f) => matchField(f, name.name));
    const direct = new Set(info.directResourceIds);
    return {
      ...name,
      info,
      fields: new NameIndex(`match field of ${name.name}`, fields),
      actions: new Map(info.actionRefs.map((ref) => [ref.id, this.#actionRef(ref, name.name)])),
      exactFields: fields.filter((f) => f.match === 'EXACT').length,
      needsPriority: fields.some((f) => f.match !== 'EXACT' && f.match !== 'LPM'),
      directCounter: [...this.directCounters].find((c) => direct.has(c.id)),
      directMeter: [...this.directMeters].find((m) => direct.has(m.id)),
      profileId: info.implementationId,
    };
  }

  #actionRef(ref: Config<'ActionRef'>, table: string): ActionRefInfo {
    const action = this.actions.find(ref.id);
    if (action === undefined)
      throw refusal('bad-p4info', `table ${table} names action ${ref.id}, which is not there`);
    const scope = ref.scope === 'TABLE_ONLY' ? 'entries' : ref.scope === 'DEFAULT_ONLY' ? 'default' : 'both';
    return { action, scope };
  }

  #profile(info: Config<'ActionProfile'>): ProfileInfo {
    const tables = info.tableIds.map((id) => this.tables.get(id));
    return {
      ...named('action profile', info.preamble),
      info,
      actionIds: new Set(tables.flatMap((t) => [...t.actions.keys()])),
    };
  }
}

/** Ids and names are those of one type of extern; where two types share a name, the type stands before it. */
function externsOf(types: Config<'P4Info'>['externs']): readonly ExternInfo[] {
  const all = types.flatMap(({ externTypeId, externTypeName, instances }) =>
    instances.map((e) => ({
      ...named(externTypeName, e.preamble),
      typeId: externTypeId,
      typeName: externTypeName,
    })),
  );
  const count = (name: string) => all.filter((e) => e.name === name).length;
  return all.map((e) => (count(e.name) > 1 ? { ...e, name: `${e.typeName}.${e.name}` } : e));
}

const resources = <I extends { readonly preamble?: Config<'Preamble'> }>(what: string, items: readonly I[]) =>
  new NameIndex(
    what,
    items.map((info) => ({ ...named(what, info.preamble), info })),
  );

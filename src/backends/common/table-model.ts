import {
  DEVICE_SLOTS,
  MODEL_ENTRIES,
  PROGRAM_SLOTS,
  programOf,
  SHARD_GROUPS,
  SHARDS,
  slotOutcomes,
} from '../../dataplane/abi.ts';
import { packetOutcomes } from '../../wire/header.ts';

/**
 * The tables that a controller sees, the same on every target. Declared here once: the ids and sizes of the P4 program,
 * the P4Info and the entries come from it.
 */

/** One field of a table's key. */
export interface TableKey {
  readonly name: string;
  readonly bits: number;
  readonly match: 'EXACT' | 'LPM' | 'RANGE' | 'TERNARY';
}

/** An action of a data plane, as P4Info tells of it. */
export interface ActionModel {
  readonly name: string;
  readonly id: number;
  readonly parameters: readonly { readonly name: string; readonly bits: number }[];
}

/** A table of a data plane, as P4Info tells of it; ids are those of P4Info, with their prefix. */
export interface TableModel {
  readonly name: string;
  readonly id: number;
  /** None where the table has no entries: what it does is its default action, which a controller modifies. */
  readonly keys: readonly TableKey[];
  /** What entries may do, or the default action of a table without keys. */
  readonly actions: readonly ActionModel[];
  /** What happens where no entry matches; never changed at run time, but for tables without keys. */
  readonly defaultAction: ActionModel;
  readonly size: number;
}

/** An array of counters, as P4Info tells of it. */
export interface CounterModel {
  readonly name: string;
  readonly id: number;
  readonly size: number;
  /** Packets if absent. */
  readonly unit?: 'PACKETS' | 'BOTH';
}

/** A meter, a cell an index. */
export interface MeterModel {
  readonly name: string;
  readonly id: number;
  readonly size: number;
  /** Bytes if absent. */
  readonly unit?: 'PACKETS';
}

/** What a device tells its controller of its own accord, if the controller asked for it. */
export interface DigestModel {
  readonly name: string;
  readonly id: number;
  readonly fields: readonly { readonly name: string; readonly bits: number }[];
}

/** All that a controller sees of a data plane. */
export interface TableSet {
  readonly tables: readonly TableModel[];
  readonly counters: readonly CounterModel[];
  readonly digests: readonly DigestModel[];
  readonly meters?: readonly MeterModel[];
}

/** @param n its id but for the first byte, in which P4Runtime's ids carry their kind */
export const actionOf = (
  n: number,
  name: string,
  parameters: ActionModel['parameters'] = [],
): ActionModel => ({ name, id: 0x01_000000 + n, parameters });

/** @param n its id but for the first byte */
export const tableOf = (n: number, model: Omit<TableModel, 'id'>): TableModel => ({
  id: 0x02_000000 + n,
  ...model,
});

/** A table without entries: what it does is its default action. @param n its id but for the first byte */
export const keylessTable = (n: number, name: string, action: ActionModel): TableModel =>
  tableOf(n, { name, keys: [], actions: [action], defaultAction: action, size: 1 });

/** A key that an entry gives in full. */
export const exactKey = (name: string, bits: number): TableKey => ({ name, bits, match: 'EXACT' });

/** Does nothing: the default of tables in which an entry is a permission. */
export const absent = actionOf(1, 'absent');
/** Of a version: where its weights are, which layers are computed of how many, and below which margin a verdict goes on. */
export const hold = actionOf(2, 'hold', [
  { name: 'slot', bits: 16 },
  { name: 'version', bits: 16 },
  { name: 'first_layer', bits: 8 },
  { name: 'next_layer', bits: 8 },
  { name: 'layer_count', bits: 8 },
  // Least margin of a verdict that is an answer; 0 where the last layer is no verdict.
  { name: 'threshold', bits: 8 },
]);
/** A model of `model_ids`: a version that is missing is then an unknown version, not an unknown model. */
export const held = actionOf(3, 'held');
/** A trust zone of `zones` for which the device may compute. */
export const permit = actionOf(4, 'permit');
/** Sends a packet out of a port as it is. */
export const cross = actionOf(5, 'cross', [{ name: 'port', bits: 9 }]);
/** Sends a packet out of a port with these MAC addresses. */
export const route = actionOf(6, 'route', [
  { name: 'source_mac', bits: 48 },
  { name: 'destination_mac', bits: 48 },
  { name: 'port', bits: 9 },
]);
/** A packet that goes nowhere. */
export const drop = actionOf(7, 'drop');
/** Of a slot without weights: requests for it pass on. */
export const noWeights = actionOf(8, 'no_weights');
/** Sends a request to where the shard of its job goes in a group of the model. */
export const balance = actionOf(9, 'balance', [{ name: 'group', bits: 8 }]);

/** Versions that are held, by model and version; version 0 is the current one. */
export const models = tableOf(1, {
  name: 'models',
  keys: [exactKey('model_id', 16), exactKey('model_version', 16)],
  actions: [hold],
  defaultAction: absent,
  size: MODEL_ENTRIES,
});

/** Models of which some version is meant to be here: tells an unknown version from an unknown model. */
export const modelIds = tableOf(2, {
  name: 'model_ids',
  keys: [exactKey('model_id', 16)],
  actions: [held],
  defaultAction: absent,
  size: 256,
});

/** Trust zones for which the device may compute; zone 0 is any. */
export const zones = tableOf(3, {
  name: 'zones',
  keys: [exactKey('trust_zone', 8)],
  actions: [permit],
  defaultAction: absent,
  size: 256,
});

/** Where packets of a port go that no other table sends anywhere. */
export const ports = tableOf(4, {
  name: 'ports',
  keys: [exactKey('ingress_port', 9)],
  actions: [cross, drop],
  defaultAction: drop,
  size: 512,
});

/** Where packets go by the longest prefix of their destination; without one the ingress port decides. */
export const ipv4Lpm = tableOf(5, {
  name: 'ipv4_lpm',
  keys: [{ name: 'destination', bits: 32, match: 'LPM' }],
  actions: [route, cross, drop],
  defaultAction: absent,
  size: 1024,
});

/** Where requests of a model go whose next layer is this one, and proofs that follow them; goes before ordinary forwarding. */
export const steer = tableOf(6, {
  name: 'steer',
  keys: [exactKey('model_id', 16), exactKey('next_layer', 8)],
  actions: [route, cross, drop, balance],
  defaultAction: absent,
  size: 1024,
});

/** Where requests go that are balanced, by the shard of their job (`shardOf`); without an entry as if they were not steered. */
export const shards = tableOf(7, {
  name: 'shards',
  keys: [exactKey('model_id', 16), exactKey('group', 8), exactKey('shard', 16)],
  actions: [route, cross, drop],
  defaultAction: absent,
  size: SHARDS * SHARD_GROUPS,
});

/** Tables of every device, whatever model it holds. */
export const deviceTables: readonly TableModel[] = [models, modelIds, zones, ports, ipv4Lpm, steer, shards];

/** Packets by their outcome, in the order of `packetOutcomes`. */
export const outcomeCounter: CounterModel = {
  name: 'outcomes',
  id: 0x12_000000 + 1,
  size: packetOutcomes.length,
};

/** Requests that were refused for what is in them; not those that are merely meant for another device. */
export const refusedRequests: DigestModel = {
  name: 'refused_request',
  // What p4c makes of the name: a digest takes no @id.
  id: 0x17_ddf294,
  fields: [
    { name: 'outcome', bits: 8 },
    { name: 'model_id', bits: 16 },
    { name: 'model_version', bits: 16 },
    { name: 'next_layer', bits: 8 },
    { name: 'trust_zone', bits: 8 },
    { name: 'source', bits: 32 },
  ],
};

/** Requests by slot, and by what became of them: the outcomes of a slot stand side by side. */
export const slotCounter: CounterModel = {
  name: 'inferences',
  id: 0x12_000000 + 2,
  size: DEVICE_SLOTS * slotOutcomes.length,
};

/** Inferences that the version in a slot may make; what is beyond is shed. Without a rate nothing is. */
export const slotMeter: MeterModel = {
  name: 'budgets',
  id: 0x14_000000 + 2,
  size: DEVICE_SLOTS,
  unit: 'PACKETS',
};

/** Versions of the weights that a switch holds side by side, by slot. */
export const WEIGHT_SLOTS = PROGRAM_SLOTS;

/** Ids of the layers' actions begin here. */
const FIRST_LAYER_ID = 0x100;

/** Ids of the layers' tables begin here; each layer has room for as many slots as a byte tells apart. */
const FIRST_WEIGHTS_ID = 0x10_0000;
const MAX_LAYERS = 0x100;
const MAX_SLOTS = DEVICE_SLOTS;

/**
 * The weights of one layer in one slot of the device: no entry holds them but the default action, which a switch finds without a
 * look-up. The action is the same in every slot of a program.
 */
export function weightsTable(layer: number, slot: number, parameters: ActionModel['parameters']): TableModel {
  if (layer >= MAX_LAYERS || slot >= MAX_SLOTS) throw new Error(`slot ${slot} of layer ${layer} has no id`);
  const program = programOf(slot);
  const name = program === 0 ? `layer_${layer}` : `layer_${layer}_of_${program}`;
  return tableOf(FIRST_WEIGHTS_ID + layer * MAX_SLOTS + slot, {
    name: `weights_${layer}_${slot}`,
    keys: [],
    actions: [actionOf(FIRST_LAYER_ID + program * MAX_LAYERS + layer, name, parameters), noWeights],
    defaultAction: noWeights,
    size: 1,
  });
}

/** Which weights the table of this id holds; undefined for any other table. */
export function weightsPlace(tableId: number): { readonly layer: number; readonly slot: number } | undefined {
  const place = tableId - weightsTable(0, 0, []).id;
  if (place < 0 || place >= MAX_LAYERS * MAX_SLOTS) return undefined;
  return { layer: Math.floor(place / MAX_SLOTS), slot: place % MAX_SLOTS };
}

/** Ids of tables by a key of the packet begin here; each layer has room for as many as a packet can have keys. */
const FIRST_EMBEDDING_ID = 0x1_0000;
const MAX_KEYS = 0x800;
/** From those of one program of a device to the next one's: beyond those of weights. */
const EMBEDDING_STEP = 0x10_0000;

/** Versions of a large table that can be there at a time: the one in use, and the one that is to follow it. */
export const EMBEDDING_VERSIONS = 2;

/** What p4c says of a table whose entries are part of the program, however many they are. */
const CONSTANT_SIZE = 1024;

interface LookupKey {
  /** Of each field; most have but one. */
  readonly bits: readonly number[];
  /** Entries of one version. */
  readonly rows: number;
  /** Whether the entries belong to a slot. */
  readonly slots: boolean;
  readonly match?: TableKey['match'];
}

/**
 * What is looked up by keys of a packet: an `embedding`'s rows for one of its keys; what one activation adds to the `sums` of a layer,
 * or what stands at its end; the leaves of one `tree` by ranges or `codes` of its features; the codes of a feature.
 */
export type LookupFamily = 'embedding' | 'sums' | 'tree' | 'codes';

/**
 * One such table. Families share their ids, as a layer is of one. Entries that are part of the program have no slot.
 * @param program which of several on the device
 */
export function lookupTableModel(
  family: LookupFamily,
  layer: number,
  index: number,
  key: LookupKey,
  parameters: ActionModel['parameters'],
  program = 0,
): TableModel {
  if (index >= MAX_KEYS) throw new Error(`key ${index} of layer ${layer} has no id`);
  const id = FIRST_EMBEDDING_ID + program * EMBEDDING_STEP + layer * MAX_KEYS + index;
  const place = `${layer}_${index}${program === 0 ? '' : `_of_${program}`}`;
  const values = key.bits.map(
    (bits, i): TableKey => ({
      name: key.bits.length === 1 ? 'key' : `key_${i}`,
      bits,
      match: key.match ?? 'EXACT',
    }),
  );
  return tableOf(id, {
    name: `${family}_${place}`,
    keys: [...(key.slots ? [exactKey('slot', 16)] : []), ...values],
    actions: [actionOf(id, `row_${place}`, parameters)],
    defaultAction: noWeights,
    size: key.slots ? key.rows * EMBEDDING_VERSIONS : CONSTANT_SIZE,
  });
}

/** Each action once, in order of ids. */
export function actionsOf(tables: readonly TableModel[]): ActionModel[] {
  const byId = new Map(tables.flatMap((t) => [...t.actions, t.defaultAction]).map((a) => [a.id, a]));
  return [...byId.values()].sort((a, b) => a.id - b.id);
}

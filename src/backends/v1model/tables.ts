import { programOf, SHARD_BITS, SHARD_FACTOR, slotOutcomes } from '../../dataplane/abi.ts';
import type { Update } from '../../p4runtime/types.ts';
import { HEADER_BYTES } from '../../wire/header.ts';
import { type Entry, insertion, type KeyValue } from '../common/entries.ts';
import {
  absent,
  actionsOf,
  deviceTables,
  held,
  hold,
  lookupTableModel,
  modelIds,
  models,
  noWeights,
  outcomeCounter,
  refusedRequests,
  slotCounter,
  slotMeter,
  type TableKey,
  type TableModel,
  type TableSet,
  weightsTable,
} from '../common/table-model.ts';
import { keyFields, type Lookup, type Stage } from './code.ts';
import type { Lowered } from './lower.ts';

/** The table of a stage with weights in one slot. */
export const layerTable = (stage: Stage, slot: number): TableModel =>
  weightsTable(
    stage.layer!,
    slot,
    stage.parameters.map((p) => ({ name: p.name, bits: p.width })),
  );

/** The table of one key of an embedding, or of one activation of a layer of sums. @param first of its program's slots on the device */
export const lookupTable = (lookup: Lookup, first = 0): TableModel => {
  const { layer, index, keys, targets, constant, room = keys.length } = lookup;
  return lookupTableModel(
    lookup.family ?? 'embedding',
    layer,
    index,
    {
      bits: keyFields(lookup).map(({ width }) => width),
      rows: room,
      slots: !constant,
      match: matchOf(lookup),
    },
    targets.map((t, w) => ({ name: `row_${w}`, bits: t.width })),
    programOf(first),
  );
};

const matchOf = ({ boxes, masks, prefixes }: Lookup): TableKey['match'] => {
  if (boxes !== undefined) return 'RANGE';
  if (masks !== undefined) return 'TERNARY';
  return prefixes === undefined ? 'EXACT' : 'LPM';
};

/** What the table's i-th entry matches. */
export const lookupKeys = (
  { keys, prefixes, boxes, masks, constant }: Lookup,
  slot: number,
  i: number,
): KeyValue[] => {
  if (masks !== undefined) return constant ? [...masks.matches[i]!] : [slot, ...masks.matches[i]!];
  if (boxes !== undefined) {
    const ranges = boxes.bounds[i]!.map(([low, high]) => ({ low, high }));
    return constant ? ranges : [slot, ...ranges];
  }
  const key = prefixes === undefined ? keys[i]! : { value: keys[i]!, prefix: prefixes[i]! };
  return constant ? [key] : [slot, key];
};

/** Tables of the layers of a program with so many slots. @param first of them on the device */
export function layerTables({ code }: Lowered, slots: number, first = 0): TableModel[] {
  const weights = code.stages
    .filter((s) => s.parameters.length > 0)
    .flatMap((s) => Array.from({ length: slots }, (_, slot) => layerTable(s, first + slot)));
  return [...weights, ...code.stages.flatMap((s) => s.lookups.map((l) => lookupTable(l, first)))];
}

/** All tables of a program with these layers' tables. */
export const tableSet = (layers: readonly TableModel[]): TableSet => ({
  tables: [...deviceTables, ...layers],
  counters: [outcomeCounter, slotCounter],
  digests: [refusedRequests],
  meters: [slotMeter],
});

/** Which version of which model an entry belongs to. */
export interface Version {
  readonly modelId: number;
  readonly modelVersion: number;
  /** Where the weights of this version are; another one than that of any version which is still in use. */
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly layerCount: number;
  /** Least margin at which a verdict is an answer; default 0, every one is. */
  readonly threshold?: number;
}

/** The weights of one version: a default action a layer, and an entry a row and key of an embedding. */
export const weightEntries = (lowered: Lowered, slot: number): Entry[] =>
  lowered.code.stages.flatMap((stage) => {
    const rows = stage.lookups.filter((l) => !l.constant).flatMap((l) => lookupEntries(l, slot));
    if (stage.parameters.length === 0) return rows;
    const table = layerTable(stage, slot);
    const parameters = stage.parameters.map((p) => p.value);
    return [...rows, { table, keys: [], action: table.actions[0]!, parameters }];
  });

function lookupEntries(lookup: Lookup, slot: number): Entry[] {
  const table = lookupTable(lookup, slot);
  return lookup.values.map((parameters, i) => ({
    table,
    keys: lookupKeys(lookup, slot, i),
    action: table.actions[0]!,
    parameters,
  }));
}

/** What makes the version known to the device; the last to be written, so that its weights are there. */
export function versionEntries(v: Version): Entry[] {
  const parameters = [v.slot, v.modelVersion, v.from, v.to, v.layerCount, v.threshold ?? 0];
  return [{ table: models, keys: [v.modelId, v.modelVersion], action: hold, parameters }];
}

const modelEntry = (modelId: number): Entry => ({
  table: modelIds,
  keys: [modelId],
  action: held,
  parameters: [],
});

/** A request for version 0 is computed by whichever version this entry names: one write flips it. */
export const currentEntry = (v: Version): Entry => ({ ...versionEntries(v)[0]!, keys: [v.modelId, 0] });

/** All that a device needs which holds one version, in the order of writing. */
export const installation = (lowered: Lowered, v: Version): Update[] =>
  [...weightEntries(lowered, v.slot), ...versionEntries(v), currentEntry(v), modelEntry(v.modelId)].map(
    insertion,
  );

/** Bytes of the widest entry's action data. */
export const widestEntry = (lowered: Lowered): number =>
  Math.max(0, ...lowered.layouts.map((l) => l.entryBytes));

/** `p4/intransit_tables.p4`: ids and sizes for the hand-written program. */
export function tablesP4(): string {
  const define = (kind: string, name: string, value: string) =>
    `#define INTRANSIT_${kind}_${name.toUpperCase()} ${value}`;
  const hex = (id: number) => `0x${id.toString(16).padStart(8, '0')}`;
  const actions = [...actionsOf(deviceTables), noWeights];
  if (!actions.includes(absent)) throw new Error('the device tables have a default');
  return [
    '// SPDX-License-Identifier: Apache-2.0',
    '// Made from src/backends/common/table-model.ts by `npm run generate`; do not edit.',
    '#ifndef INTRANSIT_TABLES_P4',
    '#define INTRANSIT_TABLES_P4',
    '',
    ...actions.map((a) => define('ID', a.name, hex(a.id))),
    ...deviceTables.map((t) => define('ID', t.name, hex(t.id))),
    ...[outcomeCounter, slotCounter, slotMeter].map(({ name, id }) => define('ID', name, hex(id))),
    '',
    ...[...deviceTables, slotCounter, slotMeter].map((t) => define('SIZE', t.name, `${t.size}`)),
    '',
    '// Outcomes of a request for a version that is here, as they stand side by side in a slot of `inferences`.',
    ...slotOutcomes.map((name, i) => define('OUTCOME', name, `${i}`)),
    `#define INTRANSIT_SLOT_OUTCOMES ${slotOutcomes.length}`,
    '',
    `const bit<16> INTRANSIT_HEADER_BYTES = ${HEADER_BYTES};`,
    '',
    '// What is kept of the entry of a model, from the parameters of hold(); and of one that balances.',
    '#define INTRANSIT_HELD_FIELDS bit<16> slot; bit<16> version; bit<24> layers; bit<8> threshold; bit<8> colour; bit<32> cell; bit<8> group; bit<16> shard;',
    '',
    '// The shard of a job.',
    '#define INTRANSIT_SHARD_OF(job_id) \\',
    `    ((bit<16>)((((job_id) ^ ((job_id) >> 32)) * 64w0x${SHARD_FACTOR.toString(16)})[63:${64 - SHARD_BITS}]))`,
    '',
    '// What addresses are kept in while they change places.',
    '#define INTRANSIT_TURN_FIELDS bit<48> mac; bit<32> address; bit<16> port;',
    '',
    '// Why a request was refused, and which.',
    `struct ${refusedRequests.name} {`,
    ...refusedRequests.fields.map((f) => `    bit<${f.bits}> ${f.name};`),
    '}',
    '',
    '#endif',
    '',
  ].join('\n');
}

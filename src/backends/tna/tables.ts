import type { P4Info, Update } from '../../p4runtime/types.ts';
import { type Entry, insertion } from '../common/entries.ts';
import { p4infoOf } from '../common/p4info.ts';
import {
  type ActionModel,
  actionOf,
  cross,
  exactKey,
  lookupTableModel,
  type TableModel,
  tableOf,
} from '../common/table-model.ts';
import { familyOf, type TnaLayer, type TnaTable, tablesOf, VERSIONS } from './layers.ts';
import type { TnaPlan } from './plan.ts';

/** From here on are the ids of what only this target has, but for their first byte. */
export const TNA_OWN = 0x8000;

/** Which of the two versions of the entries answers a request. */
export const choose = actionOf(TNA_OWN + 1, 'choose', [
  { name: 'version', bits: 1 },
  { name: 'model_version', bits: 16 },
]);
/** Does nothing. */
export const pass = actionOf(TNA_OWN + 2, 'pass');

/** Model and version of a request, version 0 the current one: the entry that is rewritten to flip. */
export const choices = tableOf(TNA_OWN + 1, {
  name: 'choices',
  keys: [exactKey('model_id', 16), exactKey('model_version', 16)],
  actions: [choose],
  defaultAction: pass,
  size: 64,
});

/** By which port packets of an ingress port leave. */
export const crossings = tableOf(TNA_OWN + 2, {
  name: 'crossings',
  keys: [exactKey('ingress_port', 9)],
  actions: [cross],
  defaultAction: pass,
  size: 512,
});

/** Words of sums or of codes, or one byte of the output. */
function parametersOf({ result }: TnaTable, layer: TnaLayer | undefined): ActionModel['parameters'] {
  if (result.kind === 'codes') return result.words.map(({ bits }, w) => ({ name: `w${w}`, bits }));
  return result.kind === 'output' || layer === undefined
    ? [{ name: 'value', bits: 8 }]
    : Array.from({ length: layer.words }, (_, w) => ({ name: `w${w}`, bits: layer.wordBits }));
}

/** The table as a controller sees it: a bit for the version, and a key for each activation. */
export function tableModel(plan: TnaPlan, table: TnaTable): TableModel {
  const layer = plan.layers.find((l) => l.layer === table.layer);
  const base = lookupTableModel(
    familyOf(table),
    table.layer,
    table.index,
    { bits: table.keys.map((k) => k.bits), rows: table.rows.length, slots: false },
    parametersOf(table, layer),
  );
  const match = table.isTernary ? 'TERNARY' : 'EXACT';
  const keys = table.keys.map(({ bits }, k) => ({ name: `key${k}`, bits, match }) as const);
  return {
    ...base,
    keys: [exactKey('version', 1), ...keys],
    // An exact table has an entry for all that there is to match.
    defaultAction: table.isTernary ? pass : base.actions[0]!,
    size: table.rows.length * VERSIONS,
  };
}

/** Those that have entries: outputs that are the same whatever comes in are in the program. */
export const allTables = (plan: TnaPlan): readonly TnaTable[] => [
  ...plan.layers.flatMap(tablesOf),
  ...plan.outputs.filter((t) => t.keys[0]!.source !== undefined && t.rows.length > 0),
];

/** Ids that no other target has are of a range of their own. */
export const tnaP4Info = (plan: TnaPlan): P4Info =>
  p4infoOf(
    {
      tables: [choices, crossings, ...allTables(plan).map((t) => tableModel(plan, t))],
      counters: [],
      digests: [],
    },
    'tna',
  );

/** Sums side by side in words, the first lowest. */
function wordsOf(values: readonly number[], layer: TnaLayer): bigint[] {
  return Array.from({ length: layer.words }, (_, w) =>
    values
      .slice(w * layer.lanes, (w + 1) * layer.lanes)
      .reduce((word, v, lane) => word + (BigInt(v) << BigInt(lane * layer.bits)), 0n),
  );
}

/** The entries of the plan's version under one value of the version bit. */
export function versionEntries(plan: TnaPlan, version: 0 | 1): Entry[] {
  return allTables(plan).flatMap((table) => {
    const model = tableModel(plan, table);
    const layer = plan.layers.find((l) => l.layer === table.layer);
    return table.rows.map(({ keys, values }): Entry => {
      const parameters = table.result.kind === 'sums' ? wordsOf(values, layer!) : values;
      const matches = keys.map((key) =>
        'mask' in key ? key : table.isTernary ? { value: key.value, prefix: key.length } : key.value,
      );
      return { table: model, keys: [version, ...matches], action: model.actions[0]!, parameters };
    });
  });
}

/** Gives requests that name no version the entries under this value of the version bit: the write that flips. */
export const currentEntry = (plan: TnaPlan, version: 0 | 1): Entry => ({
  table: choices,
  keys: [plan.options.modelId, 0],
  action: choose,
  parameters: [version, plan.options.modelVersion],
});

/** What a fresh device is given: the entries first, then the version that answers. */
export const tnaEntries = (plan: TnaPlan): Update[] => {
  const known = { ...currentEntry(plan, 0), keys: [plan.options.modelId, plan.options.modelVersion] };
  return [...versionEntries(plan, 0), known, currentEntry(plan, 0)].map(insertion);
};

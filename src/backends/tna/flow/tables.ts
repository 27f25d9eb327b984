import type { P4Info, Update } from '../../../p4runtime/types.ts';
import { type Entry, insertion } from '../../common/entries.ts';
import { classCounter, FLOW_CLASSES, flowCounter } from '../../common/flow/tables.ts';
import { p4infoOf } from '../../common/p4info.ts';
import type { ActionModel, TableModel } from '../../common/table-model.ts';
import type { TnaPlan } from '../plan.ts';
import { allTables, crossings, pass, tableModel, tnaId, versionEntries } from '../tables.ts';
import { functionRows } from './front.ts';
import type { FlowFront } from './plan.ts';
import { fieldBits } from './print-registers.ts';
import type { FunctionTable } from './sources.ts';

/** Which version of the entries classifies: a default action, so that one write changes them all. */
export const decide: ActionModel = {
  name: 'decide',
  id: tnaId(0x01, 3),
  parameters: [{ name: 'version', bits: 1 }],
};

/** Has no entries: its default action says it. */
export const flowModel: TableModel = {
  name: 'flow_model',
  id: tnaId(0x02, 3),
  keys: [],
  actions: [decide],
  defaultAction: decide,
  size: 1,
};

/** What is done with packets of a class in egress, where ports are chosen already. */
export const mark: ActionModel = {
  name: 'mark',
  id: tnaId(0x01, 4),
  parameters: [{ name: 'dscp', bits: 6 }],
};
/** Packets of the class go no further. */
export const discard: ActionModel = { name: 'discard', id: tnaId(0x01, 5), parameters: [] };

/** By class. */
export const treatments: TableModel = {
  name: 'treatments',
  id: tnaId(0x02, 4),
  keys: [{ name: 'class', bits: 8, match: 'EXACT' }],
  actions: [mark, discard],
  defaultAction: pass,
  size: FLOW_CLASSES,
};

/** Ids of function tables begin here. */
const FIRST_FUNCTION = 0x100;

/** Bits of the upper half of a time that are not 0 where it is beyond the lower one. */
const BEYOND_BITS = 16;

/** A function as a controller sees it: prefixes of its number, the longest of which wins. */
export function functionModel(tables: readonly FunctionTable[], table: FunctionTable): TableModel {
  const n = FIRST_FUNCTION + tables.indexOf(table);
  const set: ActionModel = {
    name: `set_${table.name}`,
    id: tnaId(0x01, n),
    parameters: [{ name: 'value', bits: fieldBits(table.bits) }],
  };
  return {
    name: table.name,
    id: tnaId(0x02, n),
    keys: [
      ...(table.beyond === undefined
        ? []
        : [{ name: 'beyond', bits: BEYOND_BITS, match: 'TERNARY' } as const]),
      { name: 'number', bits: table.key.bits, match: 'TERNARY' },
    ],
    actions: [set],
    defaultAction: table.beyond === undefined ? pass : set,
    size: functionRows(table).length,
  };
}

const functionEntries = ({ tables }: FlowFront): Entry[] =>
  tables.flatMap((t) => {
    const table = functionModel(tables, t);
    const beyond = t.beyond === undefined ? [] : [{ value: 0, prefix: BEYOND_BITS }];
    return functionRows(t).map(({ value, length, level }) => ({
      table,
      keys: [...beyond, { value, prefix: length }],
      action: table.actions[0]!,
      parameters: [level],
    }));
  });

/** Tables, actions and counters of a program of flows as a controller sees them. */
export const flowP4Info = (network: TnaPlan, { tables }: FlowFront): P4Info =>
  p4infoOf(
    {
      tables: [
        crossings,
        flowModel,
        treatments,
        ...tables.map((t) => functionModel(tables, t)),
        ...allTables(network).map((t) => tableModel(network, t)),
      ],
      counters: [flowCounter, classCounter],
      digests: [],
    },
    'tna',
  );

/** What a fresh device is given: functions, the entries of version 0, then which version classifies. */
export const flowEntries = (network: TnaPlan, front: FlowFront): Update[] =>
  [
    ...functionEntries(front),
    ...versionEntries(network, 0),
    { table: flowModel, keys: [], action: decide, parameters: [0] },
  ].map(insertion);

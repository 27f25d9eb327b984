import type { P4Info, Update } from '../../../p4runtime/types.ts';
import { type Entry, insertion } from '../../common/entries.ts';
import { classCounter, FLOW_CLASSES, flowCounter } from '../../common/flow/tables.ts';
import { p4infoOf } from '../../common/p4info.ts';
import { actionOf, exactKey, keylessTable, type TableModel, tableOf } from '../../common/table-model.ts';
import type { TnaPlan } from '../plan.ts';
import { allTables, crossings, pass, TNA_OWN, tableModel, versionEntries } from '../tables.ts';
import { functionRows } from './front.ts';
import type { FlowFront } from './plan.ts';
import { fieldBits } from './print-registers.ts';
import type { FunctionTable } from './sources.ts';

/** Which version of the entries classifies: a default action, so that one write changes them all. */
export const decide = actionOf(TNA_OWN + 3, 'decide', [{ name: 'version', bits: 1 }]);

/** Has no entries: its default action says it. */
export const flowModel = keylessTable(TNA_OWN + 3, 'flow_model', decide);

/** What is done with packets of a class in egress, where ports are chosen already. */
export const mark = actionOf(TNA_OWN + 4, 'mark', [{ name: 'dscp', bits: 6 }]);
/** Packets of the class go no further. */
export const discard = actionOf(TNA_OWN + 5, 'discard');

/** By class. */
export const treatments = tableOf(TNA_OWN + 4, {
  name: 'treatments',
  keys: [exactKey('class', 8)],
  actions: [mark, discard],
  defaultAction: pass,
  size: FLOW_CLASSES,
});

/** Ids of function tables begin here. */
const FIRST_FUNCTION = TNA_OWN + 0x100;

/** Bits of the upper half of a time that are not 0 where it is beyond the lower one. */
const BEYOND_BITS = 16;

/** A function as a controller sees it: prefixes of its number, the longest of which wins. */
export function functionModel(tables: readonly FunctionTable[], table: FunctionTable): TableModel {
  const n = FIRST_FUNCTION + tables.indexOf(table);
  const set = actionOf(n, `set_${table.name}`, [{ name: 'value', bits: fieldBits(table.bits) }]);
  return tableOf(n, {
    name: table.name,
    keys: [
      ...(table.beyond === undefined
        ? []
        : [{ name: 'beyond', bits: BEYOND_BITS, match: 'TERNARY' } as const]),
      { name: 'number', bits: table.key.bits, match: 'TERNARY' },
    ],
    actions: [set],
    defaultAction: table.beyond === undefined ? pass : set,
    size: functionRows(table).length,
  });
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

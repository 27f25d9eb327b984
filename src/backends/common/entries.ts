import type { FieldMatch, TableEntry, Update } from '../../p4runtime/types.ts';
import { canonicalBytes } from '../../p4runtime/values.ts';
import type { ActionModel, TableKey, TableModel } from './table-model.ts';

/** A value to match; of an LPM key with the number of its leading bits. */
export type KeyValue = number | bigint | { readonly value: number | bigint; readonly prefix: number };

/** One entry of a table by name, before any encoding; of a table without keys its default action. */
export interface Entry {
  readonly table: TableModel;
  readonly keys: readonly KeyValue[];
  readonly action: ActionModel;
  readonly parameters: readonly (number | bigint)[];
}

function matchOf(key: TableKey, fieldId: number, value: KeyValue): FieldMatch {
  if (typeof value !== 'object') return { fieldId, exact: { value: canonicalBytes(value) } };
  if (key.match !== 'LPM') throw new Error(`${key.name} is no prefix`);
  return { fieldId, lpm: { value: canonicalBytes(value.value), prefixLen: value.prefix } };
}

/** The entry as P4Runtime has it. */
export function tableEntry({ table, keys, action, parameters }: Entry): TableEntry {
  return {
    tableId: table.id,
    ...(table.keys.length === 0
      ? { isDefaultAction: true }
      : { match: table.keys.map((key, i) => matchOf(key, i + 1, keys[i]!)) }),
    action: {
      action: {
        actionId: action.id,
        params: action.parameters.map((_, i) => ({ paramId: i + 1, value: canonicalBytes(parameters[i]!) })),
      },
    },
  };
}

/** A default action is there always, and is modified. */
export const insertion = (entry: Entry): Update => ({
  type: entry.table.keys.length === 0 ? 'MODIFY' : 'INSERT',
  entity: { tableEntry: tableEntry(entry) },
});

export const modification = (entry: Entry): Update => ({
  type: 'MODIFY',
  entity: { tableEntry: tableEntry(entry) },
});

import type { FieldMatch, TableEntry, Update } from '../../p4runtime/types.ts';
import { canonicalBytes } from '../../p4runtime/values.ts';
import type { ActionModel, TableKey, TableModel } from './table-model.ts';

/**
 * A value to match; of an LPM or ternary key with the number of its leading bits; of a ternary key with the bits that count; the least
 * and the greatest of a range.
 */
export type KeyValue =
  | number
  | bigint
  | { readonly value: number | bigint; readonly prefix: number }
  | { readonly value: number | bigint; readonly mask: number | bigint }
  | { readonly low: number; readonly high: number };

/** One entry of a table by name, before any encoding; of a table without keys its default action. */
export interface Entry {
  readonly table: TableModel;
  readonly keys: readonly KeyValue[];
  readonly action: ActionModel;
  readonly parameters: readonly (number | bigint)[];
}

/** Where prefixes of several keys overlap, the entry of the longest ones wins; ranges and masks ask for a priority, and do not overlap. */
function priorityOf({ table, keys }: Entry): number | undefined {
  if (table.keys.some(({ match }) => match === 'RANGE')) return 1;
  if (!table.keys.some(({ match }) => match === 'TERNARY')) return undefined;
  const prefix = (key: KeyValue) => (typeof key === 'object' && 'prefix' in key ? key.prefix : 0);
  return 1 + keys.reduce<number>((sum, key) => sum + prefix(key), 0);
}

/** @returns nothing for what matches all values, which P4Runtime leaves out */
function matchOf(key: TableKey, fieldId: number, value: KeyValue): FieldMatch | undefined {
  if (typeof value !== 'object') return { fieldId, exact: { value: canonicalBytes(value) } };
  if ('low' in value) {
    if (key.match !== 'RANGE') throw new Error(`${key.name} is no range`);
    if (value.low === 0 && value.high === 2 ** key.bits - 1) return undefined;
    return { fieldId, range: { low: canonicalBytes(value.low), high: canonicalBytes(value.high) } };
  }
  if ('mask' in value) {
    if (key.match !== 'TERNARY') throw new Error(`${key.name} has no mask`);
    if (BigInt(value.mask) === 0n) return undefined;
    return { fieldId, ternary: { value: canonicalBytes(value.value), mask: canonicalBytes(value.mask) } };
  }
  if (key.match === 'LPM')
    return { fieldId, lpm: { value: canonicalBytes(value.value), prefixLen: value.prefix } };
  if (key.match !== 'TERNARY') throw new Error(`${key.name} is no prefix`);
  const mask = ((1n << BigInt(value.prefix)) - 1n) << BigInt(key.bits - value.prefix);
  return { fieldId, ternary: { value: canonicalBytes(value.value), mask: canonicalBytes(mask) } };
}

/** The entry as P4Runtime has it. */
export function tableEntry(entry: Entry): TableEntry {
  const { table, keys, action, parameters } = entry;
  const priority = priorityOf(entry);
  return {
    tableId: table.id,
    ...(priority !== undefined && { priority }),
    ...(table.keys.length === 0
      ? { isDefaultAction: true }
      : {
          match: table.keys.flatMap((key, i) => matchOf(key, i + 1, keys[i]!) ?? []),
        }),
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

/** Changes the action of an entry that is there, or a default action. */
export const modification = (entry: Entry): Update => ({
  type: 'MODIFY',
  entity: { tableEntry: tableEntry(entry) },
});

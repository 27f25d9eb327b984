import type { Init } from '../p4runtime/index.ts';
import { toBigInt } from '../p4runtime/values.ts';

/** An entry that the server has checked, in numbers. */
export interface PlainEntry {
  readonly tableId: number;
  /** By the order of the table's keys; a prefix that was left out is the empty one. */
  readonly key: (index: number) => { readonly value: number; readonly prefix: number };
  readonly actionId: number;
  readonly parameter: (index: number) => number;
  readonly parameterBytes: (index: number) => Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** An entry by the places of its fields and parameters; what is left out is zero. */
export function plainEntry(entry: Init<'TableEntry'>): PlainEntry {
  const { action } = entry.action ?? {};
  const parameterBytes = (index: number) =>
    action?.params?.find((p) => p.paramId === index + 1)?.value ?? EMPTY;
  return {
    tableId: entry.tableId ?? 0,
    key(index) {
      const match = entry.match?.find((m) => m.fieldId === index + 1);
      const value = match?.exact?.value ?? match?.lpm?.value ?? EMPTY;
      return { value: Number(toBigInt(value)), prefix: match?.lpm?.prefixLen ?? 0 };
    },
    actionId: action?.actionId ?? 0,
    parameterBytes,
    parameter: (index) => Number(toBigInt(parameterBytes(index))),
  };
}

/** A canonical byte string in its whole width. */
export function widened(bytes: Uint8Array, width: number): Buffer {
  const whole = Buffer.alloc(width);
  whole.set(bytes, width - bytes.length);
  return whole;
}

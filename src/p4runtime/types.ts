/** The messages of `schema.ts` as TypeScript types; a field that is left out has protobuf's default. */

export interface Preamble {
  readonly id: number;
  readonly name: string;
  readonly alias: string;
  readonly annotations?: readonly string[];
}

export interface MatchField {
  readonly id: number;
  readonly name: string;
  readonly annotations?: readonly string[];
  readonly bitwidth: number;
  readonly matchType: 'EXACT' | 'LPM' | 'TERNARY' | 'RANGE' | 'OPTIONAL';
}

export interface ActionRef {
  readonly id: number;
  readonly annotations?: readonly string[];
  readonly scope?: 'TABLE_AND_DEFAULT' | 'TABLE_ONLY' | 'DEFAULT_ONLY';
}

export interface P4InfoTable {
  readonly preamble: Preamble;
  readonly matchFields: readonly MatchField[];
  readonly actionRefs: readonly ActionRef[];
  readonly constDefaultActionId?: number;
  readonly initialDefaultAction?: { readonly actionId: number; readonly arguments?: readonly ActionParam[] };
  readonly directResourceIds?: readonly number[];
  readonly size: number;
  readonly isConstTable?: boolean;
  readonly hasInitialEntries?: boolean;
}

export interface P4InfoAction {
  readonly preamble: Preamble;
  readonly params?: readonly { readonly id: number; readonly name: string; readonly bitwidth: number }[];
}

export interface P4InfoCounter {
  readonly preamble: Preamble;
  readonly spec: { readonly unit: 'BYTES' | 'PACKETS' | 'BOTH' };
  readonly size: number;
}

export interface P4InfoDirectCounter {
  readonly preamble: Preamble;
  readonly spec: { readonly unit: 'BYTES' | 'PACKETS' | 'BOTH' };
  readonly directTableId: number;
}

export interface P4Info {
  readonly pkgInfo: { readonly name?: string; readonly version?: string; readonly arch: string };
  readonly tables: readonly P4InfoTable[];
  readonly actions: readonly P4InfoAction[];
  readonly counters?: readonly P4InfoCounter[];
  readonly directCounters?: readonly P4InfoDirectCounter[];
  readonly typeInfo?: Record<string, never>;
}

export interface ActionParam {
  readonly paramId: number;
  readonly value: Uint8Array;
}

export type FieldMatch = { readonly fieldId: number } & (
  | { readonly exact: { readonly value: Uint8Array } }
  | { readonly ternary: { readonly value: Uint8Array; readonly mask: Uint8Array } }
  | { readonly lpm: { readonly value: Uint8Array; readonly prefixLen: number } }
);

export interface TableEntry {
  readonly tableId: number;
  readonly match?: readonly FieldMatch[];
  readonly action?: {
    readonly action: { readonly actionId: number; readonly params?: readonly ActionParam[] };
  };
  readonly priority?: number;
  readonly isDefaultAction?: boolean;
  readonly isConst?: boolean;
}

export interface CounterData {
  readonly byteCount: number;
  readonly packetCount: number;
}

export interface CounterEntry {
  readonly counterId: number;
  readonly index?: { readonly index: number };
  readonly data?: CounterData;
}

export type Entity = { readonly tableEntry: TableEntry } | { readonly counterEntry: CounterEntry };

export interface Update {
  readonly type: 'INSERT' | 'MODIFY' | 'DELETE';
  readonly entity: Entity;
}

/** Compared as one number, `high * 2^64 + low`. */
export interface ElectionId {
  readonly high: number;
  readonly low: number;
}

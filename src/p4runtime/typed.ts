import type { MatchValue } from './match.ts';
import type { Value } from './values.ts';

/**
 * The names of one program as types, as `p4info types` writes them. With such a type every wrong name of a table, field,
 * action or parameter is a compile error; without it (`AnyProgram`) names are checked when they are used.
 */
export interface ProgramTypes {
  readonly tables: {
    readonly [table: string]: {
      readonly match: object;
      readonly action: string;
      /** Whether its entries may overlap, so that they need a priority. */
      readonly priority?: boolean;
    };
  };
  /** Action to its parameters. */
  readonly actions: { readonly [action: string]: object };
  /** Action profile to the names of its actions. */
  readonly profiles: { readonly [profile: string]: string };
  readonly counters: string;
  readonly meters: string;
  readonly registers: string;
  readonly valueSets: string;
  readonly digests: string;
  readonly externs?: string;
  /** Metadata of a packet to the device. */
  readonly packetOut: object;
}

/** A program whose names nobody knows before it is read. */
export interface AnyProgram extends Omit<ProgramTypes, 'tables' | 'actions' | 'externs' | 'packetOut'> {
  readonly tables: {
    readonly [table: string]: {
      readonly match: { readonly [field: string]: MatchValue };
      readonly action: string;
    };
  };
  readonly actions: { readonly [action: string]: { readonly [parameter: string]: Value } };
  readonly externs: string;
  readonly packetOut: { readonly [field: string]: Value };
}

/** A property that may be left out where nothing in it is required. */
export type OptionalIfEmpty<K extends string, T> =
  Record<never, never> extends T ? { readonly [P in K]?: T } : { readonly [P in K]: T };

/** A priority where the table needs one, and none where it has none; of a program without types either. */
export type PriorityOf<T> = T extends { readonly priority: true }
  ? {
      /** Larger wins; at least 1. */
      readonly priority: number;
    }
  : T extends { readonly priority: false }
    ? { readonly priority?: never }
    : { readonly priority?: number };

/** Names of the program's tables; of a program without types any string. */
export type TableName<P extends ProgramTypes> = keyof P['tables'] & string;

/** An action with its parameters by name. */
export type ActionCall<P extends ProgramTypes, A extends string> = A extends keyof P['actions'] & string
  ? { readonly name: A } & OptionalIfEmpty<'params', P['actions'][A]>
  : never;

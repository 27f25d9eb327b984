import type { OneShotModes, WeightedAction } from './actions.ts';
import type {
  ActionCall,
  AnyProgram,
  OptionalIfEmpty,
  PriorityOf,
  ProgramTypes,
  TableName,
} from './typed.ts';
import type { Port } from './values.ts';

/** Bytes and packets; a unit that the counter does not count is 0. */
export interface CounterValue {
  readonly packets: bigint | number;
  readonly bytes: bigint | number;
}

/** Rates in units (bytes or packets) a second, bursts in units. */
export interface MeterRates {
  readonly cir: bigint | number;
  readonly cburst: bigint | number;
  readonly pir: bigint | number;
  readonly pburst: bigint | number;
  readonly eburst?: bigint | number;
}

type EntryActionOf<P extends ProgramTypes, A extends string> =
  | ActionCall<P, A>
  | { readonly member: number }
  | { readonly group: number }
  | (OneShotModes & {
      readonly oneShot: readonly (WeightedAction & { readonly action: ActionCall<P, A> })[];
    });

/** What an entry or a default action may have beside its action. */
interface EntryExtras {
  readonly metadata?: Uint8Array;
  readonly counter?: CounterValue;
  readonly meter?: MeterRates;
}

/** An entry of a table by names; distributes over the tables of the program. */
export type TableEntryInput<
  P extends ProgramTypes = AnyProgram,
  T extends TableName<P> = TableName<P>,
> = T extends T
  ? TableKeyInput<P, T> &
      EntryExtras & {
        readonly action?: EntryActionOf<P, P['tables'][T]['action']>;
        /** In ns; 0 is never. */
        readonly idleTimeoutNs?: bigint | number;
      }
  : never;

/** The default action of a table; without any of the others the program's own is restored. */
export type DefaultActionInput<
  P extends ProgramTypes = AnyProgram,
  T extends TableName<P> = TableName<P>,
> = T extends T
  ? { readonly table: T; readonly action?: ActionCall<P, P['tables'][T]['action']> } & EntryExtras
  : never;

/** The key of an entry, also for its direct resources. */
export type TableKeyInput<
  P extends ProgramTypes = AnyProgram,
  T extends TableName<P> = TableName<P>,
> = T extends T
  ? { readonly table: T } & PriorityOf<P['tables'][T]> & OptionalIfEmpty<'match', P['tables'][T]['match']>
  : never;

/** One copy that a multicast group or a clone session makes. */
export interface ReplicaInput {
  readonly port: Port;
  readonly instance?: number;
  /** Where the copy goes while the port is down, in order of preference (P4Runtime 1.5). */
  readonly backups?: readonly { readonly port: Port; readonly instance?: number }[];
}

/** What a read of table entries returns beside them; nothing costs nothing. */
export interface DirectResources {
  readonly counters?: boolean;
  readonly meters?: boolean;
  /** Counters of a meter's colours (P4Runtime 1.4). */
  readonly meterCounters?: boolean;
  readonly timeSinceLastHit?: boolean;
}

/** When a device sends the items of a digest. */
export interface DigestConfig {
  /** Longest wait behind the first item in ns; 0 sends at once. */
  readonly maxTimeoutNs?: bigint | number;
  /** Items of one list; 0 is no limit. */
  readonly maxListSize?: number;
  /** How long items already sent are held back without an acknowledgement, in ns. */
  readonly ackTimeoutNs?: bigint | number;
}

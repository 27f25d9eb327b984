import type { P4InfoIndex } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';

/** The configuration that a controller pushed, its P4Info indexed and found sound. */
export interface DevicePipeline {
  readonly config: Message<'ForwardingPipelineConfig'>;
  readonly index: P4InfoIndex;
}

/** A change that has passed all checks of the standard. Byte strings are canonical, match fields in order of their ids. */
export interface Change {
  readonly type: 'INSERT' | 'MODIFY' | 'DELETE';
  /** As it will be; of a deletion, as it was. */
  readonly entity: Init<'Entity'>;
}

/** All that controllers have set: enough to begin there again. */
export interface DeviceState {
  readonly config: Init<'ForwardingPipelineConfig'>;
  /** In an order in which they can be done. */
  readonly changes: readonly Change[];
}

/** What a device tells its controllers; the server finds out whom. */
export interface DeviceSink {
  packetIn(packet: Init<'PacketIn'>): void;
  /** One item of a digest; the server gathers lists and holds back what is not acknowledged. */
  digest(digestId: number, data: Init<'P4Data'>): void;
  /** Entries not hit for their time. */
  idleTimeout(entries: readonly Init<'TableEntry'>[]): void;
}

type Answer<T> = T | Promise<T>;

/**
 * The data plane behind a server. The server checks requests, keeps what was written, and answers reads; the device makes
 * it happen. Everything is optional: without any method it is a device that forwards nothing. A method refuses with a
 * `Fault`; nothing of what it refused is kept then.
 */
export interface P4Device {
  /** Could it run this? @throws Fault INVALID_ARGUMENT */
  verify?(pipeline: DevicePipeline): Answer<void>;
  /**
   * Makes it run with `state` in place: with `keep` that is what there was (it was found to fit), else what was written since
   * the program was saved, if it was. All other state is gone. A device that keeps its state beyond the process has kept this
   * when it returns; where it throws all is as before.
   */
  commit?(pipeline: DevicePipeline, keep: boolean, state: readonly Change[]): Answer<void>;
  /**
   * What an earlier process kept; asked for once, before any request. Of several, the likeliest first, the first that fits is
   * gone on with.
   */
  restore?(): Answer<DeviceState | readonly DeviceState[] | undefined>;
  /** None of what it kept fits: it begins without a pipeline. Without this method that is an error. */
  unrestored?(reason: string): Answer<void>;
  /** Goes on with what `restore` gave, now checked. Without it the state is committed. */
  resume?(pipeline: DevicePipeline, state: readonly Change[]): Answer<void>;
  /**
   * Called before Writes are looked at: time to keep the whole state anew, so that what `keep` adds to it does not grow without
   * end. @throws Fault, and none of them is done
   */
  checkpoint?(state: () => DeviceState): Answer<void>;
  /**
   * Keeps what is about to be applied, of one Write or of several, beyond the process. @throws Fault, and none of it is done
   */
  keep?(updates: readonly Init<'Update'>[]): Answer<void>;
  /** The last `keep` came out otherwise, because `apply` refused something: this is what was done. @throws Fault, and it is taken back */
  amend?(updates: readonly Init<'Update'>[]): Answer<void>;
  /**
   * The simple way instead of these three, for a state that is small: keeps all of it, after each call that changed it and
   * before that is answered. @throws Fault, and what a Write has changed is taken back
   * @param changes what was done; undefined where the pipeline is new
   */
  save?(state: () => DeviceState, changes: readonly Change[] | undefined): Answer<void>;
  /** The program is part of the device and cannot be replaced. */
  readonly fixedPipeline?: DevicePipeline['config'];
  /** Entries that the program brings along; those of constant tables, or with `isConst`, cannot be changed. */
  initialEntries?(pipeline: DevicePipeline): readonly Init<'TableEntry'>[];
  /** The program's own default action of a table, where the P4Info does not tell it. */
  defaultAction?(pipeline: DevicePipeline, tableId: number): Init<'TableAction'> | undefined;
  apply?(change: Change): Answer<void>;
  /** Live value of a cell; without it the server keeps what was written. */
  readCounter?(counterId: number, index: number): Answer<Init<'CounterData'>>;
  readDirectCounter?(entry: Init<'TableEntry'>): Answer<Init<'CounterData'>>;
  /**
   * Counts by the colours of a meter; without these methods `MeterCounterData` is UNIMPLEMENTED. A change that has such counts
   * clears them: they are all 0.
   */
  readMeterCounts?(meterId: number, index: number): Answer<Init<'MeterCounterData'>>;
  readDirectMeterCounts?(entry: Init<'TableEntry'>): Answer<Init<'MeterCounterData'>>;
  /**
   * Takes externs of its architecture, and says what tells the entries of one instance apart (always the same, where it has
   * one). Without this method externs are UNIMPLEMENTED. @throws Fault INVALID_ARGUMENT on what it does not know
   */
  externKey?(entry: Message<'ExternEntry'>): string;
  /** In ns. */
  timeSinceLastHit?(entry: Init<'TableEntry'>): Answer<bigint>;
  packetOut?(packet: Message<'PacketOut'>): Answer<void>;
  /** Whether a port may be watched or replicated to; without it any may. */
  hasPort?(port: Uint8Array): boolean;
  /** Called once, before anything else. */
  attach?(sink: DeviceSink): void;
}

/** What a role may see and change; the default role has no such limit. */
export type RoleFilter = (entity: Init<'Entity'>) => boolean;

import type { Model } from '../../model/model.ts';
import type { Budget } from '../budget.ts';
import type { HeldVersion } from '../versions.ts';
import type { ModelSource } from '../worker-client.ts';
import type { Entity, KnownProgram } from './observed.ts';

/** A model as packets name it. */
export interface ModelVersion {
  readonly model: Model;
  readonly version: number;
  /** The file that it came from, for workers; absent where it came from the state. */
  readonly source?: ModelSource;
}

/** A version that is to be there. */
export interface DesiredVersion extends ModelVersion {
  /** Whether these numbers were deployed from here before: then what differs on a device is damage, not another model. */
  readonly ours: boolean;
}

/** What is to be of one model on a device or worker. */
export interface DesiredModel {
  readonly modelId: number;
  readonly versions: readonly DesiredVersion[];
  /** Slot of the device in which the version is to stand; any of its program if absent. */
  readonly slot?: number;
  /** The version of requests that name none. */
  readonly current: number | 'as-is';
  /** Versions besides those wanted that stay, if they are there; the current one always does. */
  readonly keep: 'all' | readonly number[];
}

/** All that one device is to run and to hold. */
export interface DesiredDevice {
  readonly on: 'device';
  readonly name: string;
  /** Along the path, from its beginning; devices of one place are beside each other, and are flipped side by side. */
  readonly place: number;
  /** Models whose layers it computes; none where it only forwards. */
  readonly models: readonly (DesiredModel & {
    /** What the entries of a version say besides version and slot. */
    readonly held: (version: ModelVersion) => Omit<HeldVersion, 'version' | 'slot'>;
    /** Of each of its versions; absent where they may compute all that comes. */
    readonly budget?: Budget;
  })[];
  /** The program that it gets where none runs, or one that does not do; planned when it is asked for. @throws DiagnosticError */
  readonly program: () => KnownProgram;
  /** The one that it had: it gets the same again where it has lost it, as far as the versions fit. */
  readonly earlier: (() => KnownProgram) | undefined;
  /** Push another program where the one that runs does not do. */
  readonly replaceProgram: boolean;
  /** Of a device that classifies flows: all that it is to hold but the weights of `program`; the rest of this says nothing then. */
  readonly flows?: readonly Entity[];
  /** Zones, ports, routes and steering. */
  readonly forwarding: readonly Entity[] | 'as-is';
  /**
   * Whether versions go that nobody asked for. `go`: other models too, for the device is ours alone. `models`: of models only
   * these, whose steering is ours too; the others are of others, as is what they may need of forwarding.
   */
  readonly others: 'go' | 'stay' | { readonly models: readonly number[] };
}

/** A worker stands behind the whole path: what one is to hold of each model. */
export interface DesiredWorker {
  readonly on: 'worker';
  readonly name: string;
  readonly models: readonly DesiredModel[];
}

/** Devices in the order of the path, then what finishes the layers that they leave. */
export interface Desired {
  readonly devices: readonly DesiredDevice[];
  readonly workers: readonly DesiredWorker[];
}

import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import type { Budget } from './budget.ts';
import type { LayerRange } from './planned-layers.ts';

/** What is done to a device, in this order. */
export type DeployStep =
  | 'connect'
  | 'program'
  | 'weights'
  | 'version'
  | 'current'
  | 'forwarding'
  | 'flows'
  | 'remove';

/** A step, and what came of it. */
export interface StepReport {
  readonly step: DeployStep;
  /** `undone`: taken back because of a failure, here or elsewhere; `left`: that failed too, so it is still there. */
  readonly outcome: 'done' | 'unchanged' | 'failed' | 'undone' | 'left' | 'would';
  readonly detail: string;
}

/** Entries of a table, as the device holds them at the end, and what was (or would be) written. */
export interface TableReport {
  readonly table: string;
  readonly entries: number;
  readonly inserted: number;
  readonly modified: number;
  readonly deleted: number;
}

/** A device after a run. */
export interface DeviceReport {
  readonly name: string;
  readonly kind: string;
  readonly address: string;
  readonly deviceId: number;
  /** Absent where it only forwards; of a deployment of several models only under `models`. */
  readonly layers?: LayerRange;
  /** Cookie of the program that runs, hexadecimal; `none` before the first, `other` where it has none. */
  readonly program: string;
  /** Versions that it holds, each with the digest of the weights that were read back. */
  readonly versions: readonly {
    readonly modelId: number;
    readonly version: number;
    readonly slot: number;
    readonly weights: string;
    /** As it was read back; absent where it may compute all that comes. */
    readonly budget?: Budget;
  }[];
  /** Of a deployment of several models only under `models`. */
  readonly current?: number;
  /** Models of the deployment that it computes. */
  readonly models: readonly {
    readonly id: number;
    readonly layers: LayerRange;
    readonly current?: number;
  }[];
  readonly tables: readonly TableReport[];
  readonly steps: readonly StepReport[];
}

/** A worker after a run. */
export interface WorkerReport {
  readonly name: string;
  readonly address: string;
  /** Versions that it holds, with the digest of what each computes and the engines that compute it. */
  readonly versions: readonly {
    readonly modelId: number;
    readonly version: number;
    readonly digest: string;
    readonly engines: readonly string[];
  }[];
  /** Of a deployment of several models only under `models`. */
  readonly current?: number;
  readonly models: readonly { readonly id: number; readonly current?: number }[];
  readonly steps: readonly StepReport[];
}

/** The document of `deploy --json`. */
export interface DeployReport {
  readonly format: 'intransit-deploy';
  readonly version: 1;
  readonly deployment: { readonly name: string; readonly file: string; readonly state: string };
  /** Absent where the file lists several. */
  readonly model?: { readonly id: number; readonly version: number; readonly digest: string };
  /** Those that this run was about. */
  readonly models: readonly {
    readonly name: string;
    readonly id: number;
    readonly version: number;
    readonly digest: string;
    /** The version that this one took over from. */
    readonly previous?: number;
  }[];
  /**
   * `unchanged`: all was so already, nothing was written. `deployed`, `replaced` (another version took over from
   * `previous`), `removed`, `would-change` (a dry run), `failed`.
   */
  readonly outcome: 'unchanged' | 'deployed' | 'replaced' | 'removed' | 'would-change' | 'failed';
  /** Of the one model. */
  readonly previous?: number;
  readonly devices: readonly DeviceReport[];
  readonly workers: readonly WorkerReport[];
  readonly diagnostics: readonly Diagnostic[];
  readonly ms: number;
}

/** A deployment that failed: what is wrong, and of each device what was done, what was not and what was taken back. */
export class DeployError extends DiagnosticError {
  readonly devices: readonly DeviceReport[];
  readonly workers: readonly WorkerReport[];
  report: DeployReport | undefined;

  constructor(
    diagnostics: readonly Diagnostic[],
    devices: readonly DeviceReport[],
    workers: readonly WorkerReport[] = [],
  ) {
    super(diagnostics);
    this.devices = devices;
    this.workers = workers;
  }
}

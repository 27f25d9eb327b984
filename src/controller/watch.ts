import { resolve } from 'node:path';
import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import { readText } from '../files.ts';
import { carryOut, type DeployOptions, type Target, targetOf } from './deploy.ts';
import { type Deployment, defaultStateFolder, parseDeployment } from './deployment.ts';
import type { DeviceSpec, WorkerSpec } from './deployment-schema.ts';
import { Backoff, DeviceLink, type LinkState } from './device-link.ts';
import { CONNECT_TIMEOUT_MS } from './device-session.ts';
import type { DeviceTask } from './device-task.ts';
import { DeployError, type DeployReport } from './report.ts';
import { Rollout } from './rollout.ts';
import { StateFolder } from './state.ts';
import { WorkerLink, type WorkerLinkState } from './worker-link.ts';
import { WorkerTask } from './worker-task.ts';

/** What a watcher tells. */
export type WatchEvent =
  /** The deployment was brought to the devices that can be had; `without` are waited for. */
  | { readonly event: 'deployed'; readonly report: DeployReport; readonly without: readonly string[] }
  /** A device is lost, or cannot be had to begin with; it is waited for. */
  | { readonly event: 'away'; readonly device: string; readonly diagnostics: readonly Diagnostic[] }
  /** Another controller has the device, by a higher election id; nothing is written until it goes. */
  | {
      readonly event: 'backup';
      readonly device: string;
      readonly electionId: bigint;
      readonly highest?: bigint;
      readonly diagnostics: readonly Diagnostic[];
    }
  /** The device is there and may be written to. */
  | { readonly event: 'primary'; readonly device: string; readonly electionId: bigint }
  /** A worker is there, for the first time or started anew. */
  | { readonly event: 'here'; readonly worker: string }
  /** A device or worker that came back is what the file says, `ms` behind its return; it may have been all the time. */
  | {
      readonly event: 'restored';
      readonly device: string;
      readonly report: DeployReport;
      readonly ms: number;
    }
  /** The deployment file has changed, and is deployed anew. */
  | { readonly event: 'changed' }
  /** The deployment file cannot be read any more; what it said last goes on. Told once, until it can be read again. */
  | { readonly event: 'unreadable'; readonly diagnostics: readonly Diagnostic[] }
  /** Of one device, or of the deployment as a whole; tried again in `retryMs`, or sooner where something changes. */
  | {
      readonly event: 'failed';
      readonly device?: string;
      readonly diagnostics: readonly Diagnostic[];
      readonly report?: DeployReport;
      readonly retryMs: number;
    };

/** How a deployment is watched; times are in ms. */
export interface WatchOptions extends Omit<DeployOptions, 'dryRun' | 'rollback' | 'remove'> {
  readonly onEvent?: (event: WatchEvent) => void;
  /** How often the deployment file is looked at, ms; default 250. */
  readonly pollMs?: number;
  /** How often a device is asked whether it is still there, ms; default 5,000. */
  readonly probeMs?: number;
  /** Delays between attempts of what failed, ms: the first, doubled up to the last; default 500 and 30,000. */
  readonly retryMs?: readonly [first: number, last: number];
}

/** A deployment that is being watched. */
export interface Watcher {
  /** Ends when what is just being done is done; devices stay as they are. */
  close(): Promise<void>;
}

const POLL_MS = 250;
const RETRY_MS = [500, 30_000] as const;

/**
 * Deploys, then keeps the devices what the file says: one that comes back is brought to it without touching the others, and
 * a file that changes is deployed anew. No failure ends it.
 * @throws DiagnosticError on a file that is wrong to begin with, or where another process is at work on the deployment
 */
export async function watch(file: string, options: WatchOptions = {}): Promise<Watcher> {
  const watching = new Watching(file, options);
  await watching.begin();
  return watching;
}

/** A deployment file as it was read, and its devices. */
interface Setup {
  readonly deployment: Deployment;
  readonly target: Target;
  readonly rollout: Rollout;
  /** By the name of the device or worker. */
  readonly links: ReadonlyMap<string, DeviceLink | WorkerLink>;
}

class Watching implements Watcher {
  readonly #file: string;
  readonly #options: WatchOptions;
  readonly #state: StateFolder;
  readonly #fileBackoff: Backoff;
  readonly #backoffs = new Map<string, Backoff>();
  /** By what makes a connection what it is: those that a changed file does not change stay. */
  readonly #links = new Map<string, DeviceLink | WorkerLink>();
  /** What devices that come back are brought to: the last that was deployed. */
  #setup: Setup | undefined;
  #text = '';
  /** The text that the last look found; it counts once it is found twice, so that a half-written file does not. */
  #seen = '';
  #fileDue = false;
  #deploying: Promise<void> | undefined;
  /** Devices to be looked at, and of these the ones that came back. */
  readonly #due = new Set<string>();
  readonly #back = new Set<string>();
  readonly #restoring = new Map<string, Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #fileTimer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #ended: Promise<void>;
  #end = (): void => {};

  constructor(file: string, options: WatchOptions) {
    this.#file = file;
    this.#options = options;
    this.#state = new StateFolder(options.state ?? defaultStateFolder(file), resolve(file));
    this.#fileBackoff = new Backoff(options.retryMs ?? RETRY_MS);
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async begin(): Promise<void> {
    this.#state.lock();
    let first: Setup;
    try {
      first = await this.#load();
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#poll = setInterval(() => this.#look(), this.#options.pollMs ?? POLL_MS);
    this.#deploying = this.#deploy(first);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end();
    clearInterval(this.#poll);
    clearTimeout(this.#fileTimer);
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([this.#deploying, ...this.#restoring.values()]);
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#state.unlock();
  }

  /** Looks in a row at which the file could not be read. */
  #unreadable = 0;

  /** Whether the file is another. */
  #look(): void {
    let text: string;
    try {
      text = readText(this.#file);
    } catch (error) {
      // Once, it may be an editor that is just replacing it.
      if (++this.#unreadable === 2)
        this.#tell({ event: 'unreadable', diagnostics: (error as DiagnosticError).diagnostics });
      return;
    }
    this.#unreadable = 0;
    const stands = text === this.#seen;
    this.#seen = text;
    if (!stands || text === this.#text) return;
    this.#text = text;
    this.#fileBackoff.reset();
    this.#tell({ event: 'changed' });
    this.#deployAgain();
  }

  #deployAgain(): void {
    clearTimeout(this.#fileTimer);
    this.#fileDue = true;
    this.#next();
  }

  /** Begins what is due and may begin: devices one by one and at once, the deployment as a whole alone. */
  #next(): void {
    if (this.#closed || this.#deploying !== undefined) return;
    if (this.#fileDue) {
      if (this.#restoring.size === 0) this.#deploying = this.#deploy();
      return;
    }
    for (const task of membersOf(this.#setup?.rollout)) {
      const { name } = task.spec;
      if (!this.#due.has(name) || this.#restoring.has(name) || !isReady(this.#setup!, task)) continue;
      this.#due.delete(name);
      this.#restoring.set(name, this.#restore(this.#setup!, task));
    }
  }

  /** Reads the file, and dials the devices that it names. @throws DiagnosticError */
  async #load(): Promise<Setup> {
    const text = readText(this.#file);
    this.#text = text;
    this.#seen = text;
    const deployment = parseDeployment(text, this.#file);
    const target = await targetOf(deployment, this.#options);
    const links = new Map<string, DeviceLink | WorkerLink>();
    const linkOf = (spec: DeviceSpec) => {
      const tls = deployment.tls.get(spec.name);
      const key = linkKey(spec, deployment);
      const known = this.#links.get(key);
      const link =
        known instanceof DeviceLink
          ? known
          : new DeviceLink(spec, tls, this.#options, (state) => this.#changed(spec.name, state));
      this.#links.set(key, link);
      links.set(spec.name, link);
      return link;
    };
    for (const spec of deployment.spec.workers) {
      const key = linkKey(spec, deployment);
      const known = this.#links.get(key);
      const tell = (state: WorkerLinkState) => this.#workerChanged(spec.name, state);
      const tls = deployment.tls.get(spec.name);
      const link =
        known instanceof WorkerLink ? known : new WorkerLink(spec, tls, tell, this.#options.timeoutMs);
      this.#links.set(key, link);
      links.set(spec.name, link);
    }
    const options = { ...this.#options, models: target.bases };
    const rollout = await Rollout.prepare(deployment, options, linkOf, this.#state);
    return { deployment, target, rollout, links };
  }

  #changed(device: string, state: LinkState): void {
    if (state.kind === 'primary') {
      this.#tell({ event: 'primary', device, electionId: state.electionId });
      this.#backoffs.get(device)?.reset();
      this.#due.add(device);
      this.#back.add(device);
      this.#next();
    } else if (state.kind === 'away') {
      this.#tell({ event: 'away', device, diagnostics: state.diagnostics });
    } else if (state.kind === 'backup') {
      const { kind: event, ...rest } = state;
      this.#tell({ event, device, ...rest });
    }
  }

  #workerChanged(worker: string, state: WorkerLinkState): void {
    if (state.kind === 'away') this.#tell({ event: 'away', device: worker, diagnostics: state.diagnostics });
    if (state.kind !== 'here') return;
    this.#tell({ event: 'here', worker });
    this.#backoffs.get(worker)?.reset();
    this.#due.add(worker);
    this.#back.add(worker);
    this.#next();
  }

  /** The whole deployment, on the devices that can be had; it replaces what was deployed before once it is current. */
  async #deploy(loaded?: Setup): Promise<void> {
    this.#fileDue = false;
    clearTimeout(this.#fileTimer);
    let setup = loaded;
    let part: Rollout | undefined;
    try {
      setup ??= await this.#load();
      const patience = this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
      const settled = Promise.all([...setup.links.values()].map((link) => link.settled(patience)));
      await Promise.race([settled, this.#ended]);
      if (this.#closed) return;
      const { tasks, workers } = setup.rollout;
      const ready = tasks.filter((t) => isReady(setup!, t));
      const readyWorkers = workers.filter((w) => isReady(setup!, w));
      const all = [...ready, ...readyWorkers];
      const without = membersOf(setup.rollout)
        .filter((t) => !all.includes(t))
        .map((t) => t.spec.name);
      for (const { spec } of all) {
        this.#due.delete(spec.name);
        this.#back.delete(spec.name);
      }
      part = setup.rollout.part(ready, readyWorkers);
      if (ready.length > 0) {
        const started = performance.now();
        await part.read();
        const report = await carryOut(part, setup.target, this.#options, started);
        this.#tell({ event: 'deployed', report, without });
      }
      this.#setup = setup;
      this.#fileBackoff.reset();
    } catch (error) {
      // Where it is current already, what is missing is brought to each device by itself.
      const isCurrent = part?.flipped === true;
      if (isCurrent) this.#setup = setup;
      // Devices of which something was tried may not be what they were.
      if (part !== undefined)
        for (const { spec } of membersOf(this.#setup?.rollout)) this.#due.add(spec.name);
      const retryMs = isCurrent ? 0 : this.#fileBackoff.next();
      this.#tell({ event: 'failed', ...failure(error), retryMs });
      if (!isCurrent && !this.#closed) this.#fileTimer = setTimeout(() => this.#deployAgain(), retryMs);
    } finally {
      this.#dropLinks(this.#setup ?? setup);
      this.#deploying = undefined;
    }
    this.#next();
  }

  /** One device or worker to what was deployed. */
  async #restore(setup: Setup, task: DeviceTask | WorkerTask): Promise<void> {
    const { rollout, target, links } = setup;
    const device = task.spec.name;
    const { state } = links.get(device)!;
    const started = performance.now();
    const since = state.kind === 'primary' || state.kind === 'here' ? state.since : started;
    try {
      const part = task instanceof WorkerTask ? rollout.part([], [task]) : rollout.part([task], []);
      await part.read();
      const report = await carryOut(part, target, this.#options, started);
      this.#backoffs.get(device)?.reset();
      const cameBack = this.#back.delete(device);
      if (cameBack || report.outcome !== 'unchanged')
        this.#tell({ event: 'restored', device, report, ms: performance.now() - since });
    } catch (error) {
      // One that is gone again has its turn when it is back.
      if (isReady(setup, task)) this.#retry(device, error);
    } finally {
      this.#restoring.delete(device);
    }
    this.#next();
  }

  #retry(device: string, error: unknown): void {
    const backoff = this.#backoffs.get(device) ?? new Backoff(this.#options.retryMs ?? RETRY_MS);
    this.#backoffs.set(device, backoff);
    const retryMs = backoff.next();
    this.#tell({ event: 'failed', device, ...failure(error, device), retryMs });
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#due.add(device);
      this.#next();
    }, retryMs);
    this.#timers.add(timer);
  }

  /** Connections to devices that are not of this deployment any more. */
  #dropLinks(setup: Setup | undefined): void {
    if (setup === undefined) return;
    const { deployment } = setup;
    const { devices, workers } = deployment.spec;
    const keep = new Set([...devices, ...workers].map((d) => linkKey(d, deployment)));
    for (const [key, link] of this.#links) {
      if (keep.has(key)) continue;
      link.close();
      this.#links.delete(key);
    }
  }

  #tell(event: WatchEvent): void {
    this.#options.onEvent?.(event);
  }
}

const membersOf = (rollout: Rollout | undefined): readonly (DeviceTask | WorkerTask)[] => [
  ...(rollout?.tasks ?? []),
  ...(rollout?.workers ?? []),
];

const isReady = ({ links }: Setup, { spec }: DeviceTask | WorkerTask): boolean => {
  const kind = links.get(spec.name)?.state.kind;
  return kind === 'primary' || kind === 'here';
};

const linkKey = (spec: DeviceSpec | WorkerSpec, deployment: Deployment): string => {
  const { name, address, tls } = spec;
  // Another certificate under the same name is another connection too.
  const texts = Object.values(deployment.tls.get(name) ?? {}).map((text) => text.toString());
  return JSON.stringify([name, address, 'deviceId' in spec ? spec.deviceId : 'worker', tls, texts]);
};

function failure(
  error: unknown,
  device = 'all devices',
): { readonly diagnostics: readonly Diagnostic[]; readonly report?: DeployReport } {
  if (error instanceof DeployError && error.report !== undefined)
    return { diagnostics: error.diagnostics, report: error.report };
  if (error instanceof DiagnosticError) return { diagnostics: error.diagnostics };
  // A fault of ours; devices that are up are looked after all the same.
  const reason = error instanceof Error ? error.message : String(error);
  return {
    diagnostics: [diagnostic('device-failed', { device, step: 'watch', reason, remedy: 'report it' })],
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import type { Model } from '../model/model.ts';
import type { Desired, DesiredDevice, DesiredModel, ModelVersion } from './core/desired.ts';
import { type Difference, diff } from './core/diff.ts';
import { versionsOn } from './core/observed.ts';
import type { Phase } from './core/order.ts';
import { type Endpoint, type Host, run } from './core/run.ts';
import type { Step } from './core/step.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import type { CompileProgram } from './device-endpoint.ts';
import { type ClientHolder, clientFor, type SessionOptions } from './device-session.ts';
import { DeviceTask } from './device-task.ts';
import { deviceLayers } from './layers.ts';
import { DeployError, type DeployStep, type StepReport } from './report.ts';
import { StateFolder } from './state.ts';
import { WorkerTask } from './worker-task.ts';

export interface RolloutEvent {
  readonly device: string;
  readonly step: DeployStep;
  readonly outcome: StepReport['outcome'];
  readonly detail: string;
}

export interface RolloutOptions extends SessionOptions {
  /** Folder of the state; default beside the deployment file. */
  readonly state?: string;
  /** Of the version for which a device without a program gets one; default that of the file. */
  readonly model?: Model;
  /** Push another program where the one that runs does not do; the device drops packets until all is in place. */
  readonly replaceProgram?: boolean;
  readonly onProgress?: (event: RolloutEvent) => void;
}

/**
 * The devices of a deployment, and the steps by which a version of the model comes and goes on all of them. Between any
 * two steps a packet is computed by one version wholly, or left alone. Devices stand in the order of the path; each step
 * ends with the report of every device, and a step that fails takes back what it did.
 */
export class Rollout {
  readonly deployment: Deployment;
  readonly tasks: readonly DeviceTask[];
  /** What finishes the layers that the devices leave. */
  readonly workers: readonly WorkerTask[];
  /** Of the import and of the layers. */
  readonly warnings: readonly Diagnostic[];
  readonly state: StateFolder;
  /** The version that the last flip made current everywhere. */
  flipped: number | undefined;
  readonly #model: Model;
  readonly #options: RolloutOptions;
  /** For which the programs of devices were made when they got them. */
  readonly #bases = new Map<string, Model>();

  private constructor(
    deployment: Deployment,
    tasks: readonly DeviceTask[],
    workers: readonly WorkerTask[],
    warnings: readonly Diagnostic[],
    state: StateFolder,
    model: Model,
    options: RolloutOptions,
  ) {
    this.deployment = deployment;
    this.tasks = tasks;
    this.workers = workers;
    this.warnings = warnings;
    this.state = state;
    this.#model = model;
    this.#options = options;
  }

  /**
   * Connects to all devices and reads what they hold; writes nothing.
   * @throws DiagnosticError on a wrong file; DeployError that names each device that cannot be had
   */
  static async open(source: string | Deployment, options: RolloutOptions = {}): Promise<Rollout> {
    const deployment = typeof source === 'string' ? readDeployment(source) : source;
    const rollout = await Rollout.prepare(deployment, options, (device) => ({
      client: clientFor(device, deployment.tls.get(device.name), options),
    }));
    try {
      if (options.readOnly !== true) rollout.state.lock();
      await rollout.read();
      return rollout;
    } catch (error) {
      rollout.close();
      throw error;
    }
  }

  /**
   * The same, but connects to nothing, and takes no lock.
   * @param holderOf where the client of a device is
   */
  static async prepare(
    deployment: Deployment,
    options: RolloutOptions,
    holderOf: (device: DeviceSpec) => ClientHolder,
    folder?: StateFolder,
  ): Promise<Rollout> {
    const { file, spec } = deployment;
    const { model, diagnostics } =
      options.model === undefined
        ? await deployedModel(deployment)
        : { model: options.model, diagnostics: [] };
    const { ranges, warnings } = deviceLayers(deployment, model);
    const state = folder ?? new StateFolder(options.state ?? defaultStateFolder(file), model.file);
    const common = { ...options, modelId: spec.model.id, port: spec.port, mtu: spec.mtu };
    const compile: CompileProgram = async (program) => (await state.programs([program])).get(program.cookie)!;
    const tasks = spec.devices.map(
      (device, i) => new DeviceTask(device, ranges[i], holderOf(device), compile, common),
    );
    // The path leads through ascending layers; among equals the file's order counts.
    const place = ({ range }: DeviceTask) => range?.from ?? model.layers.length;
    const path = [...tasks].sort((a, b) => place(a) - place(b));
    const { electionId = 1n, timeoutMs } = options;
    const workers = spec.workers.map(
      (worker) =>
        new WorkerTask({ ...worker, electionId }, deployment.tls.get(worker.name), spec.model.id, timeoutMs),
    );
    return new Rollout(deployment, path, workers, [...diagnostics, ...warnings], state, model, options);
  }

  /** The same deployment over some of its devices and workers. */
  part(tasks: readonly DeviceTask[], workers: readonly WorkerTask[]): Rollout {
    const { deployment, warnings, state } = this;
    return new Rollout(deployment, tasks, workers, warnings, state, this.#model, this.#options);
  }

  /** Connects where that is not so yet, and reads what the devices hold. @throws DeployError */
  async read(): Promise<void> {
    const saved = this.state.state;
    for (const { spec } of this.tasks) {
      const base = await this.state.loadModel(saved?.bases[spec.name]);
      if (base !== undefined) this.#bases.set(spec.name, base);
    }
    const openDevice = async (task: DeviceTask): Promise<void> => {
      const base = this.#bases.get(task.name);
      await task.read(base === undefined ? [this.#model] : [base, this.#model]);
    };
    const work = [
      ...this.tasks.map((t) => this.#connect(t, () => openDevice(t))),
      ...this.workers.map((w) => this.#connect(w, () => w.open())),
    ];
    const failures = (await Promise.all(work)).flat();
    if (failures.length > 0) throw this.#error(failures);
  }

  /** @returns why it cannot be had; nothing where it can */
  async #connect(task: DeviceTask | WorkerTask, open: () => Promise<void>): Promise<readonly Diagnostic[]> {
    try {
      await open();
      this.#tell(task.name, 'connect', 'done', task.spec.address);
      return [];
    } catch (error) {
      const found = task.fault('connect', error);
      this.#tell(task.name, 'connect', 'failed', found.map((d) => d.message).join('; '));
      return found;
    }
  }

  /** Devices that hold versions; the others only forward. */
  get computing(): readonly DeviceTask[] {
    return this.tasks.filter((t) => t.range !== undefined);
  }

  /** The version of requests that name none; undefined where devices differ, or none has one. */
  get current(): number | undefined {
    const [first, ...rest] = [...this.computing, ...this.workers].map((t) => t.current);
    return rest.every((v) => v === first) ? first : undefined;
  }

  /** Versions that every device and every worker holds. */
  get versions(): readonly number[] {
    const [first, ...rest] = [...this.computing, ...this.workers].map((t) =>
      versionsOn(t.observed, this.#modelId),
    );
    return (first ?? []).filter((v) => rest.every((held) => held.includes(v))).sort((a, b) => a - b);
  }

  /** What leads to the version as the current one, with forwarding and without what nobody asked for. @throws DiagnosticError */
  difference(v: ModelVersion, keep: readonly number[]): Difference {
    return this.#difference(
      { versions: [v], current: v.version, keep },
      { forwarding: true, others: this.#ours },
    );
  }

  /** Runs steps that were found before. @throws DeployError; what is taken back then, `takenBack` says */
  async carryOut(found: Difference, v: ModelVersion, drainMs: number): Promise<void> {
    await this.#run(found, ['prepare', 'install', 'flip', 'settle'], { version: v, drainMs });
  }

  /**
   * Puts a version on all devices, beside what is there, and reads it back: the weights everywhere first, then the entries
   * that make it known, the last device of the path first. Devices without a program, and with `replaceProgram` those
   * whose program does not do, get one before.
   * @throws DeployError; the version is then taken off where it was put, and whatever was current goes on
   */
  async install(v: ModelVersion): Promise<void> {
    const found = this.#difference({ versions: [v], current: 'as-is', keep: 'all' });
    await this.#run(found, ['prepare', 'install'], { version: v });
  }

  /**
   * Makes the version current: one write a device, the first of the path first. A packet has the version that the first
   * device gave it, so from one write on all packets that enter are computed by this version, on every device.
   * @throws DeployError; devices that had been flipped are flipped back
   */
  async flip(version: number): Promise<void> {
    // Devices that only forward know no versions.
    const concerned = [...this.computing, ...this.workers];
    if (concerned.length === 0) return;
    for (const task of concerned)
      if (!task.versions().has(version))
        throw new Error(`${task.name} does not hold version ${version}: install it first`);
    await this.#run(this.#difference({ versions: [], current: version, keep: 'all' }), ['flip']);
  }

  /** Zones, ports, routes and steering, on all devices. @throws DeployError; a device that fails keeps what it had */
  async forward(): Promise<void> {
    const found = this.#difference({ versions: [], current: 'as-is', keep: 'all' }, { forwarding: true });
    await this.#run(found, ['settle']);
  }

  /** Takes a version off all devices and workers. @throws DeployError; and an Error where it is current */
  async remove(version: number): Promise<void> {
    const all = [...this.computing, ...this.workers];
    for (const task of all)
      if (task.current === version)
        throw new Error(`version ${version} is current on ${task.name}: flip to another first`);
    const keep = [...new Set(all.flatMap((t) => versionsOn(t.observed, this.#modelId)))];
    await this.removeOthers(keep.filter((v) => v !== version));
  }

  /** Takes off all versions but these and the current one, and whatever a run that was broken off has left. */
  async removeOthers(keep: readonly number[]): Promise<void> {
    const found = this.#difference({ versions: [], current: 'as-is', keep }, { others: this.#ours });
    await this.#run(found, ['settle']);
  }

  /** What takes the deployment off its devices: its models, their steering, and all forwarding that no other model may need. */
  removal(): Difference {
    const devices = this.tasks.map((task, place): DesiredDevice => {
      const { name } = task;
      return {
        ...{ on: 'device', name, place, models: [], earlier: undefined, replaceProgram: false },
        program: () => task.programOf(this.#model),
        forwarding: [],
        others: this.#ours,
      };
    });
    return diff({ devices, workers: [] }, new Map(this.tasks.map((t) => [t.name, t.observed])));
  }

  /** Runs what `removal` has found. @throws DeployError */
  async takeOff(found: Difference): Promise<void> {
    await this.#run(found, ['settle']);
  }

  #difference(
    model: Omit<DesiredModel, 'modelId' | 'versions'> & { readonly versions: readonly ModelVersion[] },
    { forwarding = false, others = 'stay' }: { forwarding?: boolean; others?: DesiredDevice['others'] } = {},
  ): Difference {
    const deployed = this.state.state?.versions ?? {};
    const versions = model.versions.map((v) => ({
      ...v,
      ours: deployed[v.version] === modelDigest(v.model),
    }));
    const wanted = { ...model, modelId: this.#modelId, versions };
    const desired: Desired = {
      devices: this.tasks.map((task, place) => {
        const base = this.#bases.get(task.name);
        return {
          on: 'device',
          name: task.name,
          place,
          models: task.range === undefined ? [] : [{ ...wanted, held: (v) => task.heldAs(v) }],
          program: () => task.programOf(model.versions[0]?.model ?? this.#model),
          earlier: base && (() => task.programOf(base)),
          replaceProgram: this.#options.replaceProgram === true,
          forwarding: forwarding ? task.forwarding() : 'as-is',
          others,
        };
      }),
      workers: this.workers.map((worker) => ({ on: 'worker', name: worker.name, models: [wanted] })),
    };
    const endpoints = [...this.tasks, ...this.workers];
    return diff(desired, new Map(endpoints.map((e) => [e.name, e.observed])));
  }

  async #run(
    { steps, obstacles }: Difference,
    phases: readonly Phase[],
    { version, drainMs }: { readonly version?: ModelVersion; readonly drainMs?: number } = {},
  ): Promise<void> {
    if (obstacles.refusals.length > 0) throw this.#error(obstacles.refusals);
    if (version !== undefined) this.#remember(version);
    // Where the program is replaced, only the state knows what was current.
    const old = () => this.current ?? this.computing[0]?.current ?? this.state.state?.current;
    let before: number | undefined;
    const host: Host = {
      tell: (...told) => this.#tell(...told),
      begin: async (phase, own) => {
        if (phase === 'prepare') await this.#compile(own);
        before = old();
      },
      end: (phase, failed) => {
        if (phase === 'prepare' || phase === 'install') this.#saveBases();
        if (phase === 'flip' && !failed) this.#flipped(steps, before);
      },
      drain: () => sleep(drainMs ?? 0),
    };
    const endpoints = new Map<string, Endpoint>([...this.tasks, ...this.workers].map((e) => [e.name, e]));
    try {
      await run(steps, phases, endpoints, host);
    } catch (error) {
      if (error instanceof DiagnosticError) throw this.#error(error.diagnostics);
      throw error;
    }
  }

  /** Before a version is anywhere: a run that is broken off is finished, or taken back, by the next. */
  #remember({ model, version, source }: ModelVersion): void {
    const digest = this.state.saveModel(model);
    if (source !== undefined && this.workers.length > 0) this.state.saveSource(digest, source);
    const known = this.state.state?.versions ?? {};
    this.state.update({ modelId: this.#modelId, versions: { ...known, [version]: digest } });
  }

  /** All are compiled before the first is pushed: what cannot be compiled changes nothing. */
  async #compile(steps: readonly Step[]): Promise<void> {
    await this.state.programs(
      steps.flatMap(({ effect }) => (effect.do === 'push' ? [effect.known.program] : [])),
    );
  }

  /** Of those that took a program, though others failed. */
  #saveBases(): void {
    const saved = { ...this.state.state?.bases };
    for (const { name, known } of this.computing)
      if (known !== undefined) saved[name] = this.state.saveModel(known.base);
    this.state.update({ modelId: this.#modelId, bases: saved });
  }

  #flipped(steps: readonly Step[], old: number | undefined): void {
    const version = steps.flatMap(({ effect }) => (effect.do === 'point' ? (effect.version ?? []) : []))[0];
    if (version === undefined) return;
    const previous = old === version ? this.state.state?.previous : old;
    this.flipped = version;
    this.state.update({
      modelId: this.#modelId,
      current: version,
      ...(previous !== undefined && { previous }),
    });
  }

  #tell(name: string, step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    const task = [...this.tasks, ...this.workers].find((t) => t.name === name);
    task?.note(step, outcome, detail);
    this.#options.onProgress?.({ device: name, step, outcome, detail });
  }

  #error(diagnostics: readonly Diagnostic[]): DeployError {
    return new DeployError(
      diagnostics,
      this.tasks.map((t) => t.report()),
      this.workers.map((w) => w.report()),
    );
  }

  /** Its model, also where a device only forwards, and those that were deployed from here before. */
  get #ours(): { readonly models: readonly number[] } {
    const { modelId, former = [] } = this.state.state ?? {};
    return { models: [...new Set([this.#modelId, ...former, ...(modelId === undefined ? [] : [modelId])])] };
  }

  get #modelId(): number {
    return this.deployment.spec.model.id;
  }

  close(): void {
    for (const { session } of this.tasks) session.close();
    this.state.unlock();
  }
}

import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import type { Model } from '../model/model.ts';
import type { Init } from '../p4runtime/index.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { type ClientHolder, clientFor, type SessionOptions } from './device-session.ts';
import {
  type Done,
  forget,
  forward,
  installWeights,
  isVersion,
  makeKnown,
  pointTo,
  removeWhere,
} from './device-steps.ts';
import { DeviceTask, type ModelVersion, misfit } from './device-task.ts';
import { deviceLayers } from './layers.ts';
import { DeployError, type DeployStep, type StepReport } from './report.ts';
import { StateFolder } from './state.ts';
import { CURRENT, type HeldVersion, versionKey, weightsDigest } from './versions.ts';
import { WorkerTask } from './worker-task.ts';

type Entity = Init<'Entity'>;

export interface RolloutEvent {
  readonly device: string;
  readonly step: DeployStep;
  readonly outcome: StepReport['outcome'];
  readonly detail: string;
}

/** What a rollout drives: a device over P4Runtime, or a worker through its control door. */
interface Endpoint {
  readonly spec: { readonly name: string };
  /** Reads again what it holds. */
  refresh(): Promise<void>;
  /** What a failure of a step means for whoever deploys. @throws faults of ours */
  fault(step: DeployStep, error: unknown): readonly Diagnostic[];
  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void;
}

/** What is in the way of a version. */
export interface Obstacles {
  /** Devices that get a program before: they run none, or with `replaceProgram` one that does not do. */
  readonly programs: ReadonlySet<DeviceTask>;
  /** All that only `replaceProgram` may pass over. */
  readonly refusals: readonly Diagnostic[];
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
    const tasks = spec.devices.map(
      (device, i) => new DeviceTask(device, ranges[i], holderOf(device), common),
    );
    // The path leads through ascending layers; among equals the file's order counts.
    const place = ({ range }: DeviceTask) => range?.from ?? model.layers.length;
    const path = [...tasks].sort((a, b) => place(a) - place(b));
    const workers = spec.workers.map(
      (worker) => new WorkerTask(worker, deployment.tls.get(worker.name), spec.model.id, options.timeoutMs),
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
    const openDevices = this.#each(
      'connect',
      async (task) => {
        const base = this.#bases.get(task.spec.name);
        await task.open(base === undefined ? [this.#model] : [base, this.#model]);
        return { outcome: 'done', detail: task.spec.address };
      },
      this.tasks,
    );
    const openWorkers = this.#each(
      'connect',
      async (worker) => {
        await worker.open();
        return { outcome: 'done', detail: worker.spec.address };
      },
      this.workers,
    );
    await allOf([openDevices, openWorkers], (found) => this.#error(found));
  }

  /**
   * For which model a device gets a program: for that of the version. A device that has lost its program gets the same
   * again where the version fits it, as it does on the others: that one is compiled already.
   */
  baseFor(task: DeviceTask, model: Model): Model {
    const base = this.#bases.get(task.spec.name);
    if (base === undefined || task.session.cookie !== 'none') return model;
    try {
      task.weightsFor(task.programOf(base), model);
      return base;
    } catch (error) {
      if (error instanceof DiagnosticError) return model;
      throw error;
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
      [...t.versions().keys()].filter((k) => k !== CURRENT),
    );
    return (first ?? []).filter((v) => rest.every((held) => held.includes(v))).sort((a, b) => a - b);
  }

  /** What keeps the version from being installed beside the current one. */
  obstacles(v: ModelVersion): Obstacles {
    const found = this.tasks.map((task) => [task, this.#obstacle(task, v)] as const);
    return {
      programs: new Set(found.flatMap(([task, obstacle]) => (obstacle === undefined ? [] : [task]))),
      refusals: [
        ...found.flatMap(([, obstacle]) => (obstacle === undefined || obstacle === 'none' ? [] : [obstacle])),
        ...this.workers.flatMap((worker) => worker.obstacle(v) ?? []),
      ],
    };
  }

  /** `none` where the device runs nothing yet; undefined where nothing is in the way. */
  #obstacle(task: DeviceTask, v: ModelVersion): 'none' | Diagnostic | undefined {
    const device = task.spec.name;
    const { cookie } = task.session;
    if (task.program === undefined) {
      const shown = typeof cookie === 'bigint' ? cookie.toString(16) : cookie;
      return cookie === 'none' ? 'none' : diagnostic('device-program', { device, cookie: shown });
    }
    const other = task.otherModel();
    if (other !== undefined) return diagnostic('model-other', { device, other, own: this.#modelId });
    const what = misfit(() => task.weights(v.model, 0));
    const { version } = v;
    if (what !== undefined) return diagnostic('version-misfit', { device, version, what });
    return this.#takenByOthers(task, v) ? diagnostic('version-taken', { device, version }) : undefined;
  }

  /** Whether the device has the version with weights of another model, rather than damaged ones of this. */
  #takenByOthers(task: DeviceTask, { model, version }: ModelVersion): boolean {
    const held = task.versions().get(version);
    if (held === undefined || this.state.state?.versions[version] === modelDigest(model)) return false;
    return weightsDigest(task.weightsIn(held.slot)) !== weightsDigest(task.weights(model, held.slot));
  }

  /**
   * Puts a version on all devices, beside what is there, and reads it back: the weights everywhere first, then the entries
   * that make it known, the last device of the path first. Devices without a program, and with `replaceProgram` those
   * whose program does not do, get one before.
   * @param obstacles as they were found for this version
   * @throws DeployError; the version is then taken off where it was put, and whatever was current goes on
   */
  async install(v: ModelVersion, obstacles = this.obstacles(v)): Promise<void> {
    const { version } = v;
    const { programs, refusals } = obstacles;
    if (refusals.length > 0 && this.#options.replaceProgram !== true) throw this.#error(refusals);
    const digest = this.state.saveModel(v.model);
    if (v.source !== undefined && this.workers.length > 0) this.state.saveSource(digest, v.source);
    const modelId = this.#modelId;
    const known = this.state.state?.versions ?? {};
    this.state.update({ modelId, versions: { ...known, [version]: digest } });
    await this.#pushPrograms(v.model, programs);
    const before = new Map(this.computing.map((t) => [t, t.versions().get(version)]));
    const workersBefore = this.workers.filter((w) => w.versions().has(version));
    try {
      // The end of the path first: nothing arrives there that it does not hold.
      await this.#each('weights', (worker) => worker.install(v), this.workers);
      await this.#each('weights', (task) => installWeights(task, v), this.computing);
      for (const task of [...this.computing].reverse())
        await this.#each('version', (t) => makeKnown(t, v), [task]);
    } catch (error) {
      await this.withdraw(
        version,
        this.computing.filter((t) => before.get(t) === undefined),
        this.workers.filter((w) => !workersBefore.includes(w)),
      );
      throw this.#error(diagnosticsOf(error));
    }
  }

  async #pushPrograms(model: Model, tasks: ReadonlySet<DeviceTask>): Promise<void> {
    const bases = new Map([...tasks].map((task) => [task, this.baseFor(task, model)]));
    const programs = new Map([...bases].map(([task, base]) => [task, task.programOf(base)]));
    // All are compiled before the first is pushed: what cannot be compiled changes nothing.
    const builds = await this.state.programs([...programs.values()]);
    const push = async (task: DeviceTask): Promise<Done> => {
      const program = programs.get(task)!;
      await task.push(bases.get(task)!, program, builds.get(program.cookie)!);
      return { outcome: 'done', detail: `pushed, cookie ${program.cookie.toString(16)}` };
    };
    try {
      await this.#each('program', push, [...tasks]);
    } finally {
      // Of those that took it, though others failed.
      const saved = { ...this.state.state?.bases };
      for (const { spec, base } of this.computing)
        if (base !== undefined) saved[spec.name] = this.state.saveModel(base);
      this.state.update({ modelId: this.#modelId, bases: saved });
    }
  }

  /**
   * Makes the version current: one write a device, the first of the path first. A packet has the version that the first
   * device gave it, so from one write on all packets that enter are computed by this version, on every device.
   * @throws DeployError; devices that had been flipped are flipped back
   */
  async flip(version: number): Promise<void> {
    const modelId = this.#modelId;
    const { computing, workers } = this;
    // Devices that only forward know no versions.
    if (computing.length + workers.length === 0) return;
    const before = new Map(computing.map((t) => [t, t.versions().get(CURRENT)]));
    const workersBefore = new Map(workers.map((w) => [w, w.current]));
    for (const task of [...computing, ...workers])
      if (!task.versions().has(version))
        throw new Error(`${task.spec.name} does not hold version ${version}: install it first`);
    // Where the program was replaced, only the state knows what was current.
    const old = this.current ?? computing[0]?.current ?? this.state.state?.current;
    const flipped: DeviceTask[] = [];
    for (const task of computing) {
      flipped.push(task);
      try {
        const held = task.versions().get(version)!;
        await this.#each('current', (t) => pointTo(t, held), [task]);
      } catch (error) {
        for (const t of flipped) await this.#pointBack(t, before.get(t));
        throw this.#error(diagnosticsOf(error));
      }
    }
    try {
      // Only what no device has stamped asks a worker for its current version.
      await this.#each('current', (worker) => worker.pointTo(version), workers);
    } catch (error) {
      for (const t of computing) await this.#pointBack(t, before.get(t));
      for (const worker of workers) {
        const back = workersBefore.get(worker);
        await this.#undo('current', worker, (w) => w.pointTo(back), `back to version ${back ?? 'none'}`);
      }
      throw this.#error(diagnosticsOf(error));
    }
    const previous = old === version ? this.state.state?.previous : old;
    this.flipped = version;
    this.state.update({ modelId, current: version, ...(previous !== undefined && { previous }) });
  }

  #pointBack(task: DeviceTask, held: HeldVersion | undefined): Promise<void> {
    return this.#undo('current', task, (t) => pointTo(t, held), `back to version ${held?.version ?? 'none'}`);
  }

  /** Zones, ports, routes and steering, on all devices. @throws DeployError; a device that fails keeps what it had */
  async forward(): Promise<void> {
    await this.#each('forwarding', forward, this.tasks);
  }

  /** Takes a version off all devices and workers. @throws DeployError; and an Error where it is current */
  async remove(version: number): Promise<void> {
    for (const task of [...this.tasks, ...this.workers])
      if (task.current === version)
        throw new Error(`version ${version} is current on ${task.spec.name}: flip to another first`);
    await this.#each('remove', (t) => removeWhere(t, (e) => isVersion(t, e, version)), this.computing);
    await this.#each('remove', (worker) => worker.remove((v) => v === version), this.workers);
  }

  /** Takes off all versions but these and the current one, and whatever a run that was broken off has left. */
  async removeOthers(keep: readonly number[]): Promise<void> {
    const modelId = this.#modelId;
    const isOther = (e: Entity) => {
      const [id, key] = versionKey(e);
      return id !== modelId || (key !== CURRENT && !keep.includes(key));
    };
    const all = () => true;
    const clear = (task: DeviceTask) => removeWhere(task, task.range === undefined ? all : isOther);
    await this.#each('remove', clear, this.tasks);
    // Other models on a worker are other deployments'.
    const drop = (worker: WorkerTask) => worker.remove((v) => v !== worker.current && !keep.includes(v));
    await this.#each('remove', drop, this.workers);
  }

  /** Takes off a version that failed, as far as devices can be had; where it is current it stays. Throws nothing of theirs. */
  async withdraw(
    version: number,
    tasks: readonly DeviceTask[] = this.computing,
    workers: readonly WorkerTask[] = this.workers,
  ): Promise<void> {
    for (const worker of workers.filter((w) => w.current !== version))
      await this.#undo(
        'weights',
        worker,
        (w) => w.remove((v) => v === version),
        `version ${version} taken off`,
      );
    await Promise.all(
      tasks
        .filter((task) => task.current !== version)
        .map((task) =>
          this.#undo(
            'weights',
            task,
            (t) => forget(t, (e) => isVersion(t, e, version)),
            `version ${version} taken off`,
          ),
        ),
    );
  }

  async #undo<T extends Endpoint>(
    step: DeployStep,
    task: T,
    work: (task: T) => Promise<unknown>,
    detail: string,
  ): Promise<void> {
    try {
      await task.refresh();
      await work(task);
      this.#tell(task, step, 'undone', detail);
    } catch (error) {
      const reasons = task.fault(step, error).map((d) => d.message);
      this.#tell(task, step, 'left', `could not be taken back: ${reasons.join('; ')}`);
    }
  }

  /** Runs a step on devices or workers at once, and notes what became of it. @throws DeployError with every failure */
  async #each<T extends Endpoint>(
    step: DeployStep,
    work: (task: T) => Promise<Done>,
    tasks: readonly T[],
  ): Promise<void> {
    const outcomes = await Promise.all(
      tasks.map(async (task) => {
        try {
          const { outcome, detail } = await work(task);
          this.#tell(task, step, outcome, detail);
          return [];
        } catch (error) {
          const found = task.fault(step, error);
          this.#tell(task, step, 'failed', found.map((d) => d.message).join('; '));
          return found;
        }
      }),
    );
    const failures = outcomes.flat();
    if (failures.length > 0) throw this.#error(failures);
  }

  #tell(task: Endpoint, step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    task.note(step, outcome, detail);
    this.#options.onProgress?.({ device: task.spec.name, step, outcome, detail });
  }

  #error(diagnostics: readonly Diagnostic[]): DeployError {
    return new DeployError(
      diagnostics,
      this.tasks.map((t) => t.report()),
      this.workers.map((w) => w.report()),
    );
  }

  get #modelId(): number {
    return this.deployment.spec.model.id;
  }

  close(): void {
    for (const { session } of this.tasks) session.close();
    this.state.unlock();
  }
}

/** Waits for all, then fails with what any of them found. */
async function allOf(
  work: readonly Promise<void>[],
  failure: (found: readonly Diagnostic[]) => DeployError,
): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const found = outcomes.flatMap((o) => (o.status === 'rejected' ? diagnosticsOf(o.reason) : []));
  if (found.length > 0) throw failure(found);
}

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof DiagnosticError) return error.diagnostics;
  throw error;
}

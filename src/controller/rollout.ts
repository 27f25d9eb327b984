import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import type { Init } from '../p4runtime/index.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { deviceDiagnostics } from './device-errors.ts';
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
import { modelDigest, StateFolder } from './state.ts';
import { CURRENT, versionKey, weightsDigest } from './versions.ts';

type Entity = Init<'Entity'>;

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
    warnings: readonly Diagnostic[],
    state: StateFolder,
    model: Model,
    options: RolloutOptions,
  ) {
    this.deployment = deployment;
    this.tasks = tasks;
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
    return new Rollout(deployment, path, [...diagnostics, ...warnings], state, model, options);
  }

  /** The same deployment over some of its devices. */
  part(tasks: readonly DeviceTask[]): Rollout {
    const { deployment, warnings, state } = this;
    return new Rollout(deployment, tasks, warnings, state, this.#model, this.#options);
  }

  /** Connects where that is not so yet, and reads what the devices hold. @throws DeployError */
  async read(): Promise<void> {
    const saved = this.state.state;
    for (const { spec } of this.tasks) {
      const base = await this.state.loadModel(saved?.bases[spec.name]);
      if (base !== undefined) this.#bases.set(spec.name, base);
    }
    await this.#each('connect', async (task) => {
      const base = this.#bases.get(task.spec.name);
      await task.open(base === undefined ? [this.#model] : [base, this.#model]);
      return { outcome: 'done', detail: task.spec.address };
    });
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
    const [first, ...rest] = this.computing.map((t) => t.current);
    return rest.every((v) => v === first) ? first : undefined;
  }

  /** Versions that every device holds. */
  get versions(): readonly number[] {
    const [first, ...rest] = this.computing.map((t) => [...t.versions().keys()].filter((k) => k !== CURRENT));
    return (first ?? []).filter((v) => rest.every((held) => held.includes(v))).sort((a, b) => a - b);
  }

  /**
   * What keeps the version from being installed beside the current one, by device: `none` where a device runs nothing yet.
   */
  obstacles(v: ModelVersion): ReadonlyMap<DeviceTask, 'none' | Diagnostic> {
    const found = new Map<DeviceTask, 'none' | Diagnostic>();
    for (const task of this.tasks) {
      const device = task.spec.name;
      const { cookie } = task.session;
      if (task.program === undefined) {
        const shown = typeof cookie === 'bigint' ? cookie.toString(16) : cookie;
        const other = diagnostic('device-program', { device, cookie: shown });
        found.set(task, cookie === 'none' ? 'none' : other);
        continue;
      }
      const other = task.otherModel();
      if (other !== undefined) {
        found.set(task, diagnostic('model-other', { device, other, own: this.#modelId }));
        continue;
      }
      const what = misfit(() => task.weights(v.model, 0));
      if (what !== undefined) {
        const { version } = v;
        found.set(task, diagnostic('version-misfit', { device, version, what }));
        continue;
      }
      if (this.#takenByOthers(task, v))
        found.set(task, diagnostic('version-taken', { device, version: v.version }));
    }
    return found;
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
   * @throws DeployError; the version is then taken off where it was put, and whatever was current goes on
   */
  async install(v: ModelVersion): Promise<void> {
    const { version } = v;
    const obstacles = this.obstacles(v);
    const refusals = [...obstacles.values()].filter((o) => o !== 'none');
    if (refusals.length > 0 && this.#options.replaceProgram !== true) throw this.#error(refusals);
    const digest = this.state.saveModel(v.model);
    const modelId = this.#modelId;
    const known = this.state.state?.versions ?? {};
    this.state.update({ modelId, versions: { ...known, [version]: digest } });
    await this.#pushPrograms(v.model, new Set(obstacles.keys()));
    const before = new Map(this.computing.map((t) => [t, t.versions().get(version)]));
    try {
      await this.#each('weights', (task) => installWeights(task, v), this.computing);
      for (const task of [...this.computing].reverse())
        await this.#each('version', (t) => makeKnown(t, v), [task]);
    } catch (error) {
      await this.withdraw(
        version,
        this.computing.filter((t) => before.get(t) === undefined),
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
    const { computing } = this;
    // Devices that only forward know no versions.
    if (computing.length === 0) return;
    const before = new Map(computing.map((t) => [t, t.versions().get(CURRENT)]));
    for (const task of computing)
      if (!task.versions().has(version))
        throw new Error(`${task.spec.name} does not hold version ${version}: install it first`);
    // Where the program was replaced, only the state knows what was current.
    const old = this.current ?? computing[0]!.current ?? this.state.state?.current;
    const flipped: DeviceTask[] = [];
    for (const task of computing) {
      flipped.push(task);
      try {
        const held = task.versions().get(version)!;
        await this.#each('current', (t) => pointTo(t, held), [task]);
      } catch (error) {
        for (const t of flipped)
          await this.#undo(
            'current',
            t,
            (other) => pointTo(other, before.get(other)),
            `back to version ${before.get(t)?.version ?? 'none'}`,
          );
        throw this.#error(diagnosticsOf(error));
      }
    }
    const previous = old === version ? this.state.state?.previous : old;
    this.flipped = version;
    this.state.update({ modelId, current: version, ...(previous !== undefined && { previous }) });
  }

  /** Zones, ports, routes and steering, on all devices. @throws DeployError; a device that fails keeps what it had */
  async forward(): Promise<void> {
    await this.#each('forwarding', forward);
  }

  /** Takes a version off all devices. @throws DeployError; and an Error where it is current */
  async remove(version: number): Promise<void> {
    for (const task of this.tasks)
      if (task.current === version)
        throw new Error(`version ${version} is current on ${task.spec.name}: flip to another first`);
    await this.#each('remove', (t) => removeWhere(t, (e) => isVersion(t, e, version)), this.computing);
  }

  /** Takes off all versions but these and the current one, and whatever a run that was broken off has left. */
  async removeOthers(keep: readonly number[]): Promise<void> {
    const modelId = this.#modelId;
    const isOther = (e: Entity) => {
      const [id, key] = versionKey(e);
      return id !== modelId || (key !== CURRENT && !keep.includes(key));
    };
    const all = () => true;
    await this.#each('remove', (task) => removeWhere(task, task.range === undefined ? all : isOther));
  }

  /** Takes off a version that failed, as far as devices can be had; where it is current it stays. Throws nothing of theirs. */
  async withdraw(version: number, tasks: readonly DeviceTask[] = this.computing): Promise<void> {
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

  async #undo(
    step: DeployStep,
    task: DeviceTask,
    work: (task: DeviceTask) => Promise<unknown>,
    detail: string,
  ): Promise<void> {
    try {
      await task.session.readEntities();
      await work(task);
      this.#tell(task, step, 'undone', detail);
    } catch (error) {
      const { electionId } = task.session.client.session;
      const reasons = deviceDiagnostics(task.spec, step, electionId, error).map((d) => d.message);
      this.#tell(task, step, 'left', `could not be taken back: ${reasons.join('; ')}`);
    }
  }

  /** Runs a step on devices at once, and notes what became of it. @throws DeployError with every failure */
  async #each(
    step: DeployStep,
    work: (task: DeviceTask) => Promise<Done>,
    tasks: readonly DeviceTask[] = this.tasks,
  ): Promise<void> {
    const outcomes = await Promise.all(
      tasks.map(async (task) => {
        try {
          const { outcome, detail } = await work(task);
          this.#tell(task, step, outcome, detail);
          return [];
        } catch (error) {
          const { electionId } = task.session.client.session;
          const found = deviceDiagnostics(task.spec, step, electionId, error);
          this.#tell(task, step, 'failed', found.map((d) => d.message).join('; '));
          return found;
        }
      }),
    );
    const failures = outcomes.flat();
    if (failures.length > 0) throw this.#error(failures);
  }

  #tell(task: DeviceTask, step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    task.note(step, outcome, detail);
    this.#options.onProgress?.({ device: task.spec.name, step, outcome, detail });
  }

  #error(diagnostics: readonly Diagnostic[]): DeployError {
    return new DeployError(
      diagnostics,
      this.tasks.map((t) => t.report()),
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

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (error instanceof DiagnosticError) return error.diagnostics;
  throw error;
}

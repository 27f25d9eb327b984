import { setTimeout as sleep } from 'node:timers/promises';
import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import type { Model } from '../model/model.ts';
import { budgetOf } from './budget.ts';
import type { Desired, DesiredDevice, DesiredModel, ModelVersion } from './core/desired.ts';
import { type Difference, diff } from './core/diff.ts';
import { type KnownProgram, versionsOn } from './core/observed.ts';
import type { Phase } from './core/order.ts';
import { type Endpoint, type Host, run } from './core/run.ts';
import type { Step } from './core/step.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import { DeploymentMemory } from './deployment-memory.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import type { CompileProgram } from './device-endpoint.ts';
import { type ClientHolder, clientFor, type SessionOptions } from './device-session.ts';
import { DeviceTask, type TaskPart } from './device-task.ts';
import { deviceLayers } from './layers.ts';
import type { LayerRange } from './planned-layers.ts';
import { DeployError, type DeployStep, type StepReport } from './report.ts';
import { StateFolder } from './state.ts';
import { WorkerTask } from './worker-task.ts';

/** What came of one step of one device or worker, as it comes. */
export interface RolloutEvent {
  readonly device: string;
  readonly step: DeployStep;
  readonly outcome: StepReport['outcome'];
  readonly detail: string;
}

/** How devices are reached, and what may be done to them. */
export interface RolloutOptions extends SessionOptions {
  /** Folder of the state; default beside the deployment file. */
  readonly state?: string;
  /** By id: of the versions for which a device without a program gets one; default those of the file. */
  readonly models?: ReadonlyMap<number, Model>;
  /** Push another program where the one that runs does not do; the device drops packets until all is in place. */
  readonly replaceProgram?: boolean;
  readonly onProgress?: (event: RolloutEvent) => void;
}

/** A version of a model that is to be current. */
export interface WantedVersion {
  readonly modelId: number;
  readonly version: ModelVersion;
  /** Other versions of it that stay. */
  readonly keep: readonly number[];
}

/** What is wanted of one model; of the others everything stays as it is. */
type WantedModel = Omit<DesiredModel, 'versions' | 'slot'> & { readonly versions: readonly ModelVersion[] };

/**
 * The devices of a deployment, and the steps by which versions of its models come and go on all of them. Between any
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
  readonly memory: DeploymentMemory;
  /** Whether the last flip made its versions current everywhere. */
  flipped = false;
  /** By id: for which programs are made. */
  readonly #models: ReadonlyMap<number, Model>;
  readonly #options: RolloutOptions;
  /** For which the programs of devices were made when they got them. */
  readonly #bases = new Map<string, NonNullable<KnownProgram['shapes']>>();

  private constructor(
    deployment: Deployment,
    tasks: readonly DeviceTask[],
    workers: readonly WorkerTask[],
    warnings: readonly Diagnostic[],
    memory: DeploymentMemory,
    models: ReadonlyMap<number, Model>,
    options: RolloutOptions,
  ) {
    this.deployment = deployment;
    this.tasks = tasks;
    this.workers = workers;
    this.warnings = warnings;
    this.memory = memory;
    this.#models = models;
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
      if (options.readOnly !== true) rollout.memory.whole.lock();
      await rollout.read();
      return rollout;
    } catch (error) {
      await rollout.close();
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
    const warnings: Diagnostic[] = [];
    const models = new Map<number, Model>();
    const ranges = new Map<number, readonly (LayerRange | undefined)[]>();
    for (const deployed of deployment.models) {
      const { id } = deployed.spec;
      const given = options.models?.get(id);
      const { model, diagnostics } = given
        ? { model: given, diagnostics: [] }
        : await deployedModel(deployment, deployed);
      const layers = deviceLayers(deployment, model, deployed);
      models.set(id, model);
      ranges.set(id, layers.ranges);
      warnings.push(...diagnostics, ...layers.warnings);
    }
    const [first] = models.values();
    const state = folder ?? new StateFolder(options.state ?? defaultStateFolder(file), first!.file);
    const memory = new DeploymentMemory(deployment, state);
    const common = { ...options, port: spec.port, mtu: spec.mtu };
    const compile: CompileProgram = async (program) => (await state.programs([program])).get(program.cookie)!;
    const tasks = spec.devices.map((device, i) => {
      const parts = deployment.models.map(({ spec, placement }): TaskPart => {
        const { threshold = 0, slot, steering = [] } = placement.get(device.name) ?? {};
        const budget = spec.budget && budgetOf(spec.budget.perSecond, spec.budget.burst);
        return { modelId: spec.id, range: ranges.get(spec.id)?.[i], threshold, slot, steering, budget };
      });
      return new DeviceTask(device, parts, holderOf(device), compile, common);
    });
    // The path leads through ascending layers; among equals the file's order counts.
    const last = Math.max(...[...models.values()].map((m) => m.layers.length));
    const place = ({ computed }: DeviceTask) => Math.min(last, ...computed.map(({ range }) => range.from));
    const path = [...tasks].sort((a, b) => place(a) - place(b));
    const { electionId = 1n, timeoutMs } = options;
    const ids = [...models.keys()];
    const workers = spec.workers.map(
      (worker) => new WorkerTask({ ...worker, electionId }, deployment.tls.get(worker.name), ids, timeoutMs),
    );
    return new Rollout(deployment, path, workers, warnings, memory, models, options);
  }

  /** The same deployment over some of its devices and workers. */
  part(tasks: readonly DeviceTask[], workers: readonly WorkerTask[]): Rollout {
    const { deployment, warnings, memory } = this;
    return new Rollout(
      ...([deployment, tasks, workers, warnings, memory, this.#models, this.#options] as const),
    );
  }

  /** Connects where that is not so yet, and reads what the devices hold. @throws DeployError */
  async read(): Promise<void> {
    for (const task of this.tasks) {
      const shapes = await this.memory.shapesOf(task);
      if (shapes !== undefined) this.#bases.set(task.name, shapes);
    }
    const openDevice = async (task: DeviceTask): Promise<void> => {
      const shapes = this.#bases.get(task.name);
      const own = () => task.programOf(this.#models);
      await task.read(shapes === undefined ? [own] : [() => task.programFor(shapes), own]);
    };
    const work = [
      ...this.tasks.map((t) => this.#connect(t, () => openDevice(t))),
      ...this.workers.map((w) => this.#connect(w, () => w.open())),
    ];
    const failures = (await Promise.all(work)).flat();
    if (failures.length > 0) throw this.failure(failures);
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
    return this.tasks.filter((t) => t.computed.length > 0);
  }

  /** Devices and workers that hold versions of a model. */
  concerned(modelId: number): readonly (DeviceTask | WorkerTask)[] {
    const devices = this.tasks.filter((t) => t.computed.some((p) => p.modelId === modelId));
    return [...devices, ...this.workers];
  }

  /** The version of requests that name none; undefined where devices differ, or none has one. */
  currentOf(modelId: number): number | undefined {
    const [first, ...rest] = this.concerned(modelId).map((t) => t.currentOf(modelId));
    return rest.every((v) => v === first) ? first : undefined;
  }

  /** Of the first model. */
  get current(): number | undefined {
    return this.currentOf(this.#first);
  }

  /** Versions of a model that every device and every worker holds. */
  versionsOf(modelId: number): readonly number[] {
    const [first, ...rest] = this.concerned(modelId).map((t) => versionsOn(t.observed, modelId));
    return (first ?? []).filter((v) => rest.every((held) => held.includes(v))).sort((a, b) => a - b);
  }

  /** Of the first model. */
  get versions(): readonly number[] {
    return this.versionsOf(this.#first);
  }

  /**
   * What leads to the versions as the current ones, with forwarding and without what nobody asked for; models that are not named
   * stay as they are.
   * @throws DiagnosticError
   */
  difference(wanted: readonly WantedVersion[]): Difference {
    const models = wanted.map(({ modelId, version, keep }) => ({
      ...{ modelId, versions: [version], current: version.version, keep },
    }));
    return this.#difference(models, { forwarding: this.tasks, others: { models: this.memory.ours } });
  }

  /** Runs steps that were found before. @throws DeployError; what is taken back then, `takenBack` says */
  async carryOut(found: Difference, wanted: readonly WantedVersion[], drainMs: number): Promise<void> {
    await this.#run(found, ['prepare', 'install', 'flip', 'settle'], { wanted, drainMs });
  }

  /**
   * Puts a version on all devices, beside what is there, and reads it back: the weights everywhere first, then the entries
   * that make it known, the last device of the path first. Devices without a program, and with `replaceProgram` those
   * whose program does not do, get one before.
   * @throws DeployError; the version is then taken off where it was put, and whatever was current goes on
   */
  async install(version: ModelVersion, modelId = this.#first): Promise<void> {
    const found = this.#difference([{ modelId, versions: [version], current: 'as-is', keep: 'all' }]);
    await this.#run(found, ['prepare', 'install'], { wanted: [{ modelId, version }] });
  }

  /**
   * Makes the version current: one write a device, the first of the path first. A packet has the version that the first
   * device gave it, so from one write on all packets that enter are computed by this version, on every device.
   * @throws DeployError; devices that had been flipped are flipped back
   */
  async flip(version: number, modelId = this.#first): Promise<void> {
    // Devices that only forward know no versions.
    const concerned = this.concerned(modelId);
    if (concerned.length === 0) return;
    for (const task of concerned)
      if (!versionsOn(task.observed, modelId).includes(version))
        throw new Error(`${task.name} does not hold version ${version}: install it first`);
    await this.#run(this.#difference([{ modelId, versions: [], current: version, keep: 'all' }]), ['flip']);
  }

  /** Zones, ports, routes and steering, on all devices. @throws DeployError; a device that fails keeps what it had */
  async forward(): Promise<void> {
    const found = this.#difference([], { forwarding: this.tasks });
    await this.#run(found, ['settle']);
  }

  /** Takes a version off all devices and workers. @throws DeployError; and an Error where it is current */
  async remove(version: number, modelId = this.#first): Promise<void> {
    const all = this.concerned(modelId);
    for (const task of all)
      if (task.currentOf(modelId) === version)
        throw new Error(`version ${version} is current on ${task.name}: flip to another first`);
    const keep = [...new Set(all.flatMap((t) => versionsOn(t.observed, modelId)))];
    await this.removeOthers(
      keep.filter((v) => v !== version),
      modelId,
    );
  }

  /** Takes off all versions but these and the current one, and whatever a run that was broken off has left. */
  async removeOthers(keep: readonly number[], modelId = this.#first): Promise<void> {
    const found = this.#difference([{ modelId, versions: [], current: 'as-is', keep }], {
      others: { models: this.memory.ours },
    });
    await this.#run(found, ['settle']);
  }

  /**
   * What takes models off the devices: the models, their steering, and, where they are all that is of the deployment, all
   * forwarding that no other model may need.
   */
  removal(modelIds: readonly number[]): Difference {
    const isAll = this.memory.areAll(modelIds);
    const models = isAll ? this.memory.ours : modelIds;
    const devices = this.tasks.map((task, place): DesiredDevice => {
      const { name } = task;
      return {
        ...{ on: 'device', name, place, models: [], earlier: undefined, replaceProgram: false },
        program: () => task.programOf(this.#models),
        forwarding: isAll ? [] : task.forwarding(modelIds),
        others: { models },
      };
    });
    return diff({ devices, workers: [] }, new Map(this.tasks.map((t) => [t.name, t.observed])));
  }

  /** Runs what `removal` has found. @throws DeployError */
  async takeOff(found: Difference): Promise<void> {
    await this.#run(found, ['settle']);
  }

  /** @param forwarding devices whose forwarding is to be that of the file */
  #difference(
    wanted: readonly WantedModel[],
    {
      forwarding = [],
      others = 'stay',
    }: { forwarding?: readonly DeviceTask[]; others?: DesiredDevice['others'] } = {},
  ): Difference {
    const models = this.#withOthers(wanted);
    const desired: Desired = {
      devices: this.tasks.map((task, place): DesiredDevice => {
        const shapes = this.#bases.get(task.name);
        const own = task.computed.flatMap((part) => {
          const model = models.find((m) => m.modelId === part.modelId);
          if (model === undefined) return [];
          const slot = part.slot !== undefined && { slot: part.slot };
          const limit = part.budget && { budget: part.budget };
          return [{ ...model, ...slot, ...limit, held: (v: ModelVersion) => task.heldAs(part, v) }];
        });
        const bases = new Map(this.#models);
        for (const { modelId, versions } of wanted)
          if (versions[0] !== undefined) bases.set(modelId, versions[0].model);
        return {
          ...{ on: 'device', name: task.name, place, models: own },
          program: () => task.programOf(bases),
          earlier: shapes && (() => task.programFor(shapes)),
          replaceProgram: this.#options.replaceProgram === true,
          forwarding: forwarding.includes(task) ? task.forwarding() : 'as-is',
          others,
        };
      }),
      workers: this.workers.map(({ name }) => ({ on: 'worker', name, models })),
    };
    const endpoints = [...this.tasks, ...this.workers];
    return diff(desired, new Map(endpoints.map((e) => [e.name, e.observed])));
  }

  /** All models of the deployment: those of which nothing is wanted stay as they are. */
  #withOthers(wanted: readonly WantedModel[]): DesiredModel[] {
    return [...this.#models.keys()].map((modelId) => {
      const own = wanted.find((m) => m.modelId === modelId);
      if (own === undefined) return { modelId, versions: [], current: 'as-is', keep: 'all' };
      const deployed = this.memory.of(modelId).state?.versions ?? {};
      const versions = own.versions.map((v) => ({
        ...v,
        ours: deployed[v.version] === modelDigest(v.model),
      }));
      return { ...own, versions };
    });
  }

  async #run(
    { steps, obstacles }: Difference,
    phases: readonly Phase[],
    {
      wanted = [],
      drainMs,
    }: { readonly wanted?: readonly Omit<WantedVersion, 'keep'>[]; readonly drainMs?: number } = {},
  ): Promise<void> {
    if (obstacles.refusals.length > 0) throw this.failure(obstacles.refusals);
    for (const { modelId, version } of wanted) this.memory.begin(modelId, version, this.workers.length > 0);
    // Where the program is replaced, only the state knows what was current.
    const old = (id: number) =>
      this.currentOf(id) ?? this.concerned(id)[0]?.currentOf(id) ?? this.memory.of(id).state?.current;
    const before = new Map<number, number | undefined>();
    const host: Host = {
      tell: (...told) => this.#tell(...told),
      begin: async (phase, own) => {
        if (phase === 'prepare') await this.#compile(own);
        for (const id of this.#models.keys()) before.set(id, old(id));
      },
      end: (phase, failed) => {
        // Of those that took a program, though others failed.
        if (phase === 'prepare' || phase === 'install') this.memory.saveBases(this.computing);
        if (phase === 'flip' && !failed) this.#flipped(steps, before);
      },
      drain: () => sleep(drainMs ?? 0),
    };
    const endpoints = new Map<string, Endpoint>([...this.tasks, ...this.workers].map((e) => [e.name, e]));
    try {
      await run(steps, phases, endpoints, host);
    } catch (error) {
      if (error instanceof DiagnosticError) throw this.failure(error.diagnostics);
      throw error;
    }
  }

  /** All are compiled before the first is pushed: what cannot be compiled changes nothing. */
  async #compile(steps: readonly Step[]): Promise<void> {
    await this.memory.whole.programs(
      steps.flatMap(({ effect }) => (effect.do === 'push' ? [effect.known.program] : [])),
    );
  }

  #flipped(steps: readonly Step[], old: ReadonlyMap<number, number | undefined>): void {
    const flips = steps.flatMap(({ effect }) => (effect.do === 'point' ? [effect] : []));
    for (const modelId of new Set(flips.map((f) => f.modelId))) {
      const version = flips.find((f) => f.modelId === modelId && f.version !== undefined)?.version;
      if (version === undefined) continue;
      this.flipped = true;
      this.memory.flipped(modelId, version, old.get(modelId));
    }
  }

  #tell(name: string, step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    const task = [...this.tasks, ...this.workers].find((t) => t.name === name);
    task?.note(step, outcome, detail);
    this.#options.onProgress?.({ device: name, step, outcome, detail });
  }

  /** With the report of every device and worker. */
  failure(diagnostics: readonly Diagnostic[]): DeployError {
    return new DeployError(
      diagnostics,
      this.tasks.map((t) => t.report()),
      this.workers.map((w) => w.report()),
    );
  }

  get #first(): number {
    return this.deployment.models[0]!.spec.id;
  }

  /** Resolves when the devices know of it: another may then come with the same election id. */
  async close(): Promise<void> {
    this.memory.whole.unlock();
    await Promise.all(this.tasks.map(({ session }) => session.close()));
  }
}

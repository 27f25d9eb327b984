import { setTimeout as sleep } from 'node:timers/promises';
import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import type { DeviceTask, ModelVersion } from './device-task.ts';
import type { DeviceProgram } from './program.ts';
import { DeployError, type DeployReport } from './report.ts';
import { type Obstacles, Rollout, type RolloutOptions } from './rollout.ts';
import { StateFolder } from './state.ts';
import type { WorkerTask } from './worker-task.ts';

export interface DeployOptions extends Omit<RolloutOptions, 'model' | 'readOnly'> {
  /** Say what would be done; write nothing, neither to devices nor to the state. */
  readonly dryRun?: boolean;
  /** Leave the previous version on the devices. */
  readonly keep?: boolean;
  /** Make the previous version current again, instead of deploying that of the file. */
  readonly rollback?: boolean;
  /** How long packets of the previous version may be under way, ms; default that of the file. */
  readonly drainMs?: number;
}

/** What is to be current, and the other warnings on the way to it. */
export interface Target {
  /** Undefined where only the devices know the version. */
  readonly version: ModelVersion | undefined;
  /** The model for programs. */
  readonly model: ModelVersion['model'];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Brings the devices of a deployment to what its file says: programs and weights on all of them, then the one write a
 * device that makes the version current, then forwarding; at last what is not wanted any more goes. What is so already is
 * not written. Each part is read back and compared.
 * @throws DiagnosticError on a wrong file; DeployError with the report of every device on any failure
 */
export async function deploy(
  source: string | Deployment,
  options: DeployOptions = {},
): Promise<DeployReport> {
  const started = performance.now();
  const deployment = typeof source === 'string' ? readDeployment(source) : source;
  const target = await targetOf(deployment, options);
  const rollout = await Rollout.open(deployment, {
    ...options,
    model: target.model,
    readOnly: options.dryRun === true,
  }).catch((error: unknown) => {
    throw error instanceof DeployError ? withReport(error, deployment, target, options, started) : error;
  });
  try {
    return await carryOut(rollout, target, options, started);
  } finally {
    rollout.close();
  }
}

/** Brings the devices of a rollout, as they were read, to the target. @throws DeployError with the report of every device */
export async function carryOut(
  rollout: Rollout,
  target: Target,
  options: DeployOptions,
  started: number,
): Promise<DeployReport> {
  const { deployment } = rollout;
  const previous = rollout.current;
  const report = (outcome: DeployReport['outcome'], devices: DeployReport['devices']): DeployReport => ({
    ...reportHead(deployment, target, options),
    outcome,
    ...(previous !== undefined && outcome === 'replaced' && { previous }),
    devices,
    workers: rollout.workers.map((w) => w.report()),
    diagnostics: [...target.diagnostics, ...rollout.warnings],
    ms: performance.now() - started,
  });
  const here = () => rollout.tasks.map((t) => t.report());
  try {
    if (target.version === undefined) {
      await backToOther(rollout, options);
      return report('replaced', here());
    }
    const { version } = target;
    const obstacles = rollout.obstacles(version);
    const work = pending(rollout, version, obstacles, options);
    const stay = [version.version, ...keptVersions(rollout, version, options)];
    const unsettled = rollout.workers.filter((w) => !isSettled(w, version, stay));
    if (unsettled.length === 0 && work.every((w) => w.pushed === undefined && w.updates.length === 0)) {
      remember(rollout, version, options.dryRun === true);
      return report('unchanged', here());
    }
    if (options.dryRun === true) {
      for (const w of work) foretell(w, version.version);
      for (const w of unsettled) foretellWorker(w, version, stay);
      return report(
        'would-change',
        work.map(({ task, wanted, pushed }) => task.report(wanted, pushed)),
      );
    }
    await bring(rollout, version, obstacles, options);
    const replaced = previous !== undefined && previous !== version.version;
    return report(replaced ? 'replaced' : 'deployed', here());
  } catch (error) {
    if (error instanceof DeployError) error.report = report('failed', error.devices);
    throw error;
  }
}

/** @throws DiagnosticError */
export async function targetOf(deployment: Deployment, options: DeployOptions): Promise<Target> {
  const { spec, file } = deployment;
  if (options.rollback !== true) {
    const { model, source, diagnostics } = await deployedModel(deployment);
    return { version: { model, version: spec.model.version, source }, model, diagnostics };
  }
  const folder = new StateFolder(options.state ?? defaultStateFolder(file), spec.model.file);
  const { state } = folder;
  if (state === undefined) {
    const { model, diagnostics } = await deployedModel(deployment);
    return { version: undefined, model, diagnostics };
  }
  const version = state.previous;
  if (version === undefined) return refuse('no-previous', { reason: 'only one was deployed' }, { file });
  const model = await folder.loadModel(state.versions[version]);
  if (model === undefined)
    return refuse('no-previous', { reason: `the model of version ${version} is not in the state` }, { file });
  const source = folder.loadSource(state.versions[version]);
  return { version: { model, version, ...(source && { source }) }, model, diagnostics: [] };
}

/** What is to be done to one device. */
interface Work {
  readonly task: DeviceTask;
  /** The program that it is to get, if another one. */
  readonly pushed: DeviceProgram | undefined;
  readonly wanted: ReturnType<DeviceTask['wanted']>;
  readonly updates: ReturnType<DeviceTask['session']['changes']>;
}

/** @throws DeployError where a program is in the way, and may not be replaced */
function pending(
  rollout: Rollout,
  v: ModelVersion,
  { programs, refusals }: Obstacles,
  options: DeployOptions,
): Work[] {
  if (refusals.length > 0 && options.replaceProgram !== true) throw failureOf(rollout, refusals);
  const keep = keptVersions(rollout, v, options);
  return rollout.tasks.map((task) => {
    const pushed = programs.has(task) ? task.programOf(rollout.baseFor(task, v.model)) : undefined;
    const wanted = pushed === undefined ? task.wanted(v, keep) : task.wantedAfter(pushed, v);
    const updates = task.session.changesBetween(pushed === undefined ? task.session.entities : [], wanted);
    return { task, pushed, wanted, updates };
  });
}

/** The version that was current stays with `keep`; so does one that an earlier `keep` has left. */
function keptVersions(rollout: Rollout, { version }: ModelVersion, { keep }: DeployOptions): number[] {
  if (keep !== true) return [];
  const { current, previous } = rollout.state.state ?? {};
  const candidates = [rollout.current, current, previous].filter((v) => v !== undefined && v !== version);
  return candidates.slice(0, 1) as number[];
}

function foretell({ task, pushed, updates }: Work, version: number): void {
  if (pushed !== undefined) task.note('program', 'would', 'would be pushed');
  const current = task.current;
  if (task.range !== undefined && current !== version)
    task.note('current', 'would', `from version ${current ?? 'none'} to ${version}`);
  task.note('forwarding', 'would', `${updates.length} entries of all tables would change`);
}

async function bring(
  rollout: Rollout,
  v: ModelVersion,
  obstacles: Obstacles,
  options: DeployOptions,
): Promise<void> {
  const { deployment, state } = rollout;
  const drainMs = options.drainMs ?? deployment.spec.drainMs;
  const keep = keptVersions(rollout, v, options);
  const held = rollout.computing.filter((t) => t.versions().has(v.version));
  const heldByWorkers = rollout.workers.filter((w) => w.versions().has(v.version));
  await rollout.install(v, obstacles);
  try {
    await rollout.flip(v.version);
  } catch (error) {
    // Packets that the first devices computed by it may still be under way.
    await sleep(drainMs);
    const added = rollout.computing.filter((t) => !held.includes(t));
    const workers = rollout.workers.filter((w) => !heldByWorkers.includes(w));
    await rollout.withdraw(v.version, added, workers);
    throw error instanceof DeployError ? failureOf(rollout, error.diagnostics) : error;
  }
  await rollout.forward();
  const stay = [v.version, ...keep];
  const others = [...rollout.tasks, ...rollout.workers].some((t) =>
    [...t.versions().keys()].some((k) => k !== 0 && !stay.includes(k)),
  );
  if (others) await sleep(drainMs);
  await rollout.removeOthers(stay);
  checkAll(rollout, v, keep);
  await checkWorkers(rollout, v);
  const { previous } = state.state ?? {};
  state.keepVersions(deployment.spec.model.id, previous === undefined ? stay : [...stay, previous]);
}

/** Every table of every device, once more. @throws DeployError */
function checkAll(rollout: Rollout, v: ModelVersion, keep: readonly number[]): void {
  const wrong = rollout.tasks.filter((t) => t.session.changes(t.wanted(v, keep)).length > 0);
  if (wrong.length === 0) return;
  throw failureOf(
    rollout,
    wrong.map(({ spec, session }) =>
      diagnostic('device-kept-other', {
        device: spec.name,
        step: 'the whole',
        what: `${session.changes([]).length} entries are there`,
      }),
    ),
  );
}

/** Every worker, once more. @throws DiagnosticError, DeployError */
async function checkWorkers(rollout: Rollout, v: ModelVersion): Promise<void> {
  for (const worker of rollout.workers) await worker.refresh();
  const wrong = rollout.workers.filter((w) => !w.holds(v) || w.current !== v.version);
  if (wrong.length === 0) return;
  throw failureOf(
    rollout,
    wrong.map(({ spec, current }) =>
      diagnostic('device-kept-other', {
        device: spec.name,
        step: 'the whole',
        what: `version ${current ?? 'none'} is current`,
      }),
    ),
  );
}

const failureOf = (rollout: Rollout, diagnostics: readonly Diagnostic[]): DeployError =>
  new DeployError(
    diagnostics,
    rollout.tasks.map((t) => t.report()),
    rollout.workers.map((w) => w.report()),
  );

/** Whether a worker is what it should be: the version is there and current, and of the model's others only those that stay. */
const isSettled = (worker: WorkerTask, v: ModelVersion, stay: readonly number[]): boolean =>
  worker.holds(v) &&
  worker.current === v.version &&
  [...worker.versions().keys()].every((version) => stay.includes(version));

function foretellWorker(worker: WorkerTask, v: ModelVersion, stay: readonly number[]): void {
  if (!worker.holds(v)) worker.note('weights', 'would', `version ${v.version} would be loaded`);
  if (worker.current !== v.version)
    worker.note('current', 'would', `from version ${worker.current ?? 'none'} to ${v.version}`);
  const others = [...worker.versions().keys()].filter((version) => !stay.includes(version));
  if (others.length > 0) worker.note('remove', 'would', `version ${others.join(', ')} would go`);
}

/** A state that was lost is made again from what the devices confirmed. */
function remember(rollout: Rollout, { model, version }: ModelVersion, dryRun: boolean): void {
  const { state, deployment } = rollout;
  if (dryRun || state.state?.current === version) return;
  const digest = state.saveModel(model);
  const bases = rollout.computing.flatMap(({ spec, base }) =>
    base === undefined ? [] : [[spec.name, state.saveModel(base)] as const],
  );
  state.update({
    modelId: deployment.spec.model.id,
    current: version,
    versions: { ...state.state?.versions, [version]: digest },
    bases: { ...state.state?.bases, ...Object.fromEntries(bases) },
  });
}

/** Without a state nobody knows the numbers of the previous version, but the devices may still hold it. */
async function backToOther(rollout: Rollout, options: DeployOptions): Promise<void> {
  const place = { file: rollout.deployment.file };
  const others = rollout.versions.filter((v) => v !== rollout.current);
  if (rollout.computing.some((t) => t.program === undefined))
    refuse('no-previous', { reason: 'the state is lost, and the devices run another program' }, place);
  if (others.length !== 1)
    refuse('no-previous', { reason: 'the state is lost, and the devices hold no other version' }, place);
  const before = rollout.current;
  if (options.dryRun === true) {
    for (const t of rollout.computing) t.note('current', 'would', `to version ${others[0]}, which is there`);
    return;
  }
  await rollout.flip(others[0]!);
  if (options.keep === true || before === undefined) return;
  await sleep(options.drainMs ?? rollout.deployment.spec.drainMs);
  await rollout.removeOthers(others);
}

function reportHead({ file, name, spec }: Deployment, target: Target, options: DeployOptions) {
  return {
    format: 'intransit-deploy',
    version: 1,
    deployment: { name, file, state: options.state ?? defaultStateFolder(file) },
    model: {
      id: spec.model.id,
      version: target.version?.version ?? 0,
      digest: target.version === undefined ? '' : modelDigest(target.version.model),
    },
  } as const;
}

function withReport(
  error: DeployError,
  deployment: Deployment,
  target: Target,
  options: DeployOptions,
  started: number,
): DeployError {
  error.report = {
    ...reportHead(deployment, target, options),
    outcome: 'failed',
    devices: error.devices,
    workers: error.workers,
    diagnostics: target.diagnostics,
    ms: performance.now() - started,
  };
  return error;
}

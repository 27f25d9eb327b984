import { setTimeout as sleep } from 'node:timers/promises';
import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import type { ModelVersion } from './core/desired.ts';
import type { Difference } from './core/diff.ts';
import { type Deployment, defaultStateFolder, deployedModel, readDeployment } from './deployment.ts';
import { DeployError, type DeployReport, type DeviceReport } from './report.ts';
import { Rollout, type RolloutOptions } from './rollout.ts';
import { StateFolder } from './state.ts';

export interface DeployOptions extends Omit<RolloutOptions, 'model' | 'readOnly'> {
  /** Say what would be done; write nothing, neither to devices nor to the state. */
  readonly dryRun?: boolean;
  /** Leave the previous version on the devices. */
  readonly keep?: boolean;
  /** Make the previous version current again, instead of deploying that of the file. */
  readonly rollback?: boolean;
  /** Take the deployment off its devices, instead of deploying. */
  readonly remove?: boolean;
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
    if (options.remove === true) return report(await takeOff(rollout, options), here());
    if (target.version === undefined) {
      await backToOther(rollout, options);
      return report('replaced', here());
    }
    const { version } = target;
    const keep = keptVersions(rollout, version, options);
    const found = rollout.difference(version, keep);
    if (found.obstacles.refusals.length > 0) throw failureOf(rollout, found.obstacles.refusals);
    if (found.inSync) {
      remember(rollout, version, options.dryRun === true);
      return report('unchanged', here());
    }
    if (options.dryRun === true) return report('would-change', foretell(rollout, found, version.version));
    await bring(rollout, version, found, keep, options);
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

/** The version that was current stays with `keep`; so does one that an earlier `keep` has left. */
function keptVersions(rollout: Rollout, { version }: ModelVersion, { keep }: DeployOptions): number[] {
  if (keep !== true) return [];
  const { current, previous } = rollout.state.state ?? {};
  const candidates = [rollout.current, current, previous].filter((v) => v !== undefined && v !== version);
  return candidates.slice(0, 1) as number[];
}

/** Devices that run something else hold nothing of ours. @throws DeployError */
async function takeOff(rollout: Rollout, { dryRun }: DeployOptions): Promise<DeployReport['outcome']> {
  const known = rollout.part(
    rollout.tasks.filter((t) => t.known !== undefined),
    [],
  );
  const found = known.removal();
  if (dryRun === true) {
    for (const step of found.steps)
      if (step.changes)
        known.tasks.find((t) => t.name === step.object)?.note(step.stage.step, 'would', step.would);
    return found.inSync ? 'unchanged' : 'would-change';
  }
  await known.takeOff(found);
  rollout.state.forget();
  return found.inSync ? 'unchanged' : 'removed';
}

/** What a dry run says of each device and worker. */
function foretell(
  rollout: Rollout,
  { steps, obstacles, after }: Difference,
  version: number,
): DeviceReport[] {
  for (const worker of rollout.workers)
    for (const step of steps)
      if (step.object === worker.name && step.changes) worker.note(step.stage.step, 'would', step.would);
  return rollout.tasks.map((task) => {
    const pushed = obstacles.programs.get(task.name);
    const there = after.get(task.name);
    const wanted = there?.on === 'device' ? there.entities : [];
    const before = pushed === undefined ? task.session.entities : [];
    const updates = task.session.changesBetween(before, wanted);
    if (pushed !== undefined) task.note('program', 'would', 'would be pushed');
    if (task.range !== undefined && task.current !== version)
      task.note('current', 'would', `from version ${task.current ?? 'none'} to ${version}`);
    task.note('forwarding', 'would', `${updates.length} entries of all tables would change`);
    return task.report(wanted, pushed?.program);
  });
}

async function bring(
  rollout: Rollout,
  v: ModelVersion,
  found: Difference,
  keep: readonly number[],
  options: DeployOptions,
): Promise<void> {
  const { deployment, state } = rollout;
  await rollout.carryOut(found, v, options.drainMs ?? deployment.spec.drainMs);
  await checkAll(rollout, v, keep);
  const { previous } = state.state ?? {};
  const stay = [v.version, ...keep];
  state.keepVersions(deployment.spec.model.id, previous === undefined ? stay : [...stay, previous]);
}

/** Everything once more: nothing is left to do. @throws DiagnosticError, DeployError */
async function checkAll(rollout: Rollout, v: ModelVersion, keep: readonly number[]): Promise<void> {
  for (const worker of rollout.workers) await worker.refresh();
  const { steps, obstacles } = rollout.difference(v, keep);
  if (obstacles.refusals.length > 0) throw failureOf(rollout, obstacles.refusals);
  const left = steps.filter((s) => s.changes);
  const wrong = [...new Set(left.map((s) => s.object))];
  if (wrong.length === 0) return;
  throw failureOf(
    rollout,
    wrong.map((device) => {
      const what = `left to do: ${left.flatMap((s) => (s.object === device ? s.stage.step : [])).join(', ')}`;
      return diagnostic('device-kept-other', { device, step: 'the whole', what });
    }),
  );
}

const failureOf = (rollout: Rollout, diagnostics: readonly Diagnostic[]): DeployError =>
  new DeployError(
    diagnostics,
    rollout.tasks.map((t) => t.report()),
    rollout.workers.map((w) => w.report()),
  );

/** A state that was lost is made again from what the devices confirmed. */
function remember(rollout: Rollout, { model, version }: ModelVersion, dryRun: boolean): void {
  const { state, deployment } = rollout;
  if (dryRun || state.state?.current === version) return;
  const digest = state.saveModel(model);
  const bases = rollout.computing.flatMap(({ name, known }) =>
    known === undefined ? [] : [[name, state.saveModel(known.base)] as const],
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
  if (rollout.computing.some((t) => t.known === undefined))
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

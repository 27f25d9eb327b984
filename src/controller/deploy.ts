import { setTimeout as sleep } from 'node:timers/promises';
import { type Diagnostic, DiagnosticError, diagnostic, refuse } from '../diagnostics/index.ts';
import { modelDigest } from '../import/json/digest.ts';
import type { ModelVersion } from './core/desired.ts';
import type { Difference } from './core/diff.ts';
import { changesBudget } from './core/effects.ts';
import {
  type DeployedModel,
  type Deployment,
  defaultStateFolder,
  deployedModel,
  readDeployment,
} from './deployment.ts';
import { DeploymentMemory } from './deployment-memory.ts';
import { DeployError, type DeployReport, type DeviceReport } from './report.ts';
import { Rollout, type RolloutOptions, type WantedVersion } from './rollout.ts';
import { StateFolder } from './state.ts';

/** What `deploy` does with a deployment: bring it on, take a version back, or take it off. */
export interface DeployOptions extends Omit<RolloutOptions, 'models' | 'readOnly'> {
  /** Name or id of the one model that this is about; default all of the file. The others stay as they are. */
  readonly only?: string;
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

/** What is to be current of one model. */
export interface TargetModel {
  readonly modelId: number;
  /** Undefined where only the devices know the version. */
  readonly version: ModelVersion | undefined;
}

/** What is to be current, and the other warnings on the way to it. */
export interface Target {
  /** Those that this is about. */
  readonly models: readonly TargetModel[];
  /** By id, of all models of the file: for programs. */
  readonly bases: ReadonlyMap<number, ModelVersion['model']>;
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
    models: target.bases,
    readOnly: options.dryRun === true,
  }).catch((error: unknown) => {
    throw error instanceof DeployError ? withReport(error, deployment, target, options, started) : error;
  });
  try {
    return await carryOut(rollout, target, options, started);
  } finally {
    await rollout.close();
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
  const before = new Map(target.models.map(({ modelId }) => [modelId, rollout.currentOf(modelId)]));
  const report = (outcome: DeployReport['outcome'], devices: DeployReport['devices']): DeployReport => ({
    ...reportHead(deployment, target, options, outcome === 'replaced' ? before : undefined),
    outcome,
    devices,
    workers: rollout.workers.map((w) => w.report()),
    diagnostics: [...target.diagnostics, ...rollout.warnings],
    ms: performance.now() - started,
  });
  const here = () => rollout.tasks.map((t) => t.report());
  try {
    if (options.remove === true) return report(await takeOff(rollout, target, options), here());
    const unknown = target.models.filter((m) => m.version === undefined);
    for (const { modelId } of unknown) await backToOther(rollout, modelId, options);
    if (unknown.length === target.models.length) return report('replaced', here());
    const wanted = target.models.flatMap(({ modelId, version }): WantedVersion[] =>
      version === undefined
        ? []
        : [{ modelId, version, keep: keptVersions(rollout, modelId, version, options) }],
    );
    const found = rollout.difference(wanted);
    if (found.obstacles.refusals.length > 0) throw rollout.failure(found.obstacles.refusals);
    if (found.inSync) {
      remember(rollout, wanted, options.dryRun === true);
      return report('unchanged', here());
    }
    if (options.dryRun === true) return report('would-change', foretell(rollout, found, wanted));
    await bring(rollout, wanted, found, options);
    const replaced = wanted.some(({ modelId, version }) => {
      const previous = before.get(modelId);
      return previous !== undefined && previous !== version.version;
    });
    return report(replaced ? 'replaced' : 'deployed', here());
  } catch (error) {
    if (error instanceof DeployError) error.report = report('failed', error.devices);
    throw error;
  }
}

/** @throws DiagnosticError */
export async function targetOf(deployment: Deployment, options: DeployOptions): Promise<Target> {
  const bases = new Map<number, ModelVersion['model']>();
  const diagnostics: Diagnostic[] = [];
  const models: TargetModel[] = [];
  const about = modelsAbout(deployment, options);
  const refusals: DiagnosticError[] = [];
  for (const deployed of deployment.models) {
    const { id } = deployed.spec;
    const isAbout = about.includes(deployed);
    try {
      const found =
        isAbout && options.rollback === true
          ? await previousOf(deployment, deployed, options)
          : await versionInFile(deployment, deployed);
      bases.set(id, found.model);
      diagnostics.push(...found.diagnostics);
      if (isAbout) models.push({ modelId: id, version: found.version });
    } catch (error) {
      // Of several models those go back that have something to go back to.
      const isNone =
        error instanceof DiagnosticError && error.diagnostics.every((d) => d.code === 'no-previous');
      if (!isNone || about.length === 1) throw error;
      refusals.push(error);
      bases.set(id, (await versionInFile(deployment, deployed)).model);
    }
  }
  if (models.length === 0 && refusals[0] !== undefined) throw refusals[0];
  return { models, bases, diagnostics };
}

/** @throws DiagnosticError where there is no such model */
function modelsAbout({ file, models }: Deployment, { only }: DeployOptions): readonly DeployedModel[] {
  if (only === undefined) return models;
  const found = models.filter(({ name, spec }) => name === only || `${spec.id}` === only);
  if (found.length > 0) return found;
  const known = models.map(({ name, spec }) => `${name} (${spec.id})`).join(', ');
  return refuse('no-such-model', { model: only, known }, { file });
}

interface FoundVersion {
  readonly version: ModelVersion | undefined;
  readonly model: ModelVersion['model'];
  readonly diagnostics: readonly Diagnostic[];
}

async function versionInFile(deployment: Deployment, deployed: DeployedModel): Promise<FoundVersion> {
  const { model, source, diagnostics } = await deployedModel(deployment, deployed);
  return { version: { model, version: deployed.spec.version, source }, model, diagnostics };
}

/** The version that was current before. @throws DiagnosticError `no-previous` */
async function previousOf(
  deployment: Deployment,
  deployed: DeployedModel,
  options: DeployOptions,
): Promise<FoundVersion> {
  const { file } = deployment;
  const whole = new StateFolder(options.state ?? defaultStateFolder(file), deployed.spec.file);
  const folder = new DeploymentMemory(deployment, whole).of(deployed.spec.id);
  const { state } = folder;
  if (state === undefined) return { ...(await versionInFile(deployment, deployed)), version: undefined };
  const version = state.previous;
  if (version === undefined) return refuse('no-previous', { reason: 'only one was deployed' }, { file });
  const model = await folder.loadModel(state.versions[version]);
  if (model === undefined)
    return refuse('no-previous', { reason: `the model of version ${version} is not in the state` }, { file });
  const source = folder.loadSource(state.versions[version]);
  return { version: { model, version, ...(source && { source }) }, model, diagnostics: [] };
}

/** The version that was current stays with `keep`; so does one that an earlier `keep` has left. */
function keptVersions(
  rollout: Rollout,
  modelId: number,
  { version }: ModelVersion,
  { keep }: DeployOptions,
): number[] {
  if (keep !== true) return [];
  const { current, previous } = rollout.memory.of(modelId).state ?? {};
  const candidates = [rollout.currentOf(modelId), current, previous];
  return candidates.flatMap((v) => (v === undefined || v === version ? [] : [v])).slice(0, 1);
}

/** Devices that run something else hold nothing of ours. @throws DeployError */
async function takeOff(
  rollout: Rollout,
  { models }: Target,
  { dryRun }: DeployOptions,
): Promise<DeployReport['outcome']> {
  const known = rollout.part(
    rollout.tasks.filter((t) => t.known !== undefined),
    [],
  );
  const ids = models.map((m) => m.modelId);
  const found = known.removal(ids);
  if (dryRun === true) {
    for (const step of found.steps)
      if (step.changes)
        known.tasks.find((t) => t.name === step.object)?.note(step.stage.step, 'would', step.would);
    return found.inSync ? 'unchanged' : 'would-change';
  }
  await known.takeOff(found);
  rollout.memory.forget(ids);
  return found.inSync ? 'unchanged' : 'removed';
}

/** What a dry run says of each device and worker. */
function foretell(
  rollout: Rollout,
  { steps, obstacles, after }: Difference,
  wanted: readonly WantedVersion[],
): DeviceReport[] {
  for (const worker of rollout.workers)
    for (const step of steps)
      if (step.object === worker.name && step.changes) worker.note(step.stage.step, 'would', step.would);
  return rollout.tasks.map((task) => {
    const pushed = obstacles.programs.get(task.name);
    const there = after.get(task.name);
    const then = there?.on === 'device' ? there.entities : [];
    const before = pushed === undefined || pushed.program.joins ? task.session.entities : [];
    const updates = task.session.changesBetween(before, then);
    if (pushed !== undefined)
      task.note('program', 'would', `would be pushed${pushed.program.joins ? ' beside others' : ''}`);
    for (const { object, stage, effect, would } of steps)
      if (object === task.name && changesBudget(task.observed, effect)) task.note(stage.step, 'would', would);
    for (const { modelId, version } of wanted) {
      const now = task.currentOf(modelId);
      if (!task.computed.some((p) => p.modelId === modelId) || now === version.version) continue;
      const of = rollout.deployment.models.length > 1 ? `model ${modelId}: ` : '';
      task.note('current', 'would', `${of}from version ${now ?? 'none'} to ${version.version}`);
    }
    task.note('forwarding', 'would', `${updates.length} entries of all tables would change`);
    return task.report(then, pushed?.program);
  });
}

async function bring(
  rollout: Rollout,
  wanted: readonly WantedVersion[],
  found: Difference,
  options: DeployOptions,
): Promise<void> {
  const { deployment } = rollout;
  await rollout.carryOut(found, wanted, options.drainMs ?? deployment.spec.drainMs);
  await checkAll(rollout, wanted);
  rollout.memory.keepVersions(
    new Map(wanted.map(({ modelId, version, keep }) => [modelId, [version.version, ...keep]])),
  );
}

/** Everything once more: nothing is left to do. @throws DiagnosticError, DeployError */
async function checkAll(rollout: Rollout, wanted: readonly WantedVersion[]): Promise<void> {
  for (const worker of rollout.workers) await worker.refresh();
  const { steps, obstacles } = rollout.difference(wanted);
  if (obstacles.refusals.length > 0) throw rollout.failure(obstacles.refusals);
  const left = steps.filter((s) => s.changes);
  const wrong = [...new Set(left.map((s) => s.object))];
  if (wrong.length === 0) return;
  throw rollout.failure(
    wrong.map((device) => {
      const what = `left to do: ${left.flatMap((s) => (s.object === device ? s.stage.step : [])).join(', ')}`;
      return diagnostic('device-kept-other', { device, step: 'the whole', what });
    }),
  );
}

/** A state that was lost is made again from what the devices confirmed. */
function remember(rollout: Rollout, wanted: readonly WantedVersion[], dryRun: boolean): void {
  if (dryRun) return;
  const lost = wanted.filter(
    ({ modelId, version }) => rollout.memory.of(modelId).state?.current !== version.version,
  );
  if (lost.length === 0) return;
  rollout.memory.saveBases(rollout.computing);
  for (const { modelId, version } of lost) rollout.memory.restore(modelId, version);
}

/** Without a state nobody knows the numbers of the previous version, but the devices may still hold it. */
async function backToOther(rollout: Rollout, modelId: number, options: DeployOptions): Promise<void> {
  const place = { file: rollout.deployment.file };
  const before = rollout.currentOf(modelId);
  const others = rollout.versionsOf(modelId).filter((v) => v !== before);
  if (rollout.computing.some((t) => t.known === undefined))
    refuse('no-previous', { reason: 'the state is lost, and the devices run another program' }, place);
  if (others.length !== 1)
    refuse('no-previous', { reason: 'the state is lost, and the devices hold no other version' }, place);
  if (options.dryRun === true) {
    for (const t of rollout.computing) t.note('current', 'would', `to version ${others[0]}, which is there`);
    return;
  }
  await rollout.flip(others[0]!, modelId);
  if (options.keep === true || before === undefined) return;
  await sleep(options.drainMs ?? rollout.deployment.spec.drainMs);
  await rollout.removeOthers(others, modelId);
}

/** @param before versions that were current, where another took over */
function reportHead(
  { file, name, spec, models }: Deployment,
  target: Target,
  options: DeployOptions,
  before?: ReadonlyMap<number, number | undefined>,
) {
  const about = target.models.map(({ modelId, version }) => {
    const previous = before?.get(modelId);
    return {
      name: models.find((m) => m.spec.id === modelId)!.name,
      id: modelId,
      version: version?.version ?? 0,
      digest: version === undefined ? '' : modelDigest(version.model),
      ...(previous !== undefined && previous !== version?.version && { previous }),
    };
  });
  const [first] = about;
  const one = spec.models === undefined && first;
  return {
    format: 'intransit-deploy',
    version: 1,
    deployment: { name, file, state: options.state ?? defaultStateFolder(file) },
    ...(one && { model: { id: one.id, version: one.version, digest: one.digest } }),
    models: about,
    ...(one && one.previous !== undefined && { previous: one.previous }),
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

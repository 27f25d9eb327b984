import { type Diagnostic, DiagnosticError, diagnostic } from '../../diagnostics/index.ts';
import { modelDigest } from '../../import/json/digest.ts';
import { hasBudgets } from '../budget.ts';
import { classifiesFlows } from '../program.ts';
import { weightsDigest } from '../versions.ts';
import type { Desired, DesiredDevice, DesiredVersion, DesiredWorker } from './desired.ts';
import {
  heldOn,
  isInUse,
  type KnownProgram,
  modelOn,
  type Observed,
  type ObservedDevice,
  type ObservedWorker,
  weightsIn,
} from './observed.ts';
import { misfit, slotsFor, slotsOn, weightsAt } from './slots.ts';

/** What is in the way of what is desired; found once, before anything is written. */
export interface Obstacles {
  /** Devices that get a program before: they run none, or with `replaceProgram` one that does not do. */
  readonly programs: ReadonlyMap<string, KnownProgram>;
  /** All that forbids it. */
  readonly refusals: readonly Diagnostic[];
}

/** @throws DiagnosticError where layers do not fit a device that needs a program */
export function obstaclesOf(desired: Desired, observed: ReadonlyMap<string, Observed>): Obstacles {
  const programs = new Map<string, KnownProgram>();
  const refusals: Diagnostic[] = [];
  for (const device of desired.devices) {
    const there = observed.get(device.name);
    if (there?.on !== 'device') continue;
    const obstacle = deviceObstacle(device, there);
    if (obstacle === undefined) {
      refusals.push(...refusalsOn(device, there));
      continue;
    }
    const joined =
      obstacle !== 'none' && joinable.has(obstacle.code) ? joinedProgram(device, there) : undefined;
    if (joined !== undefined) {
      const after = { ...there, known: joined };
      // One that takes the place of what it had is no program beside others.
      if (deviceObstacle(device, after) === undefined) {
        programs.set(device.name, joined);
        refusals.push(...refusalsOn(device, after));
        continue;
      }
    }
    if (obstacle !== 'none' && !device.replaceProgram) refusals.push(obstacle);
    else {
      const known = programFor(device, there);
      programs.set(device.name, known);
      refusals.push(...refusalsOn(device, { ...there, known, entities: [] }));
    }
  }
  for (const worker of desired.workers) {
    const there = observed.get(worker.name);
    if (there?.on === 'worker') refusals.push(...workerObstacles(worker, there));
  }
  return { programs, refusals };
}

/** What the program of a device, the one that runs or is to come, has no room or no means for. */
function refusalsOn(device: DesiredDevice, there: ObservedDevice): readonly Diagnostic[] {
  const { known } = there;
  const limited = device.models.filter((m) => m.budget !== undefined);
  const without = known === undefined || hasBudgets(known.program) ? [] : limited;
  return [
    ...slotsOn(device, there).refusals,
    ...without.map(({ modelId }) => diagnostic('no-budget', { device: device.name, modelId })),
  ];
}

/** What is mended by a program beside those that run. */
const joinable: ReadonlySet<string> = new Set(['device-program', 'version-misfit']);

/** The device's program as one of several, where those that run there can stay: until what they hold has gone, if it is to go. */
function joinedProgram({ program }: DesiredDevice, there: ObservedDevice): KnownProgram | undefined {
  const { running } = there;
  if (running === undefined) return undefined;
  const known = program();
  const beside = known.program.beside?.(running, (slot) => isInUse(there, slot));
  return beside && { ...known, program: beside.program };
}

/** `none` where the device runs nothing yet, or nothing that is to stay; undefined where nothing is in the way. */
function deviceObstacle(desired: DesiredDevice, there: ObservedDevice): 'none' | Diagnostic | undefined {
  const device = desired.name;
  const { cookie, known } = there;
  if (known === undefined) {
    if (forwardsAnyway(desired, there)) return undefined;
    const shown = typeof cookie === 'bigint' ? cookie.toString(16) : cookie;
    return cookie === 'none' ? 'none' : diagnostic('device-program', { device, cookie: shown });
  }
  // Who took its policy away wants its program gone too.
  if (desired.flows === undefined && classifiesFlows(known.program)) return 'none';
  if (desired.flows !== undefined && known.program.cookie !== desired.program().program.cookie)
    return diagnostic('device-program', { device, cookie: known.program.cookie.toString(16) });
  for (const model of desired.models)
    for (const v of model.versions) {
      const { version } = v;
      const what = misfit(() => slotsFor(known, v.model, model.held(v)));
      if (what !== undefined) return diagnostic('version-misfit', { device, version, what });
      if (isTaken(there, known, model, v)) return diagnostic('version-taken', { device, version });
    }
  return undefined;
}

/** Every program beside which its own could run has the tables of forwarding, and more is not asked of one that computes nothing. */
const forwardsAnyway = (desired: DesiredDevice, there: ObservedDevice): boolean =>
  desired.models.length === 0 && joinedProgram(desired, there) !== undefined;

/** Whether the device has the version with weights of another model, rather than damaged ones of this. */
function isTaken(
  there: ObservedDevice,
  known: KnownProgram,
  { modelId, held: as }: DesiredDevice['models'][number],
  v: DesiredVersion,
): boolean {
  const held = heldOn(there, modelId, v.version);
  if (held === undefined) return false;
  // A version stands in one program.
  if (!slotsFor(known, v.model, as(v)).includes(held.slot)) return true;
  if (v.ours) return false;
  const own = weightsAt(known, v.model, held.slot);
  return weightsDigest(weightsIn(there, held.slot)) !== weightsDigest(own);
}

function workerObstacles(desired: DesiredWorker, there: ObservedWorker): Diagnostic[] {
  return desired.models.flatMap(({ modelId, versions }) =>
    versions.flatMap(({ version, model }) => {
      const held = modelOn(there, modelId).versions.get(version);
      if (held === undefined || held === modelDigest(model)) return [];
      return [diagnostic('version-taken', { device: desired.name, version })];
    }),
  );
}

/** For which model a device gets a program: that which it had, if it was only lost and still does, else its own. */
function programFor({ earlier, models, program }: DesiredDevice, there: ObservedDevice): KnownProgram {
  if (earlier === undefined || there.cookie !== 'none') return program();
  try {
    const known = earlier();
    for (const { versions, held } of models) for (const v of versions) slotsFor(known, v.model, held(v));
    return known;
  } catch (error) {
    if (error instanceof DiagnosticError) return program();
    throw error;
  }
}

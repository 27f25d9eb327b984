import { budgetIn, budgetText } from '../budget.ts';
import type { DeployStep } from '../report.ts';
import { CURRENT } from '../versions.ts';
import type { Desired, DesiredDevice, DesiredModel, DesiredWorker } from './desired.ts';
import { changes, changesBudget, deviceAfter, type Effect, workerAfter, writesOf } from './effects.ts';
import {
  currentOn,
  heldOn,
  type KnownProgram,
  type Observed,
  type ObservedDevice,
  type ObservedWorker,
  versionsOn,
} from './observed.ts';
import { type Obstacles, obstaclesOf } from './obstacles.ts';
import { rolloutOrder, type Stage } from './order.ts';
import { slotsOn } from './slots.ts';
import type { Precondition, Step } from './step.ts';
import { updatesOf } from './updates.ts';

/** The way from what is to what should be. */
export interface Difference {
  /** In the order in which they may be done; those that change nothing too. */
  readonly steps: readonly Step[];
  readonly obstacles: Obstacles;
  /** As all will be once the steps are done. */
  readonly after: ReadonlyMap<string, Observed>;
  /** Whether all is so already. */
  readonly inSync: boolean;
}

/**
 * What is to be done, and in which order. Devices and workers that were not observed are left out: what can be had is
 * brought on. Where something is in the way there are no steps.
 * @param observed by name
 * @throws DiagnosticError where layers do not fit a device that needs a program
 */
export function diff(desired: Desired, observed: ReadonlyMap<string, Observed>): Difference {
  const obstacles = obstaclesOf(desired, observed);
  if (obstacles.refusals.length > 0) return { steps: [], obstacles, after: observed, inSync: false };
  const after = new Map(observed);
  const found: Step[] = [];
  for (const device of desired.devices) {
    const there = observed.get(device.name);
    if (there?.on !== 'device') continue;
    const plan = devicePlan(device, there, obstacles.programs.get(device.name));
    found.push(...plan.steps);
    after.set(device.name, plan.there);
  }
  for (const worker of desired.workers) {
    const there = observed.get(worker.name);
    if (there?.on !== 'worker') continue;
    const plan = workerPlan(worker, there);
    found.push(...plan.steps);
    after.set(worker.name, plan.there);
  }
  const steps = rolloutOrder.flatMap((stage) =>
    alongPath(
      stage,
      found.filter((s) => s.stage === stage),
    ),
  );
  return {
    steps: guarded(steps),
    obstacles,
    after,
    inSync: steps.every((s) => !s.changes),
  };
}

const alongPath = ({ way }: Stage, steps: readonly Step[]): readonly Step[] =>
  way === 'from-end'
    ? [...steps].sort((a, b) => b.place - a.place)
    : [...steps].sort((a, b) => a.place - b.place);

/** A flip also requires that whoever is flipped with it holds the version: packets that it stamps go there. */
function guarded(steps: readonly Step[]): readonly Step[] {
  const together = new Map<string, Precondition[]>();
  const keysOf = ({ stage, requires }: Step): readonly string[] =>
    stage.step !== 'current'
      ? []
      : requires.flatMap((r) => (r.must === 'hold' ? [`${r.modelId}/${r.version}`] : []));
  for (const step of steps)
    for (const key of keysOf(step)) together.set(key, [...(together.get(key) ?? []), ...step.requires]);
  return steps.map((step) => {
    const [key] = keysOf(step);
    return key === undefined ? step : { ...step, requires: together.get(key)! };
  });
}

const stageOf = (step: DeployStep, on: 'device' | 'worker'): Stage => {
  const stage = rolloutOrder.find((s) => s.step === step && s.on === on);
  if (stage === undefined) throw new Error(`no ${step} of a ${on} in a rollout`);
  return stage;
};

/** Steps of one device or worker: each is looked for where the ones before have led. */
class Plan<T extends ObservedDevice | ObservedWorker> {
  readonly steps: Step[] = [];
  there: T;
  readonly #first: T;
  readonly #place: number;
  readonly #after: (there: T, effect: Effect) => T;

  constructor(there: T, place: number, after: (there: T, effect: Effect) => T) {
    this.there = there;
    this.#place = place;
    this.#first = there;
    this.#after = after;
  }

  add(
    step: DeployStep,
    effect: Effect,
    would: string,
    undo?: Step['undo'],
    requires: readonly Precondition[] = [],
  ): void {
    const { on, name } = this.there;
    const changing = changes(this.there, effect);
    const common = { object: name, place: this.#place, stage: stageOf(step, on), requires, effect, would };
    this.steps.push({ ...common, changes: changing, undo: changing ? undo : undefined });
    if (changing) this.there = this.#after(this.there, effect);
  }

  /** Undone by the version's withdrawal; of one that was there before its budget goes back. */
  install(step: 'weights' | 'version', effect: Effect, modelId: number, version: number): void {
    const undo = versionsOn(this.#first, modelId).includes(version)
      ? this.#budgetBefore(effect)
      : withdrawal(modelId, version);
    this.add(step, effect, this.#wouldInstall(step, effect, version), undo);
  }

  #budgetBefore(effect: Effect): Step['undo'] {
    const first = this.#first;
    if (effect.do !== 'know' || first.on !== 'device' || !changesBudget(first, effect)) return undefined;
    const { budget: _, ...rest } = effect;
    const budget = budgetIn(first.entities, effect.held.slot);
    const back: Effect = { ...rest, ...(budget && { budget }) };
    return { step: 'version', effect: back, detail: `budget back to ${budgetText(budget)}` };
  }

  #wouldInstall(step: 'weights' | 'version', effect: Effect, version: number): string {
    const { there } = this;
    if (effect.do !== 'know' || there.on !== 'device' || !changesBudget(there, effect))
      return `version ${version} would be ${step === 'weights' ? 'loaded' : 'known'}`;
    const before = budgetText(budgetIn(there.entities, effect.held.slot));
    return `budget of version ${version} from ${before} to ${budgetText(effect.budget)}`;
  }

  flip({ modelId, current }: DesiredModel): void {
    if (current === 'as-is') return;
    const { name } = this.there;
    const before = currentOn(this.there, modelId);
    const held = this.there.on === 'device' ? heldOn(this.there, modelId, CURRENT) : undefined;
    const back: Effect = { do: 'point', modelId, version: before, ...(held && { held }) };
    this.add(
      'current',
      { do: 'point', modelId, version: current },
      `from version ${before ?? 'none'} to ${current}`,
      { step: 'current', effect: back, detail: `back to version ${before ?? 'none'}` },
      [{ must: 'hold', object: name, modelId, version: current }],
    );
  }
}

function devicePlan(
  device: DesiredDevice,
  there: ObservedDevice,
  pushed: KnownProgram | undefined,
): Plan<ObservedDevice> {
  const { place, models, forwarding, others } = device;
  const plan = new Plan(there, place, deviceAfter);
  if (pushed !== undefined) plan.add('program', { do: 'push', known: pushed }, 'would be pushed');
  if (device.flows !== undefined) {
    const effect: Effect = { do: 'classify', entities: device.flows };
    plan.add('flows', effect, `${countOf(plan.there, effect)} entries would change`);
    return plan;
  }
  // Of all models before any is written: weights alone do not take a slot.
  const slots = slotsOn(device, plan.there);
  for (const { modelId, versions, held, budget } of models)
    for (const v of versions) {
      const slot = slots.of(modelId, v.version);
      plan.install('weights', { do: 'load', modelId, version: v, slot }, modelId, v.version);
      const limit = budget && { budget };
      const know: Effect = { do: 'know', modelId, version: v.version, held: { ...held(v), slot }, ...limit };
      plan.install('version', know, modelId, v.version);
    }
  for (const model of models) plan.flip(model);
  if (forwarding !== 'as-is') {
    const own = typeof others === 'object' && { own: others.models };
    const effect: Effect = { do: 'forward', entities: forwarding, ...own };
    plan.add('forwarding', effect, `${countOf(plan.there, effect)} entries would change`);
  }
  if (others !== 'stay') {
    const gone = { what: 'others', stay: staying(models), ...(others !== 'go' && others) } as const;
    plan.add('remove', { do: 'withdraw', gone }, 'others would go');
  }
  return plan;
}

const countOf = (there: ObservedDevice, effect: Exclude<Effect, { do: 'push' }>): number =>
  writesOf(effect, there).reduce((n, write) => n + updatesOf(there.entities, write).length, 0);

function workerPlan({ models }: DesiredWorker, there: ObservedWorker): Plan<ObservedWorker> {
  const plan = new Plan(there, 0, workerAfter);
  for (const { modelId, versions } of models)
    for (const v of versions)
      plan.install('weights', { do: 'load', modelId, version: v }, modelId, v.version);
  for (const model of models) plan.flip(model);
  const stay = staying(models);
  const others = models.flatMap(({ modelId }) => {
    const kept = stay.get(modelId);
    const current = currentOn(plan.there, modelId);
    return versionsOn(plan.there, modelId).filter(
      (v) => v !== current && kept !== 'all' && kept?.includes(v) === false,
    );
  });
  const effect: Effect = { do: 'withdraw', gone: { what: 'others', stay } };
  plan.add('remove', effect, `version ${others.join(', ')} would go`);
  return plan;
}

const withdrawal = (modelId: number, version: number): Step['undo'] => ({
  step: 'weights',
  effect: { do: 'withdraw', gone: { what: 'version', modelId, version } },
  detail: `version ${version} taken off`,
});

function staying(models: readonly DesiredModel[]): Map<number, 'all' | readonly number[]> {
  const stay = new Map<number, 'all' | readonly number[]>();
  for (const { modelId, versions, keep, current } of models) {
    const wanted = [...versions.map((v) => v.version), ...(current === 'as-is' ? [] : [current])];
    stay.set(modelId, keep === 'all' ? keep : [...keep, ...wanted]);
  }
  return stay;
}

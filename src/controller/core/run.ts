import { type Diagnostic, DiagnosticError } from '../../diagnostics/index.ts';
import type { DeployStep, StepReport } from '../report.ts';
import type { Effect } from './effects.ts';
import type { Observed } from './observed.ts';
import { type Phase, rolloutOrder, type Stage, takenBack } from './order.ts';
import { type Step, unmet } from './step.ts';

/** What became of a step. */
export interface Done {
  readonly outcome: 'done' | 'unchanged';
  readonly detail: string;
}

/** A device over P4Runtime, or a worker through its control door. */
export interface Endpoint {
  readonly name: string;
  /** As it was read last. */
  readonly observed: Observed;
  /** Reads again what it holds. */
  refresh(): Promise<void>;
  /** Does it, reads back and compares; what is so already is not written. */
  perform(effect: Effect): Promise<Done>;
  /** What a failure of a step means for whoever deploys. @throws faults of ours */
  fault(step: DeployStep, error: unknown): readonly Diagnostic[];
}

/** Where steps are run: what is remembered of them, who hears of them, and how long packets may be under way. */
export interface Host {
  tell(endpoint: string, step: DeployStep, outcome: StepReport['outcome'], detail: string): void;
  /** What must be at hand or on disk before the first step of a phase. */
  begin?(phase: Phase, steps: readonly Step[]): Promise<void>;
  /** Hears of each phase that has ended, well or not. */
  end?(phase: Phase, failed: boolean): void;
  drain(): Promise<void>;
}

/**
 * Runs steps stage by stage. What fails ends its stage, and the steps are taken back that `takenBack` names; what cannot be
 * taken back is told as `left`.
 * @param phases those that are run
 * @throws DiagnosticError with every failure of the stage
 */
export async function run(
  steps: readonly Step[],
  phases: readonly Phase[],
  endpoints: ReadonlyMap<string, Endpoint>,
  host: Host,
): Promise<void> {
  const begun: Step[] = [];
  let drained = false;
  for (const phase of phases) {
    const own = steps.filter((s) => s.stage.phase === phase);
    if (own.length === 0) continue;
    let failed = true;
    try {
      await host.begin?.(phase, own);
      for (const stage of rolloutOrder.filter((s) => s.phase === phase)) {
        const now = own.filter((s) => s.stage === stage);
        if (stage.drained && !drained && own.some((s) => s.stage.drained && s.changes)) {
          await host.drain();
          drained = true;
        }
        await runStage(stage, now, begun, endpoints, host);
      }
      failed = false;
    } catch (error) {
      if (error instanceof DiagnosticError) await takeBack(phase, begun, endpoints, host);
      throw error;
    } finally {
      host.end?.(phase, failed);
    }
  }
}

async function runStage(
  { way }: Stage,
  steps: readonly Step[],
  begun: Step[],
  endpoints: ReadonlyMap<string, Endpoint>,
  host: Host,
): Promise<void> {
  const groups = way === 'together' ? [steps] : groupsBy(steps, (s) => s.place);
  for (const group of groups) {
    // Steps that stand together share their conditions.
    for (const requires of new Set(group.map((s) => s.requires))) {
      const why = unmet({ requires }, (name) => endpoints.get(name)?.observed);
      if (why !== undefined) throw new Error(why);
    }
    begun.push(...group);
    const failures = (
      await Promise.all(byObject(group).map((own) => runInTurn(own, endpoints, host)))
    ).flat();
    if (failures.length > 0) throw new DiagnosticError(failures);
  }
}

/** Steps of one object one by one, those of different ones side by side. */
const byObject = (steps: readonly Step[]): readonly (readonly Step[])[] => groupsBy(steps, (s) => s.object);

/** In the order in which keys first come. */
function groupsBy(steps: readonly Step[], key: (step: Step) => unknown): readonly (readonly Step[])[] {
  const groups = new Map<unknown, Step[]>();
  for (const step of steps) {
    const group = groups.get(key(step));
    if (group === undefined) groups.set(key(step), [step]);
    else group.push(step);
  }
  return [...groups.values()];
}

/** @returns why it failed; nothing where it did not */
async function runInTurn(
  steps: readonly Step[],
  endpoints: ReadonlyMap<string, Endpoint>,
  host: Host,
): Promise<readonly Diagnostic[]> {
  for (const s of steps) {
    const { step } = s.stage;
    const endpoint = endpoints.get(s.object)!;
    try {
      const { outcome, detail } = await endpoint.perform(s.effect);
      host.tell(s.object, step, outcome, detail);
    } catch (error) {
      const found = endpoint.fault(step, error);
      host.tell(s.object, step, 'failed', found.map((d) => d.message).join('; '));
      return found;
    }
  }
  return [];
}

async function takeBack(
  phase: Phase,
  begun: readonly Step[],
  endpoints: ReadonlyMap<string, Endpoint>,
  host: Host,
): Promise<void> {
  let turned = false;
  for (const back of takenBack[phase]) {
    const undone = begun.filter((s) => s.stage.phase === back && s.undo !== undefined);
    if (undone.length === 0) continue;
    // Packets that the first devices computed by it may still be under way.
    if (turned) await host.drain();
    turned = true;
    const once = new Map(undone.map((s) => [`${s.object} ${s.undo!.detail}`, s]));
    const inOrder = back === 'flip' ? [...once.values()].map((s) => [s]) : [[...once.values()]];
    for (const group of inOrder)
      await Promise.all(byObject(group).map((own) => undoInTurn(own, endpoints, host)));
  }
}

async function undoInTurn(
  steps: readonly Step[],
  endpoints: ReadonlyMap<string, Endpoint>,
  host: Host,
): Promise<void> {
  for (const { object, undo } of steps) {
    const endpoint = endpoints.get(object)!;
    const { step, effect, detail } = undo!;
    try {
      await endpoint.refresh();
      await endpoint.perform(effect);
      host.tell(object, step, 'undone', detail);
    } catch (error) {
      const reasons = endpoint.fault(step, error).map((d) => d.message);
      host.tell(object, step, 'left', `could not be taken back: ${reasons.join('; ')}`);
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { type Difference, diff } from '../../controller/core/diff.ts';
import type { KnownProgram } from '../../controller/core/observed.ts';
import type { Phase } from '../../controller/core/order.ts';
import { run } from '../../controller/core/run.ts';
import type { Step } from '../../controller/core/step.ts';
import type { StepReport } from '../../controller/report.ts';
import { type Diagnostic, DiagnosticError } from '../../diagnostics/index.ts';
import { P4RuntimeError } from '../../p4runtime/index.ts';
import type { EventInput } from '../store/index.ts';
import { desiredOf, type Goal } from './goals.ts';
import type { ManagedNode } from './node.ts';

/** What a job needs of its surroundings. */
export interface JobHost {
  readonly now: () => number;
  /** Whether a node that was read is left as it is. */
  readonly isLeft: (node: ManagedNode) => boolean;
  /** Programs that a device of a kind may run already. */
  readonly candidates: (kind: string) => readonly KnownProgram[];
  /** Compiles, several at once. */
  readonly compile: (programs: readonly KnownProgram[]) => Promise<void>;
  readonly log: (event: Omit<EventInput, 'actor'>) => void;
  /** Waits until the log holds what was told. @throws StoreFenced where somebody else leads by now */
  readonly logged: () => Promise<void>;
  /** States have changed. */
  readonly changed: () => void;
}

/** A node, and what it is to be. */
export interface Task {
  readonly node: ManagedNode;
  readonly goal: Goal;
}

const PHASES: readonly Phase[] = ['prepare', 'install', 'flip', 'settle'];

/** How many are read at once: each answer is turned as a whole. */
const READERS = 64;

/**
 * Brings nodes that stand together to their goals: all are read, then the steps run in the order of a rollout. What fails is
 * taken back, told, and tried again later. @pre nobody else is at work on them
 */
export async function bring(tasks: readonly Task[], drainMs: number, host: JobHost): Promise<void> {
  for (const { node } of tasks) node.isBusy = true;
  let rest: readonly Task[] = [];
  try {
    rest = (await readAll(tasks, host)).filter(({ node }) => !host.isLeft(node));
    const found = differenceOf(rest, host);
    if (found === undefined) return;
    rest = found.tasks;
    await carryOut(found.difference, rest, drainMs, host);
    for (const { node, goal } of rest) {
      node.settledAt = goal.key;
      node.wasBrought = true;
      node.failure = undefined;
      node.backoff.reset();
    }
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    for (const task of rest) failed(task, error.diagnostics, host);
  } finally {
    for (const { node } of tasks) {
      node.isBusy = false;
      node.isDraining = false;
    }
    host.changed();
  }
}

async function readAll(tasks: readonly Task[], host: JobHost): Promise<readonly Task[]> {
  const queue = [...tasks];
  const there: Task[] = [];
  const lane = async (): Promise<void> => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift())
      if (await readOne(task, host)) there.push(task);
  };
  await Promise.all(Array.from({ length: Math.min(READERS, tasks.length) }, lane));
  // In the order of the path again.
  return tasks.filter((t) => there.includes(t));
}

async function readOne(task: Task, host: JobHost): Promise<boolean> {
  const { node, goal } = task;
  try {
    const own = goal.on === 'device' ? [goal.desired.program()] : [];
    const all = node.target === undefined ? [] : host.candidates(node.target);
    const others = all.filter((known) => known !== own[0]);
    await node.read(
      [...own, ...others].map((known) => () => known),
      host.now(),
    );
    return true;
  } catch (error) {
    // Planning a program may fail too; what is no answer of the node is thrown on.
    const known = error instanceof P4RuntimeError || error instanceof DiagnosticError;
    if (!known) throw error;
    failed(task, node.endpoint.fault('connect', error), host);
    return false;
  }
}

/** Nodes that something is in the way of are left out, and told; the others are brought on. */
function differenceOf(
  tasks: readonly Task[],
  host: JobHost,
): { readonly difference: Difference; readonly tasks: readonly Task[] } | undefined {
  const observed = new Map(tasks.map(({ node }) => [node.name, node.observed]));
  const all = diff(desiredOf(tasks.map((t) => t.goal)), observed);
  if (all.obstacles.refusals.length === 0) return { difference: all, tasks };
  const free = tasks.filter((task) => {
    const { refusals } = diff(desiredOf([task.goal]), observed).obstacles;
    if (refusals.length > 0) failed(task, refusals, host);
    return refusals.length === 0;
  });
  if (free.length === 0) return undefined;
  return { difference: diff(desiredOf(free.map((t) => t.goal)), observed), tasks: free };
}

async function carryOut(
  { steps, obstacles }: Difference,
  tasks: readonly Task[],
  drainMs: number,
  host: JobHost,
): Promise<void> {
  const nodes = new Map(tasks.map(({ node }) => [node.name, node]));
  for (const { node, goal } of tasks) {
    const changing = steps.filter((s) => s.object === node.name && s.changes);
    if (changing.length === 0 || node.settledAt !== goal.key) continue;
    const what = [...new Set(changing.map((s) => s.stage.step))].join(', ');
    host.log({ ...about(node, 'Warning', 'Drifted', `not as it was left: ${what}`) });
  }
  const tell = (name: string, step: string, outcome: StepReport['outcome'], detail: string) => {
    const node = nodes.get(name);
    if (node === undefined || outcome === 'unchanged') return;
    const bad = outcome === 'failed' || outcome === 'left';
    host.log(about(node, bad ? 'Warning' : 'Normal', reasonOf(step, outcome), detail));
  };
  const endpoints = new Map(tasks.map(({ node }) => [node.name, node.endpoint]));
  await run(steps, PHASES, endpoints, {
    tell,
    begin: async (phase, own) => {
      if (phase === 'prepare') await host.compile([...obstacles.programs.values()]);
      await announce(phase, own, nodes, host);
    },
    drain: async () => {
      for (const { node } of tasks) node.isDraining = true;
      host.changed();
      await sleep(drainMs);
      for (const { node } of tasks) node.isDraining = false;
    },
  });
}

/** What a kill interrupts was told before: the log has whatever may have been done. */
async function announce(
  phase: Phase,
  steps: readonly Step[],
  nodes: ReadonlyMap<string, ManagedNode>,
  host: JobHost,
): Promise<void> {
  const changing = steps.filter((s) => s.changes);
  for (const name of new Set(changing.map((s) => s.object))) {
    const what = new Set(changing.filter((s) => s.object === name).map((s) => s.stage.step));
    const node = nodes.get(name);
    if (node !== undefined) host.log(about(node, 'Normal', 'Changing', `${phase}: ${[...what].join(', ')}`));
  }
  if (changing.length > 0) await host.logged();
}

/** `WeightsDone`, `CurrentFailed`. */
const reasonOf = (step: string, outcome: string): string =>
  `${step.charAt(0).toUpperCase()}${step.slice(1)}${outcome.charAt(0).toUpperCase()}${outcome.slice(1)}`;

/** An event of the log about a node. */
export const about = (
  { kind, name }: Pick<ManagedNode, 'kind' | 'name'>,
  type: EventInput['type'],
  reason: string,
  message: string,
): Omit<EventInput, 'actor'> => ({ type, reason, message, object: { kind, name } });

function failed({ node, goal }: Task, diagnostics: readonly Diagnostic[], host: JobHost): void {
  const text = diagnostics.map((d) => d.message).join('; ');
  const before = node.failure?.diagnostics.map((d) => d.message).join('; ');
  node.failure = { diagnostics, goal: goal.key };
  node.settledAt = undefined;
  const delay = node.backoff.next();
  node.notBefore = host.now() + delay;
  // One that stays as it is, is told once.
  if (text !== before) host.log(about(node, 'Warning', 'NotReconciled', `${text}; tried again`));
}

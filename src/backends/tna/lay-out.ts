import { type StageUse, stageLimits } from './chips.ts';
import type { Block, Fixed, Gress, Placed, PlacedBlock, Schedule, Unit } from './units.ts';

/** Stages of a program with something that no stage holds. */
const MOST_STAGES = 200;

/** Units side by side, after all of the phase before. */
interface Phase {
  readonly units: readonly Unit[];
  /** How many may stand in a stage: each adds to another set of sums. */
  readonly sets: number;
  /** Stages that the phases after it take at least. */
  after: number;
  /** Where each unit stands. */
  readonly slots: Slot[];
  /** Places of those that do not stand yet, those first that may stand earliest. */
  readonly left: number[];
}

interface Slot {
  readonly stage: number;
  readonly set: number;
}

/** Phases of a gress, one after the other. */
interface Thread {
  readonly gress: Gress;
  readonly phases: readonly Phase[];
  /** The phase of which not all units stand. */
  at: number;
  /** The first stage that it may stand in. */
  ready: number;
  /** No phase but the first is ready earlier. */
  readonly least: number;
}

/** Phases of a block: what is found before its tables, these, and what joins their sets. */
interface BlockPhases {
  readonly finding?: Phase;
  readonly tables: Phase;
  readonly joins: readonly Phase[];
}

/**
 * Stage by stage, as the open compiler's first way to place tables: of what may stand in a stage and has room there, in ingress or in
 * egress, that comes first which is followed by the most stages.
 * @param cut how many of the blocks stand in ingress
 * @param sets of sums, by block
 */
export function layOut(
  blocks: readonly Block[],
  { before, beside }: Fixed,
  cut: number,
  sets: readonly number[],
): Omit<Schedule, 'containers'> {
  const stages = new Stages();
  for (const [stage, unit] of before.entries()) stages.place('ingress', stage, unit, unit.use);
  const made = blocks.map((block, b) => phasesOf(block, sets[b]!));
  const phases = made.map(({ finding, tables, joins }) => [
    ...(finding === undefined ? [] : [finding]),
    tables,
    ...joins,
  ]);
  const threads = [
    threadOf('ingress', phases.slice(0, cut).flat(), before.length),
    threadOf('egress', phases.slice(cut).flat(), 0),
    threadOf(
      'egress',
      beside.map((unit) => phaseOf([unit], 1)),
      0,
    ),
  ];
  for (let stage = 0; threads.some((t) => t.at < t.phases.length); stage++) {
    const placed = fillStage(stages, stage, threads);
    if (placed === 0 && threads.every((t) => isStuck(t, stage))) {
      stage = Math.max(stage, MOST_STAGES);
      for (const thread of threads) forceNext(stages, stage, thread);
    }
    for (const thread of threads) advance(thread, stage);
  }
  return {
    placed: stages.placed,
    blocks: made.map(({ tables }, b) => ({
      gress: b < cut ? 'ingress' : 'egress',
      sets: sets[b]!,
      setOf: tables.slots.map((s) => s.set),
      firsts: firstsOf(tables.slots),
    })),
    stages: {
      ingress: threads[0]!.ready,
      egress: Math.max(threads[1]!.ready, threads[2]!.ready),
    },
    uses: stages.uses,
  };
}

/** Stages in which sets of sums are added up, two by two. */
export const joinsOf = (sets: number): number => Math.ceil(Math.log2(sets));

function phasesOf({ name, first, tables, sums }: Block, sets: number): BlockPhases {
  const joins = sums === undefined ? 0 : joinsOf(sets);
  return {
    ...(first !== undefined && { finding: phaseOf(first, first.length) }),
    tables: phaseOf(tables, sets),
    joins: Array.from({ length: joins }, (_, j) =>
      phaseOf([{ name: `${name} join ${j}`, use: { tables: 1, instructions: 1 } }], 1),
    ),
  };
}

function phaseOf(units: readonly Unit[], sets: number): Phase {
  const left = units.map((_, u) => u);
  left.sort((a, b) => (units[a]!.from ?? 0) - (units[b]!.from ?? 0) || a - b);
  return { units, sets, after: 0, slots: [], left };
}

/** @param least stages that are taken before */
function threadOf(gress: Gress, phases: readonly Phase[], least: number): Thread {
  let after = 0;
  for (const phase of [...phases].reverse()) {
    phase.after = after;
    after += stagesOf(phase);
  }
  // Tables that say themselves how early they may stand may do so before all else is done.
  const isEarly = phases[0]?.units.some((u) => u.from !== undefined) === true;
  const thread = { gress, phases, at: 0, ready: isEarly ? 0 : least, least };
  skipEmpty(thread);
  return thread;
}

/** Stages that the rest of it takes at least. */
const stagesOf = ({ left, sets }: Phase): number => Math.ceil(left.length / sets);

/** @returns how many units have been placed in the stage */
function fillStage(stages: Stages, stage: number, threads: readonly Thread[]): number {
  /** Of each phase: how many stand in this stage, and how many of the rest have been looked at in vain. */
  const state = threads.map(() => ({ written: 0, tried: 0 }));
  let placed = 0;
  for (;;) {
    let best = -1;
    let most = -1;
    for (const [t, { phases, at, ready }] of threads.entries()) {
      const phase = phases[at];
      const { written, tried } = state[t]!;
      if (phase === undefined || ready > stage || written >= phase.sets || tried >= phase.left.length)
        continue;
      const follow = stagesOf(phase) + phase.after;
      if (follow > most) [best, most] = [t, follow];
    }
    if (best < 0) return placed;
    const { gress, phases, at } = threads[best]!;
    const phase = phases[at]!;
    const own = state[best]!;
    const u = phase.left[own.tried]!;
    const unit = phase.units[u]!;
    const use = (unit.from ?? 0) > stage ? undefined : stages.roomFor(stage, unit);
    if (use === undefined) {
      own.tried++;
      continue;
    }
    stages.place(gress, stage, unit, use);
    phase.slots[u] = { stage, set: shortestSet(phase, stage) };
    own.written++;
    phase.left.splice(own.tried, 1);
    placed++;
  }
}

/** The set that the fewest units add to, of those that none writes in the stage: so all are done at the same time. */
function shortestSet({ slots, sets }: Phase, stage: number): number {
  const sizes: number[] = [];
  const written = new Set<number>();
  // Not all places are taken yet.
  for (const slot of slots.filter((one) => one !== undefined)) {
    sizes[slot.set] = (sizes[slot.set] ?? 0) + 1;
    if (slot.stage === stage) written.add(slot.set);
  }
  let best = -1;
  for (let set = 0; set < sets; set++)
    if (!written.has(set) && (best < 0 || (sizes[set] ?? 0) < (sizes[best] ?? 0))) best = set;
  return best;
}

/** Whether no later stage has more room for what is next. */
const isStuck = ({ phases, at, ready }: Thread, stage: number): boolean => {
  const phase = phases[at];
  return (
    phase === undefined || (ready <= stage && phase.left.every((u) => (phase.units[u]!.from ?? 0) <= stage))
  );
};

/** What no stage holds stands behind all that a chip has. */
function forceNext(stages: Stages, stage: number, { gress, phases, at }: Thread): void {
  const phase = phases[at];
  const u = phase?.left.shift();
  if (phase === undefined || u === undefined) return;
  const unit = phase.units[u]!;
  stages.place(gress, stage, unit, unit.use);
  phase.slots[u] = { stage, set: 0 };
}

/** Goes on to the next phase once all of this one stands. */
function advance(thread: Thread, stage: number): void {
  const phase = thread.phases[thread.at];
  if (phase === undefined || phase.left.length > 0) return;
  thread.at++;
  thread.ready = Math.max(thread.least, stage + 1);
  skipEmpty(thread);
}

function skipEmpty(thread: Thread): void {
  while (thread.phases[thread.at]?.left.length === 0) thread.at++;
}

/** The table of each set that stands first. */
function firstsOf(slots: readonly Slot[]): PlacedBlock['firsts'] {
  const firsts = new Map<number, number>();
  for (const [t, { stage, set }] of slots.entries()) {
    const known = firsts.get(set);
    if (known === undefined || slots[known]!.stage > stage) firsts.set(set, t);
  }
  return [...firsts.values()];
}

const resources = Object.keys(stageLimits) as readonly (keyof StageUse)[];

const noUse = (): StageUse => Object.fromEntries(resources.map((r) => [r, 0])) as StageUse;

/** What stands in each stage. */
class Stages {
  readonly uses: StageUse[] = [];
  readonly placed: Placed[] = [];

  /** @returns what it would take of a stage; undefined where there is no room */
  roomFor(stage: number, { use, otherwise }: Unit): Partial<StageUse> | undefined {
    const there = this.#at(stage);
    const fits = (more: Partial<StageUse>) =>
      resources.every((r) => there[r] + (more[r] ?? 0) <= stageLimits[r]);
    if (fits(use)) return use;
    return otherwise !== undefined && fits(otherwise) ? otherwise : undefined;
  }

  place(gress: Gress, stage: number, { name }: Unit, use: Partial<StageUse>): void {
    const there = this.#at(stage);
    for (const r of resources) there[r] += use[r] ?? 0;
    if (use.tables !== undefined) this.placed.push({ name, gress, stage, use });
  }

  #at(stage: number): StageUse {
    while (this.uses.length <= stage) this.uses.push(noUse());
    return this.uses[stage]!;
  }
}

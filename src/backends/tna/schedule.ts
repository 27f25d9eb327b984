import { type Chip, type StageUse, stageLimits } from './chips.ts';

/** Which of the two runs through the stages a packet is in: they share each stage. */
export type Gress = 'ingress' | 'egress';

/** What must stand in one stage. */
export interface Unit {
  readonly name: string;
  readonly use: Partial<StageUse>;
  /** Earliest stage, where what it reads is there before or after all that stands before its block. */
  readonly from?: number;
}

/** A layer: tables in any order, each adding to one of several sets of sums, then the sets added up, two by two. */
export interface Block {
  readonly name: string;
  /** What its tables read is found before them, in any order. */
  readonly first?: Finding;
  readonly tables: readonly Unit[];
  /** Containers of one set of sums; undefined where all tables may stand side by side. */
  readonly sums?: { readonly wide: number; readonly half: number };
}

/** Tables side by side, and the containers that they set. */
export interface Finding {
  readonly tables: readonly Unit[];
  readonly containers: { readonly wide: number; readonly half: number };
}

/** A unit in its stage, counted from 0. */
export interface Placed {
  readonly name: string;
  readonly gress: Gress;
  readonly stage: number;
  readonly use: Partial<StageUse>;
}

/** How the tables of a layer are divided among sets of sums. */
export interface PlacedBlock {
  readonly gress: Gress;
  /** Sets of sums, a power of two. */
  readonly sets: number;
  /** Set of each table, in the order of the block. */
  readonly setOf: readonly number[];
  /** Order in which the tables of a set run; the first of each sets the sums. */
  readonly firsts: readonly number[];
}

/** Where everything of a program stands. */
export interface Schedule {
  readonly placed: readonly Placed[];
  readonly blocks: readonly PlacedBlock[];
  /** Stages that each gress needs; more than the chip has is a refusal. */
  readonly stages: Readonly<Record<Gress, number>>;
  /** What each stage is used for in all, by both gresses. */
  readonly uses: readonly StageUse[];
  /** Containers of 32 and of 16 bits that hold sums, of both gresses together. */
  readonly containers: { readonly wide: number; readonly half: number };
}

/** Stages beyond which nothing is searched. */
const MOST_STAGES = 200;

/** Numbers of sets that are kept while they are chosen, those of the fewest containers: a program of many layers has 5^layers. */
const MOST_WAYS = 4096;
/** Layouts that are made to find one that fits. */
const MOST_TRIES = 1000;
/** Blocks up to which the one of the fewest stages is searched even where none can fit. */
const SEARCHED_BLOCKS = 8;

const noUse = (): StageUse => ({
  sram: 0,
  tcam: 0,
  tables: 0,
  ternaryTables: 0,
  hashBits: 0,
  busBytes: 0,
  halfSlots: 0,
  instructions: 0,
  keyGroups: 0,
  alus: 0,
  mapRams: 0,
});

const resources = Object.keys(stageLimits) as readonly (keyof StageUse)[];

/** Sets of sums that are tried: more take fewer stages to add to, but more containers and stages to join. */
const SETS = [1, 2, 3, 4, 8] as const;

/** More stages than any two gresses have together. */
const ANY_STAGES = 2 ** 20;

/** How far from what the chip has: by the longer gress, then by both. */
const distanceOf = (ingress: number, egress: number, chip: Chip): number =>
  Math.max(ingress, egress, chip.stages) * ANY_STAGES + ingress + egress;

/**
 * Of the ways to cut the blocks into ingress and egress, and of the numbers of sets, the one of the fewest containers that fits,
 * or else the one of the fewest stages.
 * @param layers how many of the blocks may stand in ingress; what follows them is egress' own
 */
export function schedule(
  chip: Chip,
  blocks: readonly Block[],
  layers: number,
  before: readonly Unit[],
): Schedule {
  const ways = choices(chip, blocks);
  const cuts = Array.from({ length: Math.max(1, layers) }, (_, i) => layers - i);
  const firstStage = Math.min(
    before.length,
    ...((blocks[0]?.first ?? blocks[0])?.tables.map((t) => t.from ?? before.length) ?? []),
  );
  const costs = blocks.map(stageCosts);
  const least = (sets: readonly number[], cut: number) => leastDistance(costs, firstStage, cut, sets, chip);
  if (blocks.length > SEARCHED_BLOCKS) {
    // None of many layers fits by far: what comes nearest is laid out, to tell what it needs.
    const half = cuts[cuts.length >> 1]!;
    const sets = nearestOf(ways, (way) => least(way, half));
    const cut = nearestOf(cuts, (at) => least(sets, at));
    const stages = costs.reduce((n, own, b) => n + own[sets[b]!]!, firstStage);
    if (stages > 2 * chip.stages)
      return { ...scheduleCut(blocks, before, cut, sets, 'egress'), containers: containersOf(blocks, sets) };
  }
  let best: Schedule | undefined;
  let nearest = Number.POSITIVE_INFINITY;
  let tries = 0;
  for (const sets of ways)
    for (const cut of cuts) {
      if (best !== undefined && (tries >= MOST_TRIES || least(sets, cut) >= nearest)) continue;
      // The gress that is laid out first takes what it wants of the stages that both share.
      for (const first of ['egress', 'ingress'] as const) {
        const made = {
          ...scheduleCut(blocks, before, cut, sets, first),
          containers: containersOf(blocks, sets),
        };
        tries++;
        if (Math.max(made.stages.ingress, made.stages.egress) <= chip.stages) return made;
        const distance = distanceOf(made.stages.ingress, made.stages.egress, chip);
        if (distance >= nearest) continue;
        best = made;
        nearest = distance;
      }
    }
  return best!;
}

/** The first of those of the least distance. */
function nearestOf<T>(all: readonly T[], distance: (one: T) => number): T {
  let best: T = all[0]!;
  let least = Number.POSITIVE_INFINITY;
  for (const one of all) {
    const own = distance(one);
    if (own >= least) continue;
    best = one;
    least = own;
  }
  return best;
}

/** Stages that a block takes at least, by the number of its sets: each is added to once a stage, and joined behind it. */
function stageCosts({ first, tables, sums }: Block): readonly number[] {
  const most = Math.max(...SETS, tables.length);
  return Array.from({ length: most + 1 }, (_, own) => {
    const joins = sums === undefined ? 0 : joinsOf(Math.max(1, own));
    return (first === undefined ? 0 : 1) + Math.ceil(tables.length / Math.max(1, own)) + joins;
  });
}

/**
 * How near to what the chip has no layout comes more: of the stages that it cannot do with less of.
 * @param costs `stageCosts` of each block; thousands of ways are asked for
 */
function leastDistance(
  costs: readonly (readonly number[])[],
  before: number,
  cut: number,
  sets: readonly number[],
  chip: Chip,
): number {
  let [ingress, egress] = [before, 0];
  for (let b = 0; b < costs.length; b++) {
    const own = costs[b]![sets[b]!]!;
    if (b < cut) ingress += own;
    else egress += own;
  }
  return distanceOf(ingress, egress, chip);
}

/** Stages in which sets of sums are added up, two by two. */
const joinsOf = (sets: number): number => Math.ceil(Math.log2(sets));

/** Numbers of sets of all blocks whose containers the chip has, fewest first; if there are none, a set each. */
function choices(chip: Chip, blocks: readonly Block[]): readonly (readonly number[])[] {
  const found = foundContainers(blocks);
  const sizes = blocks.map(({ sums, tables }) => [sums?.wide, sums?.half, tables.length]);
  // A planner lays out thousands of segments, of which most have blocks of the same sizes.
  const key = JSON.stringify([chip.wideContainers, chip.halfContainers, found, sizes]);
  const known = chosen.get(key);
  if (known !== undefined) return known;
  const made = choose(chip, blocks, found);
  if (chosen.size >= MOST_KNOWN) chosen.clear();
  chosen.set(key, made);
  return made;
}

/** What has been chosen. */
const chosen = new Map<string, readonly (readonly number[])[]>();

/** Sizes of blocks that are remembered, of up to `MOST_WAYS` ways each. */
const MOST_KNOWN = 64;

function choose(
  chip: Chip,
  blocks: readonly Block[],
  found: Schedule['containers'],
): readonly (readonly number[])[] {
  let made: readonly Choice[] = [{ sets: [], ...found }];
  for (const { sums, tables } of blocks) {
    const options =
      sums === undefined
        ? [tables.length]
        : SETS.filter((n) => n <= Math.max(1, Math.ceil(tables.length / 2)));
    const { wide: ownWide, half: ownHalf } = sums ?? { wide: 0, half: 0 };
    made = made.flatMap(({ sets, wide, half }) =>
      options.flatMap((n): Choice[] => {
        const more = { wide: wide + n * ownWide, half: half + n * ownHalf };
        const fits = more.wide <= chip.wideContainers && more.half <= chip.halfContainers;
        return fits ? [{ sets: [...sets, n], ...more }] : [];
      }),
    );
    if (made.length > MOST_WAYS) made = [...made].sort(bySize).slice(0, MOST_WAYS);
  }
  if (made.length > 0) return [...made].sort(bySize).map(({ sets }) => sets);
  return [blocks.map(({ sums, tables }) => (sums === undefined ? tables.length : 1))];
}

/** Numbers of sets of the first blocks, and the containers of them all. */
interface Choice {
  readonly sets: readonly number[];
  readonly wide: number;
  readonly half: number;
}

const bySize = (a: Choice, b: Choice): number => sizeOf(a) - sizeOf(b);

/**
 * Containers that arithmetic writes. Within a gress those of a layer whose sums are no longer read could serve again, which the
 * compiler rarely does: all are counted.
 */
function containersOf(blocks: readonly Block[], sets: readonly number[]): Schedule['containers'] {
  const total = (kind: 'wide' | 'half') =>
    blocks.reduce((n, { sums }, b) => n + (sums === undefined ? 0 : sums[kind] * sets[b]!), 0);
  const found = foundContainers(blocks);
  return { wide: found.wide + total('wide'), half: found.half + total('half') };
}

/** Containers of what is found before the tables of blocks. */
const foundContainers = (blocks: readonly Block[]): Schedule['containers'] => ({
  wide: blocks.reduce((n, { first }) => n + (first?.containers.wide ?? 0), 0),
  half: blocks.reduce((n, { first }) => n + (first?.containers.half ?? 0), 0),
});

const sizeOf = ({ wide, half }: Schedule['containers']): number => 2 * wide + half;

function scheduleCut(
  blocks: readonly Block[],
  before: readonly Unit[],
  cut: number,
  sets: readonly number[],
  first: Gress,
): Omit<Schedule, 'containers'> {
  const uses: StageUse[] = [];
  const placed: Placed[] = [];
  const useOf = (stage: number): StageUse => {
    while (uses.length <= stage) uses.push(noUse());
    return uses[stage]!;
  };
  const place = (gress: Gress, stage: number, { name, use }: Unit): void => {
    for (const r of resources) useOf(stage)[r] += use[r] ?? 0;
    placed.push({ name, gress, stage, use });
  };
  const next = { ingress: 0, egress: 0 };
  for (const unit of before) place('ingress', next.ingress++, unit);
  const made: PlacedBlock[] = [];
  const layOut = (b: number): void => {
    const block = blocks[b]!;
    const gress: Gress = b < cut ? 'ingress' : 'egress';
    let start = startOf(block.tables, next[gress]);
    if (block.first !== undefined) {
      const { tables } = block.first;
      const found = placeTables(tables, startOf(tables, next[gress]), tables.length, useOf);
      for (const [t, { stage }] of found.entries()) place(gress, stage, tables[t]!);
      start = Math.max(next[gress], ...found.map((s) => s.stage + 1));
    }
    const at = placeTables(block.tables, start, sets[b]!, useOf);
    const firsts = new Map<number, number>();
    for (const [t, slot] of at.entries()) {
      place(gress, slot.stage, block.tables[t]!);
      const known = firsts.get(slot.set);
      if (known === undefined || at[known]!.stage > slot.stage) firsts.set(slot.set, t);
    }
    const joins = block.sums === undefined ? 0 : joinsOf(sets[b]!);
    const end = Math.max(next[gress], ...at.map((s) => s.stage + 1)) + joins;
    for (let j = 0; j < joins; j++)
      place(gress, end - joins + j, { name: `${block.name} join ${j}`, use: { tables: 1, instructions: 1 } });
    next[gress] = end;
    made[b] = { gress, sets: sets[b]!, setOf: at.map((s) => s.set), firsts: [...firsts.values()] };
  };
  const all = blocks.map((_, b) => b);
  const [ingress, egress] = [all.slice(0, cut), all.slice(cut)];
  for (const b of first === 'ingress' ? [...ingress, ...egress] : [...egress, ...ingress]) layOut(b);
  return {
    placed,
    blocks: made,
    stages: { ingress: next.ingress, egress: next.egress },
    uses,
  };
}

interface Slot {
  readonly stage: number;
  readonly set: number;
}

/** Tables that say themselves how early they may stand may do so before all else is done. */
const startOf = (tables: readonly Unit[], next: number): number =>
  tables.some((t) => t.from !== undefined) ? 0 : next;

/** The earliest stage that has room for each table, and a set that is not yet written there. */
function placeTables(
  tables: readonly Unit[],
  from: number,
  sets: number,
  useOf: (stage: number) => StageUse,
): readonly Slot[] {
  const trial = new Map<number, { written: number; added: StageUse }>();
  const slots: Slot[] = [];
  // Those that may stand earliest first.
  const order = tables.map((_, t) => t);
  order.sort((a, b) => (tables[a]!.from ?? 0) - (tables[b]!.from ?? 0) || a - b);
  const slotOf = ({ use, from: earliest = from }: Unit): Slot => {
    for (let stage = earliest; stage < MOST_STAGES; stage++) {
      const t = trial.get(stage) ?? { written: 0, added: noUse() };
      const there = useOf(stage);
      if (t.written >= sets || resources.some((r) => there[r] + t.added[r] + (use[r] ?? 0) > stageLimits[r]))
        continue;
      for (const r of resources) t.added[r] += use[r] ?? 0;
      trial.set(stage, { written: t.written + 1, added: t.added });
      return { stage, set: t.written };
    }
    return { stage: MOST_STAGES, set: 0 };
  };
  for (const t of order) slots[t] = slotOf(tables[t]!);
  return slots;
}

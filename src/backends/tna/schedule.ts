import { type Chip, type StageUse, stageLimits } from './chips.ts';

export type Gress = 'ingress' | 'egress';

/** What must stand in one stage. */
export interface Unit {
  readonly name: string;
  readonly use: Partial<StageUse>;
}

/** A layer: tables in any order, each adding to one of several sets of sums, then the sets added up, two by two. */
export interface Block {
  readonly name: string;
  readonly tables: readonly Unit[];
  /** Whether its tables add to sums, of which a set is written once a stage; else all may stand side by side. */
  readonly sums: boolean;
}

export interface Placed {
  readonly name: string;
  readonly gress: Gress;
  readonly stage: number;
  readonly use: Partial<StageUse>;
}

export interface PlacedBlock {
  readonly gress: Gress;
  /** Sets of sums, a power of two. */
  readonly sets: number;
  /** Set of each table, in the order of the block. */
  readonly setOf: readonly number[];
  /** Order in which the tables of a set run; the first of each sets the sums. */
  readonly firsts: readonly number[];
}

export interface Schedule {
  readonly placed: readonly Placed[];
  readonly blocks: readonly PlacedBlock[];
  /** Stages that each gress needs; more than the chip has is a refusal. */
  readonly stages: Readonly<Record<Gress, number>>;
  /** What each stage is used for in all, by both gresses. */
  readonly uses: readonly StageUse[];
}

/** Stages beyond which nothing is searched. */
const MOST_STAGES = 200;

const noUse = (): StageUse => ({
  sram: 0,
  tcam: 0,
  tables: 0,
  ternaryTables: 0,
  hashBits: 0,
  busBytes: 0,
  instructions: 0,
});

const resources = Object.keys(stageLimits) as readonly (keyof StageUse)[];

/**
 * Of the ways to cut the blocks into ingress and egress, the one that needs the fewest stages of its longer half.
 * @param layers how many of the blocks may stand in ingress; what follows them is egress' own
 */
export function schedule(
  chip: Chip,
  blocks: readonly Block[],
  layers: number,
  before: readonly Unit[],
): Schedule {
  let best: Schedule | undefined;
  for (let cut = layers; cut >= Math.min(1, layers); cut--) {
    const made = scheduleCut(blocks, before, cut);
    const longest = (s: Schedule) => Math.max(s.stages.ingress, s.stages.egress);
    if (best === undefined || longest(made) < longest(best)) best = made;
    // One gress is less to bridge.
    if (cut === layers && longest(made) <= chip.stages) break;
  }
  return best!;
}

function scheduleCut(blocks: readonly Block[], before: readonly Unit[], cut: number): Schedule {
  const uses: StageUse[] = [];
  const placed: Placed[] = [];
  const useOf = (stage: number): StageUse => {
    while (uses.length <= stage) uses.push(noUse());
    return uses[stage]!;
  };
  const fits = (stage: number, use: Partial<StageUse>): boolean =>
    resources.every((r) => useOf(stage)[r] + (use[r] ?? 0) <= stageLimits[r]);
  const place = (gress: Gress, stage: number, { name, use }: Unit): void => {
    for (const r of resources) useOf(stage)[r] += use[r] ?? 0;
    placed.push({ name, gress, stage, use });
  };
  const next = { ingress: 0, egress: 0 };
  for (const unit of before) place('ingress', next.ingress++, unit);
  const made: PlacedBlock[] = [];
  for (const [b, block] of blocks.entries()) {
    const gress: Gress = b < cut ? 'ingress' : 'egress';
    let best: { end: number; sets: number; at: readonly Slot[] } | undefined;
    for (const sets of block.sums ? [1, 2, 4, 8] : [block.tables.length]) {
      if (sets > Math.max(1, block.tables.length)) break;
      const at = placeTables(block, next[gress], sets, useOf, fits);
      const last = Math.max(next[gress], ...at.map((s) => s.stage + 1));
      const end = last + (block.sums ? Math.ceil(Math.log2(sets)) : 0);
      if (best === undefined || end < best.end) best = { end, sets, at };
    }
    const firsts = new Map<number, number>();
    for (const [t, slot] of best!.at.entries()) {
      place(gress, slot.stage, block.tables[t]!);
      const known = firsts.get(slot.set);
      if (known === undefined || best!.at[known]!.stage > slot.stage) firsts.set(slot.set, t);
    }
    const joins = block.sums ? Math.ceil(Math.log2(best!.sets)) : 0;
    for (let j = 0; j < joins; j++)
      place(gress, best!.end - joins + j, {
        name: `${block.name} join ${j}`,
        use: { tables: 1, instructions: 1 },
      });
    next[gress] = best!.end;
    const setOf = best!.at.map((s) => s.set);
    made.push({ gress, sets: best!.sets, setOf, firsts: [...firsts.values()] });
  }
  return { placed, blocks: made, stages: { ingress: next.ingress, egress: next.egress }, uses };
}

interface Slot {
  readonly stage: number;
  readonly set: number;
}

/** The earliest stage that has room for each table, and a set that is not yet written there. */
function placeTables(
  block: Block,
  from: number,
  sets: number,
  useOf: (stage: number) => StageUse,
  fits: (stage: number, use: Partial<StageUse>) => boolean,
): readonly Slot[] {
  const trial = new Map<number, { written: number; added: StageUse }>();
  return block.tables.map(({ use }) => {
    for (let stage = from; stage < MOST_STAGES; stage++) {
      const t = trial.get(stage) ?? { written: 0, added: noUse() };
      const together = Object.fromEntries(resources.map((r) => [r, t.added[r] + (use[r] ?? 0)]));
      if (t.written >= sets || !fits(stage, together)) continue;
      useOf(stage);
      for (const r of resources) t.added[r] += use[r] ?? 0;
      trial.set(stage, { written: t.written + 1, added: t.added });
      return { stage, set: t.written };
    }
    return { stage: MOST_STAGES, set: 0 };
  });
}

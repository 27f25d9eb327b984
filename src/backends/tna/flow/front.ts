import type { FeatureDefinition } from '../../../features/definition.ts';
import { type CoveredLevel, cover } from '../../../passes/tables/cover.ts';
import { SRAM_BITS, SRAM_ROWS, type StageUse, stageLimits, TCAM_BITS, TCAM_ROWS } from '../chips.ts';
import type { Unit } from '../units.ts';
import type { FlowRegister } from './registers.ts';
import type { Duration, FunctionTable } from './sources.ts';

/** Something that ingress does before the network, in a stage. */
export interface Placed {
  readonly name: string;
  readonly stage: number;
}

/** Bits of a word of two halves. */
export const PAIR_BITS = 64;

/** Blocks of memory of a register, with the one that stateful memory keeps spare. */
export const registerBlocks = (flows: number, bits: number): number =>
  Math.ceil((flows * bits) / (SRAM_ROWS * SRAM_BITS)) + 1;

const registerUse = (flows: number, bits: number): Partial<StageUse> => {
  const blocks = registerBlocks(flows, bits);
  // Beside it the table of its actions, which is found by a hash.
  return { tables: 1, sram: blocks, mapRams: blocks, alus: 1, hashBits: Math.log2(flows) + 8 };
};

/** Entries of a function, as prefixes of its number. */
export function functionRows(t: FunctionTable): readonly CoveredLevel[] {
  const known = covered.get(t);
  if (known !== undefined) return known;
  const made = cover(t.key.bits, t.pieces);
  covered.set(t, made);
  return made;
}

/** What has been found: a layout asks for it many times. */
const covered = new WeakMap<FunctionTable, readonly CoveredLevel[]>();

function functionUse(t: FunctionTable): Partial<StageUse> {
  const rows = functionRows(t).length;
  const wide = Math.ceil((t.key.bits + (t.beyond === undefined ? 0 : 16)) / TCAM_BITS);
  return {
    tables: 1,
    ternaryTables: 1,
    tcam: Math.ceil(rows / TCAM_ROWS) * wide,
    sram: Math.ceil((rows * Math.ceil(t.bits / 8) * 8) / (SRAM_ROWS * SRAM_BITS)) + 1,
    busBytes: Math.ceil(t.bits / 8),
    instructions: 1,
  };
}

const PREPARATION: Partial<StageUse> = { tables: 3, sram: 2, busBytes: 4, hashBits: 10, instructions: 12 };
const ORDER: Partial<StageUse> = {
  tables: 1,
  ternaryTables: 1,
  tcam: 2,
  sram: 1,
  busBytes: 4,
  instructions: 4,
};

/** What depends on the definition. */
interface Parts {
  readonly registers: readonly FlowRegister[];
  readonly tables: readonly FunctionTable[];
  readonly durations: readonly Duration[];
}

/** Lays out what stands before the network: each thing as early as what it reads and what a stage has let it. */
export function layOutFront(
  definition: FeatureDefinition,
  pairs: number,
  { registers, tables, durations }: Parts,
): { readonly units: readonly Unit[]; readonly placed: readonly Placed[] } {
  const { flows } = definition.table;
  const uses: Partial<StageUse>[] = [];
  const placed: Placed[] = [];
  const place = (name: string, from: number, use: Partial<StageUse>): number => {
    let stage = from;
    if (!hasRoom({}, use)) throw new Error(`${name} fits no stage`);
    while (!hasRoom(uses[stage] ?? {}, use)) stage++;
    while (uses.length <= stage) uses.push({});
    for (const [r, n] of Object.entries(use) as [keyof StageUse, number][])
      uses[stage]![r] = (uses[stage]![r] ?? 0) + n;
    placed.push({ name, stage });
    return stage;
  };
  place('prepare', 0, PREPARATION);
  // Source and destination in the order of the key; then hashes of it.
  const ordered = definition.key.bothWays ? place('order', 1, ORDER) : 0;
  const hashed = place('find', ordered + 1, { tables: 2, hashBits: 32 + Math.log2(flows), instructions: 2 });
  const claimed = place('claim', hashed + 1, registerUse(flows, PAIR_BITS));
  const told = place('tell', claimed + 1, { tables: 2, instructions: 2 });
  let known = told;
  for (let pair = 0; pair < pairs; pair++)
    known = Math.max(known, place(`key_${pair}`, told + 1, registerUse(flows, PAIR_BITS)));
  const stageOf = (name: string | undefined): number =>
    name === undefined ? 0 : placed.find((p) => p.name === name)!.stage;
  const table = (name: string | undefined): void => {
    const found = tables.find((t) => t.name === name);
    if (found === undefined || placed.some((p) => p.name === name)) return;
    place(found.name, stageOf(found.after) + 1, functionUse(found));
  };
  for (const r of registers) {
    const reads = [r.operand.after, r.condition?.after];
    for (const name of reads) table(name);
    place(r.name, Math.max(known, ...reads.map(stageOf)) + 1, registerUse(flows, r.bits));
  }
  for (const d of durations) {
    const after = Math.max(stageOf(`${d.register}_low`), stageOf(`${d.register}_high`));
    place(d.name, after + 1, { tables: 1, instructions: 2 });
  }
  for (const t of tables) table(t.name);
  return { units: uses.map((use, stage) => ({ name: `flow stage ${stage}`, use })), placed };
}

const hasRoom = (there: Partial<StageUse>, use: Partial<StageUse>): boolean =>
  (Object.keys(use) as (keyof StageUse)[]).every((r) => (there[r] ?? 0) + use[r]! <= stageLimits[r]);

/** Registers that a stage alone cannot hold. */
export const tooLarge = (flows: number, registers: readonly Pick<FlowRegister, 'bits'>[]): boolean =>
  [PAIR_BITS, ...registers.map((r) => r.bits)].some(
    (bits) => registerBlocks(flows, bits) > stageLimits.mapRams,
  );

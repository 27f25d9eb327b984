import type { TableProgram } from '../../passes/tables/program.ts';
import {
  IMMEDIATE_BITS,
  SRAM_BITS,
  SRAM_ROWS,
  type StageUse,
  TCAM_BITS,
  TCAM_BYTES,
  TCAM_ROWS,
} from './chips.ts';
import { clash, familyOf, HALF, roundsOf, type TnaLayer, type TnaTable, VERSIONS } from './layers.ts';
import type { Block, Fixed, Unit } from './units.ts';

/** What a program lays out over the stages, and what each table takes of one. */

/** What stands before the network where its inputs are no bytes of a request: features that ingress makes. */
export interface Front {
  /** One a stage, from the first. */
  readonly units: readonly Unit[];
  /** Bytes that egress parses beside the sums. */
  readonly parsedBytes: number;
  /** P4 of an input. */
  input(element: number): string;
  /** The first stage that can read it. */
  inputStage(element: number): number;
  /** What egress does with the class, a stage each. */
  readonly behind: readonly Unit[];
  /** P4 of the field that gets the class. */
  readonly answer: { readonly class: string };
}

/** Which version a request asks for, and where it goes. */
const FORWARDING: readonly Unit[] = [
  { name: 'models', use: { tables: 3, sram: 5, hashBits: 20, busBytes: 5, halfSlots: 2, instructions: 4 } },
];

/** What egress makes of headers: an answer, which the condition of the checksum waits for, and it for that. */
const ANSWERING: readonly Unit[] = [
  { name: 'answer', use: { tables: 1, sram: 1, busBytes: 6, halfSlots: 1, instructions: 8 } },
  { name: 'is answered', use: {} },
  { name: 'checksum', use: { tables: 1, sram: 1, instructions: 1 } },
];

/** What stands before the layers and beside them. */
export const fixedOf = (front: Front | undefined): Fixed =>
  front === undefined ? { before: FORWARDING, beside: ANSWERING } : { before: front.units, beside: [] };

/** What is to be laid out: a block a layer, then what makes the answer, and what is done with it. */
export function blocksOf(
  program: TableProgram,
  layers: readonly TnaLayer[],
  outputs: readonly TnaTable[],
  front: Front | undefined,
): readonly Block[] {
  const behind = front?.behind.map((unit): Block => ({ name: unit.name, tables: [unit] })) ?? [];
  return [...layerBlocks(layers, front), ...answerBlocks(program, layers, outputs), ...behind];
}

function layerBlocks(layers: readonly TnaLayer[], front: Front | undefined): Block[] {
  return layers.map((l) => ({
    name: `layer ${l.layer}`,
    sums: { wide: l.wordBits === 32 ? l.words : 0, half: l.wordBits === 16 ? l.words : 0 },
    ...(l.finding.length > 0 && {
      first: l.finding.map((t) => unitOf(t, codeData(t), front)),
    }),
    tables: l.tables.map((t) => unitOf(t, wordData(l.words, l.wordBits), front)),
  }));
}

/** One table an element of the output, or what tells the class. */
function answerBlocks(
  program: TableProgram,
  layers: readonly TnaLayer[],
  outputs: readonly TnaTable[],
): Block[] {
  const blocks: Block[] = [];
  const looked = outputs.filter((t) => t.keys[0]!.source !== undefined && t.rows.length > 0);
  if (looked.length > 0)
    blocks.push({
      name: 'outputs',
      tables: looked.map((t) => unitOf(t, wordData(1, 8), undefined)),
    });
  if (program.verdict === undefined) return blocks;
  const pairs = (outputs.length * (outputs.length - 1)) / 2;
  const last = layers.at(-1);
  if (last?.toLargest === true) blocks.push(...largestBlocks(outputs.length));
  else if (last?.differences !== true)
    blocks.push({
      name: 'comparisons',
      tables: [{ name: 'compare', use: { tables: 1, instructions: pairs } }],
    });
  const compared = program.comparedSums === undefined || last === undefined ? HALF : last.wordBits;
  const width = Math.ceil(
    last?.toLargest === true ? (outputs.length * compared) / 8 / TCAM_BYTES : pairs / signsOfGroup(compared),
  );
  const tell = {
    tables: 1,
    ternaryTables: 1,
    tcam: width,
    keyGroups: width,
    sram: 1,
    busBytes: 2,
    // Class and margin are written as one.
    halfSlots: 1,
    instructions: 1,
  };
  blocks.push({ name: 'class', tables: [{ name: 'classes', use: tell }] });
  return blocks;
}

/**
 * Sign bits that a group of a ternary key takes: each is in the uppermost byte of its container, which of the five bytes of a group, and
 * of the one that two groups share, reaches only those of its own number.
 */
const signsOfGroup = (wordBits: number): number => (wordBits === HALF ? 3.5 : 1.5);

/** The largest of the sums is found by rounds of two at a time, then each one's distance to it. */
const largestBlocks = (outputs: number): Block[] => [
  ...Array.from({ length: roundsOf(outputs) }, (_, round) => ({
    name: `largest ${round}`,
    tables: [
      { name: `larger_${round}`, use: { tables: 1, instructions: Math.ceil(outputs / 2 ** (round + 1)) } },
    ],
  })),
  { name: 'distances', tables: [{ name: 'subtract_largest', use: { tables: 1, instructions: outputs } }] },
];

/** Of a table of features: it may stand before others are made. */
function earliest({ keys }: TnaTable, front: Front | undefined): { from?: number } {
  const bytes = keys.flatMap(({ source }) => (source?.kind === 'byte' ? [source.element] : []));
  return front === undefined || bytes.length === 0
    ? {}
    : { from: Math.max(...bytes.map((e) => front.inputStage(e))) };
}

/** In P4 and P4Info alike. */
export const tableName = (table: TnaTable): string => `${familyOf(table)}_${table.layer}_${table.index}`;

/** What the actions of a table are given. */
interface ActionData {
  readonly bits: number;
  /** Places of 16 bits of the bus. */
  readonly halfSlots: number;
  readonly words: number;
}

const wordData = (words: number, wordBits: number): ActionData => ({
  bits: words * wordBits,
  // They come from memory by fours.
  halfSlots: wordBits === HALF ? HALVES_TOGETHER * Math.ceil(words / HALVES_TOGETHER) : 0,
  words,
});

/** Words of 16 bits that stand side by side on the bus, as they do in memory. */
const HALVES_TOGETHER = 4;

/** A word of codes of each size has a place of that size on the bus. */
export function codeData({ result }: TnaTable): ActionData {
  const words = result.kind === 'codes' ? result.words : [];
  return {
    bits: words.reduce((n, w) => n + w.bits, 0),
    halfSlots: words.filter((w) => w.bits === HALF).length,
    words: words.length,
  };
}

/**
 * Blocks side by side for a key of so many codes. The bit of the version is beside the codes of a block, but not of the only one, where
 * the chip's own bits are.
 */
const codesWidth = (codes: number): number =>
  Math.max(Math.ceil(codes / TCAM_BYTES), codes < TCAM_BYTES ? 1 : 2);

/** A table with what it takes of its stage, with all versions. */
function unitOf(t: TnaTable, data: ActionData, front: Front | undefined): Unit {
  const rows = t.rows.length * VERSIONS;
  const keyBits = t.keys.reduce((n, k) => n + k.bits, 0) + 1;
  const inMemory = Math.ceil(data.bits / SRAM_BITS) * Math.ceil(rows / SRAM_ROWS);
  const besideMatch = data.bits <= IMMEDIATE_BITS ? 0 : inMemory;
  const common: Partial<StageUse> = {
    tables: 1,
    busBytes: data.bits / 8,
    halfSlots: data.halfSlots,
    instructions: data.words,
  };
  const unit = { name: tableName(t), ...earliest(t, front) };
  if (!t.isTernary) {
    // The key is the address of action data, where a unit hashes it to one; else it is matched in memory.
    const exact = { ...common, hashBits: keyBits };
    return {
      ...unit,
      use: { ...exact, sram: inMemory, hashUnits: 1 },
      otherwise: { ...exact, sram: besideMatch + Math.ceil(rows / SRAM_ROWS) },
    };
  }
  const isTree = familyOf(t) === 'tree';
  const clashing = t.keys.length === 2 && clash(t.keys[0]!, t.keys[1]!) ? 2 : 1;
  const width = isTree ? codesWidth(t.keys.length) : Math.max(Math.ceil(keyBits / TCAM_BITS), clashing);
  const use = {
    ...common,
    // A match in TCAM has a table of addresses.
    sram: besideMatch + Math.ceil(rows / (2 * SRAM_ROWS)),
    tcam: Math.ceil(rows / TCAM_ROWS) * width,
    ternaryTables: 1,
    keyGroups: isTree ? Math.ceil(t.keys.length / TCAM_BYTES) : 0,
  };
  return { ...unit, use };
}

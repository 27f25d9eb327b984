import type { Diagnostic } from '../../diagnostics/index.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementCount, elementRange, type TensorType } from '../../model/tensor.ts';
import { prefixesOf } from '../../passes/tables/activation.ts';
import type { TableProgram } from '../../passes/tables/program.ts';
import { type Need, needDiagnostics } from '../common/need.ts';
import type { ProgramOptions } from '../common/program-options.ts';
import {
  type Chip,
  SRAM_BITS,
  SRAM_ROWS,
  type StageUse,
  stageLimits,
  TCAM_BITS,
  TCAM_BYTES,
  TCAM_ROWS,
} from './chips.ts';
import {
  clash,
  familyOf,
  groupings,
  HALF,
  type Pairing,
  roundsOf,
  rowsOf,
  type TnaLayer,
  type TnaTable,
  tablesOf,
  VERSIONS,
  WORD,
} from './layers.ts';
import { type Block, type Finding, type Schedule, schedule, type Unit } from './schedule.ts';

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

type PlanOptions = Required<Pick<ProgramOptions, 'from' | 'to' | 'modelId' | 'modelVersion' | 'port'>> & {
  /** By default requests are found and forwarded. */
  readonly front?: Front;
};

/** Everything that is decided before a program is printed: tables, where they stand, and what that needs of the chip. */
export interface TnaPlan {
  readonly model: Model;
  readonly chip: Chip;
  readonly options: PlanOptions;
  readonly input: TensorType;
  readonly output: TensorType;
  readonly layers: readonly TnaLayer[];
  readonly outputs: readonly TnaTable[];
  readonly program: TableProgram;
  readonly schedule: Schedule;
  readonly needs: readonly Need[];
  readonly entries: number;
  /** What it matches by twos. */
  readonly pairing: Pairing;
}

/**
 * Lays a program of tables out over the stages of a chip. Of the ways to match activations alone or by twos it takes the one of
 * the fewest entries that fits, or else the one that comes nearest.
 * @param pairing this way alone
 */
export function planTna(
  model: Model,
  chip: Chip,
  program: TableProgram,
  options: TnaPlan['options'],
  pairing?: Pairing,
): { plan: TnaPlan; diagnostics: Diagnostic[] } {
  let nearest: { plan: TnaPlan; diagnostics: Diagnostic[] } | undefined;
  const missed = (d: { plan: TnaPlan }) =>
    d.plan.needs.reduce((n, { need, limit }) => n + Math.max(0, need / limit - 1), 0);
  for (const layers of groupings(program, chip, pairing)) {
    const plan = planLayers(model, chip, program, options, layers);
    const made = { plan, diagnostics: needDiagnostics(plan.needs, chip.name, model.file) };
    if (made.diagnostics.length === 0) return made;
    if (nearest === undefined || missed(made) < missed(nearest)) nearest = made;
  }
  return nearest!;
}

function planLayers(
  model: Model,
  chip: Chip,
  program: TableProgram,
  options: TnaPlan['options'],
  layers: readonly TnaLayer[],
): TnaPlan {
  const compared = program.verdict === undefined ? undefined : valueType(model, program.verdict).element;
  const low = compared === undefined ? 0 : elementRange(compared).lo;
  const last = layers.at(-1);
  const outputs = program.outputs.map((a, element): TnaTable => {
    const rows =
      program.comparedSums === undefined
        ? prefixesOf(a).map((p) => ({ keys: [p], values: [(a.levels[p.level]! - low) & 0xff] }))
        : [];
    const isTernary = a.source?.kind === 'sum';
    const index = (last?.layer === options.to - 1 ? tablesOf(last).length : 0) + element;
    return { layer: options.to - 1, index, keys: [a], result: { kind: 'output', element }, rows, isTernary };
  });
  const inputs = elementCount(valueType(model, options.from).shape);
  const made = schedule(
    chip,
    blocksOf(program, layers, outputs, options.front),
    layers.length,
    options.front?.units ?? FORWARDING,
  );
  const parsed = options.front?.parsedBytes ?? PARSED_HEADERS + inputs;
  const needs = [
    ...needsOf(chip, made, layers),
    ...fieldBits(chip, made, layers, parsed),
    ...parsedBytes(chip, made, layers, parsed),
  ];
  return {
    model,
    chip,
    options,
    input: valueType(model, options.from),
    output: valueType(model, options.to),
    layers,
    outputs,
    program,
    schedule: made,
    needs,
    pairing: layers.map((l) => l.paired),
    entries: rowsOf(layers) + outputs.reduce((n, t) => n + t.rows.length, 0),
  };
}

/** What is to be laid out: a block a layer, then what makes the answer. */
function blocksOf(
  program: TableProgram,
  layers: readonly TnaLayer[],
  outputs: readonly TnaTable[],
  front: Front | undefined,
): readonly Block[] {
  const blocks: Block[] = layers.map((l) => ({
    name: `layer ${l.layer}`,
    sums: { wide: l.wordBits === 32 ? l.words : 0, half: l.wordBits === 16 ? l.words : 0 },
    ...(l.finding.length > 0 && {
      first: {
        tables: l.finding.map((t) => ({ name: tableName(t), use: findingUse(t), ...earliest(t, front) })),
        containers: codeContainers(l),
      },
    }),
    tables: l.tables.map((t) => ({
      name: tableName(t),
      use: useOf(t, l.words, l.wordBits),
      ...earliest(t, front),
    })),
  }));
  const looked = outputs.filter((t) => t.keys[0]!.source !== undefined && t.rows.length > 0);
  if (looked.length > 0)
    blocks.push({
      name: 'outputs',
      tables: looked.map((t) => ({ name: tableName(t), use: useOf(t, 1, 8) })),
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
  const keyBytes = last?.toLargest === true ? (outputs.length * last.wordBits) / 8 : 0;
  const tell = {
    tables: 1,
    ternaryTables: 1,
    tcam: Math.max(Math.ceil(pairs / TCAM_BITS), Math.ceil(keyBytes / TCAM_BYTES)),
    sram: 2,
    busBytes: 1,
    instructions: 1,
  };
  blocks.push({ name: 'class', tables: [{ name: 'classes', use: tell }] });
  for (const unit of front?.behind ?? []) blocks.push({ name: unit.name, tables: [unit] });
  return blocks;
}

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

/** Containers of the codes of a layer's activations, by their bits. */
function codeContainers({ finding }: TnaLayer): Finding['containers'] {
  const words = finding.flatMap(({ result }) => (result.kind === 'codes' ? result.words : []));
  const of = (bits: number) => words.filter((w) => w.bits === bits).length;
  return { wide: of(WORD), half: of(HALF) };
}

/** What a table of codes takes of its stage: a word of each size has a place of that size on the bus. */
function findingUse(t: TnaTable): StageUse {
  const words = t.result.kind === 'codes' ? t.result.words : [];
  const bits = words.reduce((n, w) => n + w.bits, 0);
  const halfSlots = words.filter((w) => w.bits === HALF).length;
  return { ...useOf(t, bits / 8, 8), busBytes: bits / 8, halfSlots, instructions: words.length };
}

/** What stands before the layers: which version a request asks for, and where it goes. */
const FORWARDING: readonly Unit[] = [
  { name: 'models', use: { tables: 2, sram: 3, hashBits: 20, busBytes: 8, instructions: 4 } },
];

/** What a table takes of its stage, with all versions, if its action data are so many words. */
function useOf(t: TnaTable, words: number, wordBits: number): StageUse {
  const bits = words * wordBits;
  const rows = t.rows.length * VERSIONS;
  const keyBits = t.keys.reduce((n, k) => n + k.bits, 0) + 1;
  const wide = t.keys.length === 2 && clash(t.keys[0]!, t.keys[1]!) ? 2 : 1;
  const isTree = familyOf(t) === 'tree';
  const width = isTree
    ? Math.ceil(t.keys.length / TCAM_BYTES)
    : Math.max(Math.ceil(keyBits / TCAM_BITS), wide);
  const data = Math.ceil(bits / SRAM_BITS) * Math.ceil(rows / SRAM_ROWS);
  const common = {
    tables: 1,
    busBytes: bits / 8,
    halfSlots: wordBits === HALF ? words : 0,
    instructions: words,
    alus: 0,
    mapRams: 0,
  };
  // A table of a byte is a hash action: its key is the address of its action data. A match in TCAM has a table of addresses.
  return t.isTernary
    ? {
        ...common,
        sram: data + Math.ceil(rows / (2 * SRAM_ROWS)),
        tcam: Math.ceil(rows / TCAM_ROWS) * width,
        ternaryTables: 1,
        keyGroups: isTree ? width : 0,
        hashBits: 0,
      }
    : { ...common, sram: data, tcam: 0, ternaryTables: 0, keyGroups: 0, hashBits: keyBits };
}

/** Ethernet, IPv4, UDP, the header of requests, version and model version, and of the metadata of egress what is read: its port. */
const PARSED_HEADERS = 14 + 20 + 8 + 32 + 3 + 2;

/**
 * What egress parses before it may begin: the sums that cross, and other bytes, by default headers of requests and the
 * activations.
 */
function parsedBytes(chip: Chip, made: Schedule, layers: readonly TnaLayer[], others: number): Need[] {
  if (chip.egressParsed === undefined) return [];
  const crossing = bridgedLayer(made, layers);
  const sums = crossing === undefined ? 0 : (crossing.words * crossing.wordBits) / 8;
  const need = others + sums;
  return [{ resource: 'egress parser', need, limit: chip.egressParsed, unit: 'bytes', help: helpOf(layers) }];
}

/**
 * Of programs of trees: what all fields have of containers. Headers are in ingress and in egress; codes and sums in the one that looks
 * them up, finished sums in both if they cross.
 */
function fieldBits(chip: Chip, made: Schedule, layers: readonly TnaLayer[], parsed: number): Need[] {
  if (layers.every((l) => l.finding.length === 0)) return [];
  const codes = layers.flatMap((l) => l.finding).reduce((n, t) => n + 8 * findingUse(t).busBytes, 0);
  const sums = layers.reduce((n, l, i) => n + made.blocks[i]!.sets * l.words * l.wordBits, 0);
  const crossing = bridgedLayer(made, layers);
  const crossed = crossing === undefined ? 0 : crossing.words * crossing.wordBits;
  const need = codes + sums + crossed + 2 * 8 * parsed;
  return [{ resource: 'containers', need, limit: chip.phvBits, unit: 'bits', help: TREES_HELP }];
}

/** The last layer that ingress computes: its sums go on to egress. */
export function bridgedLayer({ blocks }: Schedule, layers: readonly TnaLayer[]): TnaLayer | undefined {
  return layers[blocks.slice(0, layers.length).findLastIndex((b) => b.gress === 'ingress')];
}

const TREES_HELP =
  'fewer or shallower trees, a larger --chip, or --target v1model or xdp, which have forests of any size';

const helpOf = (layers: readonly TnaLayer[]): string =>
  layers.some((l) => l.finding.length > 0) ? TREES_HELP : HELP;

const HELP =
  '--calibrate ROWS for narrower sums, fewer --levels or --entries, a larger --chip, or fewer layers with --layers A..B';

/** Each resource of the fullest stage, and the stages of both gresses. */
function needsOf(
  chip: Chip,
  { stages, uses, containers: { wide, half } }: Schedule,
  layers: readonly TnaLayer[],
): Need[] {
  const help = helpOf(layers);
  const needs: Need[] = (['ingress', 'egress'] as const).map((gress) => ({
    resource: gress,
    need: stages[gress],
    limit: chip.stages,
    unit: 'stages',
    help,
  }));
  const within = uses.slice(0, chip.stages);
  const total = (r: keyof StageUse) => uses.reduce((n, u) => n + u[r], 0);
  const of = (resource: string, r: keyof StageUse, unit: string) =>
    needs.push({ resource, need: total(r), limit: stageLimits[r] * chip.stages, unit, help });
  of('SRAM', 'sram', 'blocks');
  of('TCAM', 'tcam', 'blocks');
  of('action data bus', 'busBytes', 'bytes');
  of('hash bits', 'hashBits', 'bits');
  of('instructions', 'instructions', 'slots');
  if (total('keyGroups') > 0) of('ternary keys', 'keyGroups', 'groups of 5 bytes');
  const most = Math.max(0, ...within.map((u) => u.tables));
  needs.push({
    resource: 'tables of a stage',
    need: most,
    limit: stageLimits.tables,
    unit: 'tables',
    help,
  });
  const what = layers.some((l) => l.finding.length > 0) ? 'sums and codes' : 'sums';
  const containers = (bits: number, need: number, limit: number) =>
    needs.push({ resource: `${what} of ${bits} bits`, need, limit, unit: 'containers', help });
  containers(WORD, wide, chip.wideContainers);
  containers(HALF, half, chip.halfContainers);
  const widest = Math.max(0, ...layers.map((l) => (l.words * l.wordBits) / 8));
  needs.push({
    resource: 'action data of a table',
    need: widest,
    limit: stageLimits.busBytes,
    unit: 'bytes',
    help,
  });
  return needs;
}

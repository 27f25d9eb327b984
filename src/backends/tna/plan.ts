import type { Diagnostic } from '../../diagnostics/index.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementRange, type TensorType } from '../../model/tensor.ts';
import { type Activation, prefixesOf } from '../../passes/tables/activation.ts';
import type { SumLayer, TableProgram } from '../../passes/tables/program.ts';
import { type Need, needDiagnostics } from '../common/need.ts';
import type { ProgramOptions } from '../common/program-options.ts';
import {
  type Chip,
  SRAM_BITS,
  SRAM_ROWS,
  type StageUse,
  stageLimits,
  TCAM_BITS,
  TCAM_ROWS,
} from './chips.ts';
import { type Block, type Schedule, schedule, type Unit } from './schedule.ts';

/** One table of the program. */
export interface TnaTable {
  readonly layer: number;
  readonly index: number;
  readonly keys: readonly Activation[];
  /** `sums` adds to those of its layer, `output` sets one element. */
  readonly result: { readonly kind: 'sums' } | { readonly kind: 'output'; readonly element: number };
  /** Entries of one version: what the keys match, and the values for them. */
  readonly rows: readonly TnaRow[];
  readonly isTernary: boolean;
}

export interface TnaRow {
  readonly keys: readonly { readonly value: number; readonly length: number }[];
  /** One a sum, or one element. */
  readonly values: readonly number[];
}

export interface TnaLayer {
  readonly layer: number;
  readonly outputs: number;
  readonly bits: number;
  readonly lanes: number;
  readonly words: number;
  readonly tables: readonly TnaTable[];
}

export interface TnaPlan {
  readonly model: Model;
  readonly chip: Chip;
  readonly options: Required<Pick<ProgramOptions, 'from' | 'to' | 'modelId' | 'modelVersion' | 'port'>>;
  readonly input: TensorType;
  readonly output: TensorType;
  readonly layers: readonly TnaLayer[];
  readonly outputs: readonly TnaTable[];
  readonly program: TableProgram;
  readonly schedule: Schedule;
  readonly needs: readonly Need[];
  readonly entries: number;
}

/** Versions of the entries side by side: a bit of each key tells them apart. */
export const VERSIONS = 2;

/** Bits of a word of sums: the widest container. */
const WORD = 32;

/** Entries of one table, beyond which two activations are not matched together. */
const MOST_PAIR_ROWS = 2 ** 14;

/** Lays a program of tables out over the stages of a chip. */
export function planTna(
  model: Model,
  chip: Chip,
  program: TableProgram,
  options: TnaPlan['options'],
): { plan: TnaPlan; diagnostics: Diagnostic[] } {
  const layers = program.layers.map(layerOf);
  const compared = program.verdict === undefined ? undefined : valueType(model, program.verdict).element;
  const low = compared === undefined ? 0 : elementRange(compared).lo;
  const outputs = program.outputs.map((a, element): TnaTable => {
    const rows = prefixesOf(a).map((p) => ({ keys: [p], values: [(a.levels[p.level]! - low) & 0xff] }));
    const isTernary = a.source?.kind === 'sum';
    const index =
      (program.layers.at(-1)?.layer === options.to - 1 ? layers.at(-1)!.tables.length : 0) + element;
    return { layer: options.to - 1, index, keys: [a], result: { kind: 'output', element }, rows, isTernary };
  });
  const blocks: Block[] = layers.map((l) => ({
    name: `layer ${l.layer}`,
    sums: true,
    tables: l.tables.map((t) => ({ name: tableName(t), use: useOf(t, l.words * WORD) })),
  }));
  blocks.push({
    name: 'outputs',
    sums: false,
    tables: outputs
      .filter((t) => t.keys[0]!.source !== undefined)
      .map((t) => ({ name: tableName(t), use: useOf(t, 8) })),
  });
  if (program.verdict !== undefined) {
    const pairs = (outputs.length * (outputs.length - 1)) / 2;
    const compare = { tables: 1, instructions: pairs };
    blocks.push({ name: 'comparisons', sums: false, tables: [{ name: 'compare', use: compare }] });
    const tell = {
      tables: 1,
      ternaryTables: 1,
      tcam: Math.ceil(pairs / TCAM_BITS),
      sram: 2,
      busBytes: 1,
      instructions: 1,
    };
    blocks.push({ name: 'class', sums: false, tables: [{ name: 'classes', use: tell }] });
  }
  blocks.push({
    name: 'answer',
    sums: false,
    tables: [{ name: 'answer', use: { tables: 1, instructions: 2 } }],
  });
  const made = schedule(chip, blocks, layers.length, FORWARDING);
  const entries = [...layers.flatMap((l) => l.tables), ...outputs].reduce((n, t) => n + t.rows.length, 0);
  const needs = needsOf(chip, made, layers);
  const plan: TnaPlan = {
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
    entries,
  };
  return { plan, diagnostics: needDiagnostics(needs, chip.name, model.file) };
}

export const tableName = ({ layer, index }: Pick<TnaTable, 'layer' | 'index'>): string =>
  `sums_${layer}_${index}`;

/** What stands before the layers: which version a request asks for, and where it goes. */
const FORWARDING: readonly Unit[] = [
  { name: 'models', use: { tables: 2, sram: 3, hashBits: 20, busBytes: 8, instructions: 4 } },
];

/** Tables of one byte stay alone, for a byte has 256 levels; activations between layers are matched by twos. */
function layerOf({ layer, tables, sums, bits }: SumLayer): TnaLayer {
  const lanes = Math.floor(WORD / bits);
  const groups: (typeof tables)[number][][] = [];
  for (const table of tables) {
    const open = groups.at(-1);
    const pairs = open?.length === 1 && canPair(open[0]!.keys[0]!, table.keys[0]!);
    if (pairs) open.push(table);
    else groups.push([table]);
  }
  const made = groups.map((group, index): TnaTable => {
    const axes = group.map((t) => prefixesOf(t.keys[0]!));
    const rows = axes
      .reduce<readonly (readonly (typeof axes)[number][number][])[]>(
        (combined, axis) => combined.flatMap((row) => axis.map((p) => [...row, p])),
        [[]],
      )
      .map((row) => ({
        keys: row,
        values: sums.map((_, o) => row.reduce((n, p, k) => n + group[k]!.values[p.level]![o]!, 0)),
      }));
    const keys = group.map((t) => t.keys[0]!);
    const isTernary = keys.some((k) => k.source?.kind === 'sum');
    return { layer, index, keys, result: { kind: 'sums' }, rows, isTernary };
  });
  return { layer, outputs: sums.length, bits, lanes, words: Math.ceil(sums.length / lanes), tables: made };
}

const canPair = (a: Activation, b: Activation): boolean =>
  a.source?.kind === 'sum' &&
  b.source?.kind === 'sum' &&
  prefixesOf(a).length * prefixesOf(b).length <= MOST_PAIR_ROWS;

/** What a table takes of its stage, with all versions. @param bits of action data */
function useOf(t: TnaTable, bits: number): StageUse {
  const rows = t.rows.length * VERSIONS;
  const keyBits = t.keys.reduce((n, k) => n + k.bits, 0) + 1;
  const data = Math.ceil(bits / SRAM_BITS) * Math.ceil(rows / SRAM_ROWS);
  const common = { tables: 1, busBytes: bits / 8, instructions: Math.ceil(bits / WORD) };
  // A table of a byte is a hash action: its key is the address of its action data. A match in TCAM has a table of addresses.
  return t.isTernary
    ? {
        ...common,
        sram: data + Math.ceil(rows / (2 * SRAM_ROWS)),
        tcam: Math.ceil(rows / TCAM_ROWS) * Math.ceil(keyBits / TCAM_BITS),
        ternaryTables: 1,
        hashBits: 0,
      }
    : { ...common, sram: data, tcam: 0, ternaryTables: 0, hashBits: keyBits };
}

const HELP =
  '--calibrate ROWS for narrower sums, fewer --levels or --entries, a larger --chip, or fewer layers with --layers A..B';

/** Each resource of the fullest stage, and the stages of both gresses. */
function needsOf(chip: Chip, { stages, uses }: Schedule, layers: readonly TnaLayer[]): Need[] {
  const needs: Need[] = (['ingress', 'egress'] as const).map((gress) => ({
    resource: gress,
    need: stages[gress],
    limit: chip.stages,
    unit: 'stages',
    help: HELP,
  }));
  const within = uses.slice(0, chip.stages);
  const total = (r: keyof StageUse) => uses.reduce((n, u) => n + u[r], 0);
  const of = (resource: string, r: keyof StageUse, unit: string) =>
    needs.push({ resource, need: total(r), limit: stageLimits[r] * chip.stages, unit, help: HELP });
  of('SRAM', 'sram', 'blocks');
  of('TCAM', 'tcam', 'blocks');
  of('action data bus', 'busBytes', 'bytes');
  of('hash bits', 'hashBits', 'bits');
  of('instructions', 'instructions', 'slots');
  const most = Math.max(0, ...within.map((u) => u.tables));
  needs.push({
    resource: 'tables of a stage',
    need: most,
    limit: stageLimits.tables,
    unit: 'tables',
    help: HELP,
  });
  const widest = Math.max(0, ...layers.map((l) => l.words));
  needs.push({
    resource: 'containers of one set of sums',
    need: widest,
    limit: Math.min(chip.wideContainers, stageLimits.busBytes / 4),
    unit: 'containers',
    help: HELP,
  });
  return needs;
}

import type { Diagnostic } from '../../diagnostics/index.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementCount, elementRange, type TensorType } from '../../model/tensor.ts';
import { prefixesOf } from '../../passes/tables/activation.ts';
import type { TableProgram } from '../../passes/tables/program.ts';
import { type Need, needDiagnostics } from '../common/need.ts';
import type { ProgramOptions } from '../common/program-options.ts';
import { blocksOf, codeData, type Front, fixedOf } from './blocks.ts';
import { type Chip, type StageUse, stageLimits } from './chips.ts';
import {
  groupings,
  HALF,
  type Pairing,
  rowsOf,
  type TnaLayer,
  type TnaTable,
  tablesOf,
  WORD,
} from './layers.ts';
import { schedule } from './schedule.ts';
import type { Schedule } from './units.ts';

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
    fixedOf(options.front),
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
    // What is the same whatever comes in is in the program.
    entries:
      rowsOf(layers) + outputs.reduce((n, t) => n + (t.keys[0]!.source === undefined ? 0 : t.rows.length), 0),
  };
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
  const codes = layers.flatMap((l) => l.finding).reduce((n, t) => n + codeData(t).bits, 0);
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
  const containers = (bits: number, need: number, limit: number) =>
    needs.push({ resource: `sums of ${bits} bits`, need, limit, unit: 'containers', help });
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

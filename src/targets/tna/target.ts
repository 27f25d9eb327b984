import { join } from 'node:path';
import { z } from 'zod';
import type { ProgramOptions } from '../../backends/common/program-options.ts';
import { tnaFiles } from '../../backends/tna/artifact.ts';
import { type ChipName, chipNames, chips } from '../../backends/tna/chips.ts';
import { tnaSvg } from '../../backends/tna/draw.ts';
import { planTna, type TnaPlan, type TnaTable, tableName } from '../../backends/tna/plan.ts';
import { PROGRAM_FILE, tnaReplacement } from '../../backends/tna/replacement.ts';
import { tnaP4Info } from '../../backends/tna/tables.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { lowerToTables } from '../../passes/tables/lower.ts';
import { readLabels, readRows } from '../../rows/index.ts';
import { findTool } from '../../toolchain/p4c.ts';
import { BAREFOOT, BFAS, compileTna } from '../../toolchain/tofino.ts';
import { DEFAULT_PORT } from '../../wire/header.ts';
import { workOf } from '../layer-work.ts';
import type { KindProfiles } from '../profiles.ts';
import { defineTarget, type Planned, type TargetProgram } from '../target.ts';
import { type Agreement, Approximator } from './approximation.ts';

/** Bits of exact sums: the widest container. */
const EXACT_BITS = 32;

/** Levels that are tried from the most on, where neither levels nor entries are given. */
const LEVELS = [64, 32, 16, 8, 4] as const;

const wholeOption = (least: number, most: number, what: string) =>
  z.coerce
    .number(`must be a whole number from ${least} to ${most}`)
    .int()
    .min(least)
    .max(most)
    .optional()
    .describe(what);

const own = z.strictObject({
  chip: z.enum(chipNames).default('tofino2').describe('The chip'),
  calibrate: z
    .string()
    .optional()
    .describe('Rows on which fewer levels and narrower sums are chosen: raw, .npy or .csv'),
  labels: z
    .string()
    .optional()
    .describe('The right class of each of these rows: the loss of accuracy is told'),
  levels: wholeOption(
    3,
    256,
    'Levels of each activation between layers, 3..256; the most that fit by default',
  ),
  entries: wholeOption(16, 10_000_000, 'Entries of the tables behind the first layer: levels by sensitivity'),
});

type Own = z.output<typeof own>;

type Decided = TnaPlan['options'];

const decide = (model: Model, o: ProgramOptions): Decided => ({
  from: o.from ?? 0,
  to: o.to ?? model.layers.length,
  modelId: o.modelId ?? 1,
  modelVersion: o.modelVersion ?? 1,
  port: o.port ?? DEFAULT_PORT,
});

/** P4_16 for Tofino. */
export const tnaTarget = defineTarget({
  name: 'tna',
  describe: 'P4_16 for Tofino 1 and 2',
  compiler: `${BAREFOOT} and ${BFAS}, where they are on the PATH`,
  own,
  plan(model, options, given) {
    const decided = decide(model, options);
    const refusal = optionRefusal(model, options, decided, given);
    if (refusal !== undefined) return { program: undefined, diagnostics: [refusal] };
    return given.calibrate === undefined
      ? planExact(model, given.chip, decided)
      : planApproximated(model, given, given.calibrate, decided);
  },
  profiles: tnaProfiles,
  cost: {
    packetNs: 0,
    fixedNs: 500,
    macNs: 0,
    multiplyNs: 0,
    neuronNs: 0,
    origin: 'one pass of a pipe takes the same time whatever it computes; not measured',
  },
  colour: '#f3e5f5',
});

function optionRefusal(
  model: Model,
  { weights }: ProgramOptions,
  { from, to }: Decided,
  given: Own,
): Diagnostic | undefined {
  const place = { file: model.file };
  if (!(from >= 0 && from < to && to <= model.layers.length))
    return diagnostic('layer-range', { given: `${from}..${to}`, count: model.layers.length }, place);
  if (weights === 'static')
    return diagnostic(
      'tna-option',
      {
        option: '--weights static',
        reason: 'entries are what a control plane writes; constants take the compiler minutes',
      },
      place,
    );
  const lone = (['levels', 'entries', 'labels'] as const).find((name) => given[name] !== undefined);
  if (lone !== undefined && given.calibrate === undefined)
    return diagnostic(
      'tna-option',
      { option: `--${lone}`, reason: 'it needs rows: --calibrate ROWS' },
      place,
    );
  if (given.levels !== undefined && given.entries !== undefined)
    return diagnostic(
      'tna-option',
      {
        option: '--levels',
        reason: 'with --entries the levels follow from their sensitivity: give one of both',
      },
      place,
    );
  return undefined;
}

function planExact(model: Model, chip: ChipName, o: Decided): Planned {
  const { program, diagnostics } = lowerToTables(model, { ...o, target: chip, bits: EXACT_BITS });
  if (program === undefined) return { program: undefined, diagnostics };
  const planned = planTna(model, chips[chip], program, o);
  return {
    program: programOf(planned.plan, model, []),
    diagnostics: [...diagnostics, ...planned.diagnostics],
  };
}

function planApproximated(model: Model, given: Own, file: string, o: Decided): Planned {
  const { chip, labels, levels, entries } = given;
  const type = valueType(model, o.from);
  const affine = o.from === 0 ? model.inputAffine : undefined;
  const read = readRows(type, file, { affine });
  const count = read.bytes.length / elementCount(type.shape);
  const rows = {
    rows: read.bytes,
    ...(labels !== undefined && { labels: readLabels(labels, count) }),
  };
  const approximator = new Approximator(model, { ...o, target: chip, bits: EXACT_BITS }, rows);
  const tries =
    entries !== undefined
      ? [() => approximator.bySensitivity(entries)]
      : (levels === undefined ? LEVELS : [levels]).map((n) => () => approximator.uniform(n));
  let last: Planned | undefined;
  for (const attempt of tries) {
    const { program, diagnostics } = attempt();
    if (program === undefined) return { program: undefined, diagnostics };
    const { plan, diagnostics: needs } = planTna(model, chips[chip], program, o);
    const agreement = approximator.agreementOf(program);
    const told = diagnostic(
      'tna-approximated',
      { ...agreement, entries: plan.entries },
      { file: model.file },
    );
    const curve = () => curveOf(approximator, plan);
    last = {
      program: programOf(plan, model, [], { agreement, curve }),
      diagnostics: [...read.diagnostics, told, ...needs],
    };
    if (needs.length === 0) return last;
  }
  return last!;
}

/** Entries and agreement at each number of levels, for the drawing. */
function curveOf(approximator: Approximator, { model, chip, options }: TnaPlan) {
  return LEVELS.toReversed().flatMap((levels) => {
    const { program } = approximator.uniform(levels);
    if (program === undefined) return [];
    const { plan } = planTna(model, chip, program, options);
    return [{ entries: plan.entries, ...approximator.agreementOf(program) }];
  });
}

interface Approximation {
  readonly agreement: Agreement;
  readonly curve: () => readonly (Agreement & { readonly entries: number })[];
}

function programOf(
  plan: TnaPlan,
  model: Model,
  remarks: readonly Diagnostic[],
  approximation?: Approximation,
): TargetProgram {
  const stagesOf = (tables: readonly TnaTable[]): number[] =>
    tables.map((t) => plan.schedule.placed.find((s) => s.name === tableName(t))!.stage);
  return {
    needs: plan.needs,
    describeLayer(index) {
      if (index < plan.options.from || index >= plan.options.to) return undefined;
      const layer = plan.layers.find((l) => l.layer === index);
      if (layer === undefined) return 'in the keys of other tables';
      const stages = stagesOf(layer.tables);
      const rows = layer.tables.reduce((n, t) => n + t.rows.length, 0);
      const gress = plan.schedule.blocks[plan.layers.indexOf(layer)]!.gress;
      return `${layer.tables.length} tables, ${rows} entries, ${gress} ${Math.min(...stages)}..${Math.max(...stages)}`;
    },
    layers: plan.layers.map((l, i) => ({
      layer: l.layer,
      tables: l.tables.length,
      entries: l.tables.reduce((n, t) => n + t.rows.length, 0),
      sumBits: l.bits,
      words: l.words,
      gress: plan.schedule.blocks[i]!.gress,
      sets: plan.schedule.blocks[i]!.sets,
      stages: stagesOf(l.tables),
    })),
    summary: {
      chip: plan.chip.name,
      entries: plan.entries,
      stages: plan.schedule.stages,
      ...(approximation && { approximation: approximation.agreement }),
      placement: plan.schedule.placed,
    },
    drawing: () => tnaSvg(plan, approximation?.curve() ?? []),
    remarks: () =>
      [BAREFOOT, BFAS].every((tool) => findTool(tool) !== undefined)
        ? remarks
        : [...remarks, diagnostic('tna-unjudged', { tools: [BAREFOOT, BFAS] }, { file: model.file })],
    files: () => tnaFiles(plan, approximation?.agreement),
    source: () =>
      [...tnaFiles(plan)]
        .filter(([name]) => name.endsWith('.p4'))
        .flatMap(([name, text]) => [name, `${text}`]),
    build: (folder) => compileTna(join(folder, PROGRAM_FILE), plan.chip.name, model.file),
    async deviceConfig() {
      throw new Error('no controller drives a Tofino yet');
    },
    p4info: () => tnaP4Info(plan),
    replacement: (other, slot) => tnaReplacement(plan, other, slot),
  };
}

/** Exact tables of every segment on the larger chip: what a planner may count on without rows to calibrate on. */
function tnaProfiles(model: Model, cuts: readonly number[]): KindProfiles {
  const planOf = (from: number, to: number): Planned =>
    planExact(model, 'tofino2', decide(model, { from: cuts[from]!, to: cuts[to]! }));
  const known = new Map<string, Planned>();
  const of = (from: number, to: number): Planned => {
    const key = `${from} ${to}`;
    const planned = known.get(key) ?? planOf(from, to);
    known.set(key, planned);
    return planned;
  };
  return {
    profile(from, to) {
      const { program, diagnostics } = of(from, to);
      return {
        work: workOf(model, cuts[from]!, cuts[to]!),
        needs: program?.needs ?? [],
        unsupported: program === undefined ? diagnostics.map((d) => d.message) : [],
      };
    },
    confirm: (from, to) =>
      of(from, to)
        .diagnostics.filter((d) => d.severity === 'error')
        .map((d) => d.message),
  };
}

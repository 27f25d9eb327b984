import { join } from 'node:path';
import { z } from 'zod';
import { needDiagnostics } from '../../backends/common/need.ts';
import type { ProgramOptions } from '../../backends/common/program-options.ts';
import { tnaFiles } from '../../backends/tna/artifact.ts';
import { type Chip, type ChipName, chipNames, chips } from '../../backends/tna/chips.ts';
import { tnaSvg } from '../../backends/tna/draw.ts';
import { forestNeeds } from '../../backends/tna/forest-needs.ts';
import {
  type Pairing,
  pairings,
  planTna,
  type TnaPlan,
  type TnaTable,
  tableName,
} from '../../backends/tna/plan.ts';
import { PROGRAM_FILE, tnaReplacement } from '../../backends/tna/replacement.ts';
import { tnaP4Info } from '../../backends/tna/tables.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { layerRangeRefusals } from '../../model/layer-count.ts';
import type { Model } from '../../model/model.ts';
import { lowerToTables } from '../../passes/tables/lower.ts';
import { findTool } from '../../toolchain/p4c.ts';
import { BAREFOOT, BFAS, compileTna } from '../../toolchain/tofino.ts';
import { DEFAULT_PORT } from '../../wire/header.ts';
import type { Agreement, Approximator } from '../approximation.ts';
import { approximatorOf, calibrationRefusal, calibrationShape, DEFAULT_ENTRIES } from '../calibration.ts';
import { workOf } from '../layer-work.ts';
import type { KindProfiles } from '../profiles.ts';
import { defineTarget, type Planned, type TargetProgram } from '../target.ts';

/** Bits of exact sums: the widest container. */
const EXACT_BITS = 32;

/** Levels with which is tried what fits at all. */
const FEW_LEVELS = 4;

/** Entries behind the first layer of the points of the curve. */
const CURVE_ENTRIES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768] as const;

const own = z.strictObject({
  chip: z.enum(chipNames).default('tofino2').describe('The chip'),
  ...calibrationShape,
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
    const forests = forestRefusals(model, chips[given.chip], decided);
    if (forests.length > 0) return { program: undefined, diagnostics: forests };
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
  const [noRange] = layerRangeRefusals(model, from, to);
  if (noRange !== undefined) return noRange;
  if (weights === 'static')
    return diagnostic(
      'target-option',
      {
        target: 'tna',
        option: '--weights static',
        reason: 'entries are what a control plane writes; constants take the compiler minutes',
      },
      place,
    );
  const wrong = calibrationRefusal(given);
  return wrong && diagnostic('target-option', { target: 'tna', ...wrong }, place);
}

/** Trees are no sums of look-ups; what they would take all the same, and what of that the chip lacks. */
function forestRefusals(model: Model, chip: Chip, { from, to }: Decided): Diagnostic[] {
  return model.layers.slice(from, to).flatMap((layer) => {
    if (layer.kind !== 'forest') return [];
    const needs = forestNeeds(layer, chip).map((need) => ({ ...need, layer: layer.name }));
    const would = needs
      .map(({ resource, need, limit, unit }) => `${need} ${unit} of ${resource} (${limit})`)
      .join(' and ');
    const count = `${layer.roots.length} ${layer.roots.length === 1 ? 'tree' : 'trees'}`;
    const reason =
      `its ${count}, a ternary table each over the sides of their thresholds, would take ${would}; ` +
      'only sums of look-ups are laid out over stages: --target v1model and xdp have forests';
    return [
      diagnostic(
        'unsupported-layer',
        { kind: layer.kind, target: chip.name, reason },
        { file: model.file, layer: layer.name },
      ),
      ...needDiagnostics(needs, chip.name, model.file),
    ];
  });
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

/** An approximation that may be taken, and how its activations are to be matched. */
interface Candidate {
  readonly lowered: Lowered;
  readonly pairing?: Pairing;
}

type Lowered = ReturnType<Approximator['uniform']>;

/** The first of the candidates that fits, or the last. */
function planApproximated(model: Model, given: Own, file: string, o: Decided): Planned {
  const range = { ...o, target: given.chip, bits: EXACT_BITS };
  const { approximator, diagnostics: read } = approximatorOf(model, range, file, given.labels);
  const chip = chips[given.chip];
  let last: Planned | undefined;
  for (const { lowered, pairing } of candidates(approximator, model, given, o)) {
    const { program, diagnostics } = lowered;
    if (program === undefined) return { program: undefined, diagnostics };
    const { plan, diagnostics: needs } = planTna(model, chip, program, o, pairing);
    const agreement = approximator.agreementOf(program);
    const told = diagnostic('approximated', { ...agreement, entries: plan.entries }, { file: model.file });
    const curve = () => curveOf(approximator, plan);
    last = {
      program: programOf(plan, model, [], { agreement, curve }),
      diagnostics: [...read, told, ...needs],
    };
    if (needs.length === 0) return last;
  }
  return last!;
}

/** What is tried, the best first. */
function* candidates(approximator: Approximator, model: Model, given: Own, o: Decided): Generator<Candidate> {
  if (given.levels !== undefined) {
    yield { lowered: approximator.uniform(given.levels) };
    return;
  }
  // Whether a pairing fits is first seen with few levels: more of them take no more stages, but more blocks.
  const few = approximator.uniform(FEW_LEVELS);
  if (few.program === undefined) {
    yield { lowered: few };
    return;
  }
  const { program } = few;
  const all = pairings(program.layers.length, chips[given.chip]);
  const fitting = all.filter(
    (pairing) => planTna(model, chips[given.chip], program, o, pairing).diagnostics.length === 0,
  );
  if (fitting.length === 0) yield { lowered: few };
  for (const entries of given.entries === undefined ? DEFAULT_ENTRIES : [given.entries])
    for (const pairing of fitting)
      yield { lowered: approximator.bySensitivity(entries, pairing.slice(1)), pairing };
}

/** Entries and agreement by the budget of entries, for the drawing: levels by sensitivity, activations matched as in the plan. */
function curveOf(approximator: Approximator, { model, chip, options, pairing }: TnaPlan) {
  return CURVE_ENTRIES.flatMap((entries) => {
    const { program } = approximator.bySensitivity(entries, pairing.slice(1));
    if (program === undefined) return [];
    const { plan, diagnostics } = planTna(model, chip, program, options, pairing);
    return [{ entries: plan.entries, fits: diagnostics.length === 0, ...approximator.agreementOf(program) }];
  });
}

interface Approximation {
  readonly agreement: Agreement;
  readonly curve: () => readonly (Agreement & { readonly entries: number; readonly fits: boolean })[];
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

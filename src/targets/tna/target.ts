import { join } from 'node:path';
import type { ProgramOptions } from '../../backends/common/program-options.ts';
import { tnaFiles } from '../../backends/tna/artifact.ts';
import { tableName } from '../../backends/tna/blocks.ts';
import { tnaSvg } from '../../backends/tna/draw.ts';
import { rowsOf, type TnaTable, tablesOf } from '../../backends/tna/layers.ts';
import { PROGRAM_FILE, tnaReplacement } from '../../backends/tna/replacement.ts';
import { tnaP4Info } from '../../backends/tna/tables.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { layerRangeRefusals } from '../../model/layer-count.ts';
import type { Model } from '../../model/model.ts';
import { findTool } from '../../toolchain/find-tool.ts';
import { BAREFOOT, BFAS, compileTna } from '../../toolchain/tofino.ts';
import { calibrationRefusal } from '../calibration.ts';
import { defineTarget, type Planned, type TargetProgram } from '../target.ts';
import { type Decided, decide, type PlannedTna, planNetwork, type TnaOwn, tnaOwn } from './planned.ts';
import { tnaProfiles } from './profile.ts';

/** 20 of a stage, and 2 that a TCAM takes more. */
const STAGE_CYCLES = 22;

/** At 1.2 GHz. Stages that wait for nothing take a tenth of it: so this is the most. */
const STAGE_NS = 18;

/** P4_16 for Tofino. */
export const tnaTarget = defineTarget({
  name: 'tna',
  describe: 'P4_16 for Tofino 1 and 2',
  compiler: `${BAREFOOT} and ${BFAS}, where they are on the PATH`,
  own: tnaOwn,
  plan(model, options, given) {
    const decided = decide(model, options);
    const refusal = optionRefusal(model, options, decided, given);
    if (refusal !== undefined) return { program: undefined, diagnostics: [refusal] };
    return plannedOf(model, planNetwork(model, given, decided));
  },
  profiles: tnaProfiles,
  planned: { node: ['chip'], model: ['whole', 'labels', 'levels', 'entries'] },
  // The entries of two segments would want the same stages.
  segments: 1,
  cost: {
    packetNs: 500,
    fixedNs: 0,
    macNs: 0,
    multiplyNs: 0,
    neuronNs: 0,
    stageNs: STAGE_NS,
    origin: `not measured: ${STAGE_CYCLES} cycles of 1.2 GHz a stage, as the open assembler counts one that waits for the one before it, and 500 ns for parsers, deparsers and the queue`,
  },
  colour: '#f3e5f5',
});

/** What of the options does not go together, if any. */
export function optionRefusal(
  model: Model,
  { weights }: ProgramOptions,
  { from, to }: Decided,
  given: TnaOwn,
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

const plannedOf = (model: Model, { plan, approximation, diagnostics }: PlannedTna): Planned => ({
  program: plan && programOf(plan, model, approximation),
  diagnostics,
});

function programOf(
  plan: NonNullable<PlannedTna['plan']>,
  model: Model,
  approximation: PlannedTna['approximation'],
): TargetProgram {
  const stagesOf = (tables: readonly TnaTable[]): number[] =>
    tables.map((t) => plan.schedule.placed.find((s) => s.name === tableName(t))!.stage);
  return {
    needs: plan.needs,
    describeLayer(index) {
      if (index < plan.options.from || index >= plan.options.to) return undefined;
      const layer = plan.layers.find((l) => l.layer === index);
      if (layer === undefined) return 'in the keys of other tables';
      const tables = tablesOf(layer);
      const stages = stagesOf(tables);
      const rows = tables.reduce((n, t) => n + t.rows.length, 0);
      const gress = plan.schedule.blocks[plan.layers.indexOf(layer)]!.gress;
      return `${tables.length} tables, ${rows} entries, ${gress} ${Math.min(...stages)}..${Math.max(...stages)}`;
    },
    layers: plan.layers.map((l, i) => ({
      layer: l.layer,
      tables: tablesOf(l).length,
      entries: rowsOf([l]),
      sumBits: l.bits,
      words: l.words,
      gress: plan.schedule.blocks[i]!.gress,
      sets: plan.schedule.blocks[i]!.sets,
      stages: stagesOf(tablesOf(l)),
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
        ? []
        : [diagnostic('tna-unjudged', { tools: [BAREFOOT, BFAS] }, { file: model.file })],
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

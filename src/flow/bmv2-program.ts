import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Entry, insertion } from '../backends/common/entries.ts';
import { flowOutcomes } from '../backends/common/flow/outcomes.ts';
import { JSON_FILE } from '../backends/v1model/artifact.ts';
import { PROGRAM_FILE } from '../backends/v1model/emit.ts';
import { FLOW_HEADERS, printFlowProgram } from '../backends/v1model/flow/emit.ts';
import { printFlowSet } from '../backends/v1model/flow/emit-set.ts';
import type { FlowPlanOptions } from '../backends/v1model/flow/plan.ts';
import { mostFeatures, type V1modelSetPlan } from '../backends/v1model/flow/set-plan.ts';
import {
  flowEntries,
  flowP4Info,
  flowSetEntries,
  flowSetP4Info,
  secretEntry,
} from '../backends/v1model/flow/tables.ts';
import { jsonText, throwErrors } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { p4InfoText, writeRequestText } from '../p4runtime/text.ts';
import type { P4Info } from '../p4runtime/types.ts';
import { P4_DIR } from '../paths.ts';
import { compileSwitchFlow, planSwitchFlowOrRefuse } from '../targets/v1model/flows.ts';
import { tablesOf, v1modelOwn } from '../targets/v1model/own.ts';
import { temporaryFolder } from '../temporary.ts';
import { compileP4Program } from '../toolchain/p4c.ts';
import type { FlowPipeline, WriteProgram } from './options.ts';
import type { FlowSet, SetModel } from './set.ts';

/** A program of flows for a switch, before it is compiled. */
export interface SwitchProgram {
  /** What it is made of: where its faults are. */
  readonly file: string;
  /** @param test whether packets leave behind a report of their flow */
  readonly text: (test: boolean) => string;
  readonly p4info: P4Info;
  /** The most features of a model. */
  readonly mostFeatures: number;
  /** Weights and secrets; drawn anew by each call. */
  readonly entries: () => readonly Entry[];
}

/** @throws DiagnosticError */
export function switchProgram(
  definition: FeatureDefinition,
  model: Model,
  options: FlowPlanOptions,
): SwitchProgram {
  const plan = planSwitchFlowOrRefuse(definition, model, options);
  return {
    file: model.file,
    text: (test) => printFlowProgram(plan, test),
    p4info: flowP4Info(plan),
    mostFeatures: definition.features.length,
    entries: () => [...flowEntries(plan), secretEntry(plan)],
  };
}

/** Several models in one program. @throws DiagnosticError */
export function switchSetProgram(set: FlowSet): SwitchProgram {
  const planned = (m: SetModel) => ({
    classes: m.classes,
    plan: planSwitchFlowOrRefuse(m.definition, m.model, { lanes: 'on', weights: 'runtime' }),
  });
  const plan: V1modelSetPlan = {
    members: set.members.map((m) => ({ ...planned(m), when: m.when })),
    collided: set.collided && planned(set.collided),
  };
  return {
    file: set.file,
    text: (test) => printFlowSet(plan, test),
    p4info: flowSetP4Info(plan),
    mostFeatures: mostFeatures(plan),
    entries: () => flowSetEntries(plan),
  };
}

/** @param test as of `SwitchProgram.text` @returns the path of BMv2's JSON @throws DiagnosticError */
export const buildSwitchProgram = (program: SwitchProgram, folder: string, test: boolean): Promise<string> =>
  compileSwitchFlow(program.text(test), folder, program.file);

/** What a controller pushes to a switch, and writes then: the weights. @throws DiagnosticError */
export async function switchPipeline(program: SwitchProgram): Promise<FlowPipeline> {
  using folder = temporaryFolder();
  const json = await buildSwitchProgram(program, folder.path, false);
  return {
    config: { p4info: program.p4info, deviceConfig: readFileSync(json) },
    updates: program.entries().map(insertion),
  };
}

/** The program with what it includes, P4Info, entries and manifest. */
export const writeV1modelFlow: WriteProgram = async (definition, model, folder, options, compile) => {
  const { lanes, weights, own = {}, tell } = options;
  const made = tablesOf(model, {}, v1modelOwn.parse(own));
  throwErrors(made.diagnostics);
  const plan = planSwitchFlowOrRefuse(definition, model, { lanes, weights, ...made.options });
  tell?.(made.diagnostics);
  const manifest = {
    format: 'intransit-flow-manifest/1',
    target: 'v1model',
    model: { name: model.name, layerCount: model.layers.length },
    features: { definition: definition.name, names: definition.features.map((f) => f.name), clockNs: 1000 },
    table: { flows: definition.table.flows, places: 2, keep: definition.table.keep },
    outcomes: flowOutcomes.map((o) => o.name),
    program: { source: PROGRAM_FILE, json: JSON_FILE, p4info: 'p4info.txt' },
    weights: { mode: weights, entries: 'entries.txt' },
    lowering: plan.compute.options.lowering,
  };
  const files = new Map<string, string>([
    [PROGRAM_FILE, printFlowProgram(plan)],
    [FLOW_HEADERS, readFileSync(join(P4_DIR, FLOW_HEADERS), 'utf8')],
    ['p4info.txt', p4InfoText(flowP4Info(plan))],
    ['entries.txt', writeRequestText(flowEntries(plan).map(insertion))],
    ['manifest.json', jsonText(manifest)],
  ]);
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  if (!compile) return [...files.keys()];
  await compileP4Program(join(folder, PROGRAM_FILE), join(folder, JSON_FILE), model.file);
  return [...files.keys(), JSON_FILE];
};

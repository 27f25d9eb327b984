import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableEntry } from '../../backends/common/entries.ts';
import { flowSecret } from '../../backends/common/flow/tables.ts';
import { JSON_FILE } from '../../backends/v1model/artifact.ts';
import { PROGRAM_FILE } from '../../backends/v1model/emit.ts';
import { FLOW_HEADERS, printFlowProgram } from '../../backends/v1model/flow/emit.ts';
import {
  type FlowPlanOptions,
  planV1modelFlow,
  type V1modelFlowPlan,
} from '../../backends/v1model/flow/plan.ts';
import { flowP4Info, secretBits, secretEntry, usualSecret } from '../../backends/v1model/flow/tables.ts';
import { weightEntries } from '../../backends/v1model/tables.ts';
import { madeOrRefuse } from '../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../features/definition.ts';
import type { Model } from '../../model/model.ts';
import type { Entity } from '../../p4runtime/types.ts';
import { P4_DIR } from '../../paths.ts';
import { compileP4Program } from '../../toolchain/p4c.ts';
import type { FlowDeviceProgram } from '../target.ts';

/** Plans the program, or throws what forbids it. @throws DiagnosticError */
export function planSwitchFlowOrRefuse(
  definition: FeatureDefinition,
  model: Model,
  options?: FlowPlanOptions,
): V1modelFlowPlan {
  const { plan, diagnostics } = planV1modelFlow(definition, model, options);
  return madeOrRefuse(plan, diagnostics);
}

/** Writes a program and what it includes; compiles it. @returns the path of BMv2's JSON @throws DiagnosticError of the file */
export async function compileSwitchFlow(text: string, folder: string, file: string): Promise<string> {
  writeFileSync(join(folder, PROGRAM_FILE), text);
  cpSync(join(P4_DIR, FLOW_HEADERS), join(folder, FLOW_HEADERS));
  const json = join(folder, JSON_FILE);
  await compileP4Program(join(folder, PROGRAM_FILE), json, file);
  return json;
}

/** A switch that classifies flows. @param asks whether it may ask a larger model @throws DiagnosticError where it cannot */
export function v1modelFlows(definition: FeatureDefinition, model: Model, asks = false): FlowDeviceProgram {
  const plan = planSwitchFlowOrRefuse(definition, model, { lanes: 'on', weights: 'runtime', asks });
  return {
    p4info: () => flowP4Info(plan),
    source: () => [printFlowProgram(plan), readFileSync(join(P4_DIR, FLOW_HEADERS), 'utf8')],
    build: async (folder) =>
      await readFile(await compileSwitchFlow(printFlowProgram(plan), folder, model.file)),
    weights: (slot) =>
      weightEntries(plan.compute.lowered, slot).map((entry) => ({ tableEntry: tableEntry(entry) })),
    drawn: (entities) => [
      entities.find((e) => isDrawn(e, plan)) ?? { tableEntry: tableEntry(secretEntry(plan)) },
    ],
  };
}

/** Whether it is a secret that was drawn for this switch, rather than what every such program begins with. */
function isDrawn({ tableEntry: entry }: Entity, plan: V1modelFlowPlan): boolean {
  if (entry?.tableId !== flowSecret(secretBits(plan)).id) return false;
  const usual = usualSecret(plan);
  const params = entry.action?.action?.params ?? [];
  return usual.some((value, i) => {
    const bytes = params.find((p) => p.paramId === i + 1)?.value ?? new Uint8Array();
    return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`) !== value;
  });
}

import { cpSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableEntry } from '../../backends/common/entries.ts';
import { flowSecret } from '../../backends/common/flow/tables.ts';
import { JSON_FILE } from '../../backends/v1model/artifact.ts';
import { PROGRAM_FILE } from '../../backends/v1model/emit.ts';
import { FLOW_HEADERS, printFlowProgram } from '../../backends/v1model/flow/emit.ts';
import { planV1modelFlow, type V1modelFlowPlan } from '../../backends/v1model/flow/plan.ts';
import { flowP4Info, secretBits, secretEntry, usualSecret } from '../../backends/v1model/flow/tables.ts';
import { weightEntries } from '../../backends/v1model/tables.ts';
import { throwErrors } from '../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../features/definition.ts';
import type { Model } from '../../model/model.ts';
import type { Entity } from '../../p4runtime/types.ts';
import { P4_DIR } from '../../paths.ts';
import { compileP4Program } from '../../toolchain/p4c.ts';
import type { FlowDeviceProgram } from '../target.ts';

/** A switch that classifies flows. @throws DiagnosticError where it cannot */
export function v1modelFlows(definition: FeatureDefinition, model: Model): FlowDeviceProgram {
  const { plan, diagnostics } = planV1modelFlow(definition, model, { lanes: 'on', weights: 'runtime' });
  throwErrors(diagnostics);
  if (plan === undefined) throw new Error('a refusal without a diagnostic');
  return {
    p4info: () => flowP4Info(plan),
    source: () => [printFlowProgram(plan), readFileSync(join(P4_DIR, FLOW_HEADERS), 'utf8')],
    async build(folder) {
      await writeFile(join(folder, PROGRAM_FILE), printFlowProgram(plan));
      cpSync(join(P4_DIR, FLOW_HEADERS), join(folder, FLOW_HEADERS));
      await compileP4Program(join(folder, PROGRAM_FILE), join(folder, JSON_FILE), model.file);
      return await readFile(join(folder, JSON_FILE));
    },
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

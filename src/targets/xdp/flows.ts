import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableEntry } from '../../backends/common/entries.ts';
import { needDiagnostics } from '../../backends/common/need.ts';
import { OBJECT_FILE } from '../../backends/xdp/artifact.ts';
import { encodeFlowConfig } from '../../backends/xdp/device-config.ts';
import { PROGRAM_FILE } from '../../backends/xdp/emit.ts';
import { weightEntries } from '../../backends/xdp/entries.ts';
import { xdpFlowP4InfoOf } from '../../backends/xdp/flow/artifact.ts';
import { emitXdpFlow } from '../../backends/xdp/flow/emit.ts';
import { type FlowRole, planXdpFlow, type XdpFlowPlan } from '../../backends/xdp/flow/plan.ts';
import { xdpNeeds } from '../../backends/xdp/needs.ts';
import { weightsLayout } from '../../backends/xdp/p4info.ts';
import type { XdpOptions } from '../../backends/xdp/plan.ts';
import { madeOrRefuse, throwErrors } from '../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../features/definition.ts';
import type { Model } from '../../model/model.ts';
import { EBPF_DIR } from '../../paths.ts';
import { compileBpf } from '../../toolchain/clang.ts';
import type { FlowDeviceProgram } from '../target.ts';
import { headers } from './headers.ts';

/** Plans the program, or throws what forbids it. @throws DiagnosticError */
export function planFlowOrRefuse(
  definition: FeatureDefinition,
  model: Model,
  options: XdpOptions = {},
  role: FlowRole = {},
): XdpFlowPlan {
  const { plan: made, diagnostics } = planXdpFlow(definition, model, options, role);
  const plan = madeOrRefuse(made, diagnostics);
  throwErrors(needDiagnostics(xdpNeeds(plan.compute), 'xdp', model.file));
  return plan;
}

/** A host with an agent that classifies flows. @throws DiagnosticError where it cannot */
export function xdpFlows(definition: FeatureDefinition, model: Model): FlowDeviceProgram {
  const plan = planFlowOrRefuse(definition, model, { weights: 'runtime' });
  const source = emitXdpFlow(plan);
  return {
    p4info: () => xdpFlowP4InfoOf(weightsLayout(plan.compute), definition.features.length),
    source: () => [source, ...headers().map(([, text]) => text)],
    async build(folder) {
      await writeFile(join(folder, PROGRAM_FILE), source);
      await compileBpf(join(folder, PROGRAM_FILE), join(folder, OBJECT_FILE), { includeDirs: [EBPF_DIR] });
      return encodeFlowConfig(plan, await readFile(join(folder, OBJECT_FILE)));
    },
    weights: (slot) => weightEntries(plan.compute, slot).map((entry) => ({ tableEntry: tableEntry(entry) })),
    // The host draws its secret when it loads the program.
    drawn: () => [],
  };
}

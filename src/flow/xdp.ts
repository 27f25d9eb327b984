import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OBJECT_FILE } from '../backends/xdp/artifact.ts';
import { PROGRAM_FILE } from '../backends/xdp/emit.ts';
import { xdpFlowFiles } from '../backends/xdp/flow/artifact.ts';
import { emitXdpFlow } from '../backends/xdp/flow/emit.ts';
import type { XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import { encodeWeights } from '../backends/xdp/weights.ts';
import { BpfError } from '../bpf/index.ts';
import { refuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { EBPF_DIR } from '../paths.ts';
import { buildXdp } from '../runtime/xdp/engine.ts';
import { XdpFlowDevice } from '../runtime/xdp/flow-device.ts';
import { planFlowOrRefuse } from '../targets/xdp/flows.ts';
import { temporaryFolder } from '../temporary.ts';
import { compileBpf } from '../toolchain/clang.ts';
import { type FlowEngine, flowsOf, verdicts } from './engine.ts';
import type { Escalation } from './escalation.ts';
import type { WriteProgram } from './options.ts';
import { testRunEngine } from './test-runs.ts';

/** Compiles, loads and installs a plan. @param flags of the compiler, for benchmarks @throws DiagnosticError */
export async function loadXdpFlow(
  plan: XdpFlowPlan,
  o: {
    readonly test: boolean;
    readonly acts?: boolean;
    readonly asks?: boolean;
    readonly share?: XdpFlowDevice;
  },
  flags: readonly string[] = [],
): Promise<XdpFlowDevice> {
  using folder = temporaryFolder();
  const { compute } = plan;
  try {
    const elf = await buildXdp(emitXdpFlow(plan), folder.path, flags);
    const device = await XdpFlowDevice.load(elf, plan.definition.features.length, {
      ...o,
      featureWords: plan.featureWords,
    });
    device.install(0, compute.options.weights === 'runtime' ? encodeWeights(compute) : undefined);
    return device;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return refuse(
      'bpf',
      { reason: error.message, remedy: error.remedy },
      { file: compute.model.file },
      error.log,
    );
  }
}

/** Test runs are as slow as the larger model. */
const ANY_RATE = 2 ** 32 - 1;

/** One model in the kernel, by test runs, beside the reference. @throws DiagnosticError */
export async function createXdpFlowEngine(
  definition: FeatureDefinition,
  model: Model,
  escalation?: Escalation,
): Promise<FlowEngine> {
  const asks = escalation !== undefined;
  const device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true, asks });
  if (asks) device.ask({ below: escalation.below, rate: ANY_RATE });
  return testRunEngine({
    models: [{ definition, device, verdictOf: verdicts(model) }],
    begin: () => flowsOf(definition),
    escalation,
    close: () => device.close(),
  });
}

/** The program with its headers, weights and manifest. */
export const writeXdpFlow: WriteProgram = async (definition, model, folder, options, compile) => {
  const { lanes, weights } = options;
  const files = xdpFlowFiles(planFlowOrRefuse(definition, model, { lanes, weights }));
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  // With its headers beside it the program builds anywhere.
  for (const header of HEADERS) cpSync(join(EBPF_DIR, header), join(folder, header));
  const names = [...files.keys(), ...HEADERS];
  if (!compile) return names;
  await compileBpf(join(folder, PROGRAM_FILE), join(folder, OBJECT_FILE), { includeDirs: [folder] });
  return [...names, OBJECT_FILE];
};

const HEADERS = [
  'intransit_bits.h',
  'intransit_flow.h',
  'intransit_flow_act.h',
  'intransit_flow_packet.h',
  'intransit_lanes.h',
  'intransit_ways.h',
] as const;

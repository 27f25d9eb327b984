import { cpSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { insertion } from '../backends/common/entries.ts';
import { needDiagnostics } from '../backends/common/need.ts';
import { OBJECT_FILE } from '../backends/xdp/artifact.ts';
import { encodeFlowConfig } from '../backends/xdp/device-config.ts';
import { PROGRAM_FILE } from '../backends/xdp/emit.ts';
import { weightEntries } from '../backends/xdp/entries.ts';
import { xdpFlowFiles, xdpFlowP4InfoOf } from '../backends/xdp/flow/artifact.ts';
import { emitXdpFlow } from '../backends/xdp/flow/emit.ts';
import { type FlowRole, planXdpFlow, type XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import { xdpNeeds } from '../backends/xdp/needs.ts';
import { weightsLayout } from '../backends/xdp/p4info.ts';
import type { XdpOptions } from '../backends/xdp/plan.ts';
import { encodeWeights } from '../backends/xdp/weights.ts';
import { BpfError, compileBpf } from '../bpf/index.ts';
import type { Frame } from '../capture/index.ts';
import { type FlowPlace, LEAST_FRAME, MOST_TEST_FRAME, XdpFlowDevice } from '../devices/xdp-flow.ts';
import { refuse, throwErrors } from '../diagnostics/index.ts';
import { buildXdp } from '../engines/xdp.ts';
import { asEthernet } from '../features/as-ethernet.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import { FeatureExecutor } from '../features/executor.ts';
import type { Model } from '../model/model.ts';
import { EBPF_DIR } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { Comparison, type DeviceResult } from './compare.ts';
import { type FlowEngine, verdicts } from './engine.ts';
import type { FlowPipeline } from './options.ts';

/** Plans the program, or throws what forbids it. @throws DiagnosticError */
export function planFlowOrRefuse(
  definition: FeatureDefinition,
  model: Model,
  options: XdpOptions = {},
  role: FlowRole = {},
): XdpFlowPlan {
  const { plan, diagnostics } = planXdpFlow(definition, model, options, role);
  throwErrors(diagnostics);
  if (plan === undefined) throw new Error('a refusal without a diagnostic');
  throwErrors(needDiagnostics(xdpNeeds(plan.compute), 'xdp', model.file));
  return plan;
}

/** What a controller pushes to a host with an agent, and writes then: the weights. @throws DiagnosticError */
export async function xdpFlowPipeline(definition: FeatureDefinition, model: Model): Promise<FlowPipeline> {
  using folder = temporaryFolder();
  const plan = planFlowOrRefuse(definition, model, { weights: 'runtime' });
  const elf = await readFile(await buildXdp(emitXdpFlow(plan), folder.path));
  return {
    config: {
      p4info: xdpFlowP4InfoOf(weightsLayout(plan.compute), definition.features.length),
      deviceConfig: encodeFlowConfig(plan, elf),
    },
    updates: weightEntries(plan.compute, 0).map(insertion),
  };
}

/** Compiles, loads and installs a plan. @param flags of the compiler, for benchmarks @throws DiagnosticError */
export async function loadXdpFlow(
  plan: XdpFlowPlan,
  o: { readonly test: boolean; readonly acts?: boolean; readonly share?: XdpFlowDevice },
  flags: readonly string[] = [],
): Promise<XdpFlowDevice> {
  using folder = temporaryFolder();
  const { compute } = plan;
  try {
    const elf = await buildXdp(emitXdpFlow(plan), folder.path, flags);
    const device = await XdpFlowDevice.load(elf, plan.definition.features.length, {
      ...o,
      ...(plan.role.member && { featureWords: plan.role.member.featureWords }),
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

/** Bytes of a frame that a test run is given: more than all headers and the payload that features read. */
const MOST_GIVEN = 2048;
/** Packets after which other work of the process has its turn. */
const TURN = 1024;

/**
 * The kernel, by test runs: each frame goes through the whole program at the time at which it was captured, and what the
 * program says is compared with the reference.
 * @throws DiagnosticError
 */
export async function createXdpFlowEngine(definition: FeatureDefinition, model: Model): Promise<FlowEngine> {
  const device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true });
  const comparison = new Comparison(verdicts(model));
  const atEnd = definition.occasion.kind === 'end';
  return {
    async capture(frames, onPacket) {
      const executor = new FeatureExecutor(definition);
      device.clear();
      comparison.begin();
      let count = 0;
      const places = new Map<number, FlowPlace>();
      for (const original of frames) {
        const frame = given(asEthernet(original));
        const expected = executor.frame(frame);
        const result = resultOf(device, frame);
        if (!atEnd) onPacket(comparison.packet(expected, result), original);
        else {
          const hasFlow = expected.flow !== undefined;
          if (hasFlow) places.set(expected.flow.number, device.place());
          onPacket(
            comparison.packet(expected, { ...result, gone: hasFlow ? device.gone() : undefined }),
            original,
          );
        }
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      // With the capture its flows end.
      for (const row of executor.end()) {
        const place = places.get(row.flow.number);
        const rows = comparison.ended(row, place && device.endPlace(place));
        onPacket({ outcome: 'classified', rows, flow: row.flow }, undefined);
      }
    },
    equality: () => comparison.equality(),
    async close() {
      device.close();
    },
  };
}

/** The frame as it goes to the kernel and to the reference. */
export const given = (frame: Frame): Frame =>
  frame.data.length > MOST_TEST_FRAME ? { ...frame, data: frame.data.subarray(0, MOST_GIVEN) } : frame;

function resultOf(device: XdpFlowDevice, frame: Frame): DeviceResult {
  // The kernel is given no frame without a link header: drivers drop it before.
  if (frame.data.length < LEAST_FRAME) return { outcome: 'damaged', verdict: undefined, features: undefined };
  const result = device.run(frame.data, frame.timeNs, frame.length);
  return { ...result, features: result.outcome === 'classified' ? device.features() : undefined };
}

/** The program with its headers, weights and manifest. @returns names of the files @throws DiagnosticError */
export async function writeXdpFlow(
  definition: FeatureDefinition,
  model: Model,
  folder: string,
  options: XdpOptions,
  build: boolean,
): Promise<readonly string[]> {
  const files = xdpFlowFiles(
    planFlowOrRefuse(definition, model, {
      lanes: options.lanes ?? 'on',
      weights: options.weights ?? 'runtime',
    }),
  );
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  // With its headers beside it the program builds anywhere.
  for (const header of HEADERS) cpSync(join(EBPF_DIR, header), join(folder, header));
  const names = [...files.keys(), ...HEADERS];
  if (!build) return names;
  await compileBpf(join(folder, PROGRAM_FILE), join(folder, OBJECT_FILE), { includeDirs: [folder] });
  return [...names, OBJECT_FILE];
}

const HEADERS = [
  'intransit_flow.h',
  'intransit_flow_act.h',
  'intransit_lanes.h',
  'intransit_ways.h',
] as const;

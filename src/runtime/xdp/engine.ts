import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needDiagnostics } from '../../backends/common/need.ts';
import { emitXdp, PROGRAM_FILE } from '../../backends/xdp/emit.ts';
import { xdpNeeds } from '../../backends/xdp/needs.ts';
import { planXdp, type XdpOptions, type XdpPlan } from '../../backends/xdp/plan.ts';
import { encodeWeights } from '../../backends/xdp/weights.ts';
import { BpfError } from '../../bpf/index.ts';
import { madeOrRefuse, refuse, throwErrors } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { EBPF_DIR } from '../../paths.ts';
import { eachRow } from '../../reference/each-row.ts';
import { temporaryFolder } from '../../temporary.ts';
import { compileBpf } from '../../toolchain/clang.ts';
import {
  encodeFrame,
  encodePacket,
  fieldOffset,
  framePayload,
  HEADER_BYTES,
  OUTER_BYTES,
  requestPacket,
} from '../../wire/index.ts';
import type { Engine } from '../engine.ts';
import { XdpDevice } from './device.ts';

/** Any addresses do: these frames never leave the kernel's test run. */
const TEST_ADDRESSES = {
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  sourceIp: Uint8Array.of(192, 0, 2, 1),
  destinationIp: Uint8Array.of(192, 0, 2, 2),
  sourcePort: 40000,
};

/**
 * Plans the program, or throws what forbids it: what does not fit is told before clang and the verifier have worked on it.
 * @throws DiagnosticError
 */
export function planOrRefuse(model: Model, options: XdpOptions): XdpPlan {
  const { plan: made, diagnostics } = planXdp(model, options);
  const plan = madeOrRefuse(made, diagnostics);
  throwErrors(needDiagnostics(xdpNeeds(plan), 'xdp', model.file));
  return plan;
}

/** Source to object bytes on disk. @throws DiagnosticError where clang is missing or refuses */
export async function buildXdp(
  source: string,
  folder: string,
  flags: readonly string[] = [],
): Promise<string> {
  const sourcePath = join(folder, PROGRAM_FILE);
  const objectPath = join(folder, 'program.o');
  await writeFile(sourcePath, source);
  await compileBpf(sourcePath, objectPath, { includeDirs: [EBPF_DIR], flags });
  return objectPath;
}

/** Compiles, loads and installs a plan. @throws DiagnosticError */
export async function loadXdp(plan: XdpPlan, flags: readonly string[] = []): Promise<XdpDevice> {
  using folder = temporaryFolder();
  const place = { file: plan.model.file };
  try {
    const device = await XdpDevice.load(await buildXdp(emitXdp(plan), folder.path, flags));
    const { modelId, modelVersion, weights } = plan.options;
    device.install(0, {
      modelId,
      modelVersion,
      ...(weights === 'runtime' && { weights: encodeWeights(plan) }),
    });
    return device;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return refuse('bpf', { reason: error.message, remedy: error.remedy }, place, error.log);
  }
}

/**
 * The kernel, through BPF_PROG_TEST_RUN: every row is a whole packet through the whole program.
 * @throws DiagnosticError where the model does not fit, or this machine cannot run it
 */
export async function createXdpEngine(model: Model, options: XdpOptions = {}): Promise<Engine> {
  const plan = planOrRefuse(model, options);
  const device = await loadXdp(plan);
  const inputs = tensorBytes(plan.input);
  const outputs = tensorBytes(plan.output);
  const frame = emptyRequest(plan);
  const runner = device.program.createTestRunner(frame.length, frame.length + outputs);
  return {
    run(rows, onProgress) {
      const compute = (row: Uint8Array, index: number): Uint8Array => {
        frame.set(row, OUTER_BYTES + HEADER_BYTES);
        runner.run(frame);
        const payload = framePayload(runner.packet);
        if (payload?.[fieldOffset('nextLayer')] === plan.options.to)
          return payload.subarray(HEADER_BYTES, HEADER_BYTES + outputs);
        return refuse(
          'not-computed',
          { row: index, counters: nonZero(device.counters()) },
          { file: model.file },
        );
      };
      return eachRow(rows, { count: rows.length / inputs, inputs, outputs }, compute, onProgress);
    },
    async close() {
      device.close();
    },
  };
}

/** A request frame of the plan's shape, the activations zero. Its UDP checksum is absent: rows are set in place. */
export function emptyRequest(plan: XdpPlan): Uint8Array {
  const packet = requestPacket(new Uint8Array(tensorBytes(plan.input)), {
    modelId: plan.options.modelId,
    modelVersion: plan.options.modelVersion,
    layerCount: plan.model.layers.length,
    nextLayer: plan.options.from,
    element: plan.input.element,
  });
  const frame = encodeFrame({ ...TEST_ADDRESSES, destinationPort: plan.options.port }, encodePacket(packet));
  frame.fill(0, OUTER_BYTES - 2, OUTER_BYTES);
  return frame;
}

const nonZero = (counters: Record<string, bigint>): string =>
  Object.entries(counters)
    .filter(([, count]) => count > 0n)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

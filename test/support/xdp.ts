import { xdpNeeds } from '../../src/backends/xdp/needs.ts';
import type { XdpOptions, XdpPlan } from '../../src/backends/xdp/plan.ts';
import type { Model } from '../../src/model/model.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import type { XdpDevice } from '../../src/runtime/xdp/device.ts';
import { emptyRequest, loadXdp, planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, HEADER_BYTES, OUTER_BYTES } from '../../src/wire/index.ts';

export interface Comparison {
  readonly elements: number;
  readonly mismatches: number;
  /** `verifiedInstructions` as foretold and as the kernel counted them. */
  readonly foretold: number;
  readonly verified: number;
}

export const foretold = (plan: XdpPlan): number =>
  xdpNeeds(plan).find((n) => n.resource === 'verified instructions')!.need;

/** Rows through the kernel and through the reference; mismatching elements are counted. */
export async function compareXdp(model: Model, options: XdpOptions, rows: Uint8Array): Promise<Comparison> {
  const plan = planOrRefuse(model, options);
  using device = await loadXdp(plan);
  const inputs = tensorBytes(plan.input);
  let mismatches = 0;
  let elements = 0;
  const ask = asker(plan, device);
  for (let at = 0; at < rows.length; at += inputs) {
    const row = rows.subarray(at, at + inputs);
    const expected = interpret(model, row, plan.options.from, plan.options.to);
    const actual = ask(row);
    elements += expected.length;
    for (const [i, byte] of expected.entries()) if (actual?.[i] !== byte) mismatches++;
    if (actual !== undefined && actual.length !== expected.length) mismatches += expected.length;
  }
  return {
    elements,
    mismatches,
    foretold: foretold(plan),
    verified: device.program.verifiedInstructions ?? 0,
  };
}

/** A function that asks the loaded program for one row; undefined where the packet was not computed. */
export function asker(plan: XdpPlan, device: XdpDevice): (row: Uint8Array) => Uint8Array | undefined {
  const request = emptyRequest(plan);
  const outputs = tensorBytes(plan.output);
  const runner = device.program.createTestRunner(request.length, request.length + outputs);
  return (row) => {
    request.set(row, OUTER_BYTES + HEADER_BYTES);
    runner.run(request);
    const payload = framePayload(runner.packet);
    const packet = payload && decodePacket(payload);
    return packet?.header.nextLayer === plan.options.to ? Uint8Array.from(packet.activations) : undefined;
  };
}

/** Runs jobs with `width` of them under way at a time; results in the order of the jobs. */
export async function inParallel<T, R>(
  jobs: readonly T[],
  width: number,
  work: (job: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const index = next++;
      results[index] = await work(jobs[index]!);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

import type { CostModel } from './cost-model.ts';
import { fitCost, type Sample } from './fit.ts';
import type { NodeKind } from './topology-schema.ts';

/**
 * The measurements behind the default cost models, which are fitted to them and to nothing else. docs/plan.md tells how to
 * make such a list for another machine, and `bench/planner.ts fit` prints it.
 */

const MACHINE = 'two cores of an Intel Xeon, shared, Linux 6, medians';

/** `packetNs` of `bench examples/MODEL.onnx --layers A..B --json`: packet in to packet out, less an empty program. */
const xdpSamples: readonly Sample[] = [
  { work: { multiplies: 704, neurons: 32 }, ns: 268 }, // digits-mlp 0..1
  { work: { multiplies: 832, neurons: 42 }, ns: 307 }, // digits-mlp 0..2
  { work: { multiplies: 176, neurons: 32 }, ns: 109 }, // traffic-mlp 0..1
  { work: { multiplies: 368, neurons: 48 }, ns: 172 }, // traffic-mlp 0..2
  { work: { multiplies: 416, neurons: 55 }, ns: 195.5 }, // traffic-mlp 0..3
  { work: { multiplies: 1728, neurons: 512 }, ns: 1126 }, // digits-cnn 0..2
  { work: { multiplies: 8640, neurons: 768 }, ns: 3224 }, // digits-cnn 0..3
  { work: { multiplies: 8896, neurons: 778 }, ns: 3328 }, // digits-cnn 0..5
];

/** `bench/planner.ts ends`: CPU ns of one row in the reference interpreter, with which `send` computes at the edge. */
const edgeSamples: readonly Sample[] = [
  { work: { multiplies: 2048, neurons: 32 }, ns: 15_844 }, // digits-mlp 0..1
  { work: { multiplies: 2368, neurons: 42 }, ns: 16_133 }, // digits-mlp 0..2
  { work: { multiplies: 512, neurons: 32 }, ns: 8649 }, // traffic-mlp 0..1
  { work: { multiplies: 1024, neurons: 48 }, ns: 11_890 }, // traffic-mlp 0..2
  { work: { multiplies: 1136, neurons: 55 }, ns: 13_544 }, // traffic-mlp 0..3
  { work: { multiplies: 4608, neurons: 512 }, ns: 164_557 }, // digits-cnn 0..1
  { work: { multiplies: 23_040, neurons: 768 }, ns: 339_270 }, // digits-cnn 0..3
  { work: { multiplies: 23_680, neurons: 778 }, ns: 354_723 }, // digits-cnn 0..5
];

/** Likewise of one row in ONNX Runtime, one thread, as `worker` runs it; of ad01 from `bench/ad01.ts`. */
const workerSamples: readonly Sample[] = [
  { work: { multiplies: 2368, neurons: 42 }, ns: 13_223 }, // digits-mlp 0..2
  { work: { multiplies: 320, neurons: 10 }, ns: 11_000 }, // digits-mlp 1..2
  { work: { multiplies: 1136, neurons: 55 }, ns: 14_497 }, // traffic-mlp 0..3
  { work: { multiplies: 624, neurons: 23 }, ns: 13_202 }, // traffic-mlp 1..3
  { work: { multiplies: 112, neurons: 7 }, ns: 10_647 }, // traffic-mlp 2..3
  { work: { multiplies: 23_680, neurons: 778 }, ns: 20_319 }, // digits-cnn 0..5
  { work: { multiplies: 19_072, neurons: 266 }, ns: 14_993 }, // digits-cnn 1..5
  { work: { multiplies: 640, neurons: 10 }, ns: 13_905 }, // digits-cnn 3..5
  { work: { multiplies: 264_192, neurons: 1672 }, ns: 166_200 }, // ad01
];

/** CPU time of simple_switch for a packet that our program passes on. */
const V1MODEL_PACKET_NS = 21_000;

/**
 * `bench/bmv2.ts`, `netWithChecksumUs`: CPU time of simple_switch a packet above passing it on, lanes on. A multiply is one
 * multiply-add of a whole word.
 */
const v1modelSamples: readonly Sample[] = [
  { work: { multiplies: 96, neurons: 42 }, ns: 12_600 }, // digits-mlp
  { work: { multiplies: 64, neurons: 55 }, ns: 12_200 }, // traffic-mlp
  { work: { multiplies: 58, neurons: 51 }, ns: 11_100 }, // 10-32-16-3
  { work: { multiplies: 1348, neurons: 778 }, ns: 320_900 }, // digits-cnn
];

/** A cost model from samples of its kind. */
export function fittedModel(samples: readonly Sample[], origin: string, packetNs = 0): CostModel {
  const { fixedNs, multiplyNs, neuronNs, worstError } = fitCost(samples);
  const quality = `least squares over ${samples.length} measurements, off by ${(100 * worstError).toFixed(0)} % at worst`;
  return { packetNs, fixedNs, macNs: 0, multiplyNs, neuronNs, origin: `${origin}; ${quality}` };
}

export const fittedCosts: Readonly<Record<Exclude<NodeKind, 'tna'>, CostModel>> = {
  edge: fittedModel(edgeSamples, `the reference interpreter, CPU time a row, ${MACHINE}`),
  worker: fittedModel(workerSamples, `ONNX Runtime, CPU time a row, ${MACHINE}`),
  xdp: fittedModel(xdpSamples, `packetNs of bench, ${MACHINE}`),
  v1model: fittedModel(
    v1modelSamples,
    `simple_switch of BMv2 1.15 on one processor, CPU time a packet, ${MACHINE}`,
    V1MODEL_PACKET_NS,
  ),
};

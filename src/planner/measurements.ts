import type { CostModel } from './cost-model.ts';
import { fitCost, type Sample } from './fit.ts';
import type { NodeKind } from './topology-schema.ts';

/**
 * The measurements behind the default cost models, which are fitted to them and to nothing else. docs/plan.md tells how to
 * make such a list for another machine, and `bench/planner.ts fit` prints it.
 */

const MACHINE = 'two cores of an Intel Xeon, shared, Linux 6, medians of `bench --json`';

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

/** `scalarNs` and `simdNs` of the same runs, of whole models: one multiply a MAC. */
const nativeSamples = [
  { work: { multiplies: 2368, neurons: 42 }, scalarNs: 982, simdNs: 104 }, // digits-mlp
  { work: { multiplies: 1136, neurons: 55 }, scalarNs: 702, simdNs: 99 }, // traffic-mlp
  { work: { multiplies: 23_680, neurons: 778 }, scalarNs: 26_526, simdNs: 11_153 }, // digits-cnn
] as const;

/** CPU time of simple_switch for a packet of an empty program. */
const V1MODEL_PACKET_NS = 20_000;

/**
 * CPU time of simple_switch a packet, with wide lanes and exact requantisation, less the empty program: 64-32-10 takes
 * 49.4 us and 10-32-16 34.4 us. A multiply is one multiply-add of a whole word: one an input where a layer is one word.
 */
const v1modelSamples: readonly Sample[] = [
  { work: { multiplies: 64 + 32, neurons: 32 + 10 }, ns: 49_400 - V1MODEL_PACKET_NS },
  { work: { multiplies: 10 + 32, neurons: 32 + 16 }, ns: 34_400 - V1MODEL_PACKET_NS },
];

/** A cost model from samples of its kind. */
export function fittedModel(samples: readonly Sample[], origin: string, packetNs = 0): CostModel {
  const { fixedNs, multiplyNs, neuronNs, worstError } = fitCost(samples);
  const quality = `least squares over ${samples.length} measurements, off by ${(100 * worstError).toFixed(0)} % at worst`;
  return { packetNs, fixedNs, macNs: 0, multiplyNs, neuronNs, origin: `${origin}; ${quality}` };
}

const native = (form: 'scalarNs' | 'simdNs'): CostModel =>
  fittedModel(
    nativeSamples.map((s) => ({ work: s.work, ns: s[form] })),
    `${form} of bench, ${MACHINE}`,
  );

export const fittedCosts: Readonly<Record<Exclude<NodeKind, 'tna'>, CostModel>> = {
  edge: native('scalarNs'),
  worker: native('simdNs'),
  xdp: fittedModel(xdpSamples, `packetNs of bench, ${MACHINE}`),
  v1model: fittedModel(
    v1modelSamples,
    'hand-written programs on BMv2 1.15 on an idle 2-core machine, CPU time a packet (table of measurements in the design)',
    V1MODEL_PACKET_NS,
  ),
};

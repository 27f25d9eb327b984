import type { Sample } from '../fit.ts';
import { fittedModel, MEASURED_ON } from '../fitted-model.ts';

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

/** What an inference takes on the cores of a host. */
export const xdpCost = fittedModel(xdpSamples, `packetNs of bench, ${MEASURED_ON}`);

import type { Sample } from '../targets/fit.ts';
import { fittedModel, MEASURED_ON } from '../targets/fitted-model.ts';

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

/** `send`, which computes with the reference interpreter. */
export const edgeCost = fittedModel(edgeSamples, `the reference interpreter, CPU time a row, ${MEASURED_ON}`);

/** `worker`, with ONNX Runtime. */
export const workerCost = fittedModel(workerSamples, `ONNX Runtime, CPU time a row, ${MEASURED_ON}`);

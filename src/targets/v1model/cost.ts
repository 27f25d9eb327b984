import type { Sample } from '../fit.ts';
import { fittedModel, MEASURED_ON } from '../fitted-model.ts';

/** CPU time of simple_switch for a packet that our program passes on: an empty program's 28.3 us, and passing on above it. */
const V1MODEL_PACKET_NS = 62_000;

/**
 * `bench/bmv2.ts`, "with a checksum": CPU time of simple_switch a packet above passing it on, lanes on. A multiply is one
 * multiply-add of a whole word.
 */
const v1modelSamples: readonly Sample[] = [
  { work: { multiplies: 96, neurons: 42 }, ns: 35_600 }, // digits-mlp
  { work: { multiplies: 64, neurons: 55 }, ns: 32_800 }, // traffic-mlp
  { work: { multiplies: 58, neurons: 51 }, ns: 31_700 }, // 10-32-16-3
  { work: { multiplies: 1348, neurons: 778 }, ns: 262_400 }, // digits-cnn
];

/** What an inference takes in BMv2. */
export const v1modelCost = fittedModel(
  v1modelSamples,
  `simple_switch of BMv2 1.15 as published, with logging macros, on one processor, CPU time a packet, ${MEASURED_ON}`,
  V1MODEL_PACKET_NS,
);

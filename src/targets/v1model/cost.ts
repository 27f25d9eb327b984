import type { Sample } from '../fit.ts';
import { fittedModel, MEASURED_ON } from '../fitted-model.ts';

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

/** What an inference takes in BMv2. */
export const v1modelCost = fittedModel(
  v1modelSamples,
  `simple_switch of BMv2 1.15 without logging macros on one processor, CPU time a packet, ${MEASURED_ON}`,
  V1MODEL_PACKET_NS,
);

import type { CostModel } from './cost-model.ts';
import { fitCost, type Sample } from './fit.ts';

/** Where the samples of the default cost models come from. docs/plan.md tells how to take some on another machine. */
export const MEASURED_ON = 'two cores of an Intel Xeon, shared, Linux 6, medians';

/** A cost model from samples of its kind. */
export function fittedModel(samples: readonly Sample[], origin: string, packetNs = 0): CostModel {
  const { fixedNs, multiplyNs, neuronNs, worstError } = fitCost(samples);
  const quality = `least squares over ${samples.length} measurements, off by ${(100 * worstError).toFixed(0)} % at worst`;
  return { packetNs, fixedNs, macNs: 0, multiplyNs, neuronNs, origin: `${origin}; ${quality}` };
}

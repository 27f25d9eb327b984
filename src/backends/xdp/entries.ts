import type { Entry } from '../common/entries.ts';
import { weightsTable } from '../common/table-model.ts';
import type { XdpPlan } from './plan.ts';
import { arrayBytes, encodeWeights, layerArrays } from './weights.ts';

/**
 * One default action a layer: the weights of one version. Each array is one parameter: its bytes as they stand in the struct, read
 * as one big-endian number.
 */
export function weightEntries(plan: XdpPlan, slot: number): Entry[] {
  if (plan.options.weights === 'static') return [];
  const struct = Buffer.from(encodeWeights(plan));
  let at = 0;
  const next = (bytes: number): bigint => {
    at += bytes;
    return BigInt(`0x0${struct.toString('hex', at - bytes, at)}`);
  };
  return plan.layers.flatMap((layer) => {
    const arrays = layerArrays(layer);
    if (arrays.length === 0) return [];
    const parameters = arrays.map((a) => ({ name: a.name, bits: 8 * arrayBytes(a) }));
    const table = weightsTable(layer.index, slot, parameters);
    const values = arrays.map((a) => next(arrayBytes(a)));
    return [{ table, keys: [], action: table.actions[0]!, parameters: values }];
  });
}

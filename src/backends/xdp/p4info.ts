import { p4InfoText } from '../../p4runtime/text.ts';
import { p4infoOf } from '../common/p4info.ts';
import {
  modelIds,
  models,
  refusedRequests,
  type TableModel,
  verdictCounter,
  weightsTable,
  zones,
} from '../common/table-model.ts';
import type { XdpPlan } from './plan.ts';
import { arrayBytes, layerArrays } from './weights.ts';

export const P4INFO_FILE = 'p4info.txt';

/**
 * The tables of a host that runs the program, in the same model as a switch's: what a controller writes is the same, but
 * for the shape of the weights. Each array of a layer's weights is one parameter, little-endian as in the map.
 */
export function xdpP4Info(plan: XdpPlan): string {
  const weights = plan.options.weights === 'runtime' ? plan.layers.flatMap(layerTable) : [];
  const tables = [models, modelIds, zones, ...weights];
  return p4InfoText(p4infoOf({ tables, counters: [verdictCounter], digests: [refusedRequests] }, 'xdp'));
}

function layerTable(layer: XdpPlan['layers'][number]): TableModel[] {
  const parameters = layerArrays(layer).map((a) => ({ name: a.name, bits: 8 * arrayBytes(a) }));
  return parameters.length === 0 ? [] : [weightsTable(layer.index, parameters)];
}

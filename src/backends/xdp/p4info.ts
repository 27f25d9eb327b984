import { p4InfoText } from '../../p4runtime/text.ts';
import type { P4Info } from '../../p4runtime/types.ts';
import { p4infoOf } from '../common/p4info.ts';
import {
  absent,
  ipv4Lpm,
  modelIds,
  models,
  ports,
  refusedRequests,
  steer,
  type TableModel,
  verdictCounter,
  weightsTable,
  zones,
} from '../common/table-model.ts';
import type { XdpPlan } from './plan.ts';
import { arrayBytes, layerArrays } from './weights.ts';

export const P4INFO_FILE = 'p4info.txt';

/** Versions of the weights that a program holds side by side. */
export const XDP_SLOTS = 2;

/** Two versions by number, and the current one. */
const xdpModels: TableModel = { ...models, size: XDP_SLOTS + 1 };

/** What no table has a way for is the host's own: it must not lose its ARP and its ssh. */
const xdpPorts: TableModel = { ...ports, defaultAction: absent };

/** The weights of one layer as the program's struct has them: each array, with its bytes. */
export interface LayerWeights {
  readonly layer: number;
  readonly arrays: readonly { readonly name: string; readonly bytes: number }[];
}

export const weightsLayout = (plan: XdpPlan): LayerWeights[] =>
  plan.options.weights === 'static'
    ? []
    : plan.layers.map((layer) => ({
        layer: layer.index,
        arrays: layerArrays(layer).map((a) => ({ name: a.name, bytes: arrayBytes(a) })),
      }));

/**
 * The tables of a host that runs the program, in the same model as a switch's: what a controller writes is the same, but
 * for the shape of the weights. Each array of a layer's weights is one parameter: its bytes as they stand in the map, read
 * as one number.
 */
export function xdpP4InfoOf(layers: readonly LayerWeights[]): P4Info {
  const tables = [xdpModels, modelIds, zones, xdpPorts, ipv4Lpm, steer, ...layerTables(layers)];
  return p4infoOf({ tables, counters: [verdictCounter], digests: [refusedRequests] }, 'xdp');
}

/** The same, as text. */
export const xdpP4Info = (plan: XdpPlan): string => p4InfoText(xdpP4InfoOf(weightsLayout(plan)));

/** The tables of the weights: one for each layer that has any, and slot. */
export const layerTables = (layers: readonly LayerWeights[]): TableModel[] =>
  layers
    .filter((l) => l.arrays.length > 0)
    .flatMap(({ layer, arrays }) => {
      const parameters = arrays.map(({ name, bytes }) => ({ name, bits: 8 * bytes }));
      return Array.from({ length: XDP_SLOTS }, (_, slot) => weightsTable(layer, slot, parameters));
    });

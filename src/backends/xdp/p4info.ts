import { firstSlotOf } from '../../dataplane/abi.ts';
import { p4InfoText } from '../../p4runtime/text.ts';
import type { P4Info } from '../../p4runtime/types.ts';
import { p4infoOf } from '../common/p4info.ts';
import {
  absent,
  ipv4Lpm,
  modelIds,
  models,
  outcomeCounter,
  ports,
  refusedRequests,
  shards,
  slotCounter,
  slotMeter,
  steer,
  type TableModel,
  weightsTable,
  zones,
} from '../common/table-model.ts';
import type { XdpPlan } from './plan.ts';
import { arrayBytes, layerArrays, weightSlots } from './weights.ts';

/** P4Info as protobuf text. */
export const P4INFO_FILE = 'p4info.txt';

/** What no table has a next hop for is the host's own: it must not lose its ARP and its ssh. */
const xdpPorts: TableModel = { ...ports, defaultAction: absent };

/** The weights of one layer as the program's struct has them: each array, with its bytes. */
export interface LayerWeights {
  readonly layer: number;
  readonly arrays: readonly { readonly name: string; readonly bytes: number }[];
}

/** Arrays of weights by layer, in the order of the weights file; none where they are constants of the program. */
export const weightsLayout = (plan: XdpPlan): LayerWeights[] =>
  plan.options.weights === 'static'
    ? []
    : plan.layers.map((layer) => ({
        layer: layer.index,
        arrays: layerArrays(layer).map((a) => ({ name: a.name, bytes: arrayBytes(a) })),
      }));

/** What a controller sees of one of a device's programs. */
export interface ProgramLayout {
  /** Among the programs of the device. */
  readonly index: number;
  /** Versions that it holds side by side. */
  readonly slots: number;
  /** None where the weights are constants. */
  readonly weights: readonly LayerWeights[];
}

/** @param index of the program among those of the device */
export const programLayout = (plan: XdpPlan, index = 0): ProgramLayout => ({
  index,
  slots: weightSlots(plan),
  weights: weightsLayout(plan),
});

/**
 * The tables of a host that runs these programs, in the same model as a switch's: what a controller writes is the same, but
 * for the shape of the weights. Each array of a layer's weights is one parameter: its bytes as they stand in the map, read
 * as one number.
 */
export function xdpP4InfoOf(programs: readonly ProgramLayout[]): P4Info {
  const tables = [
    ...[models, modelIds, zones, xdpPorts, ipv4Lpm, steer, shards],
    ...programs.flatMap(weightTables),
  ];
  return p4infoOf(
    { tables, counters: [outcomeCounter, slotCounter], digests: [refusedRequests], meters: [slotMeter] },
    'xdp',
  );
}

/** The same, as text. */
export const xdpP4Info = (plan: XdpPlan): string => p4InfoText(xdpP4InfoOf([programLayout(plan)]));

const weightTables = ({ index, slots, weights }: ProgramLayout): TableModel[] =>
  layerTables(weights, slots, firstSlotOf(index));

/** The tables of the weights: one for each layer that has any, and slot. @param first slot of the device */
export const layerTables = (layers: readonly LayerWeights[], slots: number, first = 0): TableModel[] =>
  layers
    .filter(({ arrays }) => arrays.length > 0)
    .flatMap(({ layer, arrays }) => {
      const parameters = arrays.map(({ name, bytes }) => ({ name, bits: 8 * bytes }));
      return Array.from({ length: slots }, (_, slot) => weightsTable(layer, first + slot, parameters));
    });

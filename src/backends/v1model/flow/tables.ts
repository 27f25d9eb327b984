import type { P4Info } from '../../../p4runtime/types.ts';
import type { Entry } from '../../common/entries.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { p4infoOf } from '../../common/p4info.ts';
import {
  type ActionModel,
  type CounterModel,
  cross,
  drop,
  type TableModel,
} from '../../common/table-model.ts';
import { layerTables, weightEntries } from '../tables.ts';
import type { V1modelFlowPlan } from './plan.ts';

/** Packets by outcome; then flows that began, and those that made room for them. */
export const flowCounter: CounterModel = {
  name: 'flow_counts',
  id: 0x12_000000 + 2,
  size: flowOutcomes.length + 2,
};

export const flowForward: ActionModel = cross;

/** Where the packets of a port go. */
export const flowPorts: TableModel = {
  name: 'ports',
  id: 0x02_000000 + 4,
  keys: [{ name: 'ingress_port', bits: 9, match: 'EXACT' }],
  actions: [cross, drop],
  defaultAction: drop,
  size: 512,
};

export function flowP4Info({ compute }: V1modelFlowPlan): P4Info {
  const layers = layerTables(compute.lowered, compute.options.slots);
  return p4infoOf({ tables: [flowPorts, ...layers], counters: [flowCounter], digests: [] });
}

/** The weights, for the version that a fresh switch has. */
export const flowEntries = ({ compute }: V1modelFlowPlan): Entry[] => weightEntries(compute.lowered, 0);

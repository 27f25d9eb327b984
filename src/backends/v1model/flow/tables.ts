import type { P4Info } from '../../../p4runtime/types.ts';
import type { Entry } from '../../common/entries.ts';
import { flowTables } from '../../common/flow/tables.ts';
import { p4infoOf } from '../../common/p4info.ts';
import { drop } from '../../common/table-model.ts';
import { layerTables, weightEntries } from '../tables.ts';
import type { V1modelFlowPlan } from './plan.ts';

export const flowP4Info = ({ compute, definition }: V1modelFlowPlan): P4Info =>
  p4infoOf(
    flowTables({
      portDefault: drop,
      layers: layerTables(compute.lowered, compute.options.slots),
      features: definition.features.length,
    }),
  );

/** The weights in a slot; a fresh switch classifies by slot 0. */
export const flowEntries = ({ compute }: V1modelFlowPlan, slot = 0): Entry[] =>
  weightEntries(compute.lowered, slot);

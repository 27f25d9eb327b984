import { firstSlotOf } from '../../../dataplane/abi.ts';
import { jsonText } from '../../../diagnostics/index.ts';
import { endsAreTold } from '../../../features/definition.ts';
import { p4InfoText } from '../../../p4runtime/text.ts';
import type { P4Info } from '../../../p4runtime/types.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { FLOW_SLOTS, flowSetTables, flowTables } from '../../common/flow/tables.ts';
import { p4infoOf } from '../../common/p4info.ts';
import { absent } from '../../common/table-model.ts';
import { MANIFEST_FILE, type Manifest, OBJECT_FILE, WEIGHTS_FILE, weightsEntry } from '../artifact.ts';
import { PROGRAM_FILE } from '../emit.ts';
import { type LayerWeights, layerTables, P4INFO_FILE, weightsLayout } from '../p4info.ts';
import { encodeWeights } from '../weights.ts';
import { emitXdpFlow } from './emit.ts';
import { keyCode } from './key.ts';
import { FLOW_PLACES, placeBytes, type XdpFlowPlan } from './plan.ts';

/** What a controller and a host need to know of a compiled program of flows. */
export interface FlowManifest {
  readonly format: 'intransit-flow-manifest/1';
  readonly target: 'xdp';
  readonly model: { readonly name: string; readonly layerCount: number };
  readonly features: {
    readonly definition: string;
    readonly names: readonly string[];
    readonly clockNs: number;
    /** Whether flows are classified at their ends. */
    readonly atEnd?: true;
  };
  readonly table: {
    readonly flows: number;
    readonly places: number;
    readonly keep: number;
    /** Bytes that a flow takes. */
    readonly placeBytes: number;
  };
  readonly outcomes: readonly string[];
  readonly program: { readonly source: string; readonly object: string; readonly section: string };
  readonly weights: Manifest['weights'];
}

/** Written as `manifest.json` beside the program, and pushed with it. */
export function xdpFlowManifest(plan: XdpFlowPlan): FlowManifest {
  const { definition: d, compute } = plan;
  return {
    format: 'intransit-flow-manifest/1',
    target: 'xdp',
    model: { name: compute.model.name, layerCount: compute.model.layers.length },
    features: {
      definition: d.name,
      names: d.features.map((f) => f.name),
      clockNs: d.clockNs,
      ...(endsAreTold(d) && { atEnd: true }),
    },
    table: {
      flows: d.table.flows,
      places: FLOW_PLACES,
      keep: d.table.keep,
      placeBytes: placeBytes(plan, keyCode(d).words),
    },
    outcomes: flowOutcomes.map((o) => o.name),
    program: { source: PROGRAM_FILE, object: OBJECT_FILE, section: 'xdp' },
    weights: weightsEntry(compute, FLOW_SLOTS),
  };
}

/** The tables of a host that classifies flows. What no port has a way for is the host's own. */
export function xdpFlowP4InfoOf(layers: readonly LayerWeights[], features: number): P4Info {
  return p4infoOf(
    flowTables({ portDefault: absent, layers: layerTables(layers, FLOW_SLOTS), features, asks: 'agent' }),
    'xdp',
  );
}

/** Of several models. @param packets whether the last of them has no flows */
export function xdpFlowSetP4InfoOf(
  models: readonly (readonly LayerWeights[])[],
  features: number,
  packets: boolean,
): P4Info {
  return p4infoOf(
    flowSetTables({
      portDefault: absent,
      models: models.map((layers, m) => ({
        layers: layerTables(layers, FLOW_SLOTS, firstSlotOf(m)),
        hasFlows: !packets || m < models.length - 1,
      })),
      features,
    }),
    'xdp',
  );
}

/** What `compile --features` writes, but for the compiled object: names to contents. */
export function xdpFlowFiles(plan: XdpFlowPlan): Map<string, string | Uint8Array> {
  const { compute, definition } = plan;
  const weights = compute.options.weights === 'runtime' ? encodeWeights(compute) : undefined;
  return new Map<string, string | Uint8Array>([
    [PROGRAM_FILE, emitXdpFlow(plan)],
    ...(weights === undefined ? [] : [[WEIGHTS_FILE, weights] as const]),
    [P4INFO_FILE, p4InfoText(xdpFlowP4InfoOf(weightsLayout(compute), definition.features.length))],
    [MANIFEST_FILE, jsonText(xdpFlowManifest(plan))],
  ]);
}

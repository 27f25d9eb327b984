import { createHash } from 'node:crypto';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import { MANIFEST_FILE, OBJECT_FILE, WEIGHTS_FILE } from '../artifact.ts';
import { PROGRAM_FILE } from '../emit.ts';
import { encodeWeights } from '../weights.ts';
import { emitXdpFlow } from './emit.ts';
import { FLOW_PLACES, type XdpFlowPlan } from './plan.ts';

/** What `compile --features` writes, but for the compiled object: names to contents. */
export function xdpFlowFiles(plan: XdpFlowPlan): Map<string, string | Uint8Array> {
  const { definition: d, compute } = plan;
  const weights = compute.options.weights === 'runtime' ? encodeWeights(compute) : undefined;
  const manifest = {
    format: 'intransit-flow-manifest/1',
    target: 'xdp',
    model: { name: compute.model.name, layerCount: compute.model.layers.length },
    features: { definition: d.name, names: d.features.map((f) => f.name), clockNs: d.clockNs },
    table: { flows: d.table.flows, places: FLOW_PLACES, keep: d.table.keep },
    outcomes: flowOutcomes.map((o) => o.name),
    program: { source: PROGRAM_FILE, object: OBJECT_FILE, section: 'xdp' },
    weights:
      weights === undefined
        ? { mode: 'static' }
        : {
            mode: 'runtime',
            file: WEIGHTS_FILE,
            bytes: weights.length,
            sha256: createHash('sha256').update(weights).digest('hex'),
          },
  };
  return new Map<string, string | Uint8Array>([
    [PROGRAM_FILE, emitXdpFlow(plan)],
    ...(weights === undefined ? [] : [[WEIGHTS_FILE, weights] as const]),
    [MANIFEST_FILE, `${JSON.stringify(manifest, undefined, 2)}\n`],
  ]);
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonText } from '../../../diagnostics/index.ts';
import { p4InfoText, writeRequestText } from '../../../p4runtime/text.ts';
import { P4_DIR } from '../../../paths.ts';
import { flowOutcomes } from '../../common/flow/outcomes.ts';
import type { TnaPlan } from '../plan.ts';
import { PROGRAM_FILE } from '../replacement.ts';
import { FLOW_HEADERS, printTnaFlow } from './emit.ts';
import type { FlowFront } from './plan.ts';
import { flowEntries, flowP4Info } from './tables.ts';

/** All files of a program of flows by name; the same plan gives the same bytes. */
export function tnaFlowFiles(
  network: TnaPlan,
  front: FlowFront,
  approximation?: object,
): Map<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    [PROGRAM_FILE, printTnaFlow(network, front)],
    [FLOW_HEADERS, readFileSync(join(P4_DIR, FLOW_HEADERS), 'utf8')],
    ['p4info.txt', p4InfoText(flowP4Info(network, front))],
    ['entries.txt', writeRequestText(flowEntries(network, front))],
    ['manifest.json', jsonText(manifestOf(network, front, approximation))],
  ]);
}

const manifestOf = (network: TnaPlan, front: FlowFront, approximation: object | undefined) => ({
  format: 'intransit-flow-manifest/1',
  target: 'tna',
  chip: network.chip.name,
  model: { name: network.model.name, layerCount: network.model.layers.length },
  features: {
    definition: front.definition.name,
    names: front.definition.features.map((f) => f.name),
    clockNs: front.definition.clockNs,
  },
  table: { flows: front.definition.table.flows, places: 1, keep: front.definition.table.keep },
  outcomes: flowOutcomes.map((o) => o.name),
  program: { source: PROGRAM_FILE, p4info: 'p4info.txt' },
  weights: { mode: 'runtime', entries: 'entries.txt', count: network.entries },
  ...(approximation && { approximation }),
  foretold: {
    stages: network.schedule.stages,
    needs: network.needs.map(({ help: _, ...need }) => need),
    /** Stages of ingress before the network. */
    front: front.placed,
  },
});

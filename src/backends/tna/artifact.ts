import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonText } from '../../diagnostics/index.ts';
import { p4InfoText, writeRequestText } from '../../p4runtime/text.ts';
import { P4_DIR } from '../../paths.ts';
import type { TnaPlan } from './plan.ts';
import { printTna } from './print-program.ts';
import { PROGRAM_FILE } from './replacement.ts';
import { allTables, choices, crossings, tableModel, tnaEntries, tnaP4Info } from './tables.ts';

const FIXED = ['intransit_wire.p4', 'intransit_tna.p4'];

/** All files of the plan by name; the same plan gives the same bytes. */
export function tnaFiles(plan: TnaPlan, approximation?: object): Map<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    [PROGRAM_FILE, printTna(plan)],
    ...FIXED.map((name) => [name, readFileSync(join(P4_DIR, name), 'utf8')] as const),
    ['p4info.txt', p4InfoText(tnaP4Info(plan))],
    ['entries.txt', writeRequestText(tnaEntries(plan))],
    ['manifest.json', jsonText(manifestOf(plan, approximation))],
  ]);
}

const manifestOf = (plan: TnaPlan, approximation: object | undefined) => ({
  format: 'intransit-manifest/1',
  target: 'tna',
  chip: plan.chip.name,
  model: {
    name: plan.model.name,
    id: plan.options.modelId,
    version: plan.options.modelVersion,
    layerCount: plan.model.layers.length,
  },
  layers: { from: plan.options.from, to: plan.options.to },
  input: plan.input,
  output: plan.output,
  port: plan.options.port,
  program: { source: PROGRAM_FILE, p4info: 'p4info.txt' },
  weights: { mode: 'runtime', entries: 'entries.txt', count: plan.entries },
  ...(approximation && { approximation }),
  foretold: { stages: plan.schedule.stages, needs: plan.needs.map(({ help: _, ...need }) => need) },
  /** What BF-RT calls the tables: pipe, control, table. */
  bfrt: Object.fromEntries([
    ...[choices, crossings].map((t) => [t.name, `pipe.IntransitIngress.${t.name}`]),
    ...allTables(plan).map((t) => {
      const at = plan.layers.findIndex((l) => l.layer === t.layer);
      const ingress = t.result.kind === 'sums' && plan.schedule.blocks[at]!.gress === 'ingress';
      const { name } = tableModel(plan, t);
      return [name, `pipe.Intransit${ingress ? 'Ingress' : 'Egress'}.${name}`];
    }),
  ]),
});

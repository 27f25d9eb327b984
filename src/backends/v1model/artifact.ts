import { jsonText } from '../../diagnostics/index.ts';
import { manifestHead } from '../common/manifest-head.ts';
import { emitV1model, PROGRAM_FILE } from './emit.ts';
import type { V1modelPlan } from './plan.ts';

/** BMv2's form of the program, made by p4c. */
export const JSON_FILE = 'program.json';

/** All files of a compiled model but p4c's: name to content, the same bytes for the same plan. */
export function v1modelFiles(plan: V1modelPlan): Map<string, string | Uint8Array> {
  const { options: o } = plan;
  const files = emitV1model(plan);
  const manifest = {
    ...manifestHead('v1model', plan),
    program: { source: PROGRAM_FILE, json: JSON_FILE, p4info: 'p4info.txt' },
    weights: { mode: o.weights, entries: 'entries.txt' },
    ...(o.lowering === 'tables' && { lowering: o.lowering }),
  };
  files.set('manifest.json', jsonText(manifest));
  return files;
}

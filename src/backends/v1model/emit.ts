import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { p4InfoText, writeRequestText } from '../../p4runtime/text.ts';
import type { P4Info, Update } from '../../p4runtime/types.ts';
import { P4_DIR } from '../../paths.ts';
import { p4infoOf } from '../common/p4info.ts';
import type { V1modelPlan } from './plan.ts';
import { printProgram } from './print-program.ts';
import { installation, layerTables, lookupTable, tableSet } from './tables.ts';

/** The hand-written parts, and those made from the wire header and the table model; copied beside the program. */
const FIXED = [
  'intransit_headers.p4',
  'intransit_pipeline.p4',
  ...['actions', 'apply', 'parser', 'select'].map((part) => `intransit_shape_${part}.p4`),
  'intransit_tables.p4',
  'intransit_wire.p4',
];

/** Slot of the version that a fresh device holds. */
export const FIRST_SLOT = 0;

/** What p4c is called on; it includes the other parts from its own folder. */
export const PROGRAM_FILE = 'program.p4';

/** With the weights in the first slots of the device, and tables of constants told as such. */
export const v1modelP4Info = (plan: V1modelPlan): P4Info => shapesP4Info([{ plan, first: FIRST_SLOT }]);

/** Of a program of several shapes. @param first slot of each on the device */
export function shapesP4Info(
  plans: readonly { readonly plan: V1modelPlan; readonly first: number }[],
): P4Info {
  const layers = plans.flatMap(({ plan, first }) => layerTables(plan.lowered, plan.options.slots, first));
  const info = p4infoOf(tableSet(layers));
  const constant = new Set(
    plans.flatMap(({ plan, first }) =>
      plan.lowered.code.stages
        .flatMap((s) => s.lookups)
        .filter((l) => l.constant)
        .map((l) => lookupTable(l, first).id),
    ),
  );
  if (constant.size === 0) return info;
  const tables = (info.tables ?? []).map((t) =>
    constant.has(t.preamble?.id ?? 0) ? { ...t, isConstTable: true } : t,
  );
  return { ...info, tables };
}

/** The entries of the plan's model and version. */
export const v1modelEntries = (plan: V1modelPlan, slot = FIRST_SLOT): Update[] =>
  installation(plan.lowered, {
    modelId: plan.options.modelId,
    modelVersion: plan.options.modelVersion,
    slot,
    from: plan.options.from,
    to: plan.options.to,
    layerCount: plan.model.layers.length,
  });

/** What p4c reads. */
export const emitSource = (plan: V1modelPlan): Map<string, string> =>
  new Map([[PROGRAM_FILE, printProgram(plan)], ...fixedParts()]);

/** The hand-written P4 of the package, read from its disk; it must stand beside the program. */
export const fixedParts = (): (readonly [name: string, text: string])[] =>
  FIXED.map((name) => [name, readFileSync(join(P4_DIR, name), 'utf8')]);

/** All files of the plan by name; the same plan gives the same bytes. */
export function emitV1model(plan: V1modelPlan): Map<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    ...emitSource(plan),
    ['p4info.txt', p4InfoText(v1modelP4Info(plan))],
    ['entries.txt', writeRequestText(v1modelEntries(plan))],
  ]);
}

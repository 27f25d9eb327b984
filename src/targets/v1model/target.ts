import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceTables, EMBEDDING_VERSIONS } from '../../backends/common/table-model.ts';
import { JSON_FILE, v1modelFiles } from '../../backends/v1model/artifact.ts';
import { PROGRAM_FILE, v1modelP4Info } from '../../backends/v1model/emit.ts';
import { planV1model, type V1modelPlan } from '../../backends/v1model/plan.ts';
import { v1modelReplacement } from '../../backends/v1model/replacement.ts';
import { madeOrRefuse, throwErrors } from '../../diagnostics/index.ts';
import { compileP4Program } from '../../toolchain/p4c.ts';
import { defineTarget, type Shape, type TargetProgram } from '../target.ts';
import { v1modelCost } from './cost.ts';
import { v1modelFlows } from './flows.ts';
import { tablesOf, v1modelOwn } from './own.ts';
import { v1modelProfiles } from './profile.ts';
import { type PlannedShape, v1modelTogether } from './together.ts';

/** P4_16 for the architecture of BMv2's simple_switch. */
export const v1modelTarget = defineTarget({
  name: 'v1model',
  describe: 'P4_16 for BMv2',
  compiler: 'p4c',
  own: v1modelOwn,
  plan(model, options, own) {
    const approximated = tablesOf(model, options, own);
    if (approximated.refused) return { program: undefined, diagnostics: approximated.diagnostics };
    const { plan, diagnostics } = planV1model(model, { ...options, ...approximated.options });
    return { program: plan && programOf(plan), diagnostics: [...approximated.diagnostics, ...diagnostics] };
  },
  profiles: v1modelProfiles,
  cost: v1modelCost,
  colour: '#fff3e0',
  engine: {
    name: 'bmv2',
    // The libraries of an engine are loaded only when it is asked for.
    async open(model, options, own) {
      const approximated = tablesOf(model, options, own);
      throwErrors(approximated.diagnostics);
      const { createBmv2Engine } = await import('../../runtime/bmv2/engine.ts');
      return createBmv2Engine(model, { ...options, ...approximated.options });
    },
  },
  // Its server takes many pings for an attack; calls find out what has become of it.
  device: { together: (shapes) => v1modelTogether(shapes.map(plannedShape)), flows: v1modelFlows },
});

/** @throws DiagnosticError where it does not fit a switch alone */
function plannedShape({ model, options, slots }: Shape): PlannedShape {
  const { plan: made, diagnostics } = planV1model(model, { ...options, slots });
  const plan = madeOrRefuse(made, diagnostics);
  return { plan, program: programOf(plan) };
}

/** Tables whose entries are the controller's own: those of versions and of forwarding. */
const sharedTables: ReadonlySet<number> = new Set(deviceTables.map((t) => t.id));

const programOf = (plan: V1modelPlan): TargetProgram => ({
  needs: plan.needs,
  describeLayer(index) {
    const layout = plan.lowered.layouts.find((l) => l.layer === index);
    if (layout?.lookups !== undefined && layout.words.length === 0)
      return `${layout.lookups.tables} tables of up to ${layout.lookups.rows} entries`;
    if (layout !== undefined) return `${layout.products} multiply-adds`;
    return index < plan.options.from || index >= plan.options.to ? undefined : 'lane by lane';
  },
  layers: plan.lowered.layouts,
  files: () => v1modelFiles(plan),
  source: () =>
    [...v1modelFiles(plan)]
      .filter(([name]) => name.endsWith('.p4'))
      .flatMap(([name, text]) => [name, `${text}`]),
  async build(folder) {
    await compileP4Program(join(folder, PROGRAM_FILE), join(folder, JSON_FILE), plan.model.file);
    return [JSON_FILE];
  },
  deviceConfig: (folder) => readFile(join(folder, JSON_FILE)),
  p4info: () => v1modelP4Info(plan),
  // Tables that are looked up by a key of the packet have room for two versions.
  slots: plan.lowered.code.stages.some((s) => s.lookups.some((l) => !l.constant))
    ? EMBEDDING_VERSIONS
    : plan.options.slots,
  replacement(model, slot) {
    // The entry that makes the version known is the controller's: it holds the threshold of the device.
    const { install } = v1modelReplacement(plan, model, { modelVersion: plan.options.modelVersion, slot });
    return install.flatMap(({ entity }) =>
      entity === undefined || sharedTables.has(entity.tableEntry?.tableId ?? 0) ? [] : [entity],
    );
  },
});

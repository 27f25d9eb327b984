import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JSON_FILE } from '../../backends/v1model/artifact.ts';
import { fixedParts, PROGRAM_FILE, shapesP4Info } from '../../backends/v1model/emit.ts';
import type { V1modelPlan } from '../../backends/v1model/plan.ts';
import { printTogether } from '../../backends/v1model/print-together.ts';
import { firstSlotOf, PROGRAMS } from '../../dataplane/abi.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { compileP4Program } from '../../toolchain/p4c.ts';
import type { TargetProgram, Together } from '../target.ts';

/** A shape, its program alone, and how it is planned. */
export interface PlannedShape {
  readonly plan: V1modelPlan;
  readonly program: TargetProgram;
}

/** One program with the layers of several shapes: a switch runs one. @returns what forbids it, else the program */
export function v1modelTogether(shapes: readonly PlannedShape[]): Together | readonly Diagnostic[] {
  const refusals = refusalsOf(shapes);
  if (refusals.length > 0) return refusals;
  const plans = shapes.map(({ plan }) => plan);
  const files = printTogether(plans, PROGRAM_FILE);
  const all = new Map([...files, ...fixedParts()]);
  return {
    parts: shapes.map(({ program, plan }, i) => ({
      slots: Array.from(
        { length: Math.min(program.slots ?? plan.options.slots, plan.options.slots) },
        (_, slot) => firstSlotOf(i) + slot,
      ),
      replacement: program.replacement,
    })),
    p4info: () => shapesP4Info(plans.map((plan, i) => ({ plan, first: firstSlotOf(i) }))),
    source: () => [...all].flat(),
    async build(folder) {
      for (const [name, text] of all) writeFileSync(join(folder, name), text);
      await compileP4Program(join(folder, PROGRAM_FILE), join(folder, JSON_FILE), plans[0]!.model.file);
      return await readFile(join(folder, JSON_FILE));
    },
  };
}

function refusalsOf(shapes: readonly PlannedShape[]): Diagnostic[] {
  const help = 'put some of the models on another device';
  const place = { file: shapes[0]!.plan.model.file };
  const refuse = (resource: string, need: number, limit: number, unit: string) =>
    diagnostic('resource-exceeded', { resource, need, limit, unit, help, target: 'v1model' }, place);
  const found: Diagnostic[] = [];
  if (shapes.length > PROGRAMS) found.push(refuse('one program', shapes.length, PROGRAMS, 'shapes'));
  // Tables by key are numbered by layer alone.
  const keyed = shapes.filter(({ plan }) => plan.lowered.code.stages.some((s) => s.lookups.length > 0));
  if (keyed.length > 1) found.push(refuse('one program', keyed.length, 1, 'shapes with tables by key'));
  return found;
}

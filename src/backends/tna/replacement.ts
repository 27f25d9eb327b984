import { refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import type { Entity } from '../../p4runtime/types.ts';
import { lowerToTables } from '../../passes/tables/lower.ts';
import { tableEntry } from '../common/entries.ts';
import { planTna, type TnaPlan } from './plan.ts';
import { printTna } from './print-program.ts';
import { versionEntries } from './tables.ts';

/** What the chip's compiler is called on. */
export const PROGRAM_FILE = 'program.p4';

/**
 * Entries of another version for a program of exact tables, under the bit of its slot.
 * @throws DiagnosticError `envelope-exceeded` where the network or its numbers do not fit the program
 */
export function tnaReplacement(plan: TnaPlan, model: Model, slot: number): readonly Entity[] {
  const place = { file: model.file };
  if (slot > 1)
    refuse('envelope-exceeded', { what: 'a bit tells two versions apart, and this is a third' }, place);
  const bits = Math.max(...plan.layers.map((l) => l.bits));
  const { program } = lowerToTables(model, { ...plan.options, target: plan.chip.name, bits });
  if (program === undefined)
    return refuse('envelope-exceeded', { what: 'its layers are not looked up' }, place);
  const other = planTna(model, plan.chip, program, plan.options).plan;
  if (printTna({ ...other, model: plan.model }) !== printTna(plan))
    refuse('envelope-exceeded', { what: 'its tables have other sizes or places' }, place);
  return versionEntries(other, slot === 0 ? 0 : 1).map((entry) => ({ tableEntry: tableEntry(entry) }));
}

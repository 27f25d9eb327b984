import { refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import type { Update } from '../../p4runtime/types.ts';
import { insertion, modification } from '../common/entries.ts';
import { lower } from './lower.ts';
import { lowerTables } from './lower-tables.ts';
import type { V1modelPlan } from './plan.ts';
import { printProgram } from './print-program.ts';
import { currentEntry, versionEntries, weightEntries } from './tables.ts';

/** Another version for a program that is loaded. */
interface Version {
  readonly modelVersion: number;
  /** A slot that no version in use has. */
  readonly slot: number;
}

interface Replacement {
  /** In the order of writing: the version is known only once its weights are there. */
  readonly install: readonly Update[];
  /** The one write that gives it the requests which name no version. */
  readonly makeCurrent: Update;
}

/**
 * The entries that bring other weights of the same network to a program that was compiled for `plan`: they stand beside
 * those of the versions that are there, and a packet is computed by the one that it names.
 * @throws DiagnosticError `envelope-exceeded` where the network or its numbers do not fit the program
 */
export function v1modelReplacement(plan: V1modelPlan, model: Model, version: Version): Replacement {
  const { from, to, modelId } = plan.options;
  const place = { file: model.file };
  if (plan.options.weights === 'static')
    refuse('envelope-exceeded', { what: 'its weights are constants (--weights static)' }, place);
  if (shapesOf(model) !== shapesOf(plan.model))
    refuse('envelope-exceeded', { what: 'its layers are not those of the model in the program' }, place);
  const envelope = plan.lowered.layouts;
  const { lowered } =
    plan.options.lowering === 'tables'
      ? lowerTables(model, plan.options)
      : lower(model, { ...plan.options, laneFloors: new Map(), envelope });
  // Everything that is not an entry must be the same; two programs that print alike are the same program.
  if (lowered === undefined || printProgram({ ...plan, lowered }) !== printProgram(plan))
    return refuse(
      'envelope-exceeded',
      { what: 'its constants or clamps are part of the program, and differ' },
      place,
    );
  const v = { modelId, ...version, from, to, layerCount: model.layers.length };
  return {
    install: [...weightEntries(lowered, v.slot), ...versionEntries(v)].map(insertion),
    makeCurrent: modification(currentEntry(v)),
  };
}

const shapesOf = (model: Model): string =>
  JSON.stringify(
    [model.input, ...model.layers].map((l) => ('kind' in l ? [l.kind, l.inputs, l.output.shape] : l.shape)),
  );

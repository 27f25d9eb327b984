import type { ProgramOptions } from '../backends/common/program-options.ts';
import type { Model } from '../model/model.ts';
import { targets } from '../targets/registry.ts';
import type { OwnOptions, Target } from '../targets/target.ts';
import type { Engine } from './engine.ts';

export type { Engine } from './engine.ts';

/** The interpreter that all others are compared with. */
export const REFERENCE = 'reference';

/** Engines of targets, by what `--on` calls them. */
export const targetEngines = (): readonly string[] => targets().flatMap((t) => t.engine?.name ?? []);

/** All engines: the reference first. */
export const engineNames = (): readonly string[] => [REFERENCE, ...targetEngines()];

/**
 * Each engine's libraries are loaded only when it is asked for.
 * @param name one of `engineNames`
 * @param own the options of the engine's target beside those of all
 * @throws DiagnosticError where the model does not fit, or this machine cannot run it
 */
export async function createEngine(
  name: string,
  model: Model,
  options: ProgramOptions,
  own?: (target: Target) => OwnOptions,
): Promise<Engine> {
  if (name === REFERENCE) return (await import('./reference.ts')).createReferenceEngine(model, options);
  const target = targets().find((t) => t.engine?.name === name);
  if (target?.engine === undefined) throw new Error(`no engine ${name}`);
  return target.engine.open(model, options, own?.(target));
}

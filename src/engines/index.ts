import type { ProgramOptions } from '../backends/common/program-options.ts';
import type { Model } from '../model/model.ts';
import { targets } from '../targets/registry.ts';
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
 * @throws DiagnosticError where the model does not fit, or this machine cannot run it
 */
export async function createEngine(name: string, model: Model, options: ProgramOptions): Promise<Engine> {
  if (name === REFERENCE) return (await import('./reference.ts')).createReferenceEngine(model, options);
  const engine = targets().find((t) => t.engine?.name === name)?.engine;
  if (engine === undefined) throw new Error(`no engine ${name}`);
  return engine.open(model, options);
}

import type { Diagnostic } from '../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../features/index.ts';
import { modelOfFeatures } from '../../flow/model.ts';
import { writeFlowProgram } from '../../flow/targets.ts';
import type { ImportResult } from '../../import/index.ts';
import { targetNamed } from '../../targets/registry.ts';
import { writeDirectory } from '../directory.ts';
import { type Io, printDiagnostics } from '../io.ts';
import { ownOptionsOf } from '../target-options.ts';
import { UsageError } from '../usage.ts';

interface Options {
  readonly output: string;
  readonly target: string;
  readonly build: boolean;
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
  readonly layers?: string | undefined;
}

/** `compile --features`: a program that classifies flows. @returns the names of its files */
export async function compileFlow(
  io: Io,
  imported: ImportResult,
  definition: FeatureDefinition,
  a: Options,
): Promise<readonly string[]> {
  if (a.layers !== undefined) throw new UsageError('--features goes with whole models, not with --layers');
  const model = modelOfFeatures(imported, definition);
  const own = ownOptionsOf(targetNamed(a.target), a);
  const options = { ...a, own, tell: (told: readonly Diagnostic[]) => printDiagnostics(io, told) };
  let files: readonly string[] = [];
  await writeDirectory(a.output, async (folder) => {
    files = await writeFlowProgram(a.target, definition, model, folder, options, a.build);
  });
  return files;
}

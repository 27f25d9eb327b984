import type { Diagnostic } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import type { PipelineConfig, Update } from '../p4runtime/index.ts';
import type { OwnOptions } from '../targets/target.ts';

/** How a program of flows is made. */
export interface FlowProgramOptions {
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
  /** Own options of the target. */
  readonly own?: OwnOptions;
  /** Hears what is to be said of the program beside what forbids it. */
  readonly tell?: (diagnostics: readonly Diagnostic[]) => void;
}

/**
 * Writes the files of a program of one target into a folder, and compiles them where that is wanted.
 * @returns names of the files
 * @throws DiagnosticError
 */
export type WriteProgram = (
  definition: FeatureDefinition,
  model: Model,
  folder: string,
  options: FlowProgramOptions,
  compile: boolean,
) => Promise<readonly string[]>;

/** A program of flows as a device of P4Runtime takes it. */
export interface FlowPipeline {
  readonly config: PipelineConfig;
  /** What is written behind the push: the weights. */
  readonly updates: readonly Update[];
}

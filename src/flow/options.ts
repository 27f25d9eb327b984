import type { Diagnostic } from '../diagnostics/index.ts';
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

/** A program of flows as a device of P4Runtime takes it. */
export interface FlowPipeline {
  readonly config: PipelineConfig;
  /** What is written behind the push: the weights. */
  readonly updates: readonly Update[];
}

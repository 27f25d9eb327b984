import type { PipelineConfig, Update } from '../p4runtime/index.ts';

/** How a program of flows is made. */
export interface FlowProgramOptions {
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
}

/** A program of flows as a device of P4Runtime takes it. */
export interface FlowPipeline {
  readonly config: PipelineConfig;
  /** What is written behind the push: the weights. */
  readonly updates: readonly Update[];
}

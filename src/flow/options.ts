/** How a program of flows is made. */
export interface FlowProgramOptions {
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
}

/** How a program is made, on whatever target. */
export interface ProgramOptions {
  /** Layers `[from, to)` of the model; all by default. */
  readonly from?: number;
  readonly to?: number;
  /** `off`: one multiply a weight, the plain form that lanes are measured against. */
  readonly lanes?: 'on' | 'off';
  /** `runtime`: weights in tables, replaceable while the program runs. `static`: constants in the code. */
  readonly weights?: 'runtime' | 'static';
  readonly modelId?: number;
  readonly modelVersion?: number;
  /** UDP destination port of requests. */
  readonly port?: number;
  /** Largest IP packet on the path, in bytes. */
  readonly mtu?: number;
}

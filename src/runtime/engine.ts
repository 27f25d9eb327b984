/** Something that runs a model's rows: the reference, the kernel, a switch. */
export interface Engine {
  /** Rows in the model's input type, raw, one after the other; returns the outputs likewise. */
  run(rows: Uint8Array, onProgress?: (rowsDone: number) => void): Promise<Uint8Array>;
  /** What `run` should return, where the engine runs an approximation of the model. */
  expected?(rows: Uint8Array): Uint8Array;
  close(): Promise<void>;
}

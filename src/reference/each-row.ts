/** How long rows are computed without a turn for whatever else the process does. */
const SLICE_MS = 5;

/** Rows of a model, and the bytes of one that goes in and of one that comes out. */
export interface RowShape {
  readonly count: number;
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * The outputs of rows, raw, one after the other. Others of the process have their turn in between.
 * @param compute of one row; what it returns may be a view that the next call overwrites
 */
export async function eachRow(
  rows: Uint8Array,
  { count, inputs, outputs }: RowShape,
  compute: (row: Uint8Array, index: number) => Uint8Array,
  onProgress?: (rowsDone: number) => void,
): Promise<Uint8Array> {
  const out = new Uint8Array(count * outputs);
  let since = performance.now();
  for (let row = 0; row < count; row++) {
    out.set(compute(rows.subarray(row * inputs, (row + 1) * inputs), row), row * outputs);
    if (performance.now() - since < SLICE_MS) continue;
    onProgress?.(row + 1);
    await new Promise(setImmediate);
    since = performance.now();
  }
  onProgress?.(count);
  return out;
}

import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { refuse } from '../diagnostics/index.ts';
import type { OnnxRuntime } from '../ends/worker/onnxruntime.ts';
import { elementCount } from '../model/tensor.ts';
import type { Numbers } from '../rows/index.ts';
import type { NetworkInput } from './network.ts';

/** Rows that go through a network at a time. */
const ROWS_AT_ONCE = 256;
/** Elements of all values of a run, at most: they are all held. */
const ELEMENTS_AT_ONCE = 2 ** 24;
const FATAL = 4;

type InputSpec = Pick<NetworkInput, 'name' | 'element' | 'shape'>;
/** Outputs of one run by name, with the batch in front. */
export type Results = Readonly<Record<string, Tensor>>;

/** A network in ONNX Runtime. */
export class Runner {
  readonly #runtime: OnnxRuntime;
  readonly #session: InferenceSession;
  readonly #input: InputSpec;
  readonly #rows: number;

  private constructor(runtime: OnnxRuntime, session: InferenceSession, input: InputSpec, rows: number) {
    this.#runtime = runtime;
    this.#session = session;
    this.#input = input;
    this.#rows = rows;
  }

  /**
   * @param batch rows of a run, where the network fixes them
   * @param elements of all values that a row makes, to bound memory
   * @throws DiagnosticError `quantise-source` with the reason that ONNX Runtime gives
   */
  static async open(
    runtime: OnnxRuntime,
    bytes: Uint8Array,
    input: InputSpec,
    o: { readonly file: string; readonly batch?: number; readonly elements?: number },
  ): Promise<Runner> {
    const fit = Math.max(1, Math.floor(ELEMENTS_AT_ONCE / (o.elements ?? 1)));
    const rows = o.batch ?? Math.min(ROWS_AT_ONCE, fit);
    try {
      const session = await runtime.InferenceSession.create(bytes, { logSeverityLevel: FATAL });
      return new Runner(runtime, session, input, rows);
    } catch (error) {
      return refuse('quantise-source', { reason: firstLine(error) }, { file: o.file });
    }
  }

  get outputs(): readonly string[] {
    return this.#session.outputNames;
  }

  /** Runs rows from `from` on; what is short of a batch that the network fixes is filled with the first row. */
  async run(numbers: Numbers, from: number, count: number, fetches: readonly string[]): Promise<Results> {
    const { name, element, shape } = this.#input;
    const width = elementCount(shape);
    const values = Array.from({ length: count * width }, (_, i) => {
      const row = Math.floor(i / width) + from;
      return numbers.values[(row < numbers.count ? row : 0) * width + (i % width)]!;
    });
    const data =
      element === 'float32'
        ? Float32Array.from(values)
        : element === 'uint8'
          ? Uint8Array.from(values)
          : Int8Array.from(values);
    const feeds = { [name]: new this.#runtime.Tensor(element, data, [count, ...shape]) };
    return await this.#session.run(feeds, fetches, { logSeverityLevel: FATAL });
  }

  /** Values of all rows, run by run. */
  async each(
    numbers: Numbers,
    fetches: readonly string[],
    visit: (results: Results, from: number, count: number) => void,
    onProgress?: (done: number) => void,
  ): Promise<void> {
    for (let from = 0; from < numbers.count; from += this.#rows) {
      const count = Math.min(this.#rows, numbers.count - from);
      visit(await this.run(numbers, from, count, fetches), from, count);
      onProgress?.(from + count);
    }
  }

  /** One value of all rows, row after row. */
  async collect(numbers: Numbers, value: string): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    await this.each(numbers, [value], (results) => {
      parts.push(Float32Array.from(results[value]!.data as ArrayLike<number>));
    });
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}

/** What of an error goes into a message: ONNX Runtime adds pages. */
export const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!;

import type { InferenceSession } from 'onnxruntime-node';
import { refuse } from '../../diagnostics/index.ts';
import { type ElementType, elementBytes, isWide, tensorBytes } from '../../model/tensor.ts';

/** The package, which an installation may lack. */
export type OnnxRuntime = typeof import('onnxruntime-node');

/** An optional dependency: large, and not needed where the reference serves. */
const load = async (): Promise<unknown> => import('onnxruntime-node');

/**
 * @param instead what else the user may do
 * @throws DiagnosticError `missing-package`
 */
export async function loadOnnxRuntime(
  loader: () => Promise<unknown> = load,
  instead = 'use --on reference',
): Promise<OnnxRuntime> {
  try {
    const loaded = (await loader()) as OnnxRuntime & { readonly default?: OnnxRuntime };
    return loaded.default ?? loaded;
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]!;
    return refuse('missing-package', { name: 'onnxruntime-node', reason, instead });
  }
}

/** A network in ONNX with the one input and the one output that are used of it. */
export interface SessionSpec {
  readonly bytes: Uint8Array;
  readonly input: { readonly name: string; readonly element: ElementType; readonly shape: readonly number[] };
  readonly output: { readonly name: string };
}

/** Its errors come as exceptions; what it would print beside them says no more. */
const FATAL = 4;

type Output = Uint8Array | Int8Array | Float32Array;

/** A model of one input and one output in ONNX Runtime, for many rows at a time. */
export class OrtSession {
  readonly session: InferenceSession;
  readonly #runtime: OnnxRuntime;
  readonly #spec: SessionSpec;
  /** Whether several rows go in one run: some graphs hold their batch fast. */
  #batches = true;

  private constructor(runtime: OnnxRuntime, session: InferenceSession, spec: SessionSpec) {
    this.#runtime = runtime;
    this.session = session;
    this.#spec = spec;
  }

  /** @throws Error of ONNX Runtime for what it cannot run */
  static async open(runtime: OnnxRuntime, spec: SessionSpec): Promise<OrtSession> {
    const session = await runtime.InferenceSession.create(spec.bytes, {
      // Batches are small and cores few: threads of its own would only wait for each other.
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: FATAL,
    });
    const opened = new OrtSession(runtime, session, spec);
    const width = tensorBytes(spec.input);
    const one = await opened.#run(new Uint8Array(width), 1);
    try {
      opened.#batches = (await opened.#run(new Uint8Array(2 * width), 2)).length === 2 * one.length;
    } catch {
      // A graph of one row at a time. What is wrong otherwise the first row has shown.
      opened.#batches = false;
    }
    return opened;
  }

  /** Outputs of `count` rows, one after the other. */
  async run(rows: Uint8Array, count: number): Promise<Output> {
    if (this.#batches || count === 1) return this.#run(rows, count);
    const width = rows.length / count;
    const first = await this.#run(rows.subarray(0, width), 1);
    const all = new (first.constructor as new (length: number) => Output)(count * first.length);
    all.set(first);
    for (let row = 1; row < count; row++)
      all.set(await this.#run(rows.subarray(row * width, (row + 1) * width), 1), row * first.length);
    return all;
  }

  async #run(rows: Uint8Array, count: number): Promise<Output> {
    const { input, output } = this.#spec;
    const data = elementsOf(input.element, rows);
    const tensor = new this.#runtime.Tensor(input.element, data, [count, ...input.shape]);
    const results = await this.session.run({ [input.name]: tensor }, [output.name], {
      logSeverityLevel: FATAL,
    });
    return results[output.name]!.data as Output;
  }

  close(): Promise<void> {
    return this.session.release();
  }
}

const views = { int8: Int8Array, uint16: Uint16Array, int16: Int16Array } as const;

/** A typed array of the same numbers; of two bytes it must begin at an even place, so they are copied. */
function elementsOf(element: ElementType, rows: Uint8Array) {
  if (element === 'uint8') return rows;
  const bytes = isWide(element) ? Uint8Array.from(rows) : rows;
  const { buffer, byteOffset, length } = bytes as Uint8Array<ArrayBuffer>;
  return new views[element](buffer, byteOffset, length / elementBytes(element));
}

/** The same bytes, whatever the type of the elements. */
export const bytesOf = (output: Output): Uint8Array =>
  new Uint8Array(output.buffer, output.byteOffset, output.byteLength);

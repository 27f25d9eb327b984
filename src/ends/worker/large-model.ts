import { refuse } from '../../diagnostics/index.ts';
import { readBytes } from '../../files.ts';
import { elementBytes, elementCount, formatTensorType, type TensorType } from '../../model/tensor.ts';
import { MAX_CLASSES } from '../../model/verdict.ts';
import { type OnnxRuntime, OrtSession } from './onnxruntime.ts';

/** Steps of a large model's margin for 1 of its logits' difference; see docs/early-exit.md. */
export const MARGIN_STEPS = 16;

/** A float model that answers what the small one is unsure of, by class and margin. */
export interface LargeModel {
  readonly classes: number;
  /** Class and margin of each row. */
  run(rows: Uint8Array, count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * @param input the raw input, which both models read
 * @param classes those of the small model's verdict
 * @throws DiagnosticError `large-model` if the file is no model from this input to logits of so many classes
 */
export async function openLargeModel(
  file: string,
  runtime: OnnxRuntime,
  input: TensorType,
  classes: number,
): Promise<LargeModel> {
  const bad = (what: string): never => refuse('large-model', { what }, { file });
  const { session, shape } = await open(readBytes(file, 'largeModel'), runtime, input, bad);
  const given = session.session.outputMetadata[0]!;
  if (given.isTensor && given.type !== 'float32') bad(`its output is ${given.type}, not float32 logits`);
  const width = elementCount(shape);
  const trial = await session.run(new Uint8Array(width * elementBytes(input.element)), 1);
  if (trial.length !== classes || classes > MAX_CLASSES)
    bad(`it tells ${trial.length} classes apart, the small model ${classes}`);
  return {
    classes,
    run: async (rows, count) => verdicts((await session.run(rows, count)) as Float32Array, count),
    close: () => session.close(),
  };
}

/** The model, if its input is the raw input of the small one. */
async function open(
  bytes: Uint8Array,
  runtime: OnnxRuntime,
  input: TensorType,
  bad: (what: string) => never,
): Promise<{ session: OrtSession; shape: readonly number[] }> {
  // Its names and shapes are known only once it is loaded.
  let session: Awaited<ReturnType<OnnxRuntime['InferenceSession']['create']>>;
  try {
    session = await runtime.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  } catch (error) {
    return bad(`ONNX Runtime cannot load it: ${(error as Error).message.split('\n')[0]}`);
  }
  const { inputMetadata, outputNames } = session;
  await session.release();
  const [first, ...more] = inputMetadata;
  if (first === undefined || more.length > 0 || !first.isTensor)
    return bad(`it has ${inputMetadata.length} inputs, not one`);
  // Sizes that are left open are those of the small model, and what does not fit shows when it runs.
  const open = first.shape.slice(1).some((size) => typeof size !== 'number' || size < 1);
  const shape = open ? input.shape : first.shape.slice(1).map(Number);
  const matches = first.type === input.element && elementCount(shape) === elementCount(input.shape);
  if (!matches)
    return bad(`its input is ${first.type}[${first.shape.join('x')}], but ${formatTensorType(input)} comes`);
  const spec = {
    bytes,
    input: { name: first.name, element: input.element, shape },
    output: { name: outputNames[0]! },
  };
  try {
    return { session: await OrtSession.open(runtime, spec), shape };
  } catch (error) {
    return bad(`ONNX Runtime cannot run it: ${(error as Error).message.split('\n')[0]}`);
  }
}

/** `[class, margin]` of each row of logits: the first of equals, and how far it is before the second. */
export function verdicts(logits: Float32Array, count: number): Uint8Array {
  const width = logits.length / count;
  const out = new Uint8Array(2 * count);
  for (let row = 0; row < count; row++) {
    const x = logits.subarray(row * width, (row + 1) * width);
    let best = 0;
    for (let i = 1; i < width; i++) if (x[i]! > x[best]!) best = i;
    let second = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < width; i++) if (i !== best) second = Math.max(second, x[i]!);
    out[2 * row] = best;
    // Of no number there is no margin either.
    out[2 * row + 1] = Math.min(255, Math.round((x[best]! - second) * MARGIN_STEPS)) || 0;
  }
  return out;
}

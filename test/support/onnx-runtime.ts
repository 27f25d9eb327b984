import * as ort from 'onnxruntime-node';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { ImportResult } from '../../src/import/index.ts';
import { outputType } from '../../src/model/model.ts';
import { roundHalfEven } from '../../src/model/requantiser.ts';
import { decodeElements, elementCount, type TensorType, tensorBytes } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';

/** How the reference and ONNX Runtime compare on some rows, element by element. */
export interface Comparison {
  readonly elements: number;
  readonly mismatches: number;
  /** Largest difference in steps of the output. */
  readonly furthest: number;
}

const arrays = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array } as const;

const element = (type: TensorType, q: number): number => Math.fround((q - type.zeroPoint) * type.scale);

/** ONNX Runtime as the oracle: each node by its own kernel, nothing fused. */
export async function openRuntime(bytes: Uint8Array): Promise<InferenceSession> {
  return ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
}

/** q-values of the model's output for rows of q-values of its input; floats at either end are those of the grids. */
export async function runtimeRows(
  session: InferenceSession,
  { model }: Pick<ImportResult, 'model'>,
  rows: Uint8Array,
): Promise<Int32Array> {
  const { input, inputAffine } = model;
  const output = outputType(model);
  const width = tensorBytes(input);
  const size = elementCount(output.shape);
  const name = session.inputNames[0]!;
  const [info] = session.inputMetadata;
  const isFloat = info?.isTensor === true && info.type === 'float32';
  const shape = info?.isTensor === true ? info.shape.slice(1).map(Number) : input.shape;
  const out = new Int32Array((rows.length / width) * size);
  for (let row = 0; row * width < rows.length; row++) {
    const bytes = rows.subarray(row * width, (row + 1) * width);
    const q = decodeElements(input.element, bytes);
    const data = isFloat
      ? Float32Array.from(q, (v, i) =>
          inputAffine === undefined
            ? element(input, v)
            : ((v - input.zeroPoint) * input.scale - inputAffine.offsets[i]!) / inputAffine.factors[i]!,
        )
      : arrays[input.element].from(q);
    const made = await session.run({
      [name]: new Tensor(isFloat ? 'float32' : input.element, data, [1, ...shape]),
    });
    const result = made[session.outputNames[0]!]!;
    const values = Array.from(result.data as ArrayLike<number>);
    out.set(
      result.type === 'float32'
        ? values.map((x) => roundHalfEven(Math.fround(x / output.scale)) + output.zeroPoint)
        : values,
      row * size,
    );
  }
  return out;
}

/** The reference against ONNX Runtime on rows of the input's grid. */
export async function compareWithRuntime(
  bytes: Uint8Array,
  imported: ImportResult,
  rows: Uint8Array,
): Promise<Comparison> {
  const session = await openRuntime(bytes);
  try {
    const wanted = await runtimeRows(session, imported, rows);
    const got = decodeElements(outputType(imported.model).element, interpretRows(imported.model, rows));
    let mismatches = 0;
    let furthest = 0;
    for (const [i, q] of got.entries()) {
      const off = Math.abs(q - wanted[i]!);
      if (off > 0) mismatches++;
      furthest = Math.max(furthest, off);
    }
    return { elements: got.length, mismatches, furthest };
  } finally {
    await session.release();
  }
}

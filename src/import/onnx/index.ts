import { withClasses } from '../../model/classes.ts';
import type { ImportOptions } from '../builder.ts';
import { finishImport, type ImportResult, modelName } from '../result.ts';
import { importGraph } from './graph.ts';
import { classesOf } from './metadata.ts';
import { decodeOnnx } from './proto.ts';

/**
 * A quantised ONNX model, in QDQ or QLinear form, as a Model. The batch dimension is dropped; a float input that is
 * quantised first, and a float output that is dequantised last, are those integers.
 *
 * @throws DiagnosticError with every fault that was found, each with its node and tensor
 */
export function importOnnx(bytes: Uint8Array, file: string, options: ImportOptions = {}): ImportResult {
  const source = decodeOnnx(bytes, file);
  const { model, builder } = importGraph(source, modelName(file), file, options);
  const named = model && withClasses(model, classesOf(source.metadataProps) ?? builder.classes);
  return { ...finishImport(named, builder.diagnostics), sources: builder.sources };
}

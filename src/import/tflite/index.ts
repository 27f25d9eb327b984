import type { ImportOptions } from '../builder.ts';
import { finishImport, type ImportResult, modelName } from '../result.ts';
import { cutTflite } from './cut.ts';
import { importGraph } from './graph.ts';
import { readTflite } from './schema.ts';

/**
 * A TFLite model of full integer quantisation, with the rounding of TFLite's reference kernels, once or twice.
 *
 * @throws DiagnosticError with every fault that was found
 */
export function importTflite(bytes: Uint8Array, file: string, options: ImportOptions = {}): ImportResult {
  const whole = readTflite(bytes, file, options.tfliteRounding);
  const source = cutTflite(whole, options);
  const { model, builder } = importGraph(source, modelName(file), options);
  return { ...finishImport(model, builder.diagnostics), rounding: source.rounding };
}

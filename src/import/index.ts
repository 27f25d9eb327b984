import { extname } from 'node:path';
import { placed, refuse } from '../diagnostics/index.ts';
import { readBytes } from '../files.ts';
import type { ImportOptions } from './builder.ts';
import type { ImportResult } from './result.ts';

export type { ImportOptions } from './builder.ts';
export type { ImportResult, SourceTensor } from './result.ts';

/** Reads a model file of any known format. @throws DiagnosticError with every fault that was found */
export async function importModel(file: string, options: ImportOptions = {}): Promise<ImportResult> {
  return importBytes(readBytes(file, 'model'), file, options);
}

/** Libraries are loaded only for the format that is there: they take longer than the import itself. */
export async function importBytes(
  bytes: Uint8Array,
  file: string,
  options: ImportOptions = {},
): Promise<ImportResult> {
  switch (formatOf(bytes, file)) {
    case 'onnx':
      return importOnnx(bytes, file, options);
    case 'tflite':
      return importTflite(bytes, file, options);
    case 'json':
      return importJson(new TextDecoder().decode(bytes), file, options);
    case undefined:
      return refuse('unknown-format', { known: ['.onnx', '.tflite', '.json'] }, { file });
  }
}

/** Reads an ONNX model. @param file its name, for messages and the model's own @throws DiagnosticError with every fault that was found */
export async function importOnnx(
  bytes: Uint8Array,
  file: string,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const onnx = await import('./onnx/index.ts');
  return onnx.importOnnx(bytes, file, options);
}

/** The same of a TFLite model, a flat buffer. */
export async function importTflite(
  bytes: Uint8Array,
  file: string,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const tflite = await import('./tflite/index.ts');
  return tflite.importTflite(bytes, file, options);
}

/** The same of quantised layers as JSON (schema/model.schema.json). */
export async function importJson(
  text: string,
  file: string,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const json = await import('./json/index.ts');
  return placed({ file }, () => json.importJson(text, file, options));
}

type Format = 'onnx' | 'tflite' | 'json';

/** By the extension, which says what the user means; by the content where it says nothing. */
function formatOf(bytes: Uint8Array, file: string): Format | undefined {
  const extension = extname(file).toLowerCase();
  if (extension === '.onnx') return 'onnx';
  if (extension === '.tflite') return 'tflite';
  if (extension === '.json') return 'json';
  if (new TextDecoder('latin1').decode(bytes.subarray(4, 8)) === 'TFL3') return 'tflite';
  const first = bytes.find((byte) => byte > 0x20);
  if (first === 0x7b) return 'json';
  // Field 1, the IR version, stands first in every file that ONNX tools write.
  return bytes[0] === 0x08 ? 'onnx' : undefined;
}

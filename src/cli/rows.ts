import { refuse } from '../diagnostics/index.ts';
import { readBytes } from '../files.ts';
import type { TensorType } from '../model/tensor.ts';
import { elementCount } from '../model/tensor.ts';

/** Reads raw rows of a tensor; `limit` takes the first ones. @throws DiagnosticError */
export function readRows(type: TensorType, file: string, limit?: number): Uint8Array {
  const bytes = readBytes(file);
  const row = elementCount(type.shape);
  if (bytes.length === 0 || bytes.length % row !== 0)
    refuse('rows-mismatch', { bytes: bytes.length, row }, { file });
  return limit === undefined ? bytes : bytes.subarray(0, Math.min(bytes.length, limit * row));
}

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { refuse } from '../diagnostics/index.ts';
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

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    return refuse('file-unreadable', { reason: (error as Error).message }, { file });
  }
}

/** Writes a file whole or not at all: under another name first. @throws DiagnosticError */
export function writeWhole(file: string, bytes: Uint8Array): void {
  const temporary = `${file}.intransit-${process.pid}.tmp`;
  try {
    writeFileSync(temporary, bytes);
    renameSync(temporary, file);
  } catch (error) {
    refuse('file-unwritable', { reason: (error as Error).message }, { file });
  }
}

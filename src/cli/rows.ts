import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isAlive } from '../alive.ts';
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

/**
 * Writes a file whole or not at all: under another name first. What killed runs have left of such is removed.
 * @throws DiagnosticError
 */
export function writeWhole(file: string, bytes: Uint8Array): void {
  const temporary = `${file}.intransit-${process.pid}.tmp`;
  try {
    sweep(file);
    writeFileSync(temporary, bytes);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    refuse('file-unwritable', { reason: (error as Error).message }, { file });
  }
}

function sweep(file: string): void {
  const start = `${basename(file)}.intransit-`;
  for (const name of readdirSync(dirname(file))) {
    const pid = name.startsWith(start) ? /^(\d+)\.tmp$/.exec(name.slice(start.length))?.[1] : undefined;
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(dirname(file), name), { force: true });
  }
}

import { readFileSync } from 'node:fs';
import { refuse } from './diagnostics/index.ts';
import { messageOf, replaceFile } from './durable/index.ts';

/** @throws DiagnosticError `file-unreadable` */
export function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    return refuse('file-unreadable', { reason: messageOf(error) }, { file });
  }
}

/** @throws DiagnosticError `file-unreadable` */
export const readText = (file: string): string => readBytes(file).toString('utf8');

/**
 * Writes a file whole or not at all, to disk.
 * @param mode default that of any new file
 * @throws DiagnosticError `file-unwritable`
 */
export function writeWhole(file: string, content: string | Uint8Array, mode?: number): void {
  try {
    replaceFile(file, content, mode === undefined ? {} : { mode });
  } catch (error) {
    refuse('file-unwritable', { reason: messageOf(error) }, { file });
  }
}

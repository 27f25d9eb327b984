import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isAlive } from './alive.ts';
import { refuse } from './diagnostics/index.ts';

/** @throws DiagnosticError `file-unreadable` */
export function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    return refuse('file-unreadable', { reason: (error as Error).message }, { file });
  }
}

/** @throws DiagnosticError `file-unreadable` */
export const readText = (file: string): string => readBytes(file).toString('utf8');

/**
 * Writes a file whole or not at all: under another name first. What killed runs have left of such is removed.
 * @throws DiagnosticError `file-unwritable`
 */
export function writeWhole(file: string, content: string | Uint8Array): void {
  const temporary = `${file}.intransit-${process.pid}.tmp`;
  try {
    sweep(file);
    writeFileSync(temporary, content);
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

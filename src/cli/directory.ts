import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isAlive } from '../alive.ts';
import { refuse } from '../diagnostics/index.ts';

const MARK = '.intransit-';

/** A file that only directories written by us have. */
const OURS = 'manifest.json';

/**
 * Fills a directory whole or not at all: a sibling is filled first and takes its place by renaming. What killed runs have
 * left of such siblings is removed. A directory with other people's files in it is refused.
 */
export async function writeDirectory(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const parent = dirname(target);
  const sibling = (name: string) => join(parent, `${MARK}${basename(target)}-${process.pid}-${name}`);
  try {
    refuseForeign(target, path);
    mkdirSync(parent, { recursive: true });
    sweep(parent, basename(target));
    mkdirSync(sibling('new'));
  } catch (error) {
    return asDiagnostic(error, path);
  }
  try {
    await fill(sibling('new'));
    if (existsSync(target)) renameSync(target, sibling('old'));
    renameSync(sibling('new'), target);
  } catch (error) {
    return asDiagnostic(error, path);
  } finally {
    rmSync(sibling('new'), { recursive: true, force: true });
    rmSync(sibling('old'), { recursive: true, force: true });
  }
}

export function writeFiles(folder: string, files: ReadonlyMap<string, string | Uint8Array>): void {
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
}

function refuseForeign(target: string, file: string): void {
  if (!existsSync(target)) return;
  const entries = readdirSync(target);
  if (entries.length > 0 && !entries.includes(OURS)) refuse('output-exists', {}, { file });
}

/** Siblings of runs that do not run any more. An old directory whose new one never came is put back. */
function sweep(parent: string, name: string): void {
  for (const entry of readdirSync(parent)) {
    const match = new RegExp(`^${escapePattern(MARK + name)}-(\\d+)-(new|old)$`).exec(entry);
    if (match === null || isAlive(Number(match[1]))) continue;
    if (match[2] === 'old' && !existsSync(join(parent, name)))
      renameSync(join(parent, entry), join(parent, name));
    else rmSync(join(parent, entry), { recursive: true, force: true });
  }
}

const escapePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function asDiagnostic(error: unknown, file: string): never {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
  return refuse('file-unwritable', { reason: (error as Error).message }, { file });
}

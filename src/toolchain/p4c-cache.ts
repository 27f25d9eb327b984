import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

/** Names a folder of one's own in which p4c's output is kept, so that nothing is compiled twice; without it nothing is. */
export const CACHE_VARIABLE = 'INTRANSIT_P4C_CACHE';

/** Beyond so many programs the older half goes. */
const MOST_ENTRIES = 600;

/** What p4c once made of these sources, where it had nothing to say of them. */
export interface P4cEntry {
  read(): Promise<string | undefined>;
  /** A folder that cannot be written is no failure: the next one compiles again. */
  keep(json: string): Promise<void>;
}

/**
 * @param tool path of p4c: another build is told by its size and time
 * @param program the file to compile; what it includes lies beside it, or belongs to p4c
 */
export async function p4cEntry(
  tool: string,
  program: string,
  macros: readonly string[],
  folder = process.env[CACHE_VARIABLE],
): Promise<P4cEntry | undefined> {
  if (folder === undefined || folder === '') return undefined;
  const file = join(folder, `${await digestOf(tool, program, macros)}.json.gz`);
  return {
    read: async () => {
      try {
        return gunzipSync(await readFile(file)).toString();
      } catch {
        // Not there, or no archive: compiled, and kept anew.
        return undefined;
      }
    },
    keep: async (json) => {
      try {
        await mkdir(folder, { recursive: true });
        const whole = `${file}.${process.pid}`;
        await writeFile(whole, gzipSync(json, { level: 1 }));
        await rename(whole, file);
        await prune(folder);
      } catch {
        // Compiled again, then.
      }
    },
  };
}

async function digestOf(tool: string, program: string, macros: readonly string[]): Promise<string> {
  const { size, mtimeMs } = await stat(tool);
  const hash = createHash('sha256').update(JSON.stringify([tool, size, mtimeMs, macros]));
  const folder = dirname(program);
  for (const name of (await readdir(folder)).filter((n) => n.endsWith('.p4')).sort()) {
    const text = withoutRemarks(await readFile(join(folder, name), 'utf8'));
    hash.update(JSON.stringify([name, text.length])).update(text);
  }
  return hash.update(program.slice(folder.length)).digest('hex');
}

/** Without lines that are remarks and no more: a program says there whose it is, and the same one is another's too. */
const withoutRemarks = (text: string): string => text.replaceAll(/^[ \t]*\/\/.*(?<!\\)$/gm, '');

async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json.gz'));
  if (names.length <= MOST_ENTRIES) return;
  const files = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })),
  );
  files.sort((a, b) => a.time - b.time);
  for (const { name } of files.slice(0, MOST_ENTRIES / 2)) await rm(join(folder, name), { force: true });
}

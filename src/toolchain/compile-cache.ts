import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

/** Names a folder of one's own in which the output of clang and p4c is kept, so that nothing is compiled twice; without it nothing is. */
export const CACHE_VARIABLE = 'INTRANSIT_COMPILE_CACHE';

/** Beyond so many outputs the older half goes. */
const MOST_ENTRIES = 2_000;

/** What is compiled, and by what. */
export interface Compilation {
  /** Path of the compiler: another build is told by its size and time. */
  readonly tool: string;
  /** The file to compile. */
  readonly source: string;
  /** What else changes the output: macros and flags. */
  readonly flags: readonly string[];
  /** Folders of ours with what it includes, beside the one in which it lies. */
  readonly includeDirs?: readonly string[];
  /** How names of sources end. */
  readonly endings: readonly string[];
  /** Of headers that belong to the system: others are told by size and time. */
  readonly systemFiles?: readonly string[];
}

/** What a compiler once made of these sources, where it had nothing to say of them. */
export interface CompileEntry {
  read(): Promise<Buffer | undefined>;
  /** A folder that cannot be written is no failure: the next one compiles again. */
  keep(output: Uint8Array): Promise<void>;
}

/** @returns undefined where nothing is to be kept */
export async function compileEntry(
  compilation: Compilation,
  folder = process.env[CACHE_VARIABLE],
): Promise<CompileEntry | undefined> {
  if (folder === undefined || folder === '') return undefined;
  // What cannot be read is the compiler's to tell.
  const digest = await digestOf(compilation).catch(() => undefined);
  if (digest === undefined) return undefined;
  const file = join(folder, `${digest}.gz`);
  return {
    read: async () => {
      try {
        return gunzipSync(await readFile(file));
      } catch {
        // Not there, or no archive: compiled, and kept anew.
        return undefined;
      }
    },
    keep: async (output) => {
      try {
        await mkdir(folder, { recursive: true });
        const whole = `${file}.${process.pid}`;
        await writeFile(whole, gzipSync(output, { level: 1 }));
        await rename(whole, file);
        await prune(folder);
      } catch {
        // Compiled again, then.
      }
    },
  };
}

async function digestOf(compilation: Compilation): Promise<string> {
  const { tool, source, flags, includeDirs = [], endings, systemFiles = [] } = compilation;
  const hash = createHash('sha256').update(JSON.stringify([tool, flags, basename(source)]));
  for (const file of [tool, ...systemFiles]) {
    // One that is not there is another file than one that is.
    const found = await stat(file).catch(() => undefined);
    hash.update(JSON.stringify([found?.size, found?.mtimeMs]));
  }
  for (const folder of new Set([dirname(source), ...includeDirs]))
    for (const name of (await readdir(folder)).filter((n) => endings.some((e) => n.endsWith(e))).sort()) {
      const text = withoutRemarks(await readFile(join(folder, name), 'utf8'));
      hash.update(JSON.stringify([name, text.length])).update(text);
    }
  return hash.digest('hex');
}

/** Without lines that are remarks and no more: a program says there whose it is, and the same one is another's too. */
const withoutRemarks = (text: string): string => text.replaceAll(/^[ \t]*\/\/.*(?<!\\)$/gm, '');

async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.gz'));
  if (names.length <= MOST_ENTRIES) return;
  const files = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })),
  );
  files.sort((a, b) => a.time - b.time);
  for (const { name } of files.slice(0, MOST_ENTRIES / 2)) await rm(join(folder, name), { force: true });
}

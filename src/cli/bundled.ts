import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Script } from 'node:vm';

type Program = typeof import('./program.ts');

/** Beside it `npm run build` puts the whole command line as one file, what an agent needs as another, and what V8 made of each. */
const FOLDER = new URL('../bundle/', import.meta.url);

/** Name of a bundle's file; `npm run build` writes it. */
export const bundleFile = (name: string): string => `${name}.cjs`;
/** File of what V8 compiled of a bundle, beside it. */
export const codeCacheOf = (bundle: string): string => `${bundle}.cache`;

/** A part of the command line in one file, with its compiled code. */
export interface Bundle {
  readonly script: Script;
  readonly program: Program;
}

/**
 * The command line out of one file: a process starts in a fraction of the time that some 300 modules take. Code that another
 * version of V8 has made is not used.
 * @param cache bytes of the code cache
 * @throws Error where the file cannot be read
 */
export function loadBundle(file: string, cache: Buffer | undefined): Bundle {
  // A bundle is ASCII, which `latin1` reads without decoding.
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: file,
    ...(cache !== undefined && { cachedData: cache }),
  });
  const module: { exports: unknown } = { exports: {} };
  const wrapper: (require: NodeJS.Require, module: object, exports: unknown, url: string) => void =
    script.runInThisContext();
  wrapper(createRequire(file), module, module.exports, pathToFileURL(file).href);
  // The file is our own build.
  return { script, program: module.exports as Program };
}

/**
 * @param command what is to be done; an agent has a bundle of its own, which is smaller
 * @returns undefined where there is no bundle, as when it runs from source
 */
export function bundledProgram(command: string | undefined): Program | undefined {
  const file = fileURLToPath(new URL(bundleFile(command === 'agent' ? 'agent' : 'program'), FOLDER));
  try {
    return loadBundle(file, ifThere(codeCacheOf(file))).program;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined for what cannot be read: V8 then compiles the program itself. */
function ifThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

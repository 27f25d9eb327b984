import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type ProbeResult, probeAll } from '../src/bpf/index.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Arguments of node that run the command line. */
    commandLine: readonly string[];
    /** What this machine can load: a file of tests that asks anew pays for two runs of clang. */
    features: readonly ProbeResult[];
  }
}

const ROOT = join(import.meta.dirname, '..');
/** What the build is made of, beside the sources. */
const MADE_OF = ['package.json', 'package-lock.json', 'tsconfig.build.json', 'scripts/bundle.ts'];

/**
 * A process of the command line starts with a sixth of the work from what `npm run build` makes, and tests start some hundreds:
 * the build is what they run where it is newer than every source, as it is in `make test`.
 */
export default async function setup({ provide }: TestProject): Promise<void> {
  const built = changed('dist/bundle/program.cjs');
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  const isBuilt = [...MADE_OF, ...sources.map((file) => join('src', file))].every(
    (file) => changed(file) < built,
  );
  provide(
    'commandLine',
    isBuilt ? [join(ROOT, 'dist/cli/main.js')] : ['--import', 'tsx', join(ROOT, 'src/cli/main.ts')],
  );
  provide('features', await probeAll());
}

/** @returns 0 where there is no such file */
const changed = (file: string): number => statSync(join(ROOT, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;

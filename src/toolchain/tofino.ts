import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import { findTool } from './p4c.ts';

/** The open compiler for Tofino, and its assembler: only this one refuses what does not fit. */
export const BAREFOOT = 'p4c-barefoot';
export const BFAS = 'bfas';

const TIMEOUT_MS = 300_000;
const MOST_OUTPUT = 64 * 2 ** 20;

interface Outcome {
  readonly failed: boolean;
  readonly output: string;
}

const runTool = (tool: string, args: readonly string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile(tool, args, { timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}${stderr}` }),
    );
  });

/** What the assembler says of containers or memory that two things share: its exit code does not. */
const OVERLAP = /overlap/i;

/**
 * Compiles and assembles, where both tools are there; else makes nothing.
 * @returns names of the files that were made, relative to the folder of the program
 * @throws DiagnosticError `tna-refused` with what the tool said
 */
export async function compileTna(program: string, chip: string, file: string): Promise<readonly string[]> {
  const [compiler, assembler] = [findTool(BAREFOOT), findTool(BFAS)];
  if (compiler === undefined || assembler === undefined) return [];
  const folder = dirname(program);
  const out = join(folder, 'tofino');
  const architecture = chip === 'tofino' ? 'tna' : 't2na';
  const args = [
    '--target',
    chip,
    '--arch',
    architecture,
    '-g',
    '--verbose',
    '0',
    '-I',
    folder,
    '-o',
    out,
    program,
  ];
  const compiled = await runTool(compiler, args);
  if (compiled.failed)
    refuse('tna-refused', { tool: BAREFOOT, said: lastError(compiled.output) }, { file }, compiled.output);
  const assembly = findAssembly(out, basename(program, '.p4'));
  if (assembly === undefined)
    return refuse('tna-refused', { tool: BAREFOOT, said: 'it made no assembly' }, { file }, compiled.output);
  const assembled = await runTool(assembler, ['-o', join(out, 'assembled'), '--target', chip, assembly]);
  if (assembled.failed || OVERLAP.test(assembled.output))
    refuse('tna-refused', { tool: BFAS, said: lastError(assembled.output) }, { file }, assembled.output);
  return [relative(folder, assembly)];
}

/** The assembly stands in a folder of the pipe's name, or beside it. */
function findAssembly(folder: string, name: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.bfa'));
  const found = files.find((f) => basename(f) === `${name}.bfa`) ?? files[0];
  return found === undefined ? undefined : join(folder, found);
}

function lastError(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /error|overlap/i.test(line)) ?? lines.at(-1) ?? 'nothing').trim();
}

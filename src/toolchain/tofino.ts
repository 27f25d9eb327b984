import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { jsonText, refuse } from '../diagnostics/index.ts';
import { temporaryFolder } from '../temporary.ts';
import { findTool } from './find-tool.ts';
import { readPlacement } from './tofino-resources.ts';

/** The open compiler for Tofino, and its assembler: only this one refuses what does not fit. */
export const BAREFOOT = 'p4c-barefoot';
/** That assembler, looked for on the PATH. */
export const BFAS = 'bfas';

/** What the compiler placed where, beside the program. */
export const JUDGED_FILE = 'judged.json';

/** A compiler without optimisation, on a busy machine, takes minutes for the largest programs that fit. */
const TIMEOUT_MS = 1_500_000;
const MOST_OUTPUT = 64 * 2 ** 20;

interface Outcome {
  readonly failed: boolean;
  readonly output: string;
}

const runTool = (tool: string, args: readonly string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile(tool, args, { timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT }, (error, stdout, stderr) =>
      resolve({
        failed: error !== null,
        output: `${stdout}${stderr}${error?.killed ? `\nerror: no end within ${TIMEOUT_MS / 1000} s` : ''}`,
      }),
    );
  });

/** What the assembler says of containers or memory that two things share: its exit code does not. */
const OVERLAP = /overlap/i;

/**
 * Compiles and assembles, where both tools are there; else makes nothing. What was placed is written beside the program.
 * @returns names of the files that were made, in the folder of the program
 * @throws DiagnosticError `tna-refused` with what the tool said
 */
export async function compileTna(program: string, chip: string, file: string): Promise<readonly string[]> {
  const [compiler, assembler] = [findTool(BAREFOOT), findTool(BFAS)];
  if (compiler === undefined || assembler === undefined) return [];
  const folder = dirname(program);
  // They write folders of logs, of which a program's own folder has none.
  using made = temporaryFolder();
  const out = made.path;
  const architecture = chip === 'tofino' ? 'tna' : 't2na';
  const args = ['--target', chip, '--arch', architecture, '-g', '-I', folder, '-o', out, program];
  const compiled = await runTool(compiler, args);
  if (compiled.failed)
    refuse('tna-refused', { tool: BAREFOOT, said: lastError(compiled.output) }, { file }, compiled.output);
  const assembly = findMade(out, `${basename(program, '.p4')}.bfa`);
  if (assembly === undefined)
    return refuse('tna-refused', { tool: BAREFOOT, said: 'it made no assembly' }, { file }, compiled.output);
  const assembledFolder = join(out, 'assembled');
  // It writes into a folder that it does not make.
  mkdirSync(join(assembledFolder, 'logs'), { recursive: true });
  const assembled = await runTool(assembler, ['-o', assembledFolder, '--target', chip, assembly]);
  if (assembled.failed || OVERLAP.test(assembled.output))
    refuse('tna-refused', { tool: BFAS, said: lastError(assembled.output) }, { file }, assembled.output);
  const resources = findMade(out, 'resources.json');
  if (resources === undefined)
    return refuse('tna-refused', { tool: BAREFOOT, said: 'it made no resources.json' }, { file });
  writeFileSync(join(folder, JUDGED_FILE), jsonText(readPlacement(resources, assembly)));
  copyFileSync(assembly, join(folder, basename(assembly)));
  return [basename(assembly), JUDGED_FILE];
}

/** A file that the compiler made, in a folder of the pipe's name or beside it. */
function findMade(folder: string, name: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const found = files.find((f) => basename(f) === name);
  return found === undefined ? undefined : join(folder, found);
}

function lastError(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /\berror:|overlap/i.test(line)) ?? lines.at(-1) ?? 'nothing').trim();
}

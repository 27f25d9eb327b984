import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { SHARED_BODIES } from '../backends/v1model/shared-bodies.ts';
import { refuse } from '../diagnostics/index.ts';
import { linkBmv2Json } from './bmv2-json.ts';
import { compileEntry } from './compile-cache.ts';
import { findTool } from './find-tool.ts';

/** Compiler for BMv2, found on the PATH. */
export const P4C = 'p4c-bm2-ss';
/** BMv2 with P4Runtime, found on the PATH. */
export const SWITCH = 'simple_switch_grpc';

const INSTALL: Readonly<Record<string, string>> = {
  [P4C]:
    "Debian and Ubuntu do not package it: take p4lang's own packages (p4lang-p4c, https://github.com/p4lang/p4c#getting-started) " +
    'or run inside the image docker.io/p4lang/p4c',
  [SWITCH]:
    "Debian and Ubuntu do not package it: take p4lang's own packages (p4lang-bmv2, https://github.com/p4lang/behavioral-model) " +
    'or run inside the image docker.io/p4lang/behavioral-model',
};

/** @throws DiagnosticError that says where to get it. */
export const requireTool = (name: string): string =>
  findTool(name) ?? refuse('missing-tool', { tool: name, install: INSTALL[name] ?? `install ${name}` });

/** What came of a run of p4c. */
export interface P4cResult {
  readonly ok: boolean;
  /** Everything that p4c wrote; empty if it had nothing to say. */
  readonly log: string;
}

/** A program of a few MB of JSON takes seconds; one that takes this long is quadratic somewhere. */
const P4C_TIMEOUT_MS = 300_000;

/**
 * Compiles to BMv2's JSON, and P4Info where a file is named for it.
 * @param macros to define
 */
export function runP4c(
  program: string,
  json: string,
  p4info?: string,
  macros: readonly string[] = [],
): Promise<P4cResult> {
  const tool = requireTool(P4C);
  const files = [
    ...macros.map((name) => `-D${name}`),
    ...(p4info === undefined ? [] : ['--p4runtime-files', p4info]),
  ];
  const options = { timeout: P4C_TIMEOUT_MS, maxBuffer: 64 * 2 ** 20 };
  return new Promise((resolve) => {
    execFile(tool, [...files, '-o', json, program], options, (error, stdout, stderr) =>
      resolve({ ok: error === null, log: `${stdout}${stderr}`.trim() }),
    );
  });
}

/** The first complaint of p4c, without the source lines that it quotes. */
export function summariseP4c(log: string): string {
  const lines = log.split('\n').filter((line) => /\berror:|\bwarning:|Compiler Bug/.test(line));
  if (lines.length === 0) return log.split('\n')[0] || 'no message';
  const rest = lines.length === 1 ? '' : ` (and ${lines.length - 1} more)`;
  return `${lines[0]!.replace(/^.*?(?=\[--|error:|warning:|Compiler)/, '').trim()}${rest}`;
}

/** Compiles a program of ours, and links it. @throws DiagnosticError where p4c is missing or has anything to say */
export async function compileP4Program(program: string, json: string, file: string): Promise<void> {
  const macros = [SHARED_BODIES];
  const entry = await compileEntry({
    tool: requireTool(P4C),
    source: program,
    flags: macros,
    endings: ['.p4'],
  });
  let made = await entry?.read();
  if (made === undefined) {
    const { ok, log } = await runP4c(program, json, undefined, macros);
    // A warning is a fault of ours: what p4c doubts may not mean what was proven.
    if (!ok || log !== '') refuse('tool-failed', { tool: P4C, summary: summariseP4c(log) }, { file }, log);
    made = await readFile(json);
    await entry?.keep(made);
  }
  await writeFile(json, linkBmv2Json(made.toString()));
}

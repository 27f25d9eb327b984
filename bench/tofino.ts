/**
 * What is foretold of programs for Tofino beside what the open compiler and its assembler place, as the table of docs/tofino.md:
 * `npx tsx bench/tofino.ts`, with both tools on the PATH.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { processIo, table } from '../src/cli/io.ts';
import { run } from '../src/cli/run.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { findTool } from '../src/toolchain/find-tool.ts';
import { BAREFOOT, BFAS } from '../src/toolchain/tofino.ts';
import { comparedIn, entriesIn, type JudgedProgram, judgedPrograms } from '../test/backends/tna/programs.ts';

/** Says on stderr what a command said, where it fails. */
async function command(...argv: string[]): Promise<void> {
  let said = '';
  const err = (text: string) => {
    said += text;
  };
  const quiet = { out: () => {}, err, interactive: false };
  if ((await run(argv, quiet, '0.0.0-bench')) !== 0) throw new Error(`${argv.join(' ')}\n${said}`);
}

async function rowOf(program: JudgedProgram): Promise<string[]> {
  using made = temporaryFolder();
  const out = join(made.path, 'out');
  mkdirSync(out);
  const given = await program.arguments(made.path, command);
  await command('compile', ...given, '-o', out, '--target', 'tna', '--chip', program.chip);
  return [
    `${program.name}, ${program.chip}`,
    `${entriesIn(out)}`,
    ...comparedIn(out).map(({ foretold, placed }) => `${foretold} / ${placed}`),
  ];
}

const io = processIo();
if ([BAREFOOT, BFAS].some((tool) => findTool(tool) === undefined)) {
  io.err(`${BAREFOOT} and ${BFAS} have to be on the PATH\n`);
  process.exitCode = 1;
} else {
  const rows: string[][] = [];
  for (const program of judgedPrograms) rows.push(await rowOf(program));
  const head = ['program, chip', 'entries', 'ingress', 'egress', 'SRAM', 'TCAM', 'bus bytes'];
  io.out(`foretold / placed\n${table([head, ...rows])}`);
}

#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { P4RuntimeError } from './errors.ts';
import { generateTypes } from './generate-types.ts';
import { parseP4Info } from './text-parse.ts';
import { TextFormatError } from './text-tokens.ts';

const USAGE = `usage: p4runtime-js types P4INFO [LIBRARY]

Prints a TypeScript module with the names and types of one program, for P4Program<Program>.

  P4INFO   what p4c --p4runtime-files writes, text or binary
  LIBRARY  where the module imports this package from; default p4runtime-js
`;

/** Exit codes: 0 done, 1 a file that cannot be read or is no P4Info, 2 usage. */
function run(args: readonly string[]): number {
  const [command, file, library, ...rest] = args;
  if (command === '--help' || command === '-h') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (command !== 'types' || file === undefined || rest.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  try {
    process.stdout.write(generateTypes(parseP4Info(readFileSync(file)), library));
    return 0;
  } catch (error) {
    const expected =
      error instanceof P4RuntimeError ||
      error instanceof TextFormatError ||
      error instanceof RangeError ||
      (error instanceof Error && 'syscall' in error);
    if (!expected) throw error;
    process.stderr.write(`${file}: ${error.message}\n`);
    return 1;
  }
}

process.exitCode = run(process.argv.slice(2));

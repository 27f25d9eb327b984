import { readBytes } from '../../files.ts';
import { generateTypes } from '../../p4runtime/generate-types.ts';
import { parseP4Info } from '../../p4runtime/text-parse.ts';
import type { Io } from '../io.ts';
import { defineCommand } from '../options.ts';
import { UsageError } from '../usage.ts';

interface Arguments {
  readonly file: string;
  readonly import: string;
}

/** `p4info types FILE [--import MODULE]` */
export const p4infoCommand = (io: Io) =>
  defineCommand<Arguments>({
    command: 'p4info <what> <file>',
    describe:
      'Print what a P4Info offers: `types` as a TypeScript module, so that wrong names do not compile',
    builder: (y) =>
      y
        .positional('what', { choices: ['types'] as const, demandOption: true, describe: 'What to print' })
        .positional('file', {
          type: 'string',
          demandOption: true,
          describe: 'P4Info as p4c writes it: text or binary',
        })
        .option('import', {
          type: 'string',
          default: 'p4runtime-js',
          describe: 'Module from which the printed one imports',
          requiresArg: true,
        }),
    async handler(a) {
      io.out(generateTypes(readP4Info(a.file), a.import));
    },
  });

function readP4Info(file: string) {
  const bytes = readBytes(file, 'p4info');
  try {
    return parseP4Info(bytes);
  } catch (error) {
    throw new UsageError(`${file} is no P4Info: ${error instanceof Error ? error.message : error}`);
  }
}

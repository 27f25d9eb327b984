import { refuse } from '../../diagnostics/index.ts';
import { messageOf } from '../../durable/index.ts';
import { readBytes } from '../../files.ts';
import { generateTypes } from '../../p4runtime/generate-types.ts';
import { parseP4Info } from '../../p4runtime/text-parse.ts';
import type { Io } from '../io.ts';
import { defineCommand } from '../options.ts';

/** `p4info types FILE [--import MODULE]` */
export const p4infoCommand = (io: Io) =>
  defineCommand({
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
    const info = parseP4Info(bytes);
    // Bytes of anything may be a message of which no field is known.
    const isEmpty =
      info.pkgInfo === undefined && Object.values(info).every((v) => !Array.isArray(v) || v.length === 0);
    if (!isEmpty) return info;
  } catch (error) {
    return refuse('p4info', { reason: messageOf(error) }, { file });
  }
  return refuse('p4info', { reason: 'it names neither a program nor a table' }, { file });
}

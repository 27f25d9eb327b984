import { packetWarnings } from '../../backends/common/packets.ts';
import { readFeatures } from '../../features/index.ts';
import { writeProgram } from '../../targets/build.ts';
import { targetNamed, targetNames, targets } from '../../targets/registry.ts';
import { programOrRefuse } from '../../targets/target.ts';
import { writeDirectory } from '../directory.ts';
import { type Io, printDiagnostics, printJson, printLine } from '../io.ts';
import { defineCommand, importArgument, programOf, programOptions, textOption } from '../options.ts';
import { ownOptions, ownOptionsOf } from '../target-options.ts';
import { compileFlow } from './compile-flow.ts';

/** `compile MODEL -o DIR --target T` */
export const compileCommand = (io: Io) =>
  defineCommand({
    command: 'compile <model>',
    describe: 'Write the program, P4Info, manifest and weights of a model',
    builder: (y) =>
      ownOptions(programOptions(y))
        .option('output', {
          alias: 'o',
          type: 'string',
          demandOption: true,
          describe: 'Directory to write',
          requiresArg: true,
        })
        .option('target', {
          choices: targetNames(),
          demandOption: true,
          describe: 'What the program runs on',
        })
        .option(
          'features',
          textOption(
            'Classify ordinary flows: a feature file, or the name of a ready-made one (docs/classify.md)',
          ),
        )
        .option('build', {
          type: 'boolean',
          default: true,
          describe: `Also compile the program (${compilers()}); --no-build leaves it out`,
        }),
    async handler(a) {
      const imported = await importArgument(a);
      const { model, diagnostics } = imported;
      printDiagnostics(io, diagnostics);
      if (a.features !== undefined) {
        const files = await compileFlow(io, imported, readFeatures(a.features), a);
        if (a.json) printJson(io, { output: a.output, files });
        else printLine(io, `${a.output}: ${files.join(', ')}`);
        return;
      }
      const target = targetNamed(a.target);
      const options = programOf(model, a);
      const planned = target.plan(model, options, ownOptionsOf(target, a));
      printDiagnostics(
        io,
        planned.diagnostics.filter((d) => d.severity !== 'error'),
      );
      const program = programOrRefuse(planned);
      let files: readonly string[] = [];
      await writeDirectory(a.output, async (folder) => {
        files = await writeProgram(program, folder, a.build);
      });
      if (a.build) printDiagnostics(io, program.remarks?.() ?? []);
      printDiagnostics(io, packetWarnings(model, [options], options.mtu));
      if (a.json) printJson(io, { output: a.output, files });
      else printLine(io, `${a.output}: ${files.join(', ')}`);
    },
  });

/** `xdp: clang, v1model: p4c` */
const compilers = (): string =>
  targets()
    .map((t) => `${t.name}: ${t.compiler}`)
    .join(', ');

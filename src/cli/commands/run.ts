import { createEngine } from '../../engines/index.ts';
import { writeWhole } from '../../files.ts';
import { valueType } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { type Io, printDiagnostics, progress } from '../io.ts';
import {
  defineCommand,
  importArgument,
  type ModelArguments,
  modelArgument,
  type ProgramArguments,
  programOf,
  programOptions,
  rowsOption,
} from '../options.ts';
import { readRows } from '../rows.ts';

interface Arguments extends ProgramArguments, ModelArguments {
  readonly on: 'reference' | 'xdp' | 'bmv2';
  readonly input: string;
  readonly output: string;
  readonly rows?: number | undefined;
}

/** `run MODEL --on ENGINE --input X --output Y [--rows N]` */
export const runCommand = (io: Io) =>
  defineCommand<Arguments>({
    command: 'run <model>',
    describe: 'Run rows through an engine and write the outputs',
    builder: (y) =>
      programOptions(modelArgument(y))
        .option('on', {
          choices: ['reference', 'xdp', 'bmv2'] as const,
          demandOption: true,
          describe: 'The engine',
        })
        .option('input', {
          type: 'string',
          demandOption: true,
          describe: 'Raw rows of the input type',
          requiresArg: true,
        })
        .option('output', {
          type: 'string',
          demandOption: true,
          describe: 'File for the raw outputs',
          requiresArg: true,
        })
        .option('rows', rowsOption()),
    async handler(a) {
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const options = programOf(model, a);
      const rowType = valueType(model, Math.min(options.from, model.layers.length));
      const rows = readRows(rowType, a.input, a.rows);
      const engine = await createEngine(a.on, model, options);
      try {
        const bar = progress(io, `${a.on}: rows`, rows.length / elementCount(rowType.shape));
        const outputs = await engine.run(rows, bar.update);
        bar.end();
        writeWhole(a.output, outputs);
      } finally {
        await engine.close();
      }
    },
  });

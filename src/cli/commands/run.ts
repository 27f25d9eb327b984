import { createEngine, engineNames } from '../../engines/index.ts';
import { valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { STANDARD, writeRows } from '../../rows/index.ts';
import { type Io, printDiagnostics, printJson, progress } from '../io.ts';
import {
  defineCommand,
  importArgument,
  jsonOption,
  type ModelArguments,
  modelArgument,
  type ProgramArguments,
  programOf,
  programOptions,
  rowsOption,
} from '../options.ts';
import {
  answersJson,
  answersTable,
  type ClassArguments,
  classOptions,
  inputRows,
  namesOf,
  ROWS,
} from '../rows.ts';
import { engineOptionsOf, ownOptions } from '../target-options.ts';
import { UsageError } from '../usage.ts';

interface Arguments extends ProgramArguments, ModelArguments, ClassArguments {
  readonly on: string;
  readonly input: string;
  readonly output?: string | undefined;
  readonly rows?: number | undefined;
  readonly json: boolean;
}

/** `run MODEL --on ENGINE --input X [--output Y] [--rows N] [--json]` */
export const runCommand = (io: Io) =>
  defineCommand<Arguments>({
    command: 'run <model>',
    describe: 'Run rows through an engine; write the outputs, or show them',
    builder: (y) =>
      jsonOption(classOptions(ownOptions(programOptions(modelArgument(y)))))
        .option('on', {
          choices: engineNames(),
          demandOption: true,
          describe: 'The engine',
        })
        .option('input', {
          type: 'string',
          demandOption: true,
          describe: `Rows of the input: ${ROWS}`,
          requiresArg: true,
        })
        .option('output', {
          type: 'string',
          describe: 'File for the outputs: raw, or .npy or .csv by its name; without it they are shown',
          requiresArg: true,
        })
        .option('rows', rowsOption()),
    async handler(a) {
      if (a.json && a.output === STANDARD)
        throw new UsageError('--output -: standard output takes the JSON document or the rows, not both');
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const options = programOf(model, a);
      const rowType = valueType(model, Math.min(options.from, model.layers.length));
      const names = namesOf(model, a);
      const rows = inputRows(io, model, a.input, { limit: a.rows, from: options.from });
      const engine = await createEngine(a.on, model, options, engineOptionsOf([a.on], a));
      try {
        const bar = progress(io, `${a.on}: rows`, rows.length / tensorBytes(rowType));
        const bytes = await engine.run(rows, bar.update);
        bar.end();
        const answers = { model, to: options.to, bytes, names };
        if (a.output !== undefined) writeRows(valueType(model, options.to), a.output, bytes);
        if (a.json) printJson(io, { on: a.on, ...answersJson(answers) });
        else if (a.output === undefined) io.out(answersTable(answers));
      } finally {
        await engine.close();
      }
    },
  });

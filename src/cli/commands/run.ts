import { valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { writeRows } from '../../rows/index.ts';
import { createEngine, engineNames } from '../../runtime/index.ts';
import { type Io, printDiagnostics, printJson, progress } from '../io.ts';
import { defineCommand, importArgument, programOf, programOptions } from '../options.ts';
import { answerOptions, answersJson, answersTable, checkOutput, inputRows, namesOf } from '../rows.ts';
import { engineOptionsOf, ownOptions } from '../target-options.ts';

/** `run MODEL --on ENGINE --input X [--output Y] [--rows N] [--json]` */
export const runCommand = (io: Io) =>
  defineCommand({
    command: 'run <model>',
    describe: 'Run rows through an engine; write the outputs, or show them',
    builder: (y) =>
      answerOptions(ownOptions(programOptions(y)), 'outputs').option('on', {
        choices: engineNames(),
        demandOption: true,
        describe: 'The engine',
      }),
    async handler(a) {
      checkOutput(a);
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

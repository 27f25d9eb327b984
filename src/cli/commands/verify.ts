import { createEngine, type EngineName } from '../../engines/index.ts';
import { valueType } from '../../model/model.ts';
import { elementCount } from '../../model/tensor.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
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
import { readRows } from '../rows.ts';
import { UsageError } from '../usage.ts';

interface Arguments extends ProgramArguments, ModelArguments {
  readonly on: string;
  readonly input: string;
  readonly rows?: number | undefined;
  readonly json: boolean;
}

interface Comparison {
  readonly rows: number;
  readonly elements: number;
  readonly mismatches: number;
}

/** `verify MODEL --on xdp,bmv2 --input X [--json]` */
export const verifyCommand = (io: Io, onResult: (failed: boolean) => void) =>
  defineCommand<Arguments>({
    command: 'verify <model>',
    describe: 'Compare engines with the reference interpreter, byte for byte',
    builder: (y) =>
      jsonOption(programOptions(modelArgument(y)))
        .option('on', {
          type: 'string',
          default: 'xdp',
          describe: 'Engines, separated by commas: xdp, bmv2',
          requiresArg: true,
        })
        .option('input', {
          type: 'string',
          demandOption: true,
          describe: 'Raw rows of the input type',
          requiresArg: true,
        })
        .option('rows', rowsOption()),
    async handler(a) {
      const engines = a.on.split(',').map(engineName);
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const options = programOf(model, a);
      const rowType = valueType(model, Math.min(options.from, model.layers.length));
      const rows = readRows(rowType, a.input, a.rows);
      const count = rows.length / elementCount(rowType.shape);

      const runOn = async (name: EngineName) => {
        const engine = await createEngine(name, model, options);
        try {
          const bar = progress(io, `${name}: rows`, count);
          const outputs = await engine.run(rows, bar.update);
          bar.end();
          return outputs;
        } finally {
          await engine.close();
        }
      };
      const expected = await runOn('reference');
      const results: Record<string, Comparison> = {};
      for (const name of engines) {
        const actual = await runOn(name);
        results[name] = {
          rows: count,
          elements: expected.length,
          mismatches: countMismatches(expected, actual),
        };
      }
      if (a.json) printJson(io, results);
      else
        io.out(
          table([
            ['engine', 'rows', 'elements', 'mismatches'],
            ...Object.entries(results).map(([name, r]) => [name, r.rows, r.elements, r.mismatches]),
          ]),
        );
      onResult(Object.values(results).some((r) => r.mismatches > 0));
    },
  });

function engineName(text: string): EngineName {
  if (text === 'xdp' || text === 'bmv2' || text === 'reference') return text;
  throw new UsageError(`--on ${text}: engines are xdp, bmv2 and reference`);
}

/** Elements that differ; a missing or a surplus one differs too. */
function countMismatches(expected: Uint8Array, actual: Uint8Array): number {
  let count = Math.abs(expected.length - actual.length);
  for (let i = 0; i < Math.min(expected.length, actual.length); i++) if (expected[i] !== actual[i]) count++;
  return count;
}

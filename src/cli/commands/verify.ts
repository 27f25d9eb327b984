import { valueType } from '../../model/model.ts';
import { elementBytes, tensorBytes } from '../../model/tensor.ts';
import { createEngine, engineNames, REFERENCE, targetEngines } from '../../runtime/index.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
import { defineCommand, importArgument, programOf, programOptions } from '../options.ts';
import { inputRows, rowOptions } from '../rows.ts';
import { engineOptionsOf, ownOptions } from '../target-options.ts';
import { UsageError } from '../usage.ts';

interface Comparison {
  readonly rows: number;
  readonly elements: number;
  readonly mismatches: number;
}

/** `verify MODEL --on xdp,bmv2 --input X [--json]` */
// Long: the options of a command, a few lines each.
export const verifyCommand = (io: Io, onResult: (failed: boolean) => void) =>
  defineCommand({
    command: 'verify <model>',
    describe: 'Compare engines with the reference interpreter, byte for byte',
    builder: (y) =>
      rowOptions(ownOptions(programOptions(y))).option('on', {
        type: 'string',
        default: targetEngines()[0]!,
        describe: `Engines, separated by commas: ${targetEngines().join(', ')}`,
        requiresArg: true,
      }),
    async handler(a) {
      const engines = a.on.split(',').map(engineName);
      const own = engineOptionsOf(engines, a);
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const options = programOf(model, a);
      const rowType = valueType(model, Math.min(options.from, model.layers.length));
      const rows = inputRows(io, model, a.input, { limit: a.rows, from: options.from });
      const count = rows.length / tensorBytes(rowType);

      const runOn = async (name: string) => {
        const engine = await createEngine(name, model, options, own);
        try {
          const bar = progress(io, `${name}: rows`, count);
          const outputs = await engine.run(rows, bar.update);
          bar.end();
          return { outputs, expected: engine.expected?.(rows) };
        } finally {
          await engine.close();
        }
      };
      const { outputs: reference } = await runOn(REFERENCE);
      const size = elementBytes(valueType(model, options.to).element);
      const results: Record<string, Comparison> = {};
      for (const name of engines) {
        const { outputs: actual, expected = reference } = await runOn(name);
        results[name] = {
          rows: count,
          elements: expected.length / size,
          mismatches: countMismatches(expected, actual, size),
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

function engineName(text: string): string {
  const names = engineNames();
  if (names.includes(text)) return text;
  // The one that all are compared with goes last.
  const [reference, ...others] = names;
  throw new UsageError(`--on ${text}: engines are ${others.join(', ')} and ${reference}`);
}

/** Elements that differ; a missing or a surplus one differs too. */
function countMismatches(expected: Uint8Array, actual: Uint8Array, size: number): number {
  const shared = Math.min(expected.length, actual.length);
  let count = Math.ceil(Math.abs(expected.length - actual.length) / size);
  for (let at = 0; at < shared; at += size) {
    const differs = (byte: number) => expected[at + byte] !== actual[at + byte];
    if (differs(0) || (size > 1 && differs(1))) count++;
  }
  return count;
}

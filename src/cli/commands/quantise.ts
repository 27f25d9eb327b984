import { extname } from 'node:path';
import type { Argv } from 'yargs';
import { diagnostic } from '../../diagnostics/index.ts';
import { loadOnnxRuntime } from '../../ends/worker/onnxruntime.ts';
import { readBytes, writeWhole } from '../../files.ts';
import { decodeSource, type Quantised, quantise, rangeMethods, type Score } from '../../quantise/index.ts';
import { readLabels, readNumbers } from '../../rows/index.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
import { type ArgumentsOf, defineCommand, jsonOption, rowsOption, textOption } from '../options.ts';
import { ROWS } from '../rows.ts';
import { UsageError } from '../usage.ts';

const usage = {
  command: 'quantise <model>',
  describe: 'Make int8 of a float ONNX network, calibrated on rows',
  builder: (y: Argv) =>
    jsonOption(y)
      .positional('model', { type: 'string', demandOption: true, describe: 'Float network, ONNX' })
      .option('calibrate', {
        type: 'string',
        demandOption: true,
        describe: `Rows as they come in use: ${ROWS}`,
        requiresArg: true,
      })
      .option('labels', textOption('Class of each row: raw bytes, .npy or .csv; measures accuracy'))
      .option('o', {
        alias: 'output',
        type: 'string',
        demandOption: true,
        describe: 'The quantised network, ONNX',
        requiresArg: true,
      })
      .option('rows', rowsOption())
      .option('per-tensor', {
        type: 'boolean',
        default: false,
        describe: 'One scale for all weights of a layer instead of one an output channel',
      })
      .option('weights', {
        choices: [4, 8] as const,
        default: 8 as const,
        describe: 'Bits of a weight',
      })
      .option('method', {
        choices: ['auto', ...rangeMethods] as const,
        default: 'auto' as const,
        describe: 'How ranges of activations are found; auto takes what does best on the rows',
      }),
};

/** `quantise MODEL.onnx --calibrate ROWS [--labels Y] -o OUT.onnx` */
export const quantiseCommand = (io: Io) =>
  defineCommand({
    ...usage,
    async handler(a) {
      if (extname(a.o).toLowerCase() !== '.onnx')
        throw new UsageError(`-o ${a.o}: name a file that ends in .onnx`);
      const bytes = readBytes(a.model);
      const { input } = decodeSource(bytes, a.model);
      const rows = readNumbers(a.calibrate, input.shape, input.element, a.rows);
      const labels = a.labels === undefined ? undefined : readLabels(a.labels, rows.count, a.rows);
      const runtime = await loadOnnxRuntime(undefined, 'quantise on a machine that has it');
      const bar = progress(io, 'calibrating: rows', rows.count);
      const made = await quantise({
        bytes,
        file: a.model,
        rows,
        rowsFile: a.calibrate,
        labels,
        labelsFile: a.labels,
        method: a.method,
        weights: { bits: a.weights, perTensor: a.perTensor },
        runtime,
        onProgress: bar.update,
      });
      bar.end();
      printDiagnostics(io, made.diagnostics);
      if (made.cut.length > 0)
        printDiagnostics(io, [
          diagnostic(
            'quantise-cut',
            { operators: [...new Set(made.cut)], output: made.output },
            { file: a.model },
          ),
        ]);
      writeWhole(a.o, made.bytes);
      if (a.json) printJson(io, document(a, made, rows.count));
      else io.out(report(made, a));
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

function document(a: Arguments, made: Quantised, rows: number) {
  const { method, layers, cut, float, quantised, integers, candidates } = made;
  return {
    output: a.o,
    rows,
    weights: a.weights,
    perTensor: a.perTensor,
    method,
    layers,
    leftOut: cut,
    float,
    quantised,
    integers,
    candidates,
  };
}

const percent = (value: number | undefined): string =>
  value === undefined ? '' : `${(100 * value).toFixed(2)} %`;

function report({ float, quantised, integers, candidates, method }: Quantised, { o }: Arguments): string {
  const line = (name: string, s: Partial<Score>) => [
    name,
    percent(s.accuracy),
    percent(s.agreement),
    s.error === undefined ? '' : percent(s.error),
  ];
  const others =
    candidates.length > 1
      ? candidates.map((c) => line(`  ${c.method}${c.method === method ? ', taken' : ''}`, c))
      : [];
  return `${table([
    ['network', 'accuracy', 'same class as float', 'error'],
    line('float', float),
    line('int8 in ONNX Runtime', quantised),
    ...others,
    line(`int8 here (${integers.rows} rows)`, integers),
  ])}written to ${o}\n`;
}

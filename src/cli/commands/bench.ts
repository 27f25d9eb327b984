import { tensorBytes } from '../../model/tensor.ts';
import { targets } from '../../targets/registry.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
import {
  defineCommand,
  importArgument,
  programOf,
  programOptions,
  textOption,
  wholeNumber,
} from '../options.ts';
import { inputRows, ROWS } from '../rows.ts';
import { UsageError } from '../usage.ts';

/** `bench MODEL --on xdp [--json]` */
export const benchCommand = (io: Io) =>
  defineCommand({
    command: 'bench <model>',
    describe: 'Time an inference against plain forms of the same layers',
    builder: (y) =>
      programOptions(y)
        .option('on', {
          choices: [...timed().keys()],
          default: [...timed().keys()][0]!,
          describe: 'The engine',
        })
        .option('input', textOption(`Rows of the input: ${ROWS}; default: rows made up`))
        .option(
          'rounds',
          wholeNumber('rounds', 1, 1_000_000, { default: 41, describe: 'Interleaved runs of each form' }),
        ),
    async handler(a) {
      if (a.layers !== undefined) throw new UsageError('--layers: bench times whole models');
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const rows =
        a.input === undefined ? madeUpRows(tensorBytes(model.input)) : inputRows(io, model, a.input);
      const bar = progress(io, 'bench: rounds', a.rounds);
      const r = await timed().get(a.on)!(model, rows, programOf(model, a), a.rounds, bar.update);
      bar.end();
      if (a.json) return printJson(io, r);
      const ns = (value: number) => Number(value.toFixed(1));
      const ratio = (value: number) => (r.packedNs / value).toFixed(2);
      io.out(
        table([
          ['form', 'ns an inference', 'packed / form'],
          ['packed lanes', ns(r.packedNs), ''],
          ['--lanes off', ns(r.unpackedNs), ratio(r.unpackedNs)],
          ['native C, scalar', ns(r.scalarNs), ratio(r.scalarNs)],
          ['native C, SIMD', ns(r.simdNs), ratio(r.simdNs)],
          ['bound (multiplies)', ns(r.boundNs), ratio(r.boundNs)],
          ['packet in to packet out', ns(r.packetNs), ''],
        ]),
      );
    },
  });

/** Engines that can be timed, by name. */
const timed = () =>
  new Map(targets().flatMap(({ engine }) => (engine?.bench ? [[engine.name, engine.bench]] : [])));

/** Rows of every value, the same in each run. */
function madeUpRows(width: number): Uint8Array {
  return Uint8Array.from({ length: 64 * width }, (_, i) => (i * 2654435761) >>> 24);
}

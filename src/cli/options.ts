import type { Argv, CommandModule } from 'yargs';
import { printable } from '../diagnostics/index.ts';
import { importOptionsOf } from '../import/given-options.ts';
import type { ImportResult } from '../import/index.ts';
import type { Model } from '../model/model.ts';
import { parseRealRange, type RealRange } from '../model/real-range.ts';
import { withVerdict } from '../model/verdict.ts';
import { DEFAULT_PORT } from '../wire/header.ts';
import { UsageError } from './usage.ts';

/** `model-id` in the code: `modelId`. */
type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

type Parsed<T> = { readonly [K in keyof T & string as CamelCase<K>]: T[K] };

/** What a command is given that declares these options: `ArgumentsOf<typeof classOptions>`. */
export type ArgumentsOf<Options extends (y: Argv) => Argv<unknown>> = Options extends (
  y: Argv,
) => Argv<infer T>
  ? Parsed<T>
  : never;

/** A command. The types of its arguments follow from the options that its builder declares. */
export const defineCommand = <T>(command: {
  readonly command: string;
  readonly describe: string;
  readonly builder: (y: Argv) => Argv<T>;
  readonly handler: (a: Parsed<T>) => Promise<void>;
  // yargs gives handlers the dashed names too, and whatever else.
}): CommandModule => command as unknown as CommandModule;

/** `MODEL` as first word of a command, and how it is read. */
export const modelArgument = <T>(y: Argv<T>) =>
  importOptions(y).positional('model', {
    type: 'string',
    demandOption: true,
    describe: 'Model file: ONNX, TFLite, or JSON of quantised layers',
  });

/** How a model file is read. */
export const importOptions = <T>(y: Argv<T>) =>
  y
    .option('verdict', {
      type: 'boolean',
      default: false,
      describe: 'Append a layer that makes class and margin of the outputs',
    })
    .option(
      'input-tensor',
      textOption('ONNX and TFLite: begin at the tensor of this name (default: the only input)'),
    )
    .option(
      'output-tensor',
      textOption('ONNX and TFLite: end at the tensor of this name (default: the only output)'),
    )
    .option(
      'input-range',
      realRange('input-range', 'ONNX: least and greatest of a float input that no QuantizeLinear reads'),
    )
    .option(
      'output-range',
      realRange('output-range', 'ONNX: least and greatest of a float output that no QuantizeLinear makes'),
    )
    .option('missing', {
      choices: ['never'] as const,
      describe: 'ONNX trees: no feature is ever missing, so a split for missing values says nothing',
      requiresArg: true,
    })
    .option('tflite-rounding', {
      choices: ['double', 'single'] as const,
      describe:
        'Whose integers a TFLite model gives: double, of TFLite Micro and TensorFlow before 2.20; single, of TensorFlow ' +
        'from 2.20 on (default: what the file says of its converter)',
      requiresArg: true,
    });

/** The model that the arguments name. @throws DiagnosticError */
export async function importArgument(a: ArgumentsOf<typeof modelArgument>): Promise<ImportResult> {
  const { importModel } = await import('../import/index.ts');
  const result = await importModel(a.model, importOptionsOf(a));
  return a.verdict ? { ...result, model: withVerdict(result.model) } : result;
}

/** `MODEL` and `--json`, and how a program is made of it; shared by all commands that make one. */
export const programOptions = <T>(y: Argv<T>) =>
  jsonOption(
    modelArgument(y)
      .option('layers', textOption('Compute layers A..B only (A counts from 0, B is not computed)'))
      .option('lanes', {
        choices: ['on', 'off'] as const,
        default: 'on' as const,
        describe: 'Several neurons side by side in one word',
      })
      .option('weights', {
        choices: ['runtime', 'static'] as const,
        default: 'runtime' as const,
        describe: 'Weights in tables, replaceable while the program runs, or constants in the code',
      })
      .option(
        'model-id',
        wholeNumber('model-id', 1, 0xffff, { default: 1, describe: 'Model id in packets, 1..65535' }),
      )
      .option(
        'model-version',
        wholeNumber('model-version', 1, 0xffff, {
          default: 1,
          describe: 'Version of the weights in packets, 1..65535',
        }),
      )
      .option(
        'port',
        wholeNumber('port', 1, 0xffff, { default: DEFAULT_PORT, describe: 'UDP port of requests' }),
      )
      .option(
        'mtu',
        wholeNumber('mtu', 68, 0xffff, {
          default: 1500,
          describe: 'Largest IP packet on the path, in bytes',
        }),
      ),
  );

/** @throws UsageError */
export const inRange = (name: string, value: number, lo: number, hi: number): number => {
  if (!Number.isInteger(value) || value < lo || value > hi)
    throw outOfRange(name, value, 'whole number', lo, hi);
  return value;
};

const outOfRange = (name: string, given: unknown, what: string, lo: number, hi: number): UsageError =>
  new UsageError(`--${name} ${printable(String(given))}: must be a ${what} from ${lo} to ${hi}`);

interface NumberOption {
  readonly describe: string;
  readonly default?: number;
}

/** An option that takes some text, a name or a file. */
export const textOption = (describe: string) => ({ type: 'string' as const, describe, requiresArg: true });

/** Of an option that is given again the last counts. */
export const lastOf = <T extends string>(value: T | readonly T[]): T =>
  typeof value === 'string' ? value : value.at(-1)!;

/** The same for a command that takes a list of words, where the parser gathers what is given again. */
export const lastTextOption = (describe: string) => ({ ...textOption(describe), coerce: lastOf<string> });

/** Decimal digits, with a point and an exponent: no hexadecimal, no `Infinity`, no blanks. */
const DECIMAL = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/**
 * The one kind of option that takes a number, bounds included. It is a string to the command line's parser, which would make
 * NaN of what is none.
 */
function numberOption<O extends NumberOption>(
  name: string,
  what: string,
  lo: number,
  hi: number,
  o: O,
  whole: boolean,
) {
  return {
    type: 'string' as const,
    requiresArg: true,
    ...o,
    coerce: (given: unknown): number => {
      const value = DECIMAL.test(String(given)) ? Number(given) : Number.NaN;
      if (!(value >= lo && value <= hi) || (whole && !Number.isInteger(value)))
        throw outOfRange(name, given, what, lo, hi);
      return value;
    },
  };
}

/** An option for counts, ids and ports: a whole number from `lo` to `hi`. */
export const wholeNumber = <O extends NumberOption>(name: string, lo: number, hi: number, o: O) =>
  numberOption(name, 'whole number', lo, hi, o, true);

/** An option for rates and times: a number from `lo` to `hi`. */
export const realNumber = <O extends NumberOption>(name: string, lo: number, hi: number, o: O) =>
  numberOption(name, 'number', lo, hi, o, false);

/** More rows than any file holds. */
export const MOST_ROWS = 2 ** 40;

/** An option for an interval of reals, `LO..HI`. */
const realRange = (name: string, describe: string) => ({
  type: 'string' as const,
  requiresArg: true,
  describe,
  coerce: (given: unknown): RealRange => {
    const range = parseRealRange(String(given));
    if (range === undefined)
      throw new UsageError(
        `--${name} ${printable(String(given))}: must be LO..HI, two numbers, for example -4..4`,
      );
    return range;
  },
});

/** `--rows N` */
export const rowsOption = () => wholeNumber('rows', 1, MOST_ROWS, { describe: 'Only the first N rows' });

/** Arguments to compiler options. @throws UsageError */
export function programOf(model: Model, a: ArgumentsOf<typeof programOptions>) {
  const range = a.layers === undefined ? undefined : /^(\d*)\.\.(\d*)$/.exec(a.layers);
  if (range === null) throw new UsageError(`--layers ${a.layers}: must be A..B, for example 0..2`);
  return {
    from: range?.[1] ? Number(range[1]) : 0,
    to: range?.[2] ? Number(range[2]) : model.layers.length,
    lanes: a.lanes,
    weights: a.weights,
    modelId: a.modelId,
    modelVersion: a.modelVersion,
    port: a.port,
    mtu: a.mtu,
  };
}

/** `--json` */
export const jsonOption = <T>(y: Argv<T>) =>
  y.option('json', { type: 'boolean', default: false, describe: 'One JSON document on stdout' });

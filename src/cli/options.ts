import type { Argv, CommandModule } from 'yargs';
import { type ImportResult, importModel } from '../import/index.ts';
import type { Model } from '../model/model.ts';
import { withVerdict } from '../model/verdict.ts';
import { DEFAULT_PORT } from '../wire/header.ts';
import { UsageError } from './usage.ts';

/**
 * A command with the arguments it declares. yargs derives the dashed names only; this is the one place where the
 * declared interface is taken on trust.
 */
export const defineCommand = <A>(command: {
  readonly command: string;
  readonly describe: string;
  readonly builder: (y: Argv) => Argv<unknown>;
  readonly handler: (a: A) => Promise<void>;
}): CommandModule => command as unknown as CommandModule;

/** `MODEL` as first word of a command, and what is made of it. */
export const modelArgument = <T>(y: Argv<T>) =>
  y
    .positional('model', {
      type: 'string',
      demandOption: true,
      describe: 'Model file: ONNX, TFLite, or JSON of quantised layers',
    })
    .option('verdict', {
      type: 'boolean',
      default: false,
      describe: 'Append a layer that makes class and margin of the outputs',
    });

export interface ModelArguments {
  readonly model: string;
  readonly verdict: boolean;
}

/** The model that the arguments name. @throws DiagnosticError */
export async function importArgument(a: ModelArguments): Promise<ImportResult> {
  const result = await importModel(a.model);
  return a.verdict ? { ...result, model: withVerdict(result.model) } : result;
}

/** How a program is made; shared by all commands that make one. */
export const programOptions = <T>(y: Argv<T>) =>
  y
    .option('layers', {
      type: 'string',
      describe: 'Compute layers A..B only (A counts from 0, B is not computed)',
      requiresArg: true,
    })
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
    .option('model-id', {
      type: 'number',
      default: 1,
      describe: 'Model id in packets, 1..65535',
      requiresArg: true,
    })
    .option('model-version', {
      type: 'number',
      default: 1,
      describe: 'Version of the weights in packets, 1..65535',
      requiresArg: true,
    })
    .option('port', {
      type: 'number',
      default: DEFAULT_PORT,
      describe: 'UDP port of requests',
      requiresArg: true,
    })
    .option('mtu', {
      type: 'number',
      default: 1500,
      describe: 'Largest IP packet on the path, in bytes',
      requiresArg: true,
    });

export interface ProgramArguments {
  readonly layers?: string | undefined;
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
  readonly modelId: number;
  readonly modelVersion: number;
  readonly port: number;
  readonly mtu: number;
}

export const inRange = (name: string, value: number, lo: number, hi: number): number => {
  if (!Number.isInteger(value) || value < lo || value > hi)
    throw new UsageError(`--${name} ${value}: must be a whole number from ${lo} to ${hi}`);
  return value;
};

/** A count that the user gave, if any. @throws UsageError */
export const countOf = <N extends number | undefined>(name: string, value: N): N => {
  if (value !== undefined) inRange(name, value, 1, Number.MAX_SAFE_INTEGER);
  return value;
};

/** Arguments to compiler options. @throws UsageError */
export function programOf(model: Model, a: ProgramArguments) {
  const range = a.layers === undefined ? undefined : /^(\d*)\.\.(\d*)$/.exec(a.layers);
  if (range === null) throw new UsageError(`--layers ${a.layers}: must be A..B, for example 0..2`);
  return {
    from: range?.[1] ? Number(range[1]) : 0,
    to: range?.[2] ? Number(range[2]) : model.layers.length,
    lanes: a.lanes,
    weights: a.weights,
    modelId: inRange('model-id', a.modelId, 1, 0xffff),
    modelVersion: inRange('model-version', a.modelVersion, 1, 0xffff),
    port: inRange('port', a.port, 1, 0xffff),
    mtu: inRange('mtu', a.mtu, 68, 0xffff),
  };
}

export const jsonOption = <T>(y: Argv<T>) =>
  y.option('json', { type: 'boolean', default: false, describe: 'One JSON document on stdout' });

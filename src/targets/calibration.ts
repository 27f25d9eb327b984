import { z } from 'zod';
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import { type Model, valueType } from '../model/model.ts';
import { tensorBytes } from '../model/tensor.ts';
import type { Lowered, TableOptions } from '../passes/tables/lower.ts';
import type { TableProgram } from '../passes/tables/program.ts';
import { cutRefusal, sliceTables, type WholeTables } from '../passes/tables/slice.ts';
import { readLabels, readRowsBefore } from '../rows/index.ts';
import { type Agreement, Approximator } from './approximation.ts';

const wholeOption = (least: number, most: number, what: string) =>
  z.coerce
    .number(`must be a whole number from ${least} to ${most}`)
    .int()
    .min(least)
    .max(most)
    .optional()
    .describe(what);

/** Options of targets that approximate a network by tables on rows of the user. */
export const calibrationShape = {
  whole: z
    .string()
    .optional()
    .describe(
      'Rows of the whole network, with --layers: its parts then have the levels of the whole, and together compute what it does',
    ),
  calibrate: z
    .string()
    .optional()
    .describe('Rows on which fewer levels and narrower sums are chosen: raw, .npy or .csv'),
  labels: z
    .string()
    .optional()
    .describe('The right class of each of these rows: the loss of accuracy is told'),
  levels: wholeOption(3, 256, 'Levels of each activation between layers, 3..256'),
  entries: wholeOption(
    16,
    10_000_000,
    'Entries of the tables behind the first layer, levels by sensitivity; by default as many as fit',
  ),
};

/** Those options as given; absent ones have no default here. */
export type Calibrated = z.output<z.ZodObject<typeof calibrationShape>>;

/** Entries of the tables behind the first layer that are tried in turn, where neither levels nor entries are given. */
export const DEFAULT_ENTRIES = [16_384, 4096, 1024] as const;

/** What of the options does not go together, if any. */
export function calibrationRefusal(given: Calibrated): { option: string; reason: string } | undefined {
  const lone = (['levels', 'entries', 'labels'] as const).find((name) => given[name] !== undefined);
  const rows = given.calibrate ?? given.whole;
  if (lone !== undefined && rows === undefined)
    return { option: `--${lone}`, reason: 'it needs rows: --calibrate ROWS' };
  if (given.whole !== undefined && given.calibrate !== undefined)
    return { option: '--whole', reason: '--calibrate has rows of these layers alone: give one of both' };
  if (given.whole !== undefined && given.levels === undefined && given.entries === undefined)
    return {
      option: '--whole',
      reason: 'all parts have to have the same levels: give each --levels N or --entries N',
    };
  if (given.levels !== undefined && given.entries !== undefined)
    return {
      option: '--levels',
      reason: 'with --entries the levels follow from their sensitivity: give one of both',
    };
  return undefined;
}

/** Layers of a network whose levels were chosen for all of it. */
export interface Part {
  /** Absent where it cannot be a part: see the diagnostics. */
  readonly program?: TableProgram;
  /** Of the whole. */
  readonly agreement?: Agreement;
  readonly diagnostics: readonly Diagnostic[];
}

/** A network approximated on rows of its input, as a whole. @throws DiagnosticError where rows or labels cannot be read */
export function wholeOf(model: Model, target: string, bits: number, given: Calibrated) {
  const options = { from: 0, to: model.layers.length, target, bits };
  const { approximator, diagnostics } = approximatorOf(model, options, given.whole!, given.labels);
  return { approximator, lowered: levelsOf(approximator, given), diagnostics };
}

/** The levels that are asked for, by default as many as make the most entries. */
export const levelsOf = (approximator: Approximator, given: Calibrated): Lowered =>
  given.levels === undefined
    ? approximator.bySensitivity(given.entries ?? DEFAULT_ENTRIES[0])
    : approximator.uniform(given.levels);

/** One part of it. @throws DiagnosticError where rows or labels cannot be read */
export function partOf(model: Model, options: TableOptions, given: Calibrated): Part {
  const { from, to, target, bits } = options;
  const { approximator, lowered, diagnostics } = wholeOf(model, target, bits, given);
  const { program, values } = lowered;
  if (program === undefined || values === undefined) return { diagnostics: lowered.diagnostics };
  const part = partBetween({ program, values }, model, from, to);
  if ('code' in part) return { diagnostics: [part] };
  return { program: part, agreement: approximator.agreementOf(program), diagnostics };
}

/** Layers `[from, to)` of a network as tables; or why no part may begin or end there. */
export function partBetween(
  whole: WholeTables,
  model: Model,
  from: number,
  to: number,
): TableProgram | Diagnostic {
  for (const cut of [from, to]) {
    const reason = cutRefusal(whole, cut);
    if (reason === undefined) continue;
    const layer = model.layers[cut]?.name;
    const place = { file: model.file, ...(layer !== undefined && { layer }) };
    return diagnostic('tables-cut', { cut, reason }, place);
  }
  return sliceTables(whole, model, from, to);
}

/** The rows and labels that are named, and approximations on them. @throws DiagnosticError where they cannot be read */
export function approximatorOf(
  model: Model,
  options: TableOptions,
  file: string,
  labels: string | undefined,
): { approximator: Approximator; diagnostics: readonly Diagnostic[] } {
  const read = readRowsBefore(model, options.from, file);
  const count = read.bytes.length / tensorBytes(valueType(model, options.from));
  const rows = { rows: read.bytes, ...(labels !== undefined && { labels: readLabels(labels, count) }) };
  return { approximator: new Approximator(model, options, rows), diagnostics: read.diagnostics };
}

import { z } from 'zod';
import type { Diagnostic } from '../diagnostics/index.ts';
import { type Model, valueType } from '../model/model.ts';
import { tensorBytes } from '../model/tensor.ts';
import type { TableOptions } from '../passes/tables/lower.ts';
import { readLabels, readRowsBefore } from '../rows/index.ts';
import { Approximator } from './approximation.ts';

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

export type Calibrated = z.output<z.ZodObject<typeof calibrationShape>>;

/** Entries of the tables behind the first layer that are tried in turn, where neither levels nor entries are given. */
export const DEFAULT_ENTRIES = [16_384, 4096, 1024] as const;

/** What of the options does not go together, if any. */
export function calibrationRefusal(given: Calibrated): { option: string; reason: string } | undefined {
  const lone = (['levels', 'entries', 'labels'] as const).find((name) => given[name] !== undefined);
  if (lone !== undefined && given.calibrate === undefined)
    return { option: `--${lone}`, reason: 'it needs rows: --calibrate ROWS' };
  if (given.levels !== undefined && given.entries !== undefined)
    return {
      option: '--levels',
      reason: 'with --entries the levels follow from their sensitivity: give one of both',
    };
  return undefined;
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

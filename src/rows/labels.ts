import { refuse } from '../diagnostics/index.ts';
import { readNumbers } from './numbers.ts';

/**
 * The class of each row: raw bytes, `.npy` or `.csv`, one a row.
 *
 * @param limit labels that are read at most
 * @throws DiagnosticError `quantise-labels` if there are not as many as rows, with the place of what is no class
 */
export function readLabels(file: string, rows: number, limit?: number): number[] {
  const { count, values, place } = readNumbers(file, [1], 'uint8', limit);
  if (count !== rows) refuse('quantise-labels', { labels: count, rows }, { file });
  return Array.from(values, (value, i) =>
    Number.isInteger(value) && value >= 0
      ? value
      : refuse('quantise-label', { where: place(i), value: String(value), classes: undefined }, { file }),
  );
}

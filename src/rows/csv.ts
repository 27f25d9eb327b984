import { CsvError, parse } from 'csv-parse/sync';
import { refuse } from '../diagnostics/index.ts';

/** Numbers of a CSV file, all rows of one width. */
export interface CsvTable {
  readonly count: number;
  /** No number has a point or an exponent. */
  readonly whole: boolean;
  /** Row-major. */
  readonly values: Float64Array;
}

/** Bytes of a line at most: a number of 64 characters a cell, or a header of names. */
const mostRecord = (width: number): number => 65_536 + 64 * width;

/** So many first bytes of a file show whether its first line ends at all; where it does not, the rest need not be read. */
export const firstLineBytes = (width: number): number => 2 * mostRecord(width);
/** Of any of the three kinds: LF, CR LF or CR alone. */
export const hasLineEnd = (bytes: Buffer): boolean => bytes.includes('\n') || bytes.includes('\r');

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const WHOLE = /^[+-]?\d+$/;
const SPECIAL = /^[+-]?(nan|inf|infinity)$/i;

const isNumber = (cell: string): boolean => NUMBER.test(cell) || SPECIAL.test(cell);

/**
 * A table of numbers: commas, semicolons, tabs or blanks between them, one more behind the last or none, quotes or none, lines of
 * any system, a line of names first or none, lines that begin with `#` as `numpy.savetxt` writes its header.
 *
 * @param width numbers in a row
 * @param limit rows that are read at most
 * @throws DiagnosticError `rows-malformed` or `rows-cell`, with the place
 */
export function parseCsv(
  bytes: Buffer,
  file: string,
  width: number,
  limit = Number.POSITIVE_INFINITY,
): CsvTable {
  const values: number[] = [];
  let count = 0;
  let whole = true;
  let isFirst = true;
  const add = (given: readonly string[], line: number): null => {
    const cells = given.length === width + 1 && given.at(-1) === '' ? given.slice(0, -1) : given;
    const wasFirst = isFirst;
    isFirst = false;
    if (wasFirst && !cells.some(isNumber)) return null;
    if (cells.length !== width)
      refuse('rows-width', { row: count + 1, line, cells: cells.length, width }, { file });
    for (const [column, cell] of cells.entries()) {
      values.push(numberOf(cell, { row: count + 1, column: column + 1, line }, file));
      whole &&= WHOLE.test(cell);
    }
    count++;
    return null;
  };
  records(bytes, file, { limit, most: mostRecord(width) }, add);
  return { count, whole, values: Float64Array.from(values) };
}

type Place = { readonly row: number; readonly column: number; readonly line: number };

function numberOf(cell: string, place: Place, file: string): number {
  if (NUMBER.test(cell)) return Number(cell);
  const value = /nan/i.test(cell)
    ? Number.NaN
    : cell.startsWith('-')
      ? Number.NEGATIVE_INFINITY
      : Number.POSITIVE_INFINITY;
  if (SPECIAL.test(cell)) return value;
  const shown = cell.length > 40 ? `${cell.slice(0, 40)}...` : cell;
  return refuse(
    'rows-cell',
    { ...place, what: cell === '' ? 'is empty' : `"${shown}" is no number` },
    { file },
  );
}

function records(
  bytes: Buffer,
  file: string,
  { limit, most }: { readonly limit: number; readonly most: number },
  add: (cells: readonly string[], line: number) => null,
): void {
  const delimiter = delimiterOf(bytes);
  try {
    parse(bytes, {
      bom: true,
      comment: '#',
      comment_no_infix: true,
      delimiter,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: most,
      trim: delimiter === ',' || delimiter === ';',
      // One more, for a line of names.
      ...(Number.isFinite(limit) && { to: limit + 1 }),
      // Columns that are aligned have several blanks between them.
      on_record: (cells: readonly string[], { lines }) =>
        add(delimiter === ' ' ? cells.filter((cell) => cell !== '') : cells, lines),
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    refuse('rows-malformed', { format: 'CSV', reason: error.message }, { file });
  }
}

/** What stands between the cells of the first line that holds anything. */
function delimiterOf(bytes: Buffer): string {
  const start = bytes.toString('utf8', 0, 65_536).replace(/^\ufeff/, '');
  const line = start.split(/[\r\n]+/).find((text) => /^\s*[^\s#]/.test(text)) ?? '';
  const bare = line.replace(/"[^"]*"/g, '').trim();
  return [';', '\t', ',', ' '].find((delimiter) => bare.includes(delimiter)) ?? ',';
}

/** One row a line, commas between. */
export function formatCsv(values: ArrayLike<number>, width: number, delimiter = ','): string {
  const lines: string[] = [];
  for (let at = 0; at < values.length; at += width) {
    const row: number[] = [];
    for (let i = at; i < at + width; i++) row.push(values[i]!);
    lines.push(`${row.join(delimiter)}\n`);
  }
  return lines.join('');
}

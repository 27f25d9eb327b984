import { extname } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import { decodeElements, type ElementType, elementBytes, elementCount } from '../model/tensor.ts';
import { firstLineBytes, hasLineEnd, parseCsv } from './csv.ts';
import { type NpyArray, parseNpy } from './npy.ts';
import { readBounded, STANDARD } from './read.ts';

/** By the extension of the file; `raw` for any other. */
export type RowFormat = 'npy' | 'csv' | 'tsv' | 'raw';

/** By the file's name. */
export function formatOf(file: string): RowFormat {
  switch (extname(file).toLowerCase()) {
    case '.npy':
      return 'npy';
    case '.csv':
      return 'csv';
    case '.tsv':
      return 'tsv';
    case '.npz':
      return refuse(
        'rows-malformed',
        {
          format: 'NumPy',
          reason: 'it is an archive of arrays; save the one that holds the rows with numpy.save',
        },
        { file },
      );
    default:
      return 'raw';
  }
}

/** Elements of raw files, little-endian. */
export type RawElement = ElementType | 'float32';

const sizeOf = (raw: RawElement): number => (raw === 'float32' ? 4 : elementBytes(raw));

/** Rows as a file has them, before any grid. */
export interface Numbers {
  readonly count: number;
  /** Whole numbers by type (by spelling in CSV); else reals. */
  readonly whole: boolean;
  /** `count` rows, each row-major. */
  readonly values: ArrayLike<number>;
  /** Where an element stands, for messages. */
  readonly place: (index: number) => string;
}

/**
 * Reads rows of a shape from a `.npy`, `.csv` or `.tsv` file; from any other as raw elements.
 *
 * @param limit rows that are read at most
 * @throws DiagnosticError with the place of what is wrong
 */
export function readNumbers(
  file: string,
  shape: readonly number[],
  raw: RawElement,
  limit = Number.POSITIVE_INFINITY,
): Numbers {
  const width = elementCount(shape);
  switch (formatOf(file)) {
    case 'npy':
      return npyRows(parseNpy(readBounded(file), file), shape, file, limit);
    case 'csv':
    case 'tsv': {
      const table = parseCsv(readTable(file, width), file, width, limit);
      if (table.count === 0) refuse('rows-none', {}, { file });
      const values = table.values.subarray(0, limit * width);
      return { ...table, count: values.length / width, values, place: placeIn(width) };
    }
    case 'raw': {
      const row = width * sizeOf(raw);
      const bytes = readBounded(file, limit * row);
      if (bytes.length === 0 || bytes.length % row !== 0)
        refuse('rows-mismatch', { bytes: bytes.length, row }, { file });
      return {
        count: bytes.length / row,
        whole: raw !== 'float32',
        values: rawElements(bytes, raw),
        place: placeIn(width),
      };
    }
  }
}

const placeIn = (width: number) => (index: number) =>
  `row ${Math.floor(index / width) + 1}, column ${(index % width) + 1}`;

function rawElements(bytes: Buffer, raw: RawElement): ArrayLike<number> {
  if (raw === 'uint8') return bytes;
  if (raw !== 'float32') return decodeElements(raw, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function npyRows(array: NpyArray, shape: readonly number[], file: string, limit: number): Numbers {
  const width = elementCount(shape);
  const count = rowsIn(array.shape, shape);
  if (count === undefined)
    return refuse(
      'rows-shape',
      { actual: array.shape.join(', '), expected: shape.join(', '), width },
      { file },
    );
  if (count === 0) refuse('rows-none', {}, { file });
  const wanted = Math.min(count, limit);
  return {
    count: wanted,
    whole: array.whole,
    values: array.values.subarray(0, wanted * width),
    place: placeIn(width),
  };
}

/** How many rows an array of these sizes is, if it is any: `[N, ...row]`, `[N, elements]`, or one row alone. */
function rowsIn(sizes: readonly number[], row: readonly number[]): number | undefined {
  const real = (dims: readonly number[]) => dims.filter((size) => size !== 1).join();
  const [first, ...rest] = sizes;
  if (first === undefined) return elementCount(row) === 1 ? 1 : undefined;
  // Where one of both is a plain list, the other's elements in row-major order are that list.
  const flat = (rest.length === 1 || row.length === 1) && elementCount(rest) === elementCount(row);
  if (flat || real(rest) === real(row)) return first;
  return real(sizes) === real(row) ? 1 : undefined;
}

/** All of a table, or of one whose first line does not end its beginning, of which that is told then. */
function readTable(file: string, width: number): Buffer {
  if (file === STANDARD) return readBounded(file);
  const beginning = readBounded(file, firstLineBytes(width));
  return beginning.length === firstLineBytes(width) && !hasLineEnd(beginning) ? beginning : readBounded(file);
}

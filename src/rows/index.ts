import { writeWhole } from '../files.ts';
import { type InputAffine, type Model, rowType, valueType } from '../model/model.ts';
import { decodeElements, elementCount, type TensorType, tensorBytes } from '../model/tensor.ts';
import { formatCsv } from './csv.ts';
import { type Elements, toElements } from './grid.ts';
import { formatNpy } from './npy.ts';
import { formatOf, readNumbers } from './numbers.ts';
import { STANDARD, writeStandard } from './read.ts';

export { type Elements, toElements } from './grid.ts';
export { readLabels } from './labels.ts';
export { type Numbers, type RawElement, readNumbers } from './numbers.ts';
export { readBounded, STANDARD } from './read.ts';

/** How rows are read. */
export interface ReadOptions {
  /** Only the first rows. */
  readonly limit?: number | undefined;
  /** What reals go through before the grid. */
  readonly affine?: InputAffine | undefined;
  /** Numbers of any type are reals, but those of raw files, which are elements. */
  readonly reals?: boolean | undefined;
}

/** Reads rows of a tensor, by the file's name. @throws DiagnosticError */
export function readRows(
  type: TensorType,
  file: string,
  { limit, affine, reals }: ReadOptions = {},
): Elements {
  const numbers = readNumbers(file, type.shape, type.element, limit);
  const whole = numbers.whole && !(reals && formatOf(file) !== 'raw');
  return toElements({ ...numbers, whole }, type, file, affine);
}

/** Reads rows of the value before a layer: before the first they are those of the source. @throws DiagnosticError */
export function readRowsBefore(model: Model, from: number, file: string, limit?: number): Elements {
  if (from > 0) return readRows(valueType(model, from), file, { limit });
  return readRows(rowType(model), file, { limit, affine: model.inputAffine, reals: model.readsReals });
}

/** The text or bytes of a file with rows of a tensor: `.npy` in the element's own type, `.csv` one row a line, else raw. */
export function formatRows(type: TensorType, file: string, bytes: Uint8Array): string | Uint8Array {
  const width = elementCount(type.shape);
  const format = formatOf(file);
  switch (format) {
    case 'npy':
      return formatNpy(type.element, [bytes.length / tensorBytes(type), ...type.shape], bytes);
    case 'csv':
    case 'tsv':
      return formatCsv(decodeElements(type.element, bytes), width, format === 'csv' ? ',' : '\t');
    case 'raw':
      return bytes;
  }
}

/** Writes rows whole or not at all; to standard output if the name is `-`. @throws DiagnosticError `file-unwritable` */
export function writeRows(type: TensorType, file: string, bytes: Uint8Array): void {
  const content = formatRows(type, file, bytes);
  if (file === STANDARD) writeStandard(content);
  else writeWhole(file, content);
}

import { entry, list } from './entry.ts';

/** Files and folders, whatever they hold. */
export const filesMessages = {
  'file-unreadable': entry<{ reason: string }>(
    'error',
    (a) => `cannot be read: ${a.reason}`,
    () => 'check the path, and who may read it',
  ),
  'file-too-large': entry<{ kind: string; most: number }>(
    'error',
    (a) => `is larger than the ${a.most} bytes that are read of a file of this kind (${a.kind})`,
    () => 'see whether the right file was named',
  ),
  'file-unwritable': entry<{ reason: string }>(
    'error',
    (a) => `cannot be written: ${a.reason}`,
    () => 'check the path, who may write there, and whether the disk is full',
  ),
  'output-exists': entry(
    'error',
    () => 'is not empty and was not written by intransit',
    () => 'name another directory with -o, or remove it',
  ),
  'unknown-format': entry<{ known: readonly string[] }>(
    'error',
    (a) => `is of no known model format (known: ${list(a.known)})`,
    () => 'the ending of its name says which: rename it, or convert the model',
  ),
  p4info: entry<{ reason: string }>(
    'error',
    (a) => `is no P4Info: ${a.reason}`,
    () => 'name a file that p4c writes with --p4runtime-files',
  ),
  'rows-mismatch': entry<{ bytes: number; row: number }>(
    'error',
    (a) => `holds ${a.bytes} bytes, which is not a whole number of rows of ${a.row}`,
    () =>
      "raw tensors are row-major, one element after the other in the model's input type; " +
      'NumPy and CSV files are known by their names, .npy and .csv',
  ),
  'rows-malformed': entry<{ format: string; reason: string }>(
    'error',
    (a) => `cannot be read as ${a.format}: ${a.reason}`,
    () => 'docs/rows.md says what rows may look like',
  ),
  'rows-none': entry(
    'error',
    () => 'holds no rows',
    () => 'give one at least, of as many numbers as the model reads',
  ),
  'rows-shape': entry<{ actual: string; expected: string; width: number }>(
    'error',
    (a) => `has shape (${a.actual}), the model reads rows of (${a.expected})`,
    (a) =>
      a.expected === `${a.width}`
        ? `save the rows as an array of shape (N, ${a.width})`
        : `save the rows as an array of shape (N, ${a.expected}) or (N, ${a.width})`,
  ),
  'rows-width': entry<{ row: number; line: number; cells: number; width: number }>(
    'error',
    (a) => `row ${a.row} (line ${a.line}) has ${a.cells} cells, the model reads ${a.width}`,
    () => 'leave out columns that are no input, such as labels or an index (pandas: index=False)',
  ),
  'rows-cell': entry<{ row: number; column: number; line: number; what: string }>(
    'error',
    (a) => `row ${a.row}, column ${a.column} (line ${a.line}) ${a.what}`,
    () => 'cells are decimal numbers with a point',
  ),
  'rows-value': entry<{ where: string; what: string; whole: boolean }>(
    'error',
    (a) => `${a.where}: ${a.what}`,
    (a) =>
      a.whole
        ? 'whole numbers are taken as the integers of the network; have reals in a float array, or write them with a point (1.0)'
        : 'fill or leave out what is missing',
  ),
  'rows-no-grid': entry<{ element: string }>(
    'error',
    (a) => `holds reals, but the model does not say on which grid its ${a.element} input lies`,
    () => 'give the integers of the network',
  ),
  'rows-clamped': entry<{ clamped: number; of: number; lo: number; hi: number }>(
    'warning',
    (a) =>
      `${a.clamped} of ${a.of} numbers lie outside of the input's range ${a.lo}..${a.hi} and are taken as its ends`,
    () => "give the reals that the network was trained on, or integers of the input's own type",
  ),
  'class-names': entry<{ names: number; classes: number }>(
    'error',
    (a) => `${a.names} class names for ${a.classes} classes`,
    () => 'give one name a class, in the order of the outputs',
  ),
};

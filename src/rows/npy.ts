import { refuse } from '../diagnostics/index.ts';
import { isNumberFormat, numberReaders, sizeOf } from '../model/number-formats.ts';
import type { ElementType } from '../model/tensor.ts';

/**
 * NumPy's `.npy` format, versions 1.0 to 3.0: magic, version, the length of a header, the header (a literal of Python:
 * element type, order, shape), then the elements.
 */

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** NumPy pads the header so that elements begin at a multiple of this. */
const ALIGNMENT = 64;
/** NumPy itself reads no longer header of files that it does not trust. */
const MOST_HEADER = 10_000;

/** An array of a NumPy file. */
export interface NpyArray {
  readonly shape: readonly number[];
  /** Booleans are whole numbers too. */
  readonly whole: boolean;
  /** Row-major, whatever the order in the file. 64-bit integers are rounded to 53 bits. */
  readonly values: Float64Array | Float32Array | Int8Array | Uint8Array;
}

/** @throws DiagnosticError `rows-malformed` with what is wrong or not supported */
export function parseNpy(bytes: Buffer, file: string): NpyArray {
  const bad = (reason: string): never => refuse('rows-malformed', { format: 'NumPy', reason }, { file });
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return bad('it does not begin as a .npy file does');
  const [major, minor] = [bytes[6], bytes[7]];
  if (major === undefined || minor === undefined || major < 1 || major > 3 || minor !== 0)
    return bad(`it is of version ${major}.${minor}; 1.0, 2.0 and 3.0 are known`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) return bad('it ends in its header');
  const length = major === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (length > MOST_HEADER || start + length > bytes.length) return bad('its header is longer than the file');
  const header = bytes.toString(major === 3 ? 'utf8' : 'latin1', start, start + length);
  const { type, fortran, shape } = parseHeader(header, bad);
  const data = bytes.subarray(start + length);
  const count = shape.reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(count) || data.length !== count * type.size)
    bad(
      `shape (${shape.join(', ')}) of ${type.name} takes ${count * type.size} bytes, ${data.length} are there`,
    );
  const values = readElements(data, type, count);
  return { shape, whole: type.whole, values: fortran && shape.length > 1 ? rowMajor(values, shape) : values };
}

interface ElementFormat {
  readonly name: string;
  readonly size: number;
  readonly whole: boolean;
  readonly read: (view: DataView, at: number) => number;
  readonly plain?: 'int8' | 'uint8' | undefined;
}

function parseHeader(header: string, bad: (reason: string) => never) {
  const text = (key: string, value: string) =>
    new RegExp(`['"]${key}['"]\\s*:\\s*${value}`).exec(header)?.[1];
  const descr = text('descr', `['"]([^'"]*)['"]`);
  const order = text('fortran_order', '(True|False)');
  const dims = text('shape', '\\(([^)]*)\\)');
  if (descr === undefined)
    return bad(
      /['"]descr['"]\s*:\s*\[/.test(header) ? 'its elements are records' : 'its header names no element type',
    );
  if (order === undefined || dims === undefined) return bad('its header names no order or no shape');
  const words = dims.split(',').map((word) => word.trim());
  if (words.at(-1) === '') words.pop();
  // Python 2 wrote 3L.
  if (words.some((word) => !/^\d{1,15}L?$/.test(word))) return bad(`its shape (${dims}) is none`);
  return {
    type: elementFormat(descr, bad),
    fortran: order === 'True',
    shape: words.map((w) => Number.parseInt(w, 10)),
  };
}

function elementFormat(descr: string, bad: (reason: string) => never): ElementFormat {
  const match = /^([<>|=]?)([a-zA-Z?])(\d*)$/.exec(descr);
  const kind = match?.[2] === '?' ? 'b1' : `${match?.[2]}${match?.[3]}`;
  const little = match?.[1] !== '>';
  if (!isNumberFormat(kind))
    return bad(`its elements are '${descr}'; integers, floats and booleans are read`);
  const read = numberReaders[kind];
  const plain = kind === 'i1' ? 'int8' : kind === 'u1' ? 'uint8' : undefined;
  return {
    name: descr,
    size: sizeOf(kind),
    whole: !kind.startsWith('f'),
    read: (view, at) => read(view, at, little),
    plain,
  };
}

function readElements(data: Buffer, type: ElementFormat, count: number): NpyArray['values'] {
  // A view of its own: slice() of a Buffer does not copy.
  if (type.plain === 'uint8') return new Uint8Array(data.buffer, data.byteOffset, data.length);
  if (type.plain === 'int8') return new Int8Array(data.buffer, data.byteOffset, data.length);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const values = type.size === 4 && !type.whole ? new Float32Array(count) : new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = type.read(view, i * type.size);
  return values;
}

/** In Fortran order the first axis runs fastest. */
function rowMajor<T extends NpyArray['values']>(values: T, given: readonly number[]): T {
  // Axes of one change no place: a header has room for thousands, and every element would walk over them.
  const shape = given.filter((size) => size !== 1);
  const out = values.slice() as T;
  const strides: number[] = [];
  for (let axis = 0, step = 1; axis < shape.length; step *= shape[axis++]!) strides.push(step);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

const descriptions: Readonly<Record<ElementType, string>> = {
  uint8: '|u1',
  int8: '|i1',
  uint16: '<u2',
  int16: '<i2',
};

/** A file of integers in row-major order, as `numpy.save` writes it. */
export function formatNpy(element: ElementType, shape: readonly number[], data: Uint8Array): Buffer {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${descriptions[element]}', 'fortran_order': False, 'shape': (${dims}), }`;
  const start = MAGIC.length + 4;
  const length = Math.ceil((start + header.length + 1) / ALIGNMENT) * ALIGNMENT - start;
  const head = Buffer.alloc(start);
  MAGIC.copy(head);
  head[6] = 1;
  head.writeUInt16LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${header.padEnd(length - 1)}\n`, 'latin1'), data]);
}

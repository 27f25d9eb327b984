import { decodeElements, type ElementType, elementCount, type TensorType } from '../../../model/tensor.ts';
import { type Numbers, toElements } from '../../../rows/index.ts';
import { invalid } from './fault.ts';

/** Of the protocol's datatypes those in which a grid is told: its integers, or the reals that they stand for. */
export const datatypes = ['UINT8', 'INT8', 'UINT16', 'INT16', 'FP32', 'FP64'] as const;
/** A type of elements by the protocol's name. */
export type Datatype = (typeof datatypes)[number];

/** Bytes of one element. */
export const bytesOfDatatype: Readonly<Record<Datatype, number>> = {
  UINT8: 1,
  INT8: 1,
  UINT16: 2,
  INT16: 2,
  FP32: 4,
  FP64: 8,
};

/** Whether its numbers are whole. */
export const isIntegers = (datatype: Datatype): boolean => bytesOfDatatype[datatype] < 4;

/** Whether the protocol's name is one of those that are served here. */
export const isDatatype = (name: string): name is Datatype => datatypes.includes(name as Datatype);

/** The datatype of a tensor's integers. */
export const integersOf: Readonly<Record<ElementType, Datatype>> = {
  uint8: 'UINT8',
  int8: 'INT8',
  uint16: 'UINT16',
  int16: 'INT16',
};

/** A tensor as it comes in, whichever way: its elements are still to be believed. */
export interface GivenTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Little-endian bytes, or numbers. */
  readonly data: Uint8Array | readonly number[];
}

/** Rows of a tensor, and whether they came with a dimension for the batch. */
export interface Rows {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly isBatch: boolean;
  readonly datatype: Datatype;
}

/** Of the binary data extension of HTTP: how many bytes of a body are JSON; tensors follow. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length';

/** Rows of one request at most. */
export const MOST_ROWS = 16_384;

/**
 * The rows that a tensor of a request is, on the grid of the model's input.
 * @throws InferenceFault of datatype, shape, or a number of elements that is not that of the shape
 * @throws DiagnosticError of an element that is not of its type
 */
export function rowsOf(given: GivenTensor, type: TensorType, affine?: Affine): Rows {
  const own = integersOf[type.element];
  const { name, datatype, shape } = given;
  if (!isDatatype(datatype) || (datatype !== own && isIntegers(datatype)))
    return invalid(
      `input "${name}" has datatype ${datatype}: give ${own}, the integers of the network, or FP32 or FP64, which go through its grid`,
    );
  const isBatch = batchOf(shape, type.shape);
  if (isBatch === undefined)
    return invalid(
      `input "${name}" has shape [${shape.join(', ')}]: give [N, ${type.shape.join(', ')}], or one row as [${type.shape.join(', ')}]`,
    );
  const count = isBatch ? shape[0]! : 1;
  if (count < 1 || count > MOST_ROWS)
    return invalid(`input "${name}" has ${count} rows: give 1 to ${MOST_ROWS}`);
  const width = elementCount(type.shape);
  const values = valuesOf(given, datatype, count * width);
  const numbers: Numbers = {
    count,
    whole: isIntegers(datatype),
    values,
    place: (index) => `row ${Math.floor(index / width) + 1}, element ${(index % width) + 1}`,
  };
  return { bytes: toElements(numbers, type, `input "${name}"`, affine).bytes, count, isBatch, datatype };
}

type Affine = Parameters<typeof toElements>[3];

/** Whether there is a dimension for the batch before the row's own; undefined where the shape is neither. */
function batchOf(shape: readonly number[], row: readonly number[]): boolean | undefined {
  const same = (a: readonly number[], b: readonly number[]) =>
    a.length === b.length && a.every((size, i) => size === b[i]);
  if (same(shape, row)) return false;
  const rest = shape.slice(1);
  return same(rest, row) || same(rest, [elementCount(row)]) ? true : undefined;
}

function valuesOf({ name, data }: GivenTensor, datatype: Datatype, elements: number): ArrayLike<number> {
  if (!(data instanceof Uint8Array)) {
    if (data.length !== elements)
      invalid(`input "${name}" holds ${data.length} elements, its shape asks for ${elements}`);
    const broken = isIntegers(datatype) ? data.findIndex((v) => !Number.isInteger(v)) : -1;
    if (broken >= 0) invalid(`input "${name}": element ${broken + 1}, ${data[broken]}, is no ${datatype}`);
    return data;
  }
  const size = bytesOfDatatype[datatype];
  if (data.length !== elements * size)
    invalid(
      `input "${name}" holds ${data.length} bytes, its shape and datatype ask for ${elements * size} (${elements} of ${size})`,
    );
  return numbersOf(data, datatype);
}

/** Elements of little-endian bytes. */
export function numbersOf(data: Uint8Array, datatype: Datatype): ArrayLike<number> {
  if (datatype === 'UINT8') return data;
  if (datatype === 'INT8') return new Int8Array(data.buffer, data.byteOffset, data.length);
  if (datatype === 'UINT16') return decodeElements('uint16', data);
  if (datatype === 'INT16') return decodeElements('int16', data);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return datatype === 'FP32'
    ? Float32Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
    : Float64Array.from({ length: data.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

/** Numbers as little-endian bytes; integers keep their low bits. */
export function littleEndian(values: ArrayLike<number>, datatype: Datatype): Uint8Array {
  const size = bytesOfDatatype[datatype];
  const view = new DataView(new ArrayBuffer(size * values.length));
  for (let i = 0; i < values.length; i++)
    if (size === 1) view.setUint8(i, values[i]! & 0xff);
    else if (size === 2) view.setUint16(2 * i, values[i]! & 0xffff, true);
    else if (size === 4) view.setFloat32(4 * i, values[i]!, true);
    else view.setFloat64(8 * i, values[i]!, true);
  return new Uint8Array(view.buffer);
}

/** The integers of a tensor in a datatype, little-endian: as they are, or `scale * (q - zeroPoint)`, in float32 for FP32. */
export function inDatatype(bytes: Uint8Array, type: TensorType, datatype: Datatype): Uint8Array {
  if (isIntegers(datatype)) return bytes;
  const values = numbersOf(bytes, integersOf[type.element]);
  const scale = Math.fround(type.scale);
  // Where there is no grid the integers are all that there is.
  const real = (q: number) => (scale > 0 ? scale * (q - type.zeroPoint) : q);
  return littleEndian(
    Float64Array.from({ length: values.length }, (_, i) => real(values[i]!)),
    datatype,
  );
}

import { type Place, refuse } from '../../diagnostics/index.ts';
import { halfToNumber, type NumberFormat, numberReaders, sizeOf } from '../../model/number-formats.ts';
import { readExternal } from './external-data.ts';
import type { OnnxTensor } from './proto.ts';

/** `TensorProto.DataType`: the numbers of the format. */
export const DataType = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
} as const;

const names = new Map<number, string>(Object.entries(DataType).map(([name, value]) => [value, name]));

/** `float`, `uint8`, ... or the number of a type that is not known here. */
export const dataTypeName = (type: number): string => names.get(type) ?? `of data type ${type}`;

/** By the number of ONNX; bfloat16 and the 8-bit floats are not read. */
export const isFloat = (type: number): boolean =>
  type === DataType.float || type === DataType.float16 || type === DataType.double;

/** Elements as they are kept: half floats as float32, 64-bit integers as doubles. */
export type Numbers = Float32Array | Float64Array | Int32Array | Int8Array | Uint8Array;

/** A tensor known at compile time. `values` are row-major; a scalar has no dims. */
export interface Constant {
  readonly kind: 'constant';
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  readonly values: Numbers;
}

/**
 * Decodes a tensor from its raw bytes (little-endian) or its typed field.
 *
 * @throws DiagnosticError if the data is elsewhere, of another length than the dims say, or of an unknown type
 */
export function decodeTensor(tensor: OnnxTensor, name: string, place: Place): Constant {
  const here = { ...place, tensor: name };
  const count = tensor.dims.reduce((a, b) => a * b, 1);
  const dataType = tensor.dataType ?? 0;
  const raw = tensor.dataLocation === 1 ? readExternal(tensor, here) : tensor.rawData;
  const values = raw?.length ? fromRaw(raw, dataType, count) : fromFields(tensor, dataType, count);
  if (values === undefined)
    return refuse(
      'onnx-interface',
      { what: `is ${dataTypeName(dataType)}, of which nothing is imported` },
      here,
    );
  if (values.length !== count)
    refuse(
      'onnx-malformed',
      { reason: `tensor ${name} of shape [${tensor.dims.join(', ')}] holds ${values.length} elements` },
      here,
    );
  return { kind: 'constant', name, dims: tensor.dims, dataType, values };
}

const formats: ReadonlyMap<number, NumberFormat> = new Map([
  [DataType.float, 'f4'],
  [DataType.double, 'f8'],
  [DataType.float16, 'f2'],
  [DataType.int32, 'i4'],
  [DataType.int64, 'i8'],
  [DataType.uint32, 'u4'],
  [DataType.uint64, 'u8'],
  [DataType.int16, 'i2'],
  [DataType.uint16, 'u2'],
  [DataType.int8, 'i1'],
  [DataType.uint8, 'u1'],
  [DataType.bool, 'b1'],
]);

/** float32 where it holds all values, else float64. */
const isSingle = (dataType: number): boolean => dataType === DataType.float || dataType === DataType.float16;

function fromRaw(raw: Uint8Array, dataType: number, count: number): Numbers | undefined {
  if (dataType === DataType.int4 || dataType === DataType.uint4)
    return nibbles(raw, dataType === DataType.int4, count);
  const format = formats.get(dataType);
  if (format === undefined) return undefined;
  if (format === 'i1') return Int8Array.from(raw);
  if (format === 'u1') return Uint8Array.from(raw);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const [read, size] = [numberReaders[format], sizeOf(format)];
  const element = (_: unknown, i: number) => read(view, size * i, true);
  const length = Math.floor(raw.length / size);
  return isSingle(dataType) ? Float32Array.from({ length }, element) : Float64Array.from({ length }, element);
}

function fromFields(tensor: OnnxTensor, dataType: number, count: number): Numbers | undefined {
  switch (dataType) {
    case DataType.float:
      return Float32Array.from(tensor.floatData);
    case DataType.double:
      return Float64Array.from(tensor.doubleData);
    case DataType.float16:
      return Float32Array.from(tensor.int32Data, halfToNumber);
    case DataType.int32:
    case DataType.int16:
    case DataType.uint16:
    case DataType.int8:
    case DataType.uint8:
    case DataType.bool:
      return Int32Array.from(tensor.int32Data);
    case DataType.int64:
      return Float64Array.from(tensor.int64Data);
    case DataType.int4:
    case DataType.uint4:
      return nibbles(Uint8Array.from(tensor.int32Data), dataType === DataType.int4, count);
    default:
      return undefined;
  }
}

/** Two elements a byte, the first in the low half; an odd count leaves the last half unused. */
function nibbles(bytes: Uint8Array, signed: boolean, count: number): Int8Array {
  const length = bytes.length === Math.ceil(count / 2) ? count : 2 * bytes.length;
  return Int8Array.from({ length }, (_, i) => {
    const nibble = (bytes[i >> 1]! >> (4 * (i & 1))) & 0xf;
    return signed && nibble > 7 ? nibble - 16 : nibble;
  });
}

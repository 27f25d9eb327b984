import { type Place, refuse } from '../../diagnostics/index.ts';
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

export const isFloat = (type: number): boolean =>
  type === DataType.float || type === DataType.float16 || type === DataType.double;

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

function fromRaw(raw: Uint8Array, dataType: number, count: number): Numbers | undefined {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const whole = (bytes: number) => Math.floor(raw.length / bytes);
  switch (dataType) {
    case DataType.float:
      return Float32Array.from({ length: whole(4) }, (_, i) => view.getFloat32(4 * i, true));
    case DataType.double:
      return Float64Array.from({ length: whole(8) }, (_, i) => view.getFloat64(8 * i, true));
    case DataType.float16:
      return Float32Array.from({ length: whole(2) }, (_, i) => halfToNumber(view.getUint16(2 * i, true)));
    case DataType.int32:
      return Int32Array.from({ length: whole(4) }, (_, i) => view.getInt32(4 * i, true));
    case DataType.int64:
      return Float64Array.from({ length: whole(8) }, (_, i) => Number(view.getBigInt64(8 * i, true)));
    case DataType.uint32:
      return Float64Array.from({ length: whole(4) }, (_, i) => view.getUint32(4 * i, true));
    case DataType.uint64:
      return Float64Array.from({ length: whole(8) }, (_, i) => Number(view.getBigUint64(8 * i, true)));
    case DataType.int16:
      return Int32Array.from({ length: whole(2) }, (_, i) => view.getInt16(2 * i, true));
    case DataType.uint16:
      return Int32Array.from({ length: whole(2) }, (_, i) => view.getUint16(2 * i, true));
    case DataType.int8:
      return Int8Array.from(raw, (byte) => (byte << 24) >> 24);
    case DataType.uint8:
    case DataType.bool:
      return Uint8Array.from(raw);
    case DataType.int4:
    case DataType.uint4:
      return nibbles(raw, dataType === DataType.int4, count);
    default:
      return undefined;
  }
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

/** IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = (half & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}

/**
 * Elements of binary files by their type, as NumPy names them without the order of bytes: `i1` is an int8, `f2` a binary16, `b1` a byte
 * that is zero or not. 64-bit integers are rounded to 53 bits.
 */
export type NumberFormat = 'b1' | 'i1' | 'u1' | 'i2' | 'u2' | 'i4' | 'u4' | 'i8' | 'u8' | 'f2' | 'f4' | 'f8';

type Reader = (view: DataView, at: number, little: boolean) => number;

/** How one element is read at a byte. */
export const numberReaders: Readonly<Record<NumberFormat, Reader>> = {
  b1: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  i1: (view, at) => view.getInt8(at),
  u1: (view, at) => view.getUint8(at),
  i2: (view, at, little) => view.getInt16(at, little),
  u2: (view, at, little) => view.getUint16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  f2: (view, at, little) => halfToNumber(view.getUint16(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
};

/** Bytes of an element. */
export const sizeOf = (format: NumberFormat): number => Number(format.slice(1));

/** Whether elements of the type can be read: complex numbers, texts and objects of NumPy cannot. */
export const isNumberFormat = (text: string): text is NumberFormat => text in numberReaders;

/** IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
export function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = (half & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}

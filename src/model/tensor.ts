/** Element types of activations. On the wire and in raw files each takes one byte, or two, little-endian. */
export type ElementType = 'uint8' | 'int8' | 'uint16' | 'int16';

/** Bytes of an element. */
export const elementBytes = (element: ElementType): 1 | 2 => (isWide(element) ? 2 : 1);

/** Whether an element takes 16 bits: then there are too many of them for tables, and steps for a search. */
export const isWide = (element: ElementType): boolean => element === 'uint16' || element === 'int16';

/**
 * A quantised activation tensor, without the batch dimension: `real = scale * (q - zeroPoint)`.
 * Images are `[channels, height, width]`; elements are row-major.
 */
export interface TensorType {
  readonly element: ElementType;
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Closed interval of integers. */
export interface Interval {
  readonly lo: number;
  readonly hi: number;
}

const ranges: Readonly<Record<ElementType, Interval>> = {
  uint8: { lo: 0, hi: 255 },
  int8: { lo: -128, hi: 127 },
  uint16: { lo: 0, hi: 2 ** 16 - 1 },
  int16: { lo: -(2 ** 15), hi: 2 ** 15 - 1 },
};

/** Least and greatest q-value of the type, both included. */
export const elementRange = (element: ElementType): Interval => ranges[element];

/** Product of the dimensions; 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes of a tensor on the wire. */
export const tensorBytes = ({ element, shape }: Pick<TensorType, 'element' | 'shape'>): number =>
  elementCount(shape) * elementBytes(element);

/** Bytes to q-values, by the element type. */
export function decodeElements(element: ElementType, bytes: Uint8Array): Int32Array {
  if (element === 'uint8') return Int32Array.from(bytes);
  if (element === 'int8') return Int32Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const read = (at: number) => (element === 'int16' ? view.getInt16(at, true) : view.getUint16(at, true));
  return Int32Array.from({ length: bytes.length / 2 }, (_, i) => read(2 * i));
}

/** q-values to bytes: of a type, signed or not, the low bits. */
export function encodeElements(element: ElementType, values: Int32Array): Uint8Array {
  if (!isWide(element)) return Uint8Array.from(values, (v) => v & 0xff);
  const bytes = new Uint8Array(2 * values.length);
  for (const [i, q] of values.entries()) {
    bytes[2 * i] = q & 0xff;
    bytes[2 * i + 1] = (q >> 8) & 0xff;
  }
  return bytes;
}

/** `uint8[1x8x8]`: how messages and dumps name a tensor. */
export const formatTensorType = (t: TensorType): string => `${t.element}[${t.shape.join('x')}]`;

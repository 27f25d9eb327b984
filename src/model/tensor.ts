/** Element types of activations. On the wire and in files each element takes one byte (int32: four, little-endian). */
export type ElementType = 'uint8' | 'int8';

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

export const elementRange = (element: ElementType): Interval =>
  element === 'uint8' ? { lo: 0, hi: 255 } : { lo: -128, hi: 127 };

export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes to q-values, by the element type. */
export function decodeElements(element: ElementType, bytes: Uint8Array): Int32Array {
  const view = element === 'uint8' ? bytes : new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from(view);
}

/** q-values to bytes; both types keep their low eight bits. */
export const encodeElements = (values: Int32Array): Uint8Array => Uint8Array.from(values, (v) => v & 0xff);

/** `uint8[1x8x8]`: how messages and dumps name a tensor. */
export const formatTensorType = (t: TensorType): string => `${t.element}[${t.shape.join('x')}]`;

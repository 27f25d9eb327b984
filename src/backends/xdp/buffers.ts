import type { Layer, Model, ValueId } from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import { elementRange } from '../../model/tensor.ts';

/**
 * Where a value lives in the scratch memory: unsigned activations, channels innermost, with a border for the windows
 * that slide over its edge. A vector is one pixel of many channels.
 */
export interface ValueBuffer {
  /** Bytes from the beginning of the scratch memory; a multiple of 8. */
  readonly offset: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Border in pixels: top, left, bottom, right. */
  readonly border: readonly [number, number, number, number];
  /** Unsigned activation that the border holds. */
  readonly fill: number;
}

export const rowBytes = (b: ValueBuffer): number => (b.width + b.border[1] + b.border[3]) * b.channels;

export const bufferBytes = (b: ValueBuffer): number => (b.height + b.border[0] + b.border[2]) * rowBytes(b);

/** Byte of pixel `(y, x)`, channel 0, from the buffer's beginning; y and x may reach into the border. */
export const pixelAt = (b: ValueBuffer, y: number, x: number): number =>
  (y + b.border[0]) * rowBytes(b) + (x + b.border[1]) * b.channels;

export const hasBorder = (b: ValueBuffer): boolean => b.border.some((pixels) => pixels > 0);

/** Byte of row-major element `index` of `[channels, height, width]`, from the buffer's beginning. */
export function elementAt(b: ValueBuffer, index: number): number {
  const pixels = b.height * b.width;
  const pixel = index % pixels;
  return pixelAt(b, Math.floor(pixel / b.width), pixel % b.width) + Math.floor(index / pixels);
}

/** Whether the row-major elements lie in the buffer one after the other. */
export const isRowMajor = (b: ValueBuffer): boolean =>
  !hasBorder(b) && (b.channels === 1 || b.height * b.width === 1);

/** `[channels, height, width]` of any shape: a vector is one pixel. */
export function imageShape(shape: readonly number[]): [channels: number, height: number, width: number] {
  if (shape.length === 3) return [shape[0]!, shape[1]!, shape[2]!];
  return [shape.reduce((a, b) => a * b, 1), 1, 1];
}

type Pads = ValueBuffer['border'];

interface Border {
  readonly pads: Pads;
  readonly fill: number;
}

/** The border that a layer wants around its input: real zeros for a convolution, the least element for a maximum. */
function borderFor(model: Model, layer: Layer): Border | undefined {
  if (!('pads' in layer) || layer.pads.every((p) => p === 0)) return undefined;
  const type = valueType(model, layer.inputs[0]!);
  const fill = layer.kind === 'maxPool' ? 0 : type.zeroPoint - elementRange(type.element).lo;
  return { pads: layer.pads, fill };
}

/** One border wide enough for all readers; undefined if they want different fills. */
function commonBorder(borders: readonly Border[]): Border | undefined {
  if (new Set(borders.map(({ fill }) => fill)).size > 1) return undefined;
  const widest = (side: 0 | 1 | 2 | 3) => Math.max(0, ...borders.map(({ pads }) => pads[side]));
  return { pads: [widest(0), widest(1), widest(2), widest(3)], fill: borders[0]?.fill ?? 0 };
}

/**
 * Lays out the values that layers `[from, to)` read and write, one after the other: a border that is zero is then zero
 * for ever, as nobody writes it.
 * @returns the buffers by value, or the value whose readers want borders of different fills
 */
export function layOutBuffers(
  model: Model,
  from: number,
  to: number,
): Map<ValueId, ValueBuffer> | { conflict: ValueId } {
  const buffers = new Map<ValueId, ValueBuffer>();
  let offset = 0;
  for (let value = from; value <= to; value++) {
    const readers = model.layers.slice(from, to).filter((layer) => layer.inputs.includes(value));
    const borders = readers.map((layer) => borderFor(model, layer)).filter((b) => b !== undefined);
    const border = commonBorder(borders);
    if (border === undefined) return { conflict: value };
    const [channels, height, width] = imageShape(valueType(model, value).shape);
    const buffer: ValueBuffer = { offset, channels, height, width, border: border.pads, fill: border.fill };
    buffers.set(value, buffer);
    offset += Math.ceil(bufferBytes(buffer) / 8) * 8;
  }
  return buffers;
}

/** Bytes of scratch memory that the buffers take together. */
export const scratchBytes = (buffers: ReadonlyMap<ValueId, ValueBuffer>): number =>
  Math.max(8, ...[...buffers.values()].map((b) => b.offset + Math.ceil(bufferBytes(b) / 8) * 8));

import { isBroadcast } from '../../model/broadcast.ts';
import type { Layer, Model, ValueId } from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import { elementCount, elementRange, isWide, tensorBytes } from '../../model/tensor.ts';
import { featureBytes } from './forest-sizes.ts';
import { xdpLimits } from './limits.ts';

/**
 * Where a value lives in the scratch memory: unsigned activations, channels innermost, with a border for the windows
 * that slide over its edge. A vector is one pixel of many channels.
 */
export interface ValueBuffer {
  /** Piece of the scratch memory; most programs have but one, 0. */
  readonly page: number;
  /** Bytes from the beginning of the page; a multiple of 8. */
  readonly offset: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Border in pixels: top, left, bottom, right. */
  readonly border: readonly [number, number, number, number];
  /** Unsigned activation that the border holds. */
  readonly fill: number;
  /** Bytes behind it that may be read, whatever they are; 0 if absent. */
  readonly slack?: number;
  /** Of 16-bit elements, each takes two bytes; 1 if absent. */
  readonly elementBytes?: 2;
}

/** Bytes from one element of the buffer to the next. */
export const elementBytesOf = (b: Pick<ValueBuffer, 'elementBytes'>): 1 | 2 => b.elementBytes ?? 1;

/** The C type of its elements, which pointers step by. */
export const elementType = (b: ValueBuffer): string => (elementBytesOf(b) === 2 ? '__u16' : '__u8');

/** Elements of a row of pixels, its border included. */
export const rowElements = (b: ValueBuffer): number => (b.width + b.border[1] + b.border[3]) * b.channels;

/** With the border on all sides. */
export const bufferBytes = (b: ValueBuffer): number =>
  (b.height + b.border[0] + b.border[2]) * rowElements(b) * elementBytesOf(b);

/** Element of pixel `(y, x)`, channel 0, from the buffer's beginning; y and x may reach into the border. */
export const pixelAt = (b: ValueBuffer, y: number, x: number): number =>
  (y + b.border[0]) * rowElements(b) + (x + b.border[1]) * b.channels;

/** Whether pixels of padding stand around the image. */
export const hasBorder = (b: ValueBuffer): boolean => b.border.some((pixels) => pixels > 0);

/** Place of row-major element `index` of `[channels, height, width]`, from the buffer's beginning. */
export function elementAt(b: ValueBuffer, index: number): number {
  const pixels = b.height * b.width;
  const pixel = index % pixels;
  return pixelAt(b, Math.floor(pixel / b.width), pixel % b.width) + Math.floor(index / pixels);
}

/** Whether the row-major elements lie in the buffer one after the other. */
export const isRowMajor = (b: ValueBuffer): boolean =>
  !hasBorder(b) && (b.channels === 1 || b.height * b.width === 1);

/** Whether element for element stands at the same byte, and nothing between them. */
export const liesAlike = (a: ValueBuffer, b: ValueBuffer): boolean =>
  !hasBorder(a) &&
  !hasBorder(b) &&
  ((isRowMajor(a) && isRowMajor(b)) ||
    (a.channels === b.channels && a.height === b.height && a.width === b.width));

/** Eight bytes of one element again and again, as hexadecimal digits. */
export const wordOf = (b: ValueBuffer, element: number): string =>
  element
    .toString(16)
    .padStart(2 * elementBytesOf(b), '0')
    .repeat(8 / elementBytesOf(b));

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
  if (!('pads' in layer) || layer.kind === 'pad' || layer.pads.every((p) => p === 0)) return undefined;
  const type = valueType(model, layer.inputs[0]!);
  const fill = layer.kind === 'maxPool' ? 0 : type.zeroPoint - elementRange(type.element).lo;
  return { pads: layer.pads, fill };
}

/** Whether a layer wants the elements in a row: keys, rows of a softmax, an operand of one a channel. */
function readsFlat(model: Model, { kind, output }: Layer, value: ValueId): boolean {
  if (kind === 'embedding' || kind === 'softmax' || kind === 'forest') return true;
  return (kind === 'add' || kind === 'mul') && isBroadcast(valueType(model, value).shape, output.shape);
}

/** A value laid out once more. */
export interface BufferCopy {
  readonly value: ValueId;
  /** `flat`: row-major. `bordered`: as the first, with another fill. */
  readonly kind: 'flat' | 'bordered';
  readonly buffer: ValueBuffer;
}

/** Where all values of the program lie. */
export interface Layout {
  readonly buffers: ReadonlyMap<ValueId, ValueBuffer>;
  readonly copies: readonly BufferCopy[];
}

/** One border wide enough for all readers that want the same fill. */
function widest(borders: readonly Border[]): Border {
  const side = (i: 0 | 1 | 2 | 3) => Math.max(0, ...borders.map(({ pads }) => pads[i]));
  return { pads: [side(0), side(1), side(2), side(3)], fill: borders[0]?.fill ?? 0 };
}

/**
 * Lays out the values that layers `[from, to)` read and write, one after the other: a border that is zero is then zero
 * for ever, as nobody writes it. Where readers want borders of different fills, or keys in a row, there is a copy for
 * each kind.
 */
export function layOutBuffers(model: Model, from: number, to: number): Layout {
  const buffers = new Map<ValueId, ValueBuffer>();
  const copies: BufferCopy[] = [];
  for (let value = from; value <= to; value++) {
    const wide = isWide(valueType(model, value).element) ? ({ elementBytes: 2 } as const) : {};
    const place = (channels: number, height: number, width: number, border: Border): ValueBuffer => {
      return { page: 0, offset: 0, channels, height, width, border: border.pads, fill: border.fill, ...wide };
    };
    const readers = model.layers.slice(from, to).filter((layer) => layer.inputs.includes(value));
    const borders = readers.map((layer) => borderFor(model, layer)).filter((b) => b !== undefined);
    const [first, ...others] = [...new Set(borders.map(({ fill }) => fill))].map((fill) =>
      widest(borders.filter((b) => b.fill === fill)),
    );
    const { shape } = valueType(model, value);
    const [channels, height, width] = imageShape(shape);
    // A feature is read wherever its index, cut to some bits, points to.
    const slack = readers.some(({ kind }) => kind === 'forest')
      ? { slack: featureBytes(elementCount(shape)) - elementCount(shape) }
      : {};
    const buffer = { ...place(channels, height, width, first ?? widest([])), ...slack };
    buffers.set(value, buffer);
    for (const border of others)
      copies.push({ value, kind: 'bordered', buffer: place(channels, height, width, border) });
    if (readers.some((layer) => readsFlat(model, layer, value)) && !isRowMajor(buffer))
      copies.push({
        value,
        kind: 'flat',
        buffer: { ...place(elementCount(shape), 1, 1, widest([])), ...slack },
      });
  }
  const result = buffers.get(to)!;
  const moved = movesChannels(result) ? tensorBytes(valueType(model, to)) : 0;
  const places = placeAll([...buffers.values(), ...copies.map(({ buffer }) => buffer)], result, moved);
  const placed = (buffer: ValueBuffer) => ({ ...buffer, ...places.get(buffer)! });
  return {
    buffers: new Map([...buffers].map(([value, buffer]) => [value, placed(buffer)])),
    copies: copies.map((copy) => ({ ...copy, buffer: placed(copy.buffer) })),
  };
}

/** The largest value of a per-CPU map that the kernel allocates (PCPU_MIN_UNIT_SIZE). */
export const PAGE_BYTES = xdpLimits.perCpuValueBytes;

/** Room for sums of a layer, behind the buffers of the first page. */
export const SUMS_BYTES = 8 * 512;

/** Whether the result's channels must be moved outermost for the wire; so it lies in the first page once more. */
export const movesChannels = (b: ValueBuffer): boolean => b.channels > 1 && b.height * b.width > 1;

/** Bytes of a buffer and what fills it up to words. */
export const paddedBytes = (b: ValueBuffer): number => Math.ceil((bufferBytes(b) + (b.slack ?? 0)) / 8) * 8;

/** One page where they fit, in their order; else what goes out is in the first, and each other where there is room. */
function placeAll(
  all: readonly ValueBuffer[],
  result: ValueBuffer,
  moved: number,
): Map<ValueBuffer, { page: number; offset: number }> {
  const total = all.reduce((sum, b) => sum + paddedBytes(b), 0);
  const room = [PAGE_BYTES - SUMS_BYTES - moved - 8];
  const fits = total <= room[0]!;
  const used = [0];
  const places = new Map<ValueBuffer, { page: number; offset: number }>();
  for (const buffer of fits ? all : [result, ...all.filter((b) => b !== result)]) {
    const bytes = paddedBytes(buffer);
    const first = buffer === result && moved === 0;
    let page = first ? 0 : used.findIndex((at, i) => at + bytes <= room[i]!);
    if (page < 0) {
      page = used.push(0) - 1;
      room.push(PAGE_BYTES);
    }
    places.set(buffer, { page, offset: used[page]! });
    used[page]! += bytes;
  }
  return places;
}

/** Where a layer reads a value. */
export function bufferFor(layout: Layout, model: Model, layer: Layer, value: ValueId): ValueBuffer {
  const first = layout.buffers.get(value)!;
  const copies = layout.copies.filter((c) => c.value === value);
  if (readsFlat(model, layer, value)) return copies.find(({ kind }) => kind === 'flat')?.buffer ?? first;
  const border = borderFor(model, layer);
  if (border === undefined || border.fill === first.fill) return first;
  return copies.find(({ kind, buffer }) => kind === 'bordered' && buffer.fill === border.fill)!.buffer;
}

/** Bytes of each page that a layout takes. */
export function pageBytes({ buffers, copies }: Layout): number[] {
  const pages = [8];
  for (const b of [...buffers.values(), ...copies.map(({ buffer }) => buffer)])
    pages[b.page] = Math.max(pages[b.page] ?? 0, b.offset + paddedBytes(b));
  return pages;
}

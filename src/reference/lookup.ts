import {
  type EmbeddingLayer,
  type GatherLayer,
  type LutLayer,
  lutTable,
  type PadLayer,
  type TransposeLayer,
} from '../model/model.ts';
import { requantise } from '../model/requantiser.ts';
import { elementCount, elementRange, type TensorType } from '../model/tensor.ts';

/** Layers that move elements or look them up. q-values, row-major. */

/** An image with the layer's value around it, in q: what stands for a real zero, if the source pads by zeros. */
export function pad({ pads, value, output }: PadLayer, x: Int32Array, input: TensorType): Int32Array {
  const [channels, height, width] = input.shape as [number, number, number];
  const [, rows, columns] = output.shape as [number, number, number];
  const out = new Int32Array(channels * rows * columns).fill(value);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let i = 0; i < width; i++)
        out[(c * rows + y + pads[0]) * columns + i + pads[1]] = x[(c * height + y) * width + i]!;
  return out;
}

/** Where in its input each element of a transposition stands. */
export function transposeSources({ from, axes }: Pick<TransposeLayer, 'from' | 'axes'>): Int32Array {
  const strides = from.map((_, axis) => elementCount(from.slice(axis + 1)));
  return Int32Array.from({ length: elementCount(from) }, (_, i) => {
    let rest = i;
    let source = 0;
    for (let d = axes.length - 1; d >= 0; d--) {
      const size = from[axes[d]!]!;
      source += (rest % size) * strides[axes[d]!]!;
      rest = Math.floor(rest / size);
    }
    return source;
  });
}

/** Elements in the order of the output. */
export const transpose = (layer: TransposeLayer, x: Int32Array): Int32Array =>
  transposeSources(layer).map((source) => x[source]!);

/** `table[q - least q]`; where there are several tables, each serves an equal run of elements. */
export function lut(layer: LutLayer, x: Int32Array, input: TensorType): Int32Array {
  const { lo } = elementRange(input.element);
  return x.map((q, i) => layer.table[256 * lutTable(layer, i, x.length) + q - lo]!);
}

/** Parts of the inputs in any order; a source below 0 is the constant. */
export function gather({ sources, value }: GatherLayer, inputs: readonly Int32Array[]): Int32Array {
  const all = inputs.flatMap((x) => Array.from(x));
  return sources.map((source) => (source < 0 ? value : all[source]!));
}

/** Keys are little-endian; one that is not below `rows` adds nothing. */
export function embedding(layer: EmbeddingLayer, x: Int32Array): Int32Array {
  const { keyBytes, bag, rows, width, table, requantiser } = layer;
  const keys = Array.from({ length: x.length / keyBytes }, (_, k) => {
    let key = 0;
    for (let byte = keyBytes - 1; byte >= 0; byte--) key = key * 256 + x[k * keyBytes + byte]!;
    return key;
  });
  const out = new Int32Array((keys.length / bag) * width);
  for (let b = 0; b < keys.length / bag; b++)
    for (let j = 0; j < width; j++) {
      let acc = 0;
      for (const key of keys.slice(b * bag, (b + 1) * bag)) if (key < rows) acc += table[key * width + j]!;
      out[b * width + j] = requantise(requantiser, 0, acc);
    }
  return out;
}

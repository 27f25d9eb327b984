import type {
  EmbeddingLayer,
  GatherLayer,
  LutLayer,
  PadLayer,
  SoftmaxLayer,
  TransposeLayer,
} from '../../model/model.ts';
import { elementCount, elementRange, type TensorType } from '../../model/tensor.ts';

/** C bodies of layers that move elements or look them up; `x0` is read, `y` written. */

/** The border is filled first, with all else; the image is then written over it. */
export function padBody(layer: PadLayer, input: TensorType): string[] {
  const [channels, height, width] = input.shape;
  const [, rows, columns] = layer.output.shape;
  const [top, left] = layer.pads;
  return [
    `for (int o = 0; o < ${elementCount(layer.output.shape)}; o++) y[o] = ${layer.value};`,
    `for (int c = 0; c < ${channels}; c++)`,
    `for (int i = 0; i < ${height}; i++)`,
    `for (int j = 0; j < ${width}; j++)`,
    `\ty[(c * ${rows} + i + ${top}) * ${columns} + j + ${left}] = x0[(c * ${height} + i) * ${width} + j];`,
  ];
}

/** A loop a dimension of the output, in its order; the input is walked by its own strides. */
export function transposeBody({ from, axes }: TransposeLayer): string[] {
  const source = axes.map((axis, d) => `i${d} * ${elementCount(from.slice(axis + 1))}`).join(' + ');
  return [
    'int o = 0;',
    ...axes.map((axis, d) => `for (int i${d} = 0; i${d} < ${from[axis]}; i${d}++)`),
    `\ty[o++] = x0[${source}];`,
  ];
}

/** `t<i>` is the array of its table; several tables serve equal shares of the elements, in their order. */
export function lutBody(layer: LutLayer, i: number, input: TensorType): string[] {
  const count = elementCount(layer.output.shape);
  const tables = layer.table.length / 256;
  const table = tables === 1 ? '' : `o / ${count / tables} * 256 + `;
  return [
    `for (int o = 0; o < ${count}; o++) y[o] = t${i}[${table}x0[o] - ${elementRange(input.element).lo}];`,
  ];
}

/** @param counts elements of each input */
export function gatherBody({ sources, value }: GatherLayer, i: number, counts: readonly number[]): string[] {
  let first = 0;
  const parts = counts.map((count, k) => {
    const element = `s < ${first + count} ? x${k}[s - ${first}]`;
    first += count;
    return element;
  });
  return [
    `for (int o = 0; o < ${sources.length}; o++) {`,
    `\tint s = g${i}[o];`,
    `\ty[o] = s < 0 ? ${value} : ${parts.join(' : ')} : 0;`,
    '}',
  ];
}

/** Each block of `size` elements for itself: `e<i>` and `n<i>` are arrays by distance from the block's largest element. */
export function softmaxBody({ size, output }: SoftmaxLayer, i: number): string[] {
  const { lo, hi } = elementRange(output.element);
  const share = `(2 * n${i}[most - x0[b + k]] + sum) / (2 * sum)`;
  return [
    `for (int b = 0; b < ${elementCount(output.shape)}; b += ${size}) {`,
    '\tint most = x0[b];',
    '\tint64_t sum = 0;',
    `\tfor (int k = 1; k < ${size}; k++) if (x0[b + k] > most) most = x0[b + k];`,
    `\tfor (int k = 0; k < ${size}; k++) sum += e${i}[most - x0[b + k]];`,
    `\tfor (int k = 0; k < ${size}; k++) y[b + k] = clamp(${share} + ${output.zeroPoint}, ${lo}, ${hi});`,
    '}',
  ];
}

/** @param result C of the requantised `acc` */
export function embeddingBody(layer: EmbeddingLayer, i: number, result: string): string[] {
  const { keyBytes, bag, rows, width, output } = layer;
  const key = Array.from({ length: keyBytes }, (_, b) => `(uint32_t)key[${b}] << ${8 * b}`).join(' | ');
  return [
    `for (int b = 0; b < ${elementCount(output.shape) / width}; b++)`,
    `for (int j = 0; j < ${width}; j++) {`,
    '\tint32_t acc = 0;',
    `\tfor (int k = 0; k < ${bag}; k++) {`,
    `\t\tconst uint8_t *key = x0 + (b * ${bag} + k) * ${keyBytes};`,
    `\t\tuint32_t row = ${key};`,
    `\t\tif (row < ${rows}) acc += t${i}[row * ${width} + j];`,
    '\t}',
    `\ty[b * ${width} + j] = ${result};`,
    '}',
  ];
}

import type { EmbeddingLayer, LutLayer, PadLayer, TransposeLayer } from '../../model/model.ts';
import { elementCount, elementRange, type TensorType } from '../../model/tensor.ts';

/** C bodies of layers that move elements or look them up; `x0` is read, `y` written. */

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

export const lutBody = (layer: LutLayer, i: number, input: TensorType): string[] => [
  `for (int o = 0; o < ${elementCount(layer.output.shape)}; o++) y[o] = t${i}[x0[o] - ${elementRange(input.element).lo}];`,
];

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

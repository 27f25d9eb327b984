import { elementCount, elementRange } from '../../model/tensor.ts';
import type { Activation } from '../builder.ts';
import { realFunctions, tabulated } from '../lower/functions.ts';
import { imageShape } from '../lower/linear.ts';
import {
  lowerEmbedding,
  lowerFunction,
  lowerFunctions,
  lowerPad,
  lowerTranspose,
  sequenceAsImage,
} from '../lower/lookup.ts';
import { lowerAveragePool } from '../lower/pooling.ts';
import {
  checkChannels,
  fieldFault,
  given,
  type LayerContext,
  type LayerOf,
  outputOf,
} from './layer-context.ts';
import { namedRounding } from './roundings.ts';
import { flattened } from './weights.ts';

/** Puts q-values around an image; by default those of real 0. */
export function lowerJsonPad(c: LayerContext, layer: LayerOf<'pad'>): Activation {
  const input = c.inputs[0]!;
  const { lo, hi } = elementRange(input.type.element);
  const { value = input.type.zeroPoint, pads } = layer;
  if (value < lo || value > hi) fieldFault(c, 'value', `expected a q-value in ${lo}..${hi}`);
  return lowerPad(c.builder, c.name, input, pads, value);
}

/** @throws DiagnosticError `json-field` where the axes are no permutation of those of the input */
export function lowerJsonTranspose(c: LayerContext, { axes }: LayerOf<'transpose'>): Activation {
  const input = c.inputs[0]!;
  const all = input.type.shape.map((_, axis) => axis);
  if ([...axes].sort((a, b) => a - b).join() !== all.join())
    fieldFault(c, 'axes', `expected ${all.join(', ')} in some order`);
  return lowerTranspose(c.builder, c.name, input, axes);
}

/** A function of one element: by its table of q-values, or by its name, of which the table is made here. */
export function lowerLut(c: LayerContext, layer: LayerOf<'lut'>): Activation {
  const input = c.inputs[0]!;
  const output = outputOf(c, layer.output);
  const { table, function: name } = layer;
  if ((table === undefined) === (name === undefined))
    fieldFault(c, 'table', 'expected either a table or a function');
  if (table?.some((q) => q < output.min || q > output.max))
    fieldFault(c, 'table', `expected q-values in ${output.min}..${output.max} of ${output.element}`);
  const { lo } = elementRange(input.type.element);
  if (table === undefined)
    return lowerFunction(
      c.builder,
      c.name,
      input,
      output,
      tabulated(realFunctions[name!], input.type, output),
    );
  const tables = table.length / 256;
  if (!Number.isInteger(tables) || elementCount(input.type.shape) % tables !== 0)
    fieldFault(c, 'table', `expected 256 values, or as many for each channel, not ${table.length}`);
  const byTable = Array.from(
    { length: tables },
    (_, t) => (q: number) => table[256 * t + q + input.type.zeroPoint - lo]!,
  );
  return lowerFunctions(c.builder, c.name, input, output, byTable);
}

/** Rows of a table by keys of one byte or more in the input, each row a vector, or the sum of those of a bag. */
export function lowerJsonEmbedding(c: LayerContext, layer: LayerOf<'embedding'>): Activation {
  const { keyBytes, bag, rows, tableZeroPoint } = layer;
  const input = c.inputs[0]!;
  if (input.type.element !== 'uint8') fieldFault(c, 'input', 'expected keys as uint8');
  if (rows > 256 ** keyBytes)
    fieldFault(c, 'rows', `expected at most ${256 ** keyBytes}, as keys have ${keyBytes} bytes`);
  const table = Int16Array.from(flattened(layer.table), (entry) => entry - tableZeroPoint);
  if (table.length === 0 || table.length % rows !== 0)
    fieldFault(c, 'table', `expected a multiple of ${rows} entries, one a row, not ${table.length}`);
  const requantiser = given(layer.requantiser);
  checkChannels(c, requantiser, 1);
  if (requantiser === undefined && layer.tableScale === undefined)
    fieldFault(c, 'tableScale', 'expected a scale of the entries, or a requantiser');
  const output = outputOf(c, layer.output, requantiser);
  const rounding =
    requantiser ?? namedRounding(layer.rounding, 1, layer.tableScale!, output.scale, output.zeroPoint);
  return lowerEmbedding(c.builder, { name: c.name, input, keyBytes, bag, rows, table, output, rounding });
}

/** An average pool as large as the image. */
export function lowerMean(c: LayerContext, layer: LayerOf<'mean'>): Activation {
  const input = sequenceAsImage(c.inputs[0]!);
  const [, height, width] = imageShape(c.builder, c.name, input);
  const output = outputOf(c, layer.output ?? input.type);
  const window = { kernel: [height, width], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  const rounding = (divisor: number) =>
    namedRounding(layer.rounding, input.type.scale, 1 / divisor, output.scale, output.zeroPoint);
  return lowerAveragePool(c.builder, { name: c.name, input, window, countPadding: false, output, rounding });
}

import { elementCount, elementRange } from '../../model/tensor.ts';
import type { Activation } from '../builder.ts';
import { concatSources, lowerGather } from '../lower/gather.ts';
import { lowerMul } from '../lower/product.ts';
import { lowerSoftmax, softmaxTables } from '../lower/softmax.ts';
import {
  checkChannels,
  fieldFault,
  given,
  type LayerContext,
  type LayerOf,
  outputOf,
} from './layer-context.ts';
import { namedRounding } from './roundings.ts';

/** Layers of the file that read several values, or all elements of a row. */

/** Of two values, element by element; a requantiser of the file goes before its rounding. */
export function lowerJsonMul(c: LayerContext, layer: LayerOf<'mul'>): Activation {
  const [a, b] = [c.inputs[0]!, c.inputs[1]!];
  const requantiser = given(layer.requantiser);
  checkChannels(c, requantiser, 1);
  const output = outputOf(c, layer.output, requantiser);
  const rounding =
    requantiser ?? namedRounding(layer.rounding, a.type.scale, b.type.scale, output.scale, output.zeroPoint);
  return lowerMul(c.builder, { name: c.name, a, b, output, rounding });
}

/** A softmax along the last axis, or along rows of `size` elements; its tables come from the file, or from the grids. */
export function lowerJsonSoftmax(c: LayerContext, layer: LayerOf<'softmax'>): Activation {
  const input = c.inputs[0]!;
  const { exponentials, numerators, size = input.type.shape.at(-1)! } = layer;
  if (elementCount(input.type.shape) % size !== 0)
    fieldFault(c, 'size', `expected a divisor of ${elementCount(input.type.shape)}`);
  if ((exponentials === undefined) !== (numerators === undefined))
    fieldFault(c, exponentials ? 'numerators' : 'exponentials', 'expected both tables, or neither');
  const output = outputOf(c, layer.output);
  const tables =
    exponentials && numerators
      ? { exponentials, numerators }
      : softmaxTables(input.type.scale, output.scale, size);
  return lowerSoftmax(c.builder, c.name, input, output, size, tables);
}

/** Elements of the inputs in any order; all inputs have one grid. */
export function lowerJsonGather(c: LayerContext, layer: LayerOf<'gather'>): Activation {
  const { shape, sources } = layer;
  const type = oneGrid(c);
  const { lo, hi } = elementRange(type.element);
  const { value = type.zeroPoint } = layer;
  if (value < lo || value > hi) fieldFault(c, 'value', `expected a q-value in ${lo}..${hi}`);
  const count = c.inputs.reduce((sum, input) => sum + elementCount(input.type.shape), 0);
  if (sources.length !== elementCount(shape))
    fieldFault(c, 'sources', `expected ${elementCount(shape)}, one an element of the shape`);
  if (sources.some((s) => s >= count)) fieldFault(c, 'sources', `expected indices below ${count}`);
  return lowerGather(c.builder, c.name, c.inputs, shape, Int32Array.from(sources), value);
}

/** Inputs one after the other along an axis; they differ in its size alone, and have one grid. */
export function lowerJsonConcat(c: LayerContext, { axis }: LayerOf<'concat'>): Activation {
  oneGrid(c);
  const shapes = c.inputs.map((input) => input.type.shape);
  const [first] = shapes as [readonly number[]];
  const others = (shape: readonly number[]) => shape.map((size, i) => (i === axis ? 0 : size)).join();
  if (axis >= first.length) fieldFault(c, 'axis', `expected an axis below ${first.length}`);
  if (shapes.some((shape) => others(shape) !== others(first)))
    fieldFault(c, 'inputs', `expected shapes that differ along axis ${axis} alone`);
  const { shape, sources } = concatSources(shapes, axis);
  return lowerGather(c.builder, c.name, c.inputs, shape, sources);
}

function oneGrid(c: LayerContext) {
  const { type } = c.inputs[0]!;
  const same = ({ type: t }: Activation) =>
    t.element === type.element && t.scale === type.scale && t.zeroPoint === type.zeroPoint;
  if (!c.inputs.every(same))
    fieldFault(
      c,
      'inputs',
      'expected values of one element type, scale and zero point: requantise them first',
    );
  return type;
}

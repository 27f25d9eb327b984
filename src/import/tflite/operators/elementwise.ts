import { tfliteRounding } from '../../../model/requantiser.ts';
import { elementCount, elementRange } from '../../../model/tensor.ts';
import type { Quantisation } from '../../builder.ts';
import { lowerRequantise } from '../../lower/elementwise.ts';
import type { Clamp } from '../../lower/linear.ts';
import { likewise, reshapedTo } from '../layout.ts';
import { Activations } from '../names.ts';
import type { NodeReader } from '../node-reader.ts';
import { clampOn, realBounds } from '../quantisation.ts';
import { withoutBatch } from '../shape.ts';
import type { Blocked, Quantised, Value } from '../values.ts';

const relu =
  (activation: number) =>
  (c: NodeReader): Quantised =>
    rescaled(c, c.activation(0), clampOn(c.outputGrid, realBounds(activation)!));

/** Clamps reals to 0..6, on the output's grid. */
export const relu6 = relu(Activations.relu6);
/** Clamps reals to -1..1, on the output's grid. */
export const reluN1To1 = relu(Activations.reluN1To1);
/** Clamps reals at 0, on the output's grid. */
export const plainRelu = relu(Activations.relu);

/** `MultiplyByQuantizedMultiplier(q - zx, sx / sy) + zy`, clamped. */
function rescaled(c: NodeReader, input: Quantised, output: Quantisation & Clamp): Quantised {
  const { type } = input.activation;
  const sameGrid =
    type.element === output.element && type.scale === output.scale && type.zeroPoint === output.zeroPoint;
  if (sameGrid) {
    const { lo, hi } = elementRange(type.element);
    if (output.min === lo && output.max === hi) return input;
    return likewise(input, c.builder.clamped(c.name, input.activation, output.min, output.max));
  }
  const rounding = tfliteRounding(type.scale / output.scale, output.zeroPoint, c.rounding);
  return likewise(input, lowerRequantise(c.builder, c.name, input.activation, output, rounding));
}

/** From reals: the model begins here. From integers: another grid. */
export function quantize(c: NodeReader): Value {
  const value = c.value(0);
  if (value?.kind === 'verdict') return value;
  const output = clampOn(c.outputGrid, realBounds(Activations.none)!);
  if (value?.kind === 'dequantised') return rescaled(c, value.of, output);
  if (value?.kind !== 'floatInput') return rescaled(c, c.activation(0), output);
  const { element, scale, zeroPoint } = output;
  const known = c.builder.input;
  if (
    known !== undefined &&
    (known.scale !== scale || known.zeroPoint !== zeroPoint || known.element !== element)
  )
    c.refuseOption('quantization', `${scale}, ${zeroPoint}`, 'one grid of the input');
  const activation = c.builder.setInput({ element, scale, zeroPoint, shape: value.shape });
  return { kind: 'quantised', activation, shape: value.shape, order: 'source' };
}

/** Reals again: for the end of the network, or a QUANTIZE. */
export function dequantize(c: NodeReader): Value {
  const value = c.value(0);
  return value?.kind === 'verdict' ? value : { kind: 'dequantised', of: c.activation(0) };
}

/** Of a verdict, or of numbers of a shape. */
export function cast(c: NodeReader): Value {
  const value = c.value(0);
  if (value?.kind === 'verdict' || value?.kind === 'integers') return value;
  return c.refuseOption('CAST', 'of activations', 'of a class, or of numbers of a shape');
}

/** RESHAPE, SQUEEZE, EXPAND_DIMS: the same elements in TFLite's order; the output's own shape says how they are seen. */
export function reshape(c: NodeReader): Value {
  const value = c.value(0);
  if (value?.kind === 'verdict' || value?.kind === 'integers') return value;
  if (value?.kind === 'blocked') return stillBlocked(c, value);
  const of = value?.kind === 'dequantised' ? value.of : value;
  const count = of !== undefined && 'shape' in of ? elementCount(of.shape) : undefined;
  const shape = shapeAsked(c, count) ?? c.output.shape;
  const seen = withoutBatch(shape);
  if (of?.kind === 'floatInput') return { ...of, shape: seen.length === 0 ? [1] : seen };
  const input = of?.kind === 'quantised' ? of : c.activation(0);
  if (elementCount(seen) !== elementCount(input.shape))
    c.refuseShape(`a shape of ${elementCount(input.shape)} elements`, shape);
  const made = reshapedTo(input, seen.length === 0 ? [1] : seen);
  return value?.kind === 'dequantised' ? { kind: 'dequantised', of: made } : made;
}

/** What a RESHAPE asks for, where the file's own shape of the output is of another size, being open; one number of it may be -1. */
function shapeAsked(c: NodeReader, count: number | undefined): readonly number[] | undefined {
  if (count === undefined || elementCount(c.output.shape) === count) return undefined;
  if (c.node.operator !== 'RESHAPE') return undefined;
  const asked = c.optional(1) === undefined ? c.node.options?.int32s(0) : c.integers(1, 'the shape');
  const known = (asked ?? []).reduce((product, size) => (size === -1 ? product : product * size), 1);
  const whole = asked?.map((size) => (size === -1 ? count / known : size));
  return whole !== undefined &&
    elementCount(whole) === count &&
    whole.every((n) => n >= 1 && Number.isInteger(n))
    ? whole
    : undefined;
}

/** Blocks of a sequence are made an image of height 1 for the convolution, and a sequence behind it. */
function stillBlocked(c: NodeReader, value: Blocked): Blocked {
  const { shape } = c.output;
  const isImage = shape.length === 4 && shape[1] === 1;
  if (value.isConvolved ? shape.length !== 3 && shape.length !== 4 : !isImage) c.refuseBlocks();
  return value;
}

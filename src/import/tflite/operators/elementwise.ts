import { tfliteRounding } from '../../../model/requantiser.ts';
import { elementRange } from '../../../model/tensor.ts';
import type { Quantisation } from '../../builder.ts';
import { lowerRequantise } from '../../lower/elementwise.ts';
import type { Clamp } from '../../lower/linear.ts';
import { likewise, reshapedTo } from '../layout.ts';
import { Activations } from '../names.ts';
import type { NodeReader } from '../node-reader.ts';
import { clampOn, realBounds } from '../quantisation.ts';
import { withoutBatch } from '../shape.ts';
import type { Quantised, Value } from '../values.ts';

const relu =
  (activation: number) =>
  (c: NodeReader): Quantised =>
    rescaled(c, c.activation(0), clampOn(c.outputGrid, realBounds(activation)!));

export const relu6 = relu(Activations.relu6);
export const reluN1To1 = relu(Activations.reluN1To1);
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
  const { shape } = c.output;
  const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  const seen = withoutBatch(shape);
  const of = value?.kind === 'dequantised' ? value.of : value;
  if (of?.kind === 'floatInput') return { ...of, shape: seen.length === 0 ? [1] : seen };
  const input = of?.kind === 'quantised' ? of : c.activation(0);
  if (size(seen) !== size(input.shape)) c.refuseShape(`a shape of ${size(input.shape)} elements`, shape);
  const made = reshapedTo(input, seen.length === 0 ? [1] : seen);
  return value?.kind === 'dequantised' ? { kind: 'dequantised', of: made } : made;
}

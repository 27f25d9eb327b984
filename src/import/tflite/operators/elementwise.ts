import { tfliteRounding } from '../../../model/requantiser.ts';
import { elementRange } from '../../../model/tensor.ts';
import { tfliteAddRounding } from '../../../model/tflite-add.ts';
import type { Quantisation } from '../../builder.ts';
import { lowerAdd, lowerRequantise } from '../../lower/elementwise.ts';
import type { Clamp } from '../../lower/linear.ts';
import { aligned, likewise, reshapedTo } from '../layout.ts';
import { Activations } from '../names.ts';
import type { NodeReader } from '../node-reader.ts';
import { clampOn, realBounds } from '../quantisation.ts';
import type { Quantised, Value } from '../values.ts';

/** Options: activation. Two computed operands of one shape. */
export function add(c: NodeReader): Quantised {
  const [a, b] = aligned(c.builder, c.name, c.activation(0), c.activation(1));
  if (a.shape.join() !== b.shape.join())
    c.refuseShape('two equal shapes', `[${a.shape.join(', ')}] and [${b.shape.join(', ')}]`);
  const output = c.fusedOutput(0);
  const scales = [a.activation.type.scale, b.activation.type.scale, output.scale] as const;
  const rounding = tfliteAddRounding(scales, output.zeroPoint, c.rounding);
  const spec = { name: c.name, a: a.activation, b: b.activation, output, rounding };
  return likewise(a, lowerAdd(c.builder, spec));
}

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
export function quantize(c: NodeReader): Quantised {
  const value = c.value(0);
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
export const dequantize = (c: NodeReader): Value => ({ kind: 'dequantised', of: c.activation(0) });

/** RESHAPE, SQUEEZE, EXPAND_DIMS: the same elements in TFLite's order; the output's own shape says how they are seen. */
export function reshape(c: NodeReader): Quantised {
  const input = c.activation(0);
  const { shape } = c.output;
  const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  const seen = shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape;
  if (size(seen) !== size(input.shape)) c.refuseShape(`a shape of ${size(input.shape)} elements`, shape);
  return reshapedTo(input, seen.length === 0 ? [1] : seen);
}

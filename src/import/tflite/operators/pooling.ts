import type { Window } from '../../../model/model.ts';
import { type IntegerLine, pivoted, type SourceRounding } from '../../../model/requantiser.ts';
import { elementCount, elementRange } from '../../../model/tensor.ts';
import {
  byMultiplier,
  type QuantizedMultiplier,
  quantizeMultiplier,
} from '../../../model/tflite-rounding.ts';
import type { Activation } from '../../builder.ts';
import { movedBy } from '../../lower/gather.ts';
import { lowerAveragePool, lowerExtreme, lowerMaxPool } from '../../lower/pooling.ts';
import { windowOf } from '../geometry.ts';
import { asImage, fromImage, reshapedTo } from '../layout.ts';
import { gathered } from '../movement.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';

function image(c: NodeReader) {
  const input = c.activation(0);
  return asImage(c.builder, c.name, input) ?? c.refuseShape('[height, width, channels]', input.shape);
}

/** Options of pools: padding, strides, filter width and height, activation. */
const filterOf = (c: NodeReader): [number, number] => [c.optionInt(4, 1), c.optionInt(3, 1)];

/** The first input and the output have one scale and zero point. @throws DiagnosticError where they differ */
export function requireSameGrid(c: NodeReader): void {
  const { scale, zeroPoint } = c.activation(0).activation.type;
  const output = c.outputGrid;
  if (scale !== output.scale || zeroPoint !== output.zeroPoint)
    c.refuseOption(
      'quantization',
      `${output.scale}, ${output.zeroPoint}`,
      `that of the input: ${scale}, ${zeroPoint}`,
    );
}

/** Options: those of a window, activation. Input and output have one grid. */
export function maxPool(c: NodeReader): Quantised {
  const input = image(c);
  requireSameGrid(c);
  const output = c.fusedOutput(5);
  const made = lowerMaxPool(c.builder, c.name, input, windowOf(c, filterOf(c), input));
  const { lo, hi } = elementRange(output.element);
  const clamps = output.min > lo || output.max < hi;
  return fromImage(clamps ? c.builder.clamped(`${c.name}_clamp`, made, output.min, output.max) : made);
}

/** Padding is not counted. */
export function averagePool(c: NodeReader): Quantised {
  const input = image(c);
  requireSameGrid(c);
  const made = lowerAveragePool(c.builder, {
    name: c.name,
    input,
    window: windowOf(c, filterOf(c), input),
    countPadding: false,
    output: c.fusedOutput(5),
    rounding: (divisor) => averageRounding(divisor, input.type.zeroPoint),
  });
  return fromImage(made);
}

/**
 * `AveragePool` of the reference kernels: the sum of the q-values themselves by the count, ties away from q = 0. The
 * model's accumulator is less the zero points, so its pivot is where that sum is 0.
 */
export function averageRounding(count: number, zeroPoint: number): SourceRounding {
  const half = Math.floor(count / 2);
  const rounding = pivoted((acc) => {
    const sum = acc + count * zeroPoint;
    return sum > 0 ? Math.floor((sum + half) / count) : Math.ceil((sum - half) / count) + 0;
  }, -count * zeroPoint);
  return zeroPoint === 0 && count <= MOST_DIVISOR
    ? Object.assign(rounding, { integers: quotient(count) })
    : rounding;
}

/** With `DIVISOR_BITS` of a reciprocal, sums of so many int16 are divided exactly. */
const DIVISOR_BITS = 44;
const MOST_DIVISOR = 2 ** 14;

/**
 * Sums of int16 by their count, ties away from zero. The reciprocal is rounded up, by less than 1: of the sums n its error stays
 * below the distance of n / count to the next whole number, from below; under zero as much is added.
 */
function quotient(count: number): IntegerLine {
  const multiplier = Math.ceil(2 ** DIVISOR_BITS / count);
  const half = Math.floor(count / 2);
  const below = (count - 1 - half) * multiplier + 2 ** 15 * count;
  return { multiplier, offset: half * multiplier, shift: DIVISOR_BITS, below };
}

/** What an operator that reduces axes of an image does, and how its result is seen. */
interface Reduction {
  readonly image: Activation;
  readonly window: Window;
  readonly count: number;
  /** The result's shape in the source. */
  readonly shape: readonly number[];
}

/** Inputs: value, axes. Options: whether the axes stay, as 1. */
function reduction(c: NodeReader): Reduction {
  const input = c.activation(0);
  const rank = c.tensor(0).shape.length;
  const axes = c
    .integers(1, 'the axes')
    .map((axis) => (axis < 0 ? axis + rank : axis) - (rank - input.shape.length));
  if (axes.length === 0 || axes.some((axis) => !(axis >= 0 && axis < input.shape.length)))
    c.refuseOption('axes', `[${axes.join(', ')}]`, 'those behind the batch');
  const keeps = c.option(0, 0) !== 0;
  const left = input.shape.flatMap((size, axis) => (axes.includes(axis) ? (keeps ? [1] : []) : [size]));
  const shape = left.length === 0 ? [1] : left;
  // A vector is a column of pixels.
  const seen = input.shape.length === 1 ? [...input.shape, 1] : input.shape;
  const pixels = seen.length - 1;
  if (axes.some((axis) => axis >= pixels)) return { ...columns(c, input, axes), shape };
  const of = asImage(c.builder, c.name, { ...input, shape: seen });
  if (of === undefined) return c.refuseShape('[height, width, channels]', input.shape);
  const [, height, width] = of.type.shape as [number, number, number];
  const has = (axis: number) => axes.includes(axis - (2 - pixels));
  const kernel = [has(0) ? height : 1, has(1) ? width : 1] as const;
  const window = { kernel, strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  return { image: of, window, count: kernel[0] * kernel[1], shape };
}

/** Where channels are reduced: all that is, as a column of pixels, and a channel for each element that is left. */
function columns(c: NodeReader, input: Quantised, axes: readonly number[]): Omit<Reduction, 'shape'> {
  const sizes = (of: readonly number[]) => of.map((axis) => input.shape[axis]!);
  const kept = input.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...axes, ...kept];
  const moved = movedBy(sizes(order), input.shape, (place) =>
    input.shape.map((_, axis) => place[order.indexOf(axis)]!),
  );
  const count = elementCount(sizes(axes));
  const image = gathered(c, [input], { ...moved, shape: [count, 1, elementCount(sizes(kept))] });
  const of = asImage(c.builder, c.name, image);
  if (of === undefined) throw new Error('three axes are an image');
  return { image: of, window: { kernel: [count, 1], strides: [1, 1], pads: [0, 0, 0, 0] }, count };
}

const sumOver =
  (multiplierOf: (scale: number, count: number) => QuantizedMultiplier) =>
  (c: NodeReader): Quantised => {
    const { image: input, window, count, shape } = reduction(c);
    const output = c.outputGrid;
    const { lo, hi } = elementRange(output.element);
    const multiplier = multiplierOf(input.type.scale / output.scale, count);
    const rounding = byMultiplier(multiplier, output.zeroPoint, c.rounding);
    const spec = { name: c.name, input, window, countPadding: false, rounding: () => rounding };
    const made = lowerAveragePool(c.builder, { ...spec, output: { ...output, min: lo, max: hi } });
    return reshapedTo(fromImage(made), shape);
  };

/** An average over whole axes. */
export const mean = sumOver((scale, count) => meanMultiplier(scale, count));
/** A sum over whole axes. */
export const sum = sumOver((scale) => quantizeMultiplier(scale));

/** A maximum or minimum over whole axes. */
const extremeOver =
  (least: boolean) =>
  (c: NodeReader): Quantised => {
    requireSameGrid(c);
    const { image: input, window, shape } = reduction(c);
    return reshapedTo(fromImage(lowerExtreme(c.builder, c.name, input, window, least)), shape);
  };

/** A maximum over whole axes; input and output have one grid. */
export const reduceMax = extremeOver(false);
/** A minimum over whole axes; input and output have one grid. */
export const reduceMin = extremeOver(true);

/**
 * `QuantizedMeanOrSum`: the divisor goes into the multiplier of the scales, cut off to as many bits as the shift by the
 * divisor's own power of two leaves.
 */
function meanMultiplier(scale: number, count: number): QuantizedMultiplier {
  const { multiplier, exponent } = quantizeMultiplier(scale);
  const shift = Math.min(Math.floor(Math.log2(count)), 32, 31 + exponent);
  return { multiplier: Math.floor((multiplier * 2 ** shift) / count), exponent: exponent - shift };
}

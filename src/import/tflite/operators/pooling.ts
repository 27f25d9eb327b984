import { pivoted, type SourceRounding } from '../../../model/requantiser.ts';
import { elementRange } from '../../../model/tensor.ts';
import {
  byMultiplier,
  type QuantizedMultiplier,
  quantizeMultiplier,
} from '../../../model/tflite-rounding.ts';
import { lowerPad } from '../../lower/lookup.ts';
import { lowerAveragePool, lowerMaxPool } from '../../lower/pooling.ts';
import { windowOf } from '../geometry.ts';
import { asImage, fromImage, reshapedTo } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';

function image(c: NodeReader) {
  const input = c.activation(0);
  return asImage(c.builder, c.name, input) ?? c.refuseShape('[height, width, channels]', input.shape);
}

/** Options of pools: padding, strides, filter width and height, activation. */
const filterOf = (c: NodeReader): [number, number] => [c.optionInt(4, 1), c.optionInt(3, 1)];

function sameGrid(c: NodeReader): void {
  const { scale, zeroPoint } = c.activation(0).activation.type;
  const output = c.outputGrid;
  if (scale !== output.scale || zeroPoint !== output.zeroPoint)
    c.refuseOption(
      'quantization',
      `${output.scale}, ${output.zeroPoint}`,
      `that of the input: ${scale}, ${zeroPoint}`,
    );
}

export function maxPool(c: NodeReader): Quantised {
  const input = image(c);
  sameGrid(c);
  const output = c.fusedOutput(5);
  const made = lowerMaxPool(c.builder, c.name, input, windowOf(c, filterOf(c), input));
  const { lo, hi } = elementRange(output.element);
  const clamps = output.min > lo || output.max < hi;
  return fromImage(clamps ? c.builder.clamped(`${c.name}_clamp`, made, output.min, output.max) : made);
}

/** Padding is not counted. */
export function averagePool(c: NodeReader): Quantised {
  const input = image(c);
  sameGrid(c);
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
  return pivoted((acc) => {
    const sum = acc + count * zeroPoint;
    return sum > 0 ? Math.floor((sum + half) / count) : Math.ceil((sum - half) / count) + 0;
  }, -count * zeroPoint);
}

/** Over height and width: an average pool as large as the image. */
export function mean(c: NodeReader): Quantised {
  const input = c.activation(0);
  const rank = c.tensor(0).shape.length;
  const axes = c.integers(1, 'the axes').map((axis) => (axis < 0 ? axis + rank : axis));
  const pixels = Array.from({ length: input.shape.length - 1 }, (_, i) => rank - input.shape.length + i);
  if ([...axes].sort((a, b) => a - b).join() !== pixels.join())
    c.refuseOption('axes', `[${axes.join(', ')}]`, `[${pixels.join(', ')}], those of the pixels`);
  const of = image(c);
  const [channels, height, width] = of.type.shape as [number, number, number];
  const window = { kernel: [height, width], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  const output = c.outputGrid;
  const { lo, hi } = elementRange(output.element);
  const multiplier = meanMultiplier(of.type.scale / output.scale, height * width);
  const rounding = byMultiplier(multiplier, output.zeroPoint, c.rounding);
  const spec = { name: c.name, input: of, window, countPadding: false, rounding: () => rounding };
  const made = lowerAveragePool(c.builder, { ...spec, output: { ...output, min: lo, max: hi } });
  const keepsDimensions = c.option(0, 0) !== 0;
  return reshapedTo(fromImage(made), keepsDimensions ? pixels.map(() => 1).concat(channels) : [channels]);
}

/**
 * `QuantizedMeanOrSum`: the divisor goes into the multiplier of the scales, cut off to as many bits as the shift by the
 * divisor's own power of two leaves.
 */
export function meanMultiplier(scale: number, count: number): QuantizedMultiplier {
  const { multiplier, exponent } = quantizeMultiplier(scale);
  const shift = Math.min(Math.floor(Math.log2(count)), 32, 31 + exponent);
  return { multiplier: Math.floor((multiplier * 2 ** shift) / count), exponent: exponent - shift };
}

/** Pads `[[0, 0], [top, bottom], [left, right], [0, 0]]`, with real zeros. */
export function pad(c: NodeReader): Quantised {
  const pads = c.integers(1, 'the pads');
  sameGrid(c);
  const input = c.activation(0);
  const [batch, batchEnd, top, bottom, left, right, channel, channelEnd, ...more] = pads;
  const outside = [batch, batchEnd, channel, channelEnd].some((n) => n !== 0);
  if (
    input.shape.length !== 3 ||
    channelEnd === undefined ||
    more.length > 0 ||
    outside ||
    pads.some((n) => n < 0)
  )
    c.refuseOption('paddings', `[${pads.join(', ')}]`, 'those of height and width of an image');
  const of = image(c);
  return fromImage(lowerPad(c.builder, c.name, of, [top!, left!, bottom!, right!], of.type.zeroPoint));
}

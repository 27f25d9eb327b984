import type { AveragePoolLayer, Conv2dLayer, DenseLayer, Window } from '../../model/model.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import type { TensorType } from '../../model/tensor.ts';

/** What one input adds to one output: `weight * (q - zero point)`. */
export interface Term {
  readonly output: number;
  readonly weight: number;
}

/** `acc[o] = bias[o] + sum over the inputs of their terms`, requantised: any layer that is a sum of its inputs. */
export interface Linear {
  /** By input; each output at most once. */
  readonly terms: readonly (readonly Term[])[];
  /** One an output. */
  readonly bias: readonly number[];
  readonly zeroPoint: number;
  readonly requantiser: Requantiser;
  /** The requantiser's channel of an output. */
  readonly channels: readonly number[];
}

/** Every input adds to every output; zero weights have terms, too. */
export function denseLinear({ weights, bias, requantiser }: DenseLayer, input: TensorType): Linear {
  const inputs = weights.length / bias.length;
  return {
    terms: Array.from({ length: inputs }, (_, i) =>
      Array.from(bias, (_, output) => ({ output, weight: weights[output * inputs + i]! })),
    ),
    bias: [...bias],
    zeroPoint: input.zeroPoint,
    requantiser,
    channels: Array.from(bias, (_, o) => o),
  };
}

/** Calls `visit` for each tap of the window at `(oy, ox)` that lies inside of the image. */
function eachTap(
  w: Window,
  [height, width]: readonly [number, number],
  oy: number,
  ox: number,
  visit: (y: number, x: number, i: number, j: number) => void,
): void {
  for (let i = 0; i < w.kernel[0]; i++)
    for (let j = 0; j < w.kernel[1]; j++) {
      const y = oy * w.strides[0] + i * (w.dilations?.[0] ?? 1) - w.pads[0];
      const x = ox * w.strides[1] + j * (w.dilations?.[1] ?? 1) - w.pads[1];
      if (y >= 0 && y < height && x >= 0 && x < width) visit(y, x, i, j);
    }
}

type Chw = [channels: number, height: number, width: number];

/** Inputs and outputs in the order `[channels, height, width]`; taps that lie in the padding add nothing. */
export function convLinear(layer: Conv2dLayer, input: TensorType): Linear {
  const [channels, height, width] = input.shape as Chw;
  const [outputs, rows, columns] = layer.output.shape as Chw;
  const [inGroup, outGroup] = [channels / layer.groups, outputs / layer.groups];
  const terms: Term[][] = Array.from({ length: channels * height * width }, () => []);
  for (let o = 0; o < outputs; o++)
    for (let oy = 0; oy < rows; oy++)
      for (let ox = 0; ox < columns; ox++)
        eachTap(layer, [height, width], oy, ox, (y, x, i, j) => {
          for (let c = 0; c < inGroup; c++) {
            const channel = Math.floor(o / outGroup) * inGroup + c;
            const weight = layer.weights[((o * inGroup + c) * layer.kernel[0] + i) * layer.kernel[1] + j]!;
            const output = (o * rows + oy) * columns + ox;
            terms[(channel * height + y) * width + x]!.push({ output, weight });
          }
        });
  const count = outputs * rows * columns;
  const channel = (output: number) => Math.floor(output / (rows * columns));
  const places = Array.from({ length: count }, (_, output) => channel(output));
  return {
    terms,
    bias: places.map((o) => layer.bias[o]!),
    zeroPoint: input.zeroPoint,
    requantiser: layer.requantiser,
    channels: places,
  };
}

/** Sums of windows with weights of 1; a channel of the requantiser is a divisor, the number of taps inside of the image. */
export function averageLinear(layer: AveragePoolLayer, input: TensorType): Linear {
  const [channels, height, width] = input.shape as Chw;
  const [, rows, columns] = layer.output.shape as Chw;
  const terms: Term[][] = Array.from({ length: channels * height * width }, () => []);
  const divisors: number[] = [];
  for (let c = 0; c < channels; c++)
    for (let oy = 0; oy < rows; oy++)
      for (let ox = 0; ox < columns; ox++) {
        let count = 0;
        eachTap(layer, [height, width], oy, ox, (y, x) => {
          terms[(c * height + y) * width + x]!.push({ output: divisors.length, weight: 1 });
          count++;
        });
        divisors.push(layer.countPadding ? 0 : layer.divisors.indexOf(count));
      }
  return {
    terms,
    bias: divisors.map(() => 0),
    zeroPoint: input.zeroPoint,
    requantiser: layer.requantiser,
    channels: divisors,
  };
}

import { elementCount } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, sameShape, viewed } from '../builder.ts';
import { lowerTranspose } from '../lower/lookup.ts';
import type { Quantised } from './values.ts';

/**
 * Between TFLite's `[height, width, channels]` and the model's `[channels, height, width]`.
 *
 * The bytes on the wire are TFLite's own, in its order, so that whoever feeds the TFLite model can feed the network. A
 * layout on every tensor would burden each backend with two of each windowed layer; so the model has a `transpose`
 * layer instead, and importing puts it only where the order matters:
 * - before the first windowed layer, if the input is an image of several channels (a grey one is the same in both),
 * - behind the last one, if the output is an image,
 * - where a reshape mixes channels with pixels.
 * Between windowed layers nothing moves, and a fully connected layer behind an image gets its weights reordered instead.
 */

const isTrivial = ([height, width, channels]: readonly number[]): boolean =>
  channels === 1 || height! * width! === 1;

/** As an image of the model; undefined if the shape is none. */
export function asImage(builder: ModelBuilder, name: string, q: Quantised): Activation | undefined {
  const shape = imageOf(q.shape);
  if (shape === undefined) return undefined;
  const [height, width, channels] = shape;
  const { activation } = q;
  if (q.order === 'channelsFirst') {
    const [c, h, w] = activation.type.shape;
    // Another split of the pixels, as of a sequence that is made an image, moves nothing.
    if (c === channels && h! * w! === height * width) return viewed(activation, [channels, height, width]);
    return asImage(builder, name, { ...q, order: 'source', activation: asSource(builder, name, q) });
  }
  if (isTrivial(shape)) return viewed(activation, [channels, height, width]);
  return lowerTranspose(builder, `${name}_channels_first`, viewed(activation, shape), [2, 0, 1]);
}

/** Up to three dimensions; a sequence is an image of height 1. */
function imageOf(shape: readonly number[]): [height: number, width: number, channels: number] | undefined {
  if (shape.length === 3) return [shape[0]!, shape[1]!, shape[2]!];
  return shape.length === 2 ? [1, shape[0]!, shape[1]!] : undefined;
}

/** In TFLite's order of elements. */
export function asSource(builder: ModelBuilder, name: string, q: Quantised): Activation {
  const { activation, shape } = q;
  if (q.order === 'source') return viewed(activation, shape);
  const made = lowerTranspose(builder, `${name}_channels_last`, activation, [1, 2, 0]);
  return viewed(made, shape);
}

/** What a windowed layer made, as the source sees it. */
export function fromImage(made: Activation): Quantised {
  const [channels, height, width] = made.type.shape;
  const shape = [height!, width!, channels!];
  if (isTrivial(shape)) return { kind: 'quantised', activation: viewed(made, shape), shape, order: 'source' };
  return { kind: 'quantised', activation: made, shape, order: 'channelsFirst' };
}

/** Another shape of the same elements: to be seen when they are read. */
export const reshapedTo = (q: Quantised, shape: readonly number[]): Quantised =>
  q.order === 'source' ? { ...q, activation: viewed(q.activation, shape), shape } : { ...q, shape };

/** An operator's result by element, of the same shape and order as the input. */
export const likewise = (q: Quantised, activation: Activation): Quantised => ({ ...q, activation });

/**
 * Weights `[out][height][width][channels]` of a layer that reads an image flat, in the order in which it lies.
 */
export function flatWeights(weights: Int16Array, outs: number, q: Quantised): Int16Array {
  if (q.order === 'source') return weights;
  const [channels, height, width] = q.activation.type.shape as [number, number, number];
  const pixels = height * width;
  const taps = channels * pixels;
  const out = new Int16Array(weights.length);
  for (let o = 0; o < outs; o++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < pixels; p++) out[o * taps + c * pixels + p] = weights[o * taps + p * channels + c]!;
  return out;
}

/** Two operands in one order. */
export function aligned(
  builder: ModelBuilder,
  name: string,
  a: Quantised,
  b: Quantised,
): readonly [Quantised, Quantised] {
  const sameOrder = a.order === b.order && sameShape(a.activation.type.shape, b.activation.type.shape);
  if (sameOrder || elementCount(a.shape) !== elementCount(b.shape)) return [a, b];
  const source = (q: Quantised): Quantised => ({
    ...q,
    order: 'source',
    activation: asSource(builder, name, q),
  });
  return [source(a), source(b)];
}

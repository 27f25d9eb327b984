import { elementCount } from '../../model/tensor.ts';
import { lowerGather, type Moved } from '../lower/gather.ts';
import type { NodeReader } from './node-reader.ts';
import type { Quantised } from './values.ts';

/** Where in memory an element stands that is at this place in TFLite's order. */
function memoryPlace({ order, activation }: Quantised): (index: number) => number {
  if (order === 'source') return (index) => index;
  const [channels, height, width] = activation.type.shape as [number, number, number];
  return (index) => (index % channels) * height * width + Math.floor(index / channels);
}

/**
 * Elements of values of one grid moved as TFLite sees them. Where an input lies with channels outermost, so does an image that
 * is made of it: one layer, whatever the orders.
 *
 * @param moved in TFLite's order
 */
export function gathered(
  c: NodeReader,
  inputs: readonly Quantised[],
  moved: Moved,
  value?: number,
): Quantised {
  const places: number[] = [];
  for (const input of inputs) {
    const place = memoryPlace(input);
    const first = places.length;
    for (let i = 0; i < elementCount(input.shape); i++) places.push(first + place(i));
  }
  const from = moved.sources.map((source) => (source < 0 ? source : places[source]!));
  const { shape } = moved;
  const activations = inputs.map((input) => input.activation);
  const isImage = (shape.length === 2 || shape.length === 3) && inputs.some((q) => q.order !== 'source');
  if (!isImage)
    return {
      kind: 'quantised',
      activation: lowerGather(c.builder, c.name, activations, shape, from, value),
      shape,
      order: 'source',
    };
  const channels = shape.at(-1)!;
  const [height, width] = shape.length === 3 ? [shape[0]!, shape[1]!] : [1, shape[0]!];
  const pixels = height * width;
  const sources = Int32Array.from(from, (_, i) => from[(i % pixels) * channels + Math.floor(i / pixels)]!);
  const image = [channels, height, width];
  const activation = lowerGather(c.builder, c.name, activations, image, sources, value);
  return { kind: 'quantised', activation, shape, order: 'channelsFirst' };
}

import { reshapedTo } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';

/** Numbers by axis as those of an image: a sequence is one of height 1, of which nothing is cut and nothing set apart. */
export const onImage = (numbers: readonly number[], length: 2 | 4, ofHeight: 0 | 1): readonly number[] =>
  numbers.length === length / 2 ? [...Array<number>(length / 2).fill(ofHeight), ...numbers] : numbers;

/** Inputs: value, block, pads. What follows must be a convolution, whose taps come to stand apart. */
export function spaceToBatch(c: NodeReader): Value {
  const input = c.activation(0);
  const image = input.shape.length === 2 ? [1, ...input.shape] : input.shape;
  const [down, right, ...blocks] = onImage(c.integers(1, 'the block'), 2, 1);
  const [top, bottom, left, after, ...pads] = onImage(c.integers(2, 'the pads'), 4, 0);
  const fits = image.length === 3 && blocks.length === 0 && pads.length === 0;
  if (!fits || right === undefined || after === undefined)
    return c.refuseShape('[height, width, channels] or [width, channels]', input.shape);
  return {
    kind: 'blocked',
    of: reshapedTo(input, image),
    block: [down!, right],
    pads: [top!, bottom!, left!, after],
    isConvolved: false,
  };
}

/** Behind a convolution that has undone the blocks already. */
export function batchToSpace(c: NodeReader): Value {
  const value = c.value(0);
  if (value?.kind === 'blocked' && value.isConvolved) return value.of;
  return c.refuseBlocks('BATCH_TO_SPACE_ND', 'SPACE_TO_BATCH_ND');
}

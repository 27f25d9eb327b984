import type { Random } from '../support/random.ts';
import type { TensorSpec } from './tflite-writer.ts';

/** Tensors of 16x8 files: activations are symmetric, biases int64. */

export const activation = (name: string, shape: readonly number[], scale: number): TensorSpec => ({
  name,
  shape,
  scale,
  zero: 0,
  kind: 'int16',
});

/** Some of them beyond 32 bits. */
export const writtenBiases = (r: Random, count: number): TensorSpec & { data: number[] } => ({
  name: 'b',
  kind: 'int64',
  shape: [count],
  scale: 1,
  data: Array.from({ length: count }, (_, i) => (i === 0 ? 2 ** 33 + 12_345 : r.int(-4_000_000, 4_000_000))),
});

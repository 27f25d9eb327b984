import { describe, expect, it } from 'vitest';
import { random } from '../support/random.ts';
import { activation, biases, type Grid, int8s, ints, load, run, scaleOf, weights } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { writeTflite } from './tflite-writer.ts';

/** As the kernel goes: each pixel of the input is added to all that its window covers in the output. */
describe.each([
  { stride: [2, 2], kernel: [3, 3], padding: 0, channels: 2, outs: 3 },
  { stride: [2, 1], kernel: [2, 3], padding: 1, channels: 1, outs: 2 },
  { stride: [1, 1], kernel: [4, 2], padding: 0, channels: 3, outs: 1 },
  { stride: [3, 2], kernel: [2, 2], padding: 1, channels: 2, outs: 2 },
  { stride: [3, 2], kernel: [2, 1], padding: 0, channels: 2, outs: 2 },
] as const)('TRANSPOSE_CONV %j', ({ stride, kernel, padding, channels, outs }) => {
  it.each([1, 2])('seed %i', (seed) => {
    const r = random(seed);
    const [height, width] = [3, 4];
    const size = (from: number, i: 0 | 1) =>
      padding === 0 ? from * stride[i] : from * stride[i] + Math.max(0, kernel[i] - stride[i]);
    const [tall, wide] = [size(height, 0), size(width, 1)];
    const cut = ([0, 1] as const).map((i) =>
      Math.floor(Math.max(0, ([height, width][i]! - 1) * stride[i] + kernel[i] - [tall, wide][i]!) / 2),
    );
    const x: Grid = {
      shape: [1, height, width, channels],
      scale: scaleOf(r, 0.01, 0.1),
      zero: r.int(-128, 127),
    };
    const y: Grid = { shape: [1, tall, wide, outs], scale: scaleOf(r, 0.05, 0.5), zero: r.int(-20, 20) };
    const w = weights(r, [outs, ...kernel, channels], outs);
    const b = biases(r, outs);
    const tensors = [activation('x', x), ints('shape', [1, tall, wide, outs]), w, b, activation('y', y)];
    const options = [
      [0, 'int8', padding],
      [1, 'int32', stride[1]],
      [2, 'int32', stride[0]],
    ] as const;
    const operators = [{ op: 'TRANSPOSE_CONV', in: [1, 2, 0, 3], out: [4], options }];
    const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [4] }));
    const row = int8s(r, height * width * channels);
    const sums = Array.from({ length: tall * wide * outs }, (_, i) => b.data[i % outs]!);
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++)
        for (let k = 0; k < kernel[0]; k++)
          for (let l = 0; l < kernel[1]; l++) {
            const [v, h] = [i * stride[0] + k - cut[0]!, j * stride[1] + l - cut[1]!];
            if (v < 0 || h < 0 || v >= tall || h >= wide) continue;
            for (let o = 0; o < outs; o++)
              for (let c = 0; c < channels; c++)
                sums[(v * wide + h) * outs + o]! +=
                  (row[(i * width + j) * channels + c]! - x.zero) *
                  w.data[((o * kernel[0] + k) * kernel[1] + l) * channels + c]!;
          }
    const scaled = (acc: number, o: number) => scale(acc, quantize((x.scale * w.scale[o]!) / y.scale));
    expect(run(model, row)).toEqual(sums.map((acc, i) => clamp(scaled(acc, i % outs) + y.zero)));
  });
});

it('TRANSPOSE_CONV of a size that its windows do not reach is refused', () => {
  const grid = { scale: 0.1, zero: 0 };
  const w = { ...activation('w', { ...grid, shape: [1, 2, 2, 1] }), data: [1, 2, 3, 4] };
  const tensors = [
    activation('x', { ...grid, shape: [1, 2, 2, 1] }),
    ints('shape', [1, 40, 40, 1]),
    w,
    activation('y', { ...grid, shape: [1, 40, 40, 1] }),
  ];
  const operators = [{ op: 'TRANSPOSE_CONV', in: [1, 2, 0], out: [3], options: [[0, 'int8', 1]] as const }];
  const bytes = writeTflite({ tensors, operators, inputs: [0], outputs: [3] });
  expect(() => load(bytes)).toThrow(/expects an output of some 3 elements for 2, but is given 40/);
});

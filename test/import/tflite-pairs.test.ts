import { describe, expect, it } from 'vitest';
import { importTflite } from '../../src/import/tflite/index.ts';
import { random } from '../support/random.ts';
import { activation, chain, type Grid, int8s, load, run, scaleOf } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { softmax } from './tflite-softmax-kernel.ts';
import { type TensorSpec, writeTflite } from './tflite-writer.ts';

/** The kernels' functions of two q-values less their zero points, on a third grid. */
type Kernel = (a: number, b: number, scales: readonly [number, number, number]) => number;

const shifted =
  (sign: number): Kernel =>
  (a, b, [sa, sb, so]) => {
    const twice = 2 * Math.max(sa, sb);
    const part = (v: number, s: number) => scale(BigInt(v) << 20n, quantize(s / twice));
    return scale(part(a, sa) + sign * part(b, sb), quantize(twice / (2 ** 20 * so)));
  };

const kernels: Record<string, Kernel> = {
  ADD: shifted(1),
  SUB: shifted(-1),
  MUL: (a, b, [sa, sb, so]) => scale(a * b, quantize((sa * sb) / so)),
};

describe.each(Object.entries(kernels))('%s', (op, kernel) => {
  describe.each([1, 2, 3])('seed %i', (seed) => {
    const r = random(seed);
    const size = 24;
    const grid = (): Grid => ({ shape: [1, 2, 4, 3], scale: scaleOf(r, 0.01, 0.1), zero: r.int(-128, 127) });
    const [x, k, y] = [grid(), grid(), { ...grid(), scale: scaleOf(r, 0.05, 0.3) }];
    const expected = (a: readonly number[], b: readonly number[], ga: Grid, gb: Grid) =>
      a.map((q, i) => clamp(kernel(q - ga.zero, b[i]! - gb.zero, [ga.scale, gb.scale, y.scale]) + y.zero));
    const constant = (data: number[], shape: readonly number[]): TensorSpec => ({
      ...activation('k', k),
      shape,
      data,
    });

    it.each([
      ['one number', 1, []],
      ['one a channel', 3, [3]],
      ['one an element', size, [1, 2, 4, 3]],
    ] as const)('a constant of %s, on either side', (_, count, shape) => {
      const numbers = int8s(r, count);
      const wide = Array.from({ length: size }, (_unused, i) => numbers[i % count]!);
      const row = int8s(r, size);
      for (const first of [true, false]) {
        const tensors = [activation('x', x), constant(numbers, shape), activation('y', y)];
        const operators = [{ op, in: first ? [0, 1] : [1, 0], out: [2] }];
        const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [2] }));
        expect(run(model, row)).toEqual(first ? expected(row, wide, x, k) : expected(wide, row, k, x));
      }
    });

    it('two computed values, on grids of their own', () => {
      const tensors = [activation('x', x), activation('z', k), activation('y', y)];
      const operators = [
        { op: 'QUANTIZE', in: [0], out: [1] },
        { op, in: [0, 1], out: [2] },
      ];
      const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [2] }));
      const row = int8s(r, size);
      const other = row.map((q) => clamp(scale(q - x.zero, quantize(x.scale / k.scale)) + k.zero));
      expect(run(model, row)).toEqual(expected(row, other, x, k));
    });

    it('an image and one number a channel, computed', () => {
      const most = { ...x, shape: [1, 1, 1, 3] };
      const axes = { name: 'axes', kind: 'int32', shape: [2], data: [1, 2] } as const;
      const tensors = [activation('x', x), axes, activation('z', most), activation('y', y)];
      const operators = [
        { op: 'REDUCE_MAX', in: [0, 1], out: [2], options: [[0, 'int8', 1]] as const },
        { op, in: [0, 2], out: [3] },
      ];
      const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [3] }));
      const row = int8s(r, size);
      const largest = row.map((_, i) => Math.max(...row.filter((_q, j) => j % 3 === i % 3)));
      expect(run(model, row)).toEqual(expected(row, largest, x, x));
    });
  });
});

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  const r = random(seed);
  const x: Grid = { shape: [1, 4, 2, 3], scale: scaleOf(r, 0.01, 0.1), zero: r.int(-60, 60) };
  const row = int8s(r, 24);

  it('PRELU, a slope a channel', () => {
    const y = { ...x, scale: scaleOf(r, 0.01, 0.2), zero: r.int(-60, 60) };
    const slopes = {
      name: 's',
      kind: 'int8',
      shape: [1, 1, 3],
      scale: 0.004,
      zero: 9,
      data: int8s(r, 3),
    } as const;
    const below = quantize((x.scale * Math.fround(0.004)) / y.scale);
    const expected = row.map((q, i) => {
      const v = q - x.zero;
      const real =
        v >= 0 ? scale(v, quantize(x.scale / y.scale)) : scale(v * (slopes.data[i % 3]! - 9), below);
      return clamp(real + y.zero);
    });
    expect(run(load(chain(x, [{ op: 'PRELU', with: [slopes], out: y }])), row)).toEqual(expected);
  });

  it('MAXIMUM and MINIMUM with a constant', () => {
    const k: TensorSpec = { ...activation('k', x), shape: [3], data: int8s(r, 3) };
    for (const [op, most] of [
      ['MAXIMUM', Math.max],
      ['MINIMUM', Math.min],
    ] as const) {
      const model = load(chain(x, [{ op, with: [k], out: x }]));
      expect(run(model, row)).toEqual(row.map((q, i) => most(q, k.data![i % 3]!)));
    }
  });

  it.each([
    [1, 'rows'],
    [2, 'columns'],
  ])('SUM and REDUCE_MAX over axis %i, of %s', (axis) => {
    const shape = axis === 1 ? [1, 2, 3] : [1, 4, 3];
    const y = { shape, scale: scaleOf(r, 0.05, 0.3), zero: r.int(-60, 60) };
    const axes = { name: 'axes', kind: 'int32', shape: [1], data: [axis] } as const;
    const groups = Array.from({ length: shape[1]! * 3 }, (_, o) => {
      const [kept, c] = [Math.floor(o / 3), o % 3];
      return axis === 1
        ? [0, 1, 2, 3].map((i) => row[(i * 2 + kept) * 3 + c]!)
        : [0, 1].map((j) => row[(kept * 2 + j) * 3 + c]!);
    });
    const sum = load(chain(x, [{ op: 'SUM', with: [axes], out: y }]));
    expect(run(sum, row)).toEqual(
      groups.map((of) => {
        const total = of.reduce((a, q) => a + q - x.zero, 0);
        return clamp(scale(total, quantize(x.scale / y.scale)) + y.zero);
      }),
    );
    const most = load(chain(x, [{ op: 'REDUCE_MAX', with: [axes], out: { ...x, shape } }]));
    expect(run(most, row)).toEqual(groups.map((of) => Math.max(...of)));
  });

  it('SOFTMAX within, in fixed point', () => {
    const wide: Grid = { shape: [1, 40, 6], scale: scaleOf(r, 0.005, 0.4), zero: r.int(-60, 60) };
    const y = { ...wide, scale: 1 / 256, zero: -128 };
    const beta = [[0, 'float32', 1]] as const;
    const model = load(
      chain(wide, [
        { op: 'SOFTMAX', options: beta, out: y },
        { op: 'RELU', out: y },
      ]),
    );
    const values = int8s(r, 240).map((q, i) => (i % 12 < 6 ? q >> 3 : q));
    const expected = Array.from({ length: 40 }, (_, i) =>
      softmax(values.slice(6 * i, 6 * i + 6), wide.scale, 1),
    );
    expect(run(model, values)).toEqual(expected.flat());
  });

  it('SOFTMAX within is refused where TensorFlow computes it, in floats', () => {
    const y = { ...x, scale: 1 / 256, zero: -128 };
    const bytes = chain(x, [
      { op: 'SOFTMAX', out: y },
      { op: 'RELU', out: y },
    ]);
    expect(() => importTflite(bytes, 'm.tflite', { tfliteRounding: 'single' })).toThrow('TFLite Micro');
  });
});

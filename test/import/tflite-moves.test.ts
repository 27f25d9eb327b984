import { describe, expect, it } from 'vitest';
import { elementCount } from '../../src/model/tensor.ts';
import { type Random, random } from '../support/random.ts';
import { chain, type Grid, int8s, ints, load, run, type Step, scaleOf, weights } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { type TensorSpec, writeTflite } from './tflite-writer.ts';

/** Every place of a shape, the last axis first, with its number. */
function places(shape: readonly number[]): number[][] {
  return Array.from({ length: elementCount(shape) }, (_, index) => {
    let rest = index;
    return [...shape]
      .reverse()
      .map((size) => {
        const at = rest % size;
        rest = Math.floor(rest / size);
        return at;
      })
      .reverse();
  });
}

const indexOf = (shape: readonly number[], place: readonly number[]): number =>
  place.reduce((sum, at, axis) => sum * shape[axis]! + at, 0);

interface Move {
  readonly step: Omit<Step, 'out'>;
  readonly shape: readonly number[];
  /** Where the output's element comes from, without the batch; undefined: from outside. */
  readonly from: (place: readonly number[]) => readonly number[] | undefined;
}

const IMAGE = [4, 5, 3] as const;

const moves: Record<string, (r: Random) => Move> = {
  TRANSPOSE: (r) => {
    const axes = r.pick([
      [1, 0, 2],
      [2, 0, 1],
      [1, 2, 0],
      [2, 1, 0],
      [0, 2, 1],
    ]);
    return {
      step: { op: 'TRANSPOSE', with: [ints('perm', [0, ...axes.map((a) => a + 1)])] },
      shape: axes.map((a) => IMAGE[a]!),
      from: (place) => IMAGE.map((_, d) => place[axes.indexOf(d)]!),
    };
  },
  'PAD of all axes': (r) => {
    const pads = IMAGE.map(() => [r.int(0, 2), r.int(1, 2)] as const);
    return {
      step: { op: 'PAD', with: [ints('pads', [0, 0, ...pads.flat()], [4, 2])] },
      shape: IMAGE.map((size, i) => size + pads[i]![0] + pads[i]![1]),
      from: (place) => {
        const at = place.map((p, i) => p - pads[i]![0]);
        return at.every((p, i) => p >= 0 && p < IMAGE[i]!) ? at : undefined;
      },
    };
  },
  TILE: (r) => {
    const repeats = IMAGE.map(() => r.int(1, 3));
    return {
      step: { op: 'TILE', with: [ints('multiples', [1, ...repeats])] },
      shape: IMAGE.map((size, i) => size * repeats[i]!),
      from: (place) => place.map((p, i) => p % IMAGE[i]!),
    };
  },
  RESIZE_NEAREST_NEIGHBOR: (r) => {
    const [height, width] = [r.int(1, 9), r.int(2, 9)];
    const nearest = (p: number, from: number, to: number) => Math.floor((p * from) / to + 1e-6);
    return {
      step: { op: 'RESIZE_NEAREST_NEIGHBOR', with: [ints('size', [height, width])] },
      shape: [height, width, IMAGE[2]],
      from: ([y, x, ch]) => [nearest(y!, IMAGE[0], height), nearest(x!, IMAGE[1], width), ch!],
    };
  },
  MIRROR_PAD: (r) => {
    const mode = r.int(0, 1);
    const pads = [
      [r.int(0, 2), r.int(0, 2)],
      [r.int(0, 2), r.int(1, 2)],
      [0, 0],
    ] as const;
    const lists = IMAGE.map((size) => {
      const own = Array.from({ length: size }, (_, i) => i);
      // REFLECT leaves the edge out where it turns, SYMMETRIC repeats it.
      const turned = mode === 0 ? [...own].reverse().slice(1, -1) : [...own].reverse();
      return [...own, ...turned];
    });
    const wrap = (at: number, axis: number) => {
      const cycle = lists[axis]!;
      return cycle[((at % cycle.length) + cycle.length) % cycle.length]!;
    };
    return {
      step: {
        op: 'MIRROR_PAD',
        with: [ints('pads', [0, 0, ...pads.flat()], [4, 2])],
        options: [[0, 'int8', mode]],
      },
      shape: IMAGE.map((size, i) => size + pads[i]![0] + pads[i]![1]),
      from: (place) => place.map((p, i) => wrap(p - pads[i]![0], i)),
    };
  },
  SLICE: (r) => {
    const begin = IMAGE.map((size) => r.int(0, size - 1));
    const shape = IMAGE.map((size, i) => r.int(1, size - begin[i]!));
    return {
      step: { op: 'SLICE', with: [ints('begin', [0, ...begin]), ints('size', [-1, ...shape])] },
      shape,
      from: (place) => place.map((p, i) => p + begin[i]!),
    };
  },
  'STRIDED_SLICE, every second row backwards': () => ({
    step: {
      op: 'STRIDED_SLICE',
      with: [ints('begin', [0, -1, 1, 0]), ints('end', [1, 0, 4, 3]), ints('strides', [1, -2, 1, 2])],
      options: [
        [0, 'int32', 0],
        [1, 'int32', 0b0010],
      ],
    },
    shape: [2, 3, 2],
    from: ([y, x, c]) => [3 - 2 * y!, 1 + x!, 2 * c!],
  }),
};

describe.each(Object.keys(moves))('%s', (name) => {
  it.each([1, 2, 3, 4, 5, 6])('seed %i, of the input and behind a convolution', (seed) => {
    const r = random(seed);
    const { step, shape, from } = moves[name]!(r);
    const grid: Grid = { shape: [1, ...IMAGE], scale: 0.05, zero: r.int(-20, 20) };
    const moved = (image: readonly number[]) =>
      places(shape).map((place) => {
        const at = from(place);
        return at === undefined ? grid.zero : image[indexOf(IMAGE, at)]!;
      });
    const row = int8s(r, 60);
    const out = { ...grid, shape: [1, ...shape] };
    const tail: Step = { op: 'RELU', out };
    const relu = (q: number) => Math.max(q, grid.zero);
    expect(run(load(chain(grid, [{ ...step, out }, tail])), row)).toEqual(moved(row).map(relu));
    const w = weights(r, [3, 1, 1, 3], 3);
    const conv: Step = { op: 'CONV_2D', with: [w], options: valid, out: grid };
    const image = run(load(chain(grid, [conv])), row);
    expect(run(load(chain(grid, [conv, { ...step, out }])), row)).toEqual(moved(image));
  });
});

const valid = [
  [0, 'int8', 1],
  [1, 'int32', 1],
  [2, 'int32', 1],
] as const;

describe('parts and wholes', () => {
  it.each([1, 2, 3])('SPLIT, another grid, CONCATENATION turned round along axis %i', (axis) => {
    const r = random(axis);
    const shape = [4, 6, 2];
    const half = shape.map((size, i) => (i === axis - 1 ? size / 2 : size));
    const tensor = (name: string, of: readonly number[], s = 0.05, zero = 3): TensorSpec => ({
      name,
      kind: 'int8',
      shape: [1, ...of],
      scale: s,
      zero,
    });
    const tensors = [
      tensor('x', shape),
      ints('axis', [axis], []),
      tensor('a', half),
      tensor('b', half),
      tensor('c', half, 0.031, -7),
      tensor('y', shape),
    ];
    const operators = [
      { op: 'SPLIT', in: [1, 0], out: [2, 3], options: [[0, 'int32', 2]] as const },
      { op: 'QUANTIZE', in: [3], out: [4] },
      { op: 'CONCATENATION', in: [4, 2], out: [5], options: [[0, 'int32', axis]] as const },
    ];
    const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [5] }));
    const row = int8s(r, 48);
    const [s, t] = [Math.fround(0.05), Math.fround(0.031)];
    const there = (q: number) => clamp(scale(q - 3, quantize(s / t)) - 7);
    const factor = Math.fround(Math.fround(1 / s) * t);
    const back = (q: number) => {
      const real = Math.fround(Math.fround(q * factor) + Math.fround(7 * factor));
      return clamp(Math.sign(real) * Math.round(Math.abs(real)) + 3);
    };
    const own = half[axis - 1]!;
    const expected = places(shape).map((place) => {
      const at = place[axis - 1]!;
      const source =
        row[
          indexOf(
            shape,
            place.map((p, i) => (i === axis - 1 ? (p + own) % (2 * own) : p)),
          )
        ]!;
      return at < own ? back(there(source)) : source;
    });
    expect(run(model, row)).toEqual(expected);
  });
});

describe.each([1, 2, 3, 4, 5, 6])('convolutions whose taps stand apart, seed %i', (seed) => {
  const r = random(seed);
  const [height, width, channels, outs] = [7, 8, r.int(1, 3), r.int(1, 3)];
  const [down, right] = [r.int(1, 2), r.int(2, 3)];
  const x: Grid = {
    shape: [1, height, width, channels],
    scale: scaleOf(r, 0.01, 0.2),
    zero: r.int(-128, 127),
  };
  const w = weights(r, [outs, 3, 2, channels], outs);
  const [top, left] = [1, 2];
  const row = int8s(r, height * width * channels);
  const y = { scale: scaleOf(r, 0.1, 1), zero: r.int(-20, 20) };
  const values = (before: readonly [number, number], rows: number, columns: number) => {
    const q = (i: number, j: number, c: number) =>
      i < 0 || j < 0 || i >= height || j >= width ? x.zero : row[(i * width + j) * channels + c]!;
    return places([rows, columns, outs]).map(([i, j, o]) => {
      let acc = 0;
      for (const [k, l, c] of places([3, 2, channels]))
        acc +=
          (q(i! + k! * down - before[0], j! + l! * right - before[1], c!) - x.zero) *
          w.data[((o! * 3 + k!) * 2 + l!) * channels + c!]!;
      return clamp(scale(acc, quantize((x.scale * w.scale[o!]!) / y.scale)) + y.zero);
    });
  };

  it('by the options', () => {
    const [rows, columns] = [height - 2 * down, width - right];
    const options = [...valid, [4, 'int32', right], [5, 'int32', down]] as const;
    const out = { ...y, shape: [1, rows, columns, outs] };
    const model = load(chain(x, [{ op: 'CONV_2D', with: [w], options, out }]));
    expect(run(model, row)).toEqual(values([0, 0], rows, columns));
  });

  it('by SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND', () => {
    const up = (size: number, block: number) => (block - (size % block)) % block;
    const [below, beside] = [2 + up(height + top + 2, down), 1 + up(width + left + 1, right)];
    const [tall, wide] = [(height + top + below) / down, (width + left + beside) / right];
    const crops = [up(height + top + 2, down), up(width + left + 1, right)];
    const [rows, columns] = [height + top + 2 - 2 * down, width + left + 1 - right];
    const block = ints('block', [down, right]);
    const batch = down * right;
    const model = load(
      chain(x, [
        {
          op: 'SPACE_TO_BATCH_ND',
          with: [block, ints('pads', [top, below, left, beside], [2, 2])],
          out: { ...x, shape: [batch, tall, wide, channels] },
        },
        { op: 'CONV_2D', with: [w], options: valid, out: { ...y, shape: [batch, tall - 2, wide - 1, outs] } },
        {
          op: 'BATCH_TO_SPACE_ND',
          with: [block, ints('crops', [0, crops[0]!, 0, crops[1]!], [2, 2])],
          out: { ...y, shape: [1, rows, columns, outs] },
        },
      ]),
    );
    expect(run(model, row)).toEqual(values([top, left], rows, columns));
  });
});

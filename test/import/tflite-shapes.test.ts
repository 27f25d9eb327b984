import { describe, expect, it } from 'vitest';
import { elementCount } from '../../src/model/tensor.ts';
import { ints, load, run } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { type OperatorSpec, type TensorSpec, writeTflite } from './tflite-writer.ts';

/** Shapes as TFLite's runtime sees them: what is repeated, turned, cut or joined, and what a file says wrongly of them. */

const STEP = 0.125;
const ZERO = 3;

const q8 = (name: string, shape: readonly number[], more: Partial<TensorSpec> = {}): TensorSpec => ({
  name,
  shape,
  kind: 'int8',
  scale: STEP,
  zero: ZERO,
  ...more,
});
const numbers = (length: number, step: number) => Array.from({ length }, (_, i) => ((i * step) % 201) - 100);

/** The first tensor in, the last or a named one out. */
function made(
  tensors: readonly TensorSpec[],
  operators: readonly OperatorSpec[],
  output = tensors.length - 1,
) {
  const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [output] }));
  const row = numbers(elementCount(tensors[0]!.shape), 37);
  return { row, out: run(model, row) };
}

/** Elements of two shapes side by side, as numpy repeats them. */
function repeated(a: readonly number[], b: readonly number[]): { shape: number[]; at: [number, number][] } {
  const rank = Math.max(a.length, b.length);
  const [x, y] = [a, b].map((s) => [...Array<number>(rank - s.length).fill(1), ...s]) as [number[], number[]];
  const shape = x.map((size, i) => Math.max(size, y[i]!));
  const index = (of: readonly number[], place: readonly number[]) =>
    of.reduce((sum, size, i) => sum * size + (size === 1 ? 0 : place[i]!), 0);
  const at = Array.from({ length: elementCount(shape) }, (_, n): [number, number] => {
    const place = shape.map((size, i) => Math.floor(n / elementCount(shape.slice(i + 1))) % size);
    return [index(x, place), index(y, place)];
  });
  return { shape, at };
}

const product = (a: number, b: number) =>
  clamp(scale((a - ZERO) * (b - ZERO), quantize((STEP * STEP) / STEP)) + ZERO);

describe.each([
  [
    [1, 2, 3, 4],
    [1, 2, 3, 1],
  ],
  [
    [1, 2, 3, 4],
    [2, 1, 1],
  ],
  [
    [1, 2, 3, 4],
    [3, 1],
  ],
  [
    [1, 1, 1, 4],
    [1, 2, 3, 4],
  ],
  [
    [1, 4],
    [2, 4],
  ],
  [
    [1, 3, 1],
    [1, 3],
  ],
  [
    [1, 4, 4, 4],
    [4, 1, 1],
  ],
  [[1, 2, 3, 4], []],
])('MUL of %j and %j repeats what is smaller', (a, b) => {
  const { shape, at } = repeated(a, b);

  it('a constant, on either side', () => {
    const data = numbers(elementCount(b), 29);
    for (const first of [true, false]) {
      const { row, out } = made(
        [q8('x', a), q8('k', b, { data }), q8('y', shape)],
        [{ op: 'MUL', in: first ? [1, 0] : [0, 1], out: [2] }],
      );
      expect(out).toEqual(at.map(([i, j]) => product(row[i]!, data[j]!)));
    }
  });

  it('both computed', () => {
    const [na, nb] = [elementCount(a), elementCount(b)];
    const second = b.length === 0 ? [1] : b;
    const { row, out } = made(
      [
        q8('x', [1, na + nb]),
        ints('sizes', [na, nb]),
        ints('axis', [1]),
        q8('p', [1, na]),
        q8('q', [1, nb]),
        q8('a', a),
        q8('b', second),
        q8('y', shape),
      ],
      [
        { op: 'SPLIT_V', in: [0, 1, 2], out: [3, 4] },
        { op: 'RESHAPE', in: [3], out: [5] },
        { op: 'RESHAPE', in: [4], out: [6] },
        { op: 'MUL', in: [5, 6], out: [7] },
      ],
    );
    expect(out).toEqual(at.map(([i, j]) => product(row[i]!, row[na + j]!)));
  });
});

const slice = (
  shape: readonly number[],
  lists: readonly (readonly number[])[],
  options: Readonly<Record<number, number>>,
  out: readonly number[],
) =>
  made(
    [
      q8('x', shape),
      ...['begin', 'end', 'strides'].map((name, i) => ints(name, lists[i]!)),
      q8('s', out),
      q8('y', out),
    ],
    [
      {
        op: 'STRIDED_SLICE',
        in: [0, 1, 2, 3],
        out: [4],
        options: Object.entries(options).map(([field, value]) => [
          Number(field),
          field === '5' ? 'int8' : 'int32',
          value,
        ]),
      },
      // The same again, so that what takes all is more than its input.
      { op: 'LEAKY_RELU', in: [4], out: [5], options: [[0, 'float32', 1]] },
    ],
  );

describe('STRIDED_SLICE', () => {
  it('ends count from where it begins, of a negative begin too', () => {
    const { row, out } = slice(
      [1, 8],
      [
        [0, 2],
        [1, 3],
        [1, 1],
      ],
      { 5: 1 },
      [1, 3],
    );
    expect(out).toEqual(row.slice(2, 5));
    expect(
      slice(
        [1, 8],
        [
          [0, -2],
          [1, 2],
          [1, 1],
        ],
        { 5: 1 },
        [1, 2],
      ).out,
    ).toEqual(row.slice(6));
  });

  it('an ellipsis takes the axes that are left', () => {
    const { row, out } = slice(
      [1, 3, 4],
      [
        [0, 1],
        [0, 2],
        [1, 1],
      ],
      { 2: 0b01 },
      [1, 3, 1],
    );
    expect(out).toEqual([1, 5, 9].map((i) => row[i]!));
  });

  it('a new axis moves nothing', () => {
    const { row, out } = slice(
      [1, 4],
      [
        [0, 0, 1],
        [0, 0, 3],
        [1, 1, 1],
      ],
      { 0: 3, 1: 3, 3: 2 },
      [1, 1, 2],
    );
    expect(out).toEqual(row.slice(1, 3));
  });
});

describe('the batch, of one, among the axes', () => {
  it('TRANSPOSE', () => {
    const { row, out } = made(
      [q8('x', [1, 3, 4]), ints('perm', [2, 0, 1]), q8('y', [4, 1, 3])],
      [{ op: 'TRANSPOSE', in: [0, 1], out: [2] }],
    );
    expect(out).toEqual([0, 1, 2, 3].flatMap((c) => [0, 1, 2].map((i) => row[i * 4 + c]!)));
  });

  it('CONCATENATION, of constants too', () => {
    const { row, out } = made(
      [q8('x', [1, 4]), q8('k', [1, 4], { data: [9, 8, 7, 6] }), q8('y', [3, 4])],
      [{ op: 'CONCATENATION', in: [0, 1, 0], out: [2], options: [[0, 'int32', 0]] }],
    );
    expect(out).toEqual([...row, 9, 8, 7, 6, ...row]);
  });

  it('rows that FULLY_CONNECTED lays one behind another are reduced as they lie', () => {
    const w = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    const { row, out } = made(
      [
        q8('x', [1, 2, 3, 3]),
        q8('w', [3, 3], { data: w, scale: 1, zero: 0 }),
        q8('f', [6, 3]),
        ints('axes', [0]),
        q8('y', [3]),
      ],
      [
        { op: 'FULLY_CONNECTED', in: [0, 1, -1], out: [2] },
        { op: 'REDUCE_MAX', in: [2, 3], out: [4] },
      ],
    );
    expect(out).toEqual([0, 1, 2].map((c) => Math.max(...row.filter((_, i) => i % 3 === c))));
  });
});

describe('convolutions of sequences whose taps stand apart', () => {
  it('blocks of the sequence, made an image for the convolution', () => {
    const { row, out } = made(
      [
        q8('x', [1, 6, 1]),
        ints('block', [2]),
        ints('pads', [0, 0], [1, 2]),
        q8('s', [2, 3, 1]),
        ints('axis', [1]),
        q8('e', [2, 1, 3, 1]),
        q8('w', [1, 1, 2, 1], { data: [1, -1], scale: 1, zero: 0 }),
        q8('c', [2, 1, 2, 1]),
        q8('d', [2, 2, 1]),
        q8('y', [1, 4, 1]),
      ],
      [
        { op: 'SPACE_TO_BATCH_ND', in: [0, 1, 2], out: [3] },
        { op: 'EXPAND_DIMS', in: [3, 4], out: [5] },
        {
          op: 'CONV_2D',
          in: [5, 6, -1],
          out: [7],
          options: [
            [0, 'int8', 1],
            [1, 'int32', 1],
            [2, 'int32', 1],
          ],
        },
        { op: 'SQUEEZE', in: [7], out: [8] },
        { op: 'BATCH_TO_SPACE_ND', in: [8, 1, 2], out: [9] },
      ],
    );
    expect(out).toEqual([0, 1, 2, 3].map((i) => clamp(row[i]! - row[i + 2]! + ZERO)));
  });

  it.each([
    ['BATCH_TO_SPACE_ND', [4, 2, 1, 1], [1, 4, 2, 1], /BATCH_TO_SPACE_ND = of other use/],
    ['SPACE_TO_BATCH_ND', [1, 4, 2, 1], [4, 2, 1, 1], /SPACE_TO_BATCH_ND = of other use/],
  ] as const)('%s by itself is refused', (op, from, to, message) => {
    const tensors = [
      q8('x', from),
      ints('block', [2, 2]),
      ints('pads', [0, 0, 0, 0], [2, 2]),
      q8('m', to),
      q8('y', to),
    ];
    expect(() =>
      made(tensors, [
        { op, in: [0, 1, 2], out: [3] },
        { op: 'RELU', in: [3], out: [4] },
      ]),
    ).toThrow(message);
  });
});

describe('shapes that are open, or wrong', () => {
  it('of the batch, by its signature or by -1', () => {
    for (const shape of [
      [1, 4],
      [-1, 4],
    ]) {
      const x = q8('x', shape, { signature: [-1, 4] });
      const model = load(
        writeTflite({
          tensors: [x, q8('y', [1, 4])],
          operators: [{ op: 'RELU', in: [0], out: [1] }],
          inputs: [0],
          outputs: [1],
        }),
      );
      expect(run(model, [-9, 0, 5, 9])).toEqual([ZERO, ZERO, 5, 9]);
    }
  });

  it('of a RESHAPE whose own numbers say it', () => {
    const { row, out } = made(
      [
        q8('x', [1, 2, 2, 2]),
        ints('to', [-1, 4]),
        q8('r', [1, 4], { signature: [-1, 4] }),
        ints('axes', [0]),
        q8('y', [1, 4]),
      ],
      [
        { op: 'RESHAPE', in: [0, 1], out: [2] },
        { op: 'REDUCE_MAX', in: [2, 3], out: [4], options: [[0, 'int8', 1]] },
      ],
    );
    expect(out).toEqual([0, 1, 2, 3].map((i) => Math.max(row[i]!, row[i + 4]!)));
  });

  it('of a RESHAPE by parts of a SHAPE behind constants', () => {
    const { row, out } = made(
      [
        q8('x', [1, 2, 2, 2]),
        { name: 'shape', kind: 'int32', shape: [4] },
        ...[ints('begin', [1]), ints('end', [2]), ints('strides', [1])],
        { name: 'height', kind: 'int32', shape: [1] },
        ints('one', [1]),
        ints('four', [4]),
        { name: 'to', kind: 'int32', shape: [3] },
        q8('r', [1, 2, 4]),
        q8('y', [1, 2, 4]),
      ],
      [
        { op: 'SHAPE', in: [0], out: [1] },
        { op: 'STRIDED_SLICE', in: [1, 2, 3, 4], out: [5] },
        { op: 'CONCATENATION', in: [6, 5, 7], out: [8], options: [[0, 'int32', 0]] },
        { op: 'RESHAPE', in: [0, 8], out: [9] },
        { op: 'RELU', in: [9], out: [10] },
      ],
    );
    expect(out).toEqual(row.map((q) => Math.max(q, ZERO)));
  });

  it.each([
    ['an open height', { signature: [1, -1, 4] }, [1, 1, 4], /x has sizes that are open/],
    ['an output of another size', {}, [1, 1, 5], /expects \[1, 4\], but is given \[1, 5\]/],
  ] as const)('%s is refused', (_, more, out, message) => {
    expect(() => made([q8('x', [1, 1, 4], more), q8('y', out)], [{ op: 'RELU', in: [0], out: [1] }])).toThrow(
      message,
    );
  });
});

import { describe, expect, it } from 'vitest';
import { elementCount } from '../../src/model/tensor.ts';
import { random } from '../support/random.ts';
import { activation, chain, type Grid, int8s, ints, load, run } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { type OptionSpec, type TensorSpec, writeTflite } from './tflite-writer.ts';

/** Operators over single axes, and those of several outputs, against the formulas of the reference kernels. */

const IMAGE = [3, 4, 2] as const;
const x: Grid = { shape: [1, ...IMAGE], scale: 0.05, zero: 3 };
const row = int8s(random(3), elementCount(IMAGE));

const at = (y: number, i: number, ch: number): number => row[(y * 4 + i) * 2 + ch]!;

/** Elements of what is left when these axes are gone, each with those that were along them. */
function reduced(axes: readonly number[]): number[][] {
  const groups = new Map<string, number[]>();
  for (let y = 0; y < 3; y++)
    for (let i = 0; i < 4; i++)
      for (let ch = 0; ch < 2; ch++) {
        const key = [y, i, ch].filter((_, axis) => !axes.includes(axis)).join();
        groups.set(key, [...(groups.get(key) ?? []), at(y, i, ch)]);
      }
  return [...groups.values()];
}

describe.each([[[0]], [[1]], [[2]], [[0, 1]], [[1, 2]], [[0, 1, 2]]])('over the axes %j', (axes) => {
  const groups = reduced(axes);
  const count = groups[0]!.length;
  const left = IMAGE.filter((_, axis) => !axes.includes(axis));
  const model = (op: string, out: Grid) =>
    load(
      chain(x, [
        {
          op,
          with: [
            ints(
              'axes',
              axes.map((axis) => axis + 1),
            ),
          ],
          options: [[0, 'int8', 0]],
          out,
        },
      ]),
    );

  it('MEAN', () => {
    const y: Grid = { shape: [1, ...left], scale: 0.021, zero: -7 };
    const { fixed, exponent } = quantize(Math.fround(x.scale) / Math.fround(y.scale));
    const shift = Math.min(31 - Math.clz32(count), 31 + exponent);
    const multiplier = { fixed: (fixed << BigInt(shift)) / BigInt(count), exponent: exponent - shift };
    const expected = groups.map((group) =>
      clamp(
        scale(
          group.reduce((a, b) => a + b - x.zero, 0),
          multiplier,
        ) + y.zero,
      ),
    );
    expect(run(model('MEAN', y), row)).toEqual(expected);
  });

  it('REDUCE_MAX', () => {
    const expected = groups.map((group) => Math.max(...group));
    expect(run(model('REDUCE_MAX', { ...x, shape: [1, ...left] }), row)).toEqual(expected);
  });
});

/** An operator of several outputs, put together again the other way round. */
function turned(
  op: string,
  inputs: readonly TensorSpec[],
  first: boolean,
  parts: Grid[],
  options: OptionSpec[],
  axis: number,
) {
  const tensors = [activation('x', x), ...inputs, ...parts.map((g, i) => activation(`p${i}`, g))];
  const reads = inputs.map((_, i) => i + 1);
  const made = parts.map((_, i) => inputs.length + 1 + i);
  const sizes = parts[0]!.shape.map((size, i) =>
    i === axis ? parts.reduce((sum, g) => sum + g.shape[axis]!, 0) : size,
  );
  const out = tensors.push(activation('y', { ...x, shape: sizes })) - 1;
  const operators = [
    { op, in: first ? [...reads, 0] : [0, ...reads], out: made, options },
    { op: 'CONCATENATION', in: [...made].reverse(), out: [out], options: [[0, 'int32', axis]] as const },
  ];
  return load(writeTflite({ tensors, operators, inputs: [0], outputs: [out] }));
}

it('SPLIT_V, whose last size is what is left', () => {
  const parts = [1, 3].map((size) => ({ ...x, shape: [1, 3, size, 2] }));
  const model = turned(
    'SPLIT_V',
    [ints('sizes', [1, -1]), ints('axis', [2])],
    false,
    parts,
    [[0, 'int32', 2]],
    2,
  );
  const expected = [0, 1, 2].flatMap((y) => [1, 2, 3, 0].flatMap((i) => [at(y, i, 0), at(y, i, 1)]));
  expect(run(model, row)).toEqual(expected);
});

it('UNPACK', () => {
  const parts = [0, 1, 2].map(() => ({ ...x, shape: [1, 4, 2] }));
  const options: OptionSpec[] = [
    [0, 'int32', 3],
    [1, 'int32', 1],
  ];
  const model = turned('UNPACK', [], false, parts, options, 1);
  const expected = [2, 1, 0].flatMap((y) => [0, 1, 2, 3].flatMap((i) => [at(y, i, 0), at(y, i, 1)]));
  expect(run(model, row)).toEqual(expected);
});

it('PADV2 puts its own number around', () => {
  const value: TensorSpec = { name: 'v', kind: 'int8', shape: [], scale: x.scale, zero: x.zero, data: [77] };
  const out = { ...x, shape: [1, 4, 6, 2] };
  const pads = ints('pads', [0, 0, 1, 0, 0, 2, 0, 0], [4, 2]);
  const expected = [-1, 0, 1, 2].flatMap((y) =>
    [0, 1, 2, 3, 4, 5].flatMap((i) => [0, 1].map((ch) => (y < 0 || i > 3 ? 77 : at(y, i, ch)))),
  );
  expect(run(load(chain(x, [{ op: 'PADV2', with: [pads, value], out }])), row)).toEqual(expected);
});

it('DEPTH_TO_SPACE and SPACE_TO_DEPTH', () => {
  const options: OptionSpec[] = [[0, 'int32', 2]];
  const wide: Grid = { ...x, shape: [1, 2, 3, 8] };
  const values = int8s(random(4), 48);
  const there = load(chain(wide, [{ op: 'DEPTH_TO_SPACE', options, out: { ...x, shape: [1, 4, 6, 2] } }]));
  const expected = [0, 1, 2, 3].flatMap((y) =>
    [0, 1, 2, 3, 4, 5].flatMap((i) =>
      [0, 1].map((ch) => values[((y >> 1) * 3 + (i >> 1)) * 8 + ((y & 1) * 2 + (i & 1)) * 2 + ch]!),
    ),
  );
  expect(run(there, values)).toEqual(expected);
  const back = load(chain({ ...x, shape: [1, 4, 6, 2] }, [{ op: 'SPACE_TO_DEPTH', options, out: wide }]));
  expect(run(back, expected)).toEqual(values);
});

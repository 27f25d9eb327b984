import { describe, expect, it } from 'vitest';
import { random } from '../support/random.ts';
import { activation, chain, int8s, ints, load, run } from './tflite-blocks.ts';
import { clamp } from './tflite-kernels.ts';
import { writeTflite } from './tflite-writer.ts';

describe('extremes', () => {
  const grid = { scale: 0.1, zero: 7 };

  it.each([
    ['MAXIMUM', Math.max],
    ['MINIMUM', Math.min],
  ] as const)('%s of two computed values, one of them repeated', (op, most) => {
    const r = random(5);
    const x = activation('x', { ...grid, shape: [1, 3, 2, 2] });
    const tensors = [
      x,
      ints('axes', [1, 2]),
      activation('least', { ...grid, shape: [1, 2] }),
      activation('half', { ...grid, shape: [1, 3, 2, 2] }),
      activation('y', { ...grid, shape: [1, 3, 2, 2] }),
    ];
    const operators = [
      { op: 'REDUCE_MIN', in: [0, 1], out: [2] },
      { op: 'LEAKY_RELU', in: [0], out: [3], options: [[0, 'float32', -1]] as const },
      { op, in: [3, 2], out: [4] },
    ];
    const row = int8s(r, 12);
    const least = [0, 1].map((c) => Math.min(...row.filter((_, i) => i % 2 === c)));
    const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [4] }));
    const folded = row.map((q) => clamp(grid.zero + Math.abs(q - grid.zero)));
    expect(run(model, row)).toEqual(folded.map((q, i) => most(q, least[i % 2]!)));
  });

  it.each([[-1], [1], [-2]])('REDUCE_MIN over axis %i', (axis) => {
    const r = random(6);
    const along = axis === -1;
    const out = { ...grid, shape: [1, along ? 3 : 4] };
    const model = load(
      chain({ ...grid, shape: [1, 3, 4] }, [{ op: 'REDUCE_MIN', with: [ints('axes', [axis])], out }]),
    );
    const row = int8s(r, 12);
    const group = (i: number) => (along ? Math.floor(i / 4) : i % 4);
    expect(run(model, row)).toEqual(
      Array.from({ length: out.shape[1]! }, (_, g) => Math.min(...row.filter((_q, i) => group(i) === g))),
    );
  });
});

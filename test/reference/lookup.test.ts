import { describe, expect, it } from 'vitest';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import type { Model } from '../../src/model/model.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { modelOf } from '../support/models.ts';
import { random } from '../support/random.ts';

const seeds = Array.from({ length: 10 }, (_, i) => i + 1);
const int8 = { element: 'int8', scale: 0.1, zeroPoint: 3 } as const;

const run = (model: Model, row: ArrayLike<number>): number[] =>
  Array.from(
    interpret(
      model,
      Uint8Array.from(row, (q) => q & 0xff),
    ),
    (q) => (model.layers.at(-1)!.output.element === 'int8' ? (q << 24) >> 24 : q),
  );

function sound(model: Model): void {
  expect(verifyModel(model)).toEqual([]);
  expect(dumpModel(importJson(JSON.stringify(exportJson(model)), 'm.json').model)).toBe(dumpModel(model));
}

describe.each(seeds)('seed %i', (seed) => {
  const r = random(seed);
  const shape = [r.int(1, 3), r.int(1, 4), r.int(1, 4)];
  const [channels, height, width] = shape as [number, number, number];
  const row = Int32Array.from({ length: channels * height * width }, () => r.int(-128, 127));

  it('pad: the image, and the value around it', () => {
    const pads = [r.int(0, 2), r.int(0, 2), r.int(0, 2), r.int(0, 2)] as [number, number, number, number];
    const model = modelOf({ ...int8, shape }, [{ kind: 'pad', pads, value: -7 }]);
    sound(model);
    const [top, left, bottom, right] = pads;
    const expected: number[] = [];
    for (let c = 0; c < channels; c++)
      for (let y = -top; y < height + bottom; y++)
        for (let x = -left; x < width + right; x++) {
          const inside = y >= 0 && y < height && x >= 0 && x < width;
          expected.push(inside ? row[(c * height + y) * width + x]! : -7);
        }
    expect(run(model, row)).toEqual(expected);
  });

  it('transpose: there and back, and each element where it belongs', () => {
    const there = modelOf({ ...int8, shape }, [{ kind: 'transpose', axes: [2, 0, 1] }]);
    sound(there);
    const turned = run(there, row);
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          expect(turned[(x * channels + c) * height + y]).toBe(row[(c * height + y) * width + x]);
    const back = modelOf({ ...int8, shape }, [
      { kind: 'transpose', axes: [2, 0, 1] },
      { kind: 'transpose', axes: [1, 2, 0] },
    ]);
    expect(run(back, row)).toEqual(Array.from(row));
  });

  it('lut: the table by the least q on, and named functions', () => {
    const table = Array.from({ length: 256 }, () => r.int(0, 255));
    const output = { element: 'uint8', scale: 1 / 256 } as const;
    const model = modelOf({ ...int8, shape }, [{ kind: 'lut', table, output }]);
    sound(model);
    expect(run(model, row)).toEqual(Array.from(row, (q) => table[q + 128]));
    const sigmoid = modelOf({ ...int8, shape }, [{ kind: 'lut', function: 'sigmoid', output }]);
    for (const [i, q] of run(sigmoid, row).entries())
      expect(Math.abs(q - 256 / (1 + Math.exp(-0.1 * (row[i]! - 3))))).toBeLessThanOrEqual(1);
  });

  it('embedding: rows by key, summed in bags; an unknown key adds nothing', () => {
    const keyBytes = r.pick([1, 2, 4] as const);
    const [bag, bags, rows, columns] = [r.int(1, 4), r.int(1, 3), r.int(1, 9), r.int(1, 5)];
    const entries = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => r.int(-128, 127)),
    );
    const layer = { kind: 'embedding', keyBytes, bag, rows, table: entries, tableScale: 0.1 } as const;
    const rounding = 'half-up' as const;
    const input = { element: 'uint8' as const, shape: [bags * bag * keyBytes], scale: 1 };
    const model = modelOf(input, [{ ...layer, output: { ...int8, scale: 0.3 }, rounding }]);
    sound(model);
    const keys = Array.from({ length: bags * bag }, () => r.int(0, Math.min(255, rows + 2)));
    const bytes = keys.flatMap((key) => [key, ...new Array<number>(keyBytes - 1).fill(0)]);
    const expected = Array.from({ length: bags }, (_, b) =>
      Array.from({ length: columns }, (_, j) => {
        const sum = keys
          .slice(b * bag, (b + 1) * bag)
          .reduce((acc, key) => acc + (entries[key]?.[j] ?? 0), 0);
        return Math.max(-128, Math.min(127, Math.floor((sum * 0.1) / 0.3 + 0.5) + 3));
      }),
    );
    expect(run(model, bytes)).toEqual(expected.flat());
    // The high bytes count: what they say is no row.
    const high = bytes.map((byte, i) => (i % keyBytes === keyBytes - 1 && keyBytes > 1 ? 1 : byte));
    if (keyBytes > 1) expect(run(model, high)).toEqual(new Array(bags * columns).fill(3));
  });

  it('conv1d and mean: those of an image of height 1', () => {
    const length = r.int(3, 9);
    const weights = Array.from({ length: 2 * channels * 3 }, () => r.int(-8, 7));
    const linear = { weights, weightBits: 4, weightScale: 0.05, output: int8, rounding: 'half-up' } as const;
    const sequence = Int32Array.from({ length: channels * length }, () => r.int(-128, 127));
    const conv = modelOf({ ...int8, shape: [channels, length] }, [
      { kind: 'conv1d', ...linear, kernel: 3, stride: 2, pads: [1, 1] },
    ]);
    const flat = modelOf({ ...int8, shape: [channels, 1, length] }, [
      { kind: 'conv2d', ...linear, kernel: [1, 3], strides: [1, 2], pads: [0, 1, 0, 1] },
    ]);
    sound(conv);
    expect(conv.layers[0]).toMatchObject({ weightBits: 4 });
    expect(run(conv, sequence)).toEqual(run(flat, sequence));
    const mean = modelOf({ ...int8, shape }, [{ kind: 'mean', rounding: 'half-up' }]);
    sound(mean);
    const pixels = height * width;
    const expected = Array.from({ length: channels }, (_, c) => {
      const sum = row.subarray(c * pixels, (c + 1) * pixels).reduce((acc, q) => acc + q - 3, 0);
      return Math.floor(sum * (1 / pixels) + 0.5) + 3;
    });
    expect(run(mean, row)).toEqual(expected);
  });
});

import { describe, expect, it } from 'vitest';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import type { Layer, Model } from '../../src/model/model.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { modelOf, randomJoined } from '../support/models.ts';
import { random } from '../support/random.ts';

const int8 = { element: 'int8', scale: 0.1, zeroPoint: 3 } as const;
const uint8 = { element: 'uint8', scale: 1 / 256, zeroPoint: 0 } as const;

const run = (model: Model, row: readonly number[]): number[] => {
  const bytes = interpret(
    model,
    Uint8Array.from(row, (q) => q & 0xff),
  );
  return Array.from(model.layers.at(-1)!.output.element === 'int8' ? new Int8Array(bytes) : bytes);
};

const row = (seed: number, count: number): number[] => {
  const r = random(seed);
  return Array.from({ length: count }, () => r.int(-128, 127));
};

it('what JSON says of random models is the same model', () => {
  for (let seed = 0; seed < 60; seed++) {
    const model = randomJoined(seed);
    expect(verifyModel(model), `seed ${seed}`).toEqual([]);
    const again = importJson(JSON.stringify(exportJson(model)), 'm.json').model;
    expect(dumpModel(again), `seed ${seed}`).toBe(dumpModel(model));
  }
});

describe('layers that join values', () => {
  it('gather: any elements, and the value where there is none', () => {
    const sources = [5, 0, -1, 3, 3, 2];
    const x = row(1, 6);
    const gathered = modelOf({ ...int8, shape: [6] }, [
      { kind: 'gather', inputs: ['input'], shape: [2, 3], sources, value: -9 },
    ]);
    expect(run(gathered, x)).toEqual(sources.map((s) => (s < 0 ? -9 : x[s])));
  });

  it('concat: side by side along each axis', () => {
    const x = row(2, 8);
    const at = (c: number, y: number, i: number) => x[4 * c + 2 * y + i]!;
    for (const axis of [0, 1, 2]) {
      const model = modelOf({ ...int8, shape: [2, 2, 2] }, [
        { kind: 'concat', inputs: ['input', 'input'], axis },
      ]);
      const shape = [2, 2, 2].map((size, a) => (a === axis ? 2 * size : size));
      const expected = Array.from({ length: 16 }, (_, i) => {
        const place = [
          Math.floor(i / (shape[1]! * shape[2]!)),
          Math.floor(i / shape[2]!) % shape[1]!,
          i % shape[2]!,
        ];
        return at(...(place.map((p) => p % 2) as [number, number, number]));
      });
      expect(run(model, x)).toEqual(expected);
    }
  });

  it('mul: the product of reals, an operand a channel at all positions', () => {
    const x = row(3, 18);
    const model = modelOf({ ...int8, shape: [2, 3, 3] }, [
      { kind: 'maxPool', name: 'most', kernel: [3, 3] },
      { kind: 'mul', inputs: ['most', 'input'], output: { ...int8, scale: 1.7 }, rounding: 'half-even' },
    ]);
    const most = [0, 1].map((c) => Math.max(...x.slice(9 * c, 9 * c + 9)));
    for (const [i, q] of run(model, x).entries()) {
      const real = (0.1 * (x[i]! - 3) * 0.1 * (most[Math.floor(i / 9)]! - 3)) / 1.7;
      expect(Math.abs(Math.max(-128, Math.min(127, real + 3)) - q)).toBeLessThanOrEqual(0.5 + 1e-9);
    }
  });

  it('softmax: shares of each row', () => {
    const x = row(4, 12);
    const model = modelOf({ ...int8, scale: 0.03, shape: [3, 4] }, [{ kind: 'softmax', output: uint8 }]);
    const powers = x.map((q) => Math.exp(0.03 * q));
    for (const [i, q] of run(model, x).entries()) {
      const first = i - (i % 4);
      const sum = powers.slice(first, first + 4).reduce((a, b) => a + b);
      expect(Math.abs((256 * powers[i]!) / sum - q)).toBeLessThanOrEqual(0.5 + 1e-3);
    }
  });

  it('lut by channel; a convolution and pools with taps apart', () => {
    const x = row(5, 18);
    const tables = [1, 2].map((times) => Array.from({ length: 256 }, (_, i) => Math.floor(i / times)));
    const byChannel = modelOf({ ...int8, shape: [2, 3, 3] }, [
      { kind: 'lut', table: tables.flat(), output: uint8 },
    ]);
    expect(run(byChannel, x)).toEqual(x.map((q, i) => Math.floor((q + 128) / (i < 9 ? 1 : 2))));
    const corners = (c: number) => [0, 2, 6, 8].map((i) => x[9 * c + i]!);
    const pool = modelOf({ ...int8, shape: [2, 3, 3] }, [
      { kind: 'maxPool', kernel: [2, 2], strides: [1, 1], dilations: [2, 2] },
    ]);
    expect(run(pool, x)).toEqual([0, 1].map((c) => Math.max(...corners(c))));
    const conv = modelOf({ ...int8, shape: [2, 3, 3] }, [
      {
        kind: 'conv2d',
        weights: [1, 2, 3, 4, 5, 6, 7, 8],
        weightScale: 0.1,
        output: { element: 'int8', scale: 0.9 },
        rounding: 'half-up',
        kernel: [2, 2],
        dilations: [2, 2],
      },
    ]);
    const acc = [...corners(0), ...corners(1)].reduce((sum, q, i) => sum + (q - 3) * (i + 1), 0);
    expect(run(conv, x)).toEqual([Math.max(-128, Math.min(127, Math.floor((acc * 0.01) / 0.9 + 0.5)))]);
  });
});

describe('verifyModel', () => {
  const sound = modelOf({ ...int8, shape: [2, 2, 2] }, [
    { kind: 'gather', name: 'moved', inputs: ['input'], shape: [2, 2, 2], sources: [1, 0, 2, 3, 4, 5, 6, 7] },
    { kind: 'maxPool', name: 'most', kernel: [2, 2], dilations: [1, 1] },
    { kind: 'mul', name: 'product', inputs: ['moved', 'most'], output: int8 },
    { kind: 'softmax', name: 'shares', output: uint8 },
    {
      kind: 'lut',
      name: 'tables',
      table: Array.from({ length: 512 }, () => 7),
      output: uint8,
    },
  ]);
  it.each<[string, string, (layer: Layer) => object, string]>([
    ['a source beyond', 'moved', () => ({ sources: Int32Array.of(0, 1, 2, 3, 4, 5, 6, 8) }), 'source 8'],
    ['too few sources', 'moved', () => ({ sources: Int32Array.of(0) }), 'sources: 1, expected 8'],
    ['another grid', 'moved', (l) => ({ output: { ...l.output, scale: 1 } }), 'moving elements keeps'],
    ['no dilation', 'most', () => ({ dilations: [0, 1] }), 'dilation below 1'],
    ['two channels of a product', 'product', (l) => twice(l), 'multipliers: 2, expected 1'],
    ['rising powers', 'shares', () => ({ exponentials: rising }), 'larger than the one before'],
    [
      'powers of nothing',
      'shares',
      () => ({ exponentials: rising.map(() => 0) }),
      'the first exponential is 0',
    ],
    ['rows that do not end', 'shares', () => ({ size: 3 }), 'no whole number of rows of 3'],
    ['part of a table', 'tables', () => ({ table: new Int16Array(300) }), 'table: 300, expected 256'],
  ])('finds %s', (_, name, change, message) => {
    expect(verifyModel(sound)).toEqual([]);
    const layers = sound.layers.map((l) => (l.name === name ? Object.assign({}, l, change(l)) : l));
    const found = verifyModel({ ...sound, layers });
    expect(found.map((d) => d.message).join('\n')).toContain(message);
  });
});

const rising = Array.from({ length: 256 }, (_, d) => 256 + d);

const twice = (layer: Layer) =>
  'requantiser' in layer ? { requantiser: { ...layer.requantiser, multiplier: [1, 1] } } : {};

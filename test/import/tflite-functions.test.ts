import { describe, expect, it } from 'vitest';
import { logistic, tanh } from '../../src/import/tflite/fixed-point.ts';
import { importTflite } from '../../src/import/tflite/index.ts';
import { random } from '../support/random.ts';
import { activation, chain, type Grid, int8s, load, run, scaleOf } from './tflite-blocks.ts';
import { clamp, quantize, scale } from './tflite-kernels.ts';
import { writeTflite } from './tflite-writer.ts';

const all = Array.from({ length: 256 }, (_, i) => i - 128);

describe('ADD', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'seed %i: three multipliers, 20 bits to the left, at all pairs',
    (seed) => {
      const r = random(seed);
      const grid = (): Grid => ({ shape: [1, 256], scale: scaleOf(r, 0.01, 0.1), zero: r.int(-128, 127) });
      const [a, b, y] = [grid(), grid(), grid()];
      const tensors = [activation('a', a), activation('b', b), activation('y', y)];
      const operators = [
        { op: 'QUANTIZE', in: [0], out: [1] },
        { op: 'ADD', in: [0, 1], out: [2], options: [[0, 'int8', 0] as const] },
      ];
      const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [2] }));
      const twice = 2 * Math.max(a.scale, b.scale);
      const row = r.chance(0.5) ? all : int8s(r, 256);
      const expected = row.map((q) => {
        const other = clamp(scale(q - a.zero, quantize(a.scale / b.scale)) + b.zero);
        const left = scale((q - a.zero) * 2 ** 20, quantize(a.scale / twice));
        const right = scale((other - b.zero) * 2 ** 20, quantize(b.scale / twice));
        return clamp(scale(left + right, quantize(twice / (2 ** 20 * y.scale))) + y.zero);
      });
      expect(run(model, row)).toEqual(expected);
      const add = importTflite(writeTflite({ tensors, operators, inputs: [0], outputs: [2] }), 'm.tflite');
      expect(add.diagnostics).toEqual([]);
    },
  );
});

describe('functions in gemmlowp fixed point', () => {
  it('logistic and tanh are the real ones to a millionth', () => {
    for (let x = -15.9; x < 16; x += 0.013) {
      const raw = BigInt(Math.round(x * 2 ** 27));
      const real = Number(raw) / 2 ** 27;
      expect(Number(logistic(raw)) / 2 ** 31).toBeCloseTo(1 / (1 + Math.exp(-real)), 6);
      expect(Number(tanh(raw)) / 2 ** 31).toBeCloseTo(Math.tanh(real), 6);
    }
    expect([logistic(0n), tanh(0n)]).toEqual([2n ** 30n, 0n]);
  });

  // Zero is half way; the ends saturate; 1.0 and -1.0 by hand: 256 / (1 + e^-1) = 187.15, 128 tanh(1) = 97.48.
  it('LOGISTIC and TANH on their grids', () => {
    const x = { shape: [1, 5], scale: 1 / 16, zero: 0 };
    const row = [-128, -16, 0, 16, 127];
    const sigmoid = load(chain(x, [{ op: 'LOGISTIC', out: { shape: [1, 5], scale: 1 / 256, zero: -128 } }]));
    expect(run(sigmoid, row)).toEqual([0 - 128, 69 - 128, 0, 187 - 128, 127]);
    const tan = load(chain(x, [{ op: 'TANH', out: { shape: [1, 5], scale: 1 / 128, zero: 0 } }]));
    expect(run(tan, row)).toEqual([-128, -97, 0, 97, 127]);
    expect(tan.layers.map(({ kind }) => kind)).toEqual(['lut']);
  });

  it('HARD_SWISH is within a step of the real function', () => {
    const x = { shape: [1, 256], scale: 0.05, zero: 5 };
    const y = { shape: [1, 256], scale: 0.04, zero: -100 };
    const real = (v: number) => (v * Math.max(0, Math.min(6, v + 3))) / 6;
    const got = run(load(chain(x, [{ op: 'HARD_SWISH', out: y }])), all);
    const steps = got.map((q, i) =>
      Math.abs(q - clamp(Math.round(real((all[i]! - x.zero) * x.scale) / y.scale) + y.zero)),
    );
    expect(Math.max(...steps)).toBeLessThanOrEqual(1);
    expect(steps.filter((d) => d > 0).length).toBeLessThan(30);
  });

  it('LEAKY_RELU has a multiplier on each side', () => {
    const x = { shape: [1, 4], scale: 0.5, zero: 0 };
    const y = { shape: [1, 4], scale: 0.25, zero: 10 };
    const model = load(chain(x, [{ op: 'LEAKY_RELU', options: [[0, 'float32', 0.25]], out: y }]));
    // Doubled above; halved below, where -10.5 goes up: there is no bit to shift, only the product to round.
    expect(run(model, [20, 0, -20, -21])).toEqual([50, 10, 0, 0]);
  });
});

describe('SOFTMAX', () => {
  const x = { shape: [1, 4], scale: 0.1, zero: 3 };
  const y = { shape: [1, 4], scale: 1 / 256, zero: -128 };

  it('at the end is the verdict, and says so', () => {
    const { model, diagnostics } = importTflite(chain(x, [{ op: 'SOFTMAX', out: y }]), 'm.tflite');
    expect(diagnostics.map(({ code, severity }) => [code, severity])).toEqual([
      ['softmax-as-argmax', 'note'],
    ]);
    expect(run(model, [3, 90, -5, 70])).toEqual([1, 20]);
  });
});

describe('the order of bytes', () => {
  const image = { shape: [1, 2, 3, 2], scale: 1, zero: 0 };
  const options = [
    [0, 'int8', 1],
    [1, 'int32', 1],
    [2, 'int32', 1],
    [3, 'int32', 1],
    [4, 'int32', 1],
  ] as const;
  const row = Array.from({ length: 12 }, (_, i) => i);

  it('a pool of one pixel copies: turned on the way in and out', () => {
    const model = load(chain(image, [{ op: 'MAX_POOL_2D', options, out: image }]));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['transpose', 'maxPool', 'transpose']);
    expect(run(model, row)).toEqual(row);
  });

  it('an image of one channel needs no turning', () => {
    const grey = { ...image, shape: [1, 3, 4, 1] };
    const model = load(chain(grey, [{ op: 'MAX_POOL_2D', options, out: grey }]));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['maxPool']);
    expect(run(model, row)).toEqual(row);
  });

  it('a reshape that mixes channels with pixels sees them in TFLite order', () => {
    const shape = { name: 's', kind: 'int32', shape: [4], data: [1, 3, 2, 2] } as const;
    const turned = { ...image, shape: [1, 3, 2, 2] };
    const model = load(
      chain(image, [
        { op: 'MAX_POOL_2D', options, out: image },
        { op: 'RESHAPE', with: [shape], out: turned },
        { op: 'MAX_POOL_2D', options, out: turned },
      ]),
    );
    expect(run(model, row)).toEqual(row);
  });
});

it.each(['LOGISTIC', 'TANH'])('%s of int16 is refused as a function of 16 bits', (op) => {
  const grid = { scale: 2 ** -15, zero: 0, kind: 'int16', shape: [1, 4] } as const;
  expect(() => load(chain(grid, [{ op, out: grid }]))).toThrow(
    /a function of 16-bit activations is not supported/,
  );
});

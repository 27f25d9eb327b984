import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random, randomRows } from '../support/random.ts';
import { compareXdp } from '../support/xdp.ts';
import { chain, type Grid, load, type Step, scaleOf, weights } from './tflite-blocks.ts';
import { clamp, type Multiplier, quantize, scale } from './tflite-kernels.ts';
import { activation, writtenBiases } from './tflite-wide.ts';
import { writeTflite } from './tflite-writer.ts';

/** 16x8 quantisation: activations int16, symmetric, weights int8, biases int64. */

const LO = -(2 ** 15);
const HI = 2 ** 15 - 1;
const q16 = (x: number) => clamp(x, LO, HI);

/** `MultiplyByQuantizedMultiplier` of int64: the multiplier on 16 bits, one rounding. */
function wide(x: bigint, { fixed, exponent }: Multiplier): number {
  const reduced = fixed < 0x7fff0000n ? (fixed + (1n << 15n)) >> 16n : 0x7fffn;
  const shift = BigInt(15 - exponent);
  return Number((x * reduced + (1n << (shift - 1n))) >> shift);
}

const bytesOf = (row: readonly number[]) => new Uint8Array(Int16Array.from(row).buffer);
const run = (bytes: Uint8Array, row: readonly number[]): number[] => {
  const made = interpret(load(bytes), bytesOf(row)).slice();
  return Array.from(new Int16Array(made.buffer));
};
const grid = (shape: readonly number[], scale: number): Grid => ({ shape, scale, zero: 0, kind: 'int16' });

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  const r = random(seed);
  const row = (count: number) => Array.from({ length: count }, () => r.int(LO, HI));
  const [sx, sy] = [scaleOf(r, 1e-4, 1e-3), scaleOf(r, 3e-4, 3e-3)];

  it('FULLY_CONNECTED, scales a channel or one', () => {
    for (const channels of [1, 5]) {
      const w = weights(r, [5, 12], channels);
      const b = writtenBiases(r, 5);
      const x = row(12);
      const step: Step = {
        op: 'FULLY_CONNECTED',
        with: [w, b],
        options: [[0, 'int8', 0]],
        out: grid([1, 5], sy),
      };
      const expected = b.data.map((bias, o) => {
        const acc = x.reduce((sum, q, i) => sum + BigInt(q * w.data[o * 12 + i]!), BigInt(bias));
        const sw = w.scale[channels === 1 ? 0 : o]!;
        // One scale is multiplied in float32, one a channel in doubles.
        const product = channels === 1 ? Math.fround(Math.fround(sx) * sw) : Math.fround(sx) * sw;
        return q16(wide(acc, quantize(product / Math.fround(sy))));
      });
      expect(run(chain(grid([1, 12], sx), [step]), x)).toEqual(expected);
    }
  });

  it('CONV_2D of one tap, RELU', () => {
    const w = weights(r, [4, 1, 1, 3], 4);
    const b = writtenBiases(r, 4);
    const x = row(2 * 2 * 3);
    const step: Step = {
      op: 'CONV_2D',
      with: [w, b],
      options: [
        [0, 'int8', 1],
        [1, 'int32', 1],
        [2, 'int32', 1],
        [3, 'int8', 1],
      ],
      out: grid([1, 2, 2, 4], sy),
    };
    // The reference has channels outermost, the file innermost.
    const expected = Array.from({ length: 4 }, (_, p) =>
      b.data.map((bias, o) => {
        let acc = BigInt(bias);
        for (let c = 0; c < 3; c++) acc += BigInt(x[p * 3 + c]! * w.data[o * 3 + c]!);
        return Math.max(0, q16(wide(acc, quantize((Math.fround(sx) * w.scale[o]!) / Math.fround(sy)))));
      }),
    ).flat();
    expect(run(chain(grid([1, 2, 2, 3], sx), [step]), x)).toEqual(expected);
  });

  it('AVERAGE_POOL_2D, ties away from zero', () => {
    const x = row(4 * 6);
    const options = [
      [0, 'int8', 1],
      [1, 'int32', 3],
      [2, 'int32', 2],
      [3, 'int32', 3],
      [4, 'int32', 2],
    ] as const;
    const step: Step = { op: 'AVERAGE_POOL_2D', options, out: grid([1, 2, 2, 1], sx) };
    const expected = [0, 1].flatMap((oy) =>
      [0, 1].map((ox) => {
        let sum = 0;
        for (let i = 0; i < 2; i++) for (let j = 0; j < 3; j++) sum += x[(oy * 2 + i) * 6 + ox * 3 + j]!;
        return Math.sign(sum) * Math.floor((Math.abs(sum) + 3) / 6) + 0;
      }),
    );
    expect(run(chain(grid([1, 4, 6, 1], sx), [step]), x)).toEqual(expected);
  });

  it('QUANTIZE to another grid of 16 bits', () => {
    const x = row(20);
    const step: Step = { op: 'QUANTIZE', out: grid([1, 20], sy) };
    const multiplier = quantize(Math.fround(sx) / Math.fround(sy));
    const expected = x.map((q) => q16(scale(q, multiplier)));
    expect(run(chain(grid([1, 20], sx), [step]), x)).toEqual(expected);
  });

  it('MUL and ADD of two', () => {
    const [a, b] = [Math.fround(sx), Math.fround(sx * 1.7)];
    const x = row(20);
    const other = x.map((q) => q16(scale(q, quantize(a / b))));
    const two = (op: string, out: number) =>
      writeTflite({
        tensors: [activation('x', [1, 20], a), activation('z', [1, 20], b), activation('y', [1, 20], out)],
        operators: [
          { op: 'QUANTIZE', in: [0], out: [1] },
          { op, in: [0, 1], out: [2] },
        ],
        inputs: [0],
        outputs: [2],
      });
    const so = Math.fround(a * b * 2 ** 14);
    const product = quantize((a * b) / so);
    expect(run(two('MUL', so), x)).toEqual(x.map((q, i) => q16(scale(q * other[i]!, product))));
    const sum = Math.fround(sx * 3);
    const twice = 2 * Math.max(a, b);
    const part = (v: number, s: number) => scale(BigInt(v) << 15n, quantize(s / twice));
    const expected = x.map((q, i) =>
      q16(scale(part(q, a) + part(other[i]!, b), quantize(twice / (2 ** 15 * sum)))),
    );
    // Three roundings are no one line: an import says how often it is a step off.
    const off = run(two('ADD', sum), x).map((q, i) => Math.abs(q - expected[i]!));
    expect(Math.max(...off)).toBeLessThanOrEqual(1);
    expect(off.filter((d) => d > 0).length).toBeLessThanOrEqual(1);
  });
});

it.each([
  ['an output of int8', { ...grid([1, 4], 0.1), kind: 'int8' as const }, 'tflite-option'],
  ['a zero point', { ...grid([1, 4], 0.1), zero: 3 }, 'bad-quantisation'],
])('%s is refused', (_, out, code) => {
  const r = random(1);
  const step: Step = { op: 'FULLY_CONNECTED', with: [weights(r, [4, 6]), writtenBiases(r, 4)], out };
  const refused = () => load(chain(grid([1, 6], 0.01), [step]));
  expect(refused).toThrow(DiagnosticError);
  expect(refused).toThrow(expect.objectContaining({ diagnostics: [expect.objectContaining({ code })] }));
});

describeWith(loading, '16x8 networks in the kernel', () => {
  it('a convolution, a pool, a layer of all', async () => {
    const r = random(9);
    const steps: Step[] = [
      {
        op: 'CONV_2D',
        with: [weights(r, [4, 3, 3, 2], 4), writtenBiases(r, 4)],
        options: [
          [0, 'int8', 0],
          [1, 'int32', 1],
          [2, 'int32', 1],
          [3, 'int8', 1],
        ],
        out: grid([1, 6, 6, 4], 3e-3),
      },
      {
        op: 'AVERAGE_POOL_2D',
        options: [
          [0, 'int8', 1],
          [1, 'int32', 2],
          [2, 'int32', 2],
          [3, 'int32', 2],
          [4, 'int32', 2],
        ],
        out: grid([1, 3, 3, 4], 3e-3),
      },
      {
        op: 'FULLY_CONNECTED',
        with: [weights(r, [5, 36], 5), writtenBiases(r, 5)],
        options: [[0, 'int8', 0]],
        out: grid([1, 5], 6e-3),
      },
    ];
    const model = load(chain(grid([1, 6, 6, 2], 1e-3), steps));
    const { mismatches, elements } = await compareXdp(model, {}, randomRows(r, 30, tensorBytes(model.input)));
    expect(elements).toBe(300);
    expect(mismatches).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { type Random, random, randomRows } from '../support/random.ts';
import { tensor, writeOnnx } from './onnx-writer.ts';
import { QonnxNet, type Width } from './qonnx-net.ts';

/**
 * Networks of QONNX against the same in plain operators, which ONNX Runtime knows: a Quant is Div, Clip, Round and Mul, a
 * BipolarQuant the sign.
 */

const MODES = ['ROUND', 'HALF_EVEN', 'FLOOR', 'CEIL', 'UP', 'DOWN', 'ROUND_TO_ZERO', 'HALF_UP', 'HALF_DOWN'];

const OUTPUT: Width = { bits: 8, scale: 0.1137, signed: true };

type Make = (n: QonnxNet, x: string, r: Random) => string;

async function check(input: Width, make: Make) {
  const build = (plain: boolean) => {
    const n = new QonnxNet(plain);
    const y = n.quant(make(n, n.quant('x', input), random(3)), OUTPUT);
    return writeOnnx(n.graph({ type: 'float', dims: ['N', 12] }, y, 'float', 17));
  };
  const imported = await importBytes(build(false), 'qonnx.onnx');
  const rows = randomRows(random(4), 60, 12);
  return { ...(await compareWithRuntime(build(true), imported, rows)), imported };
}

const byte: Width = { bits: 8, scale: 0.03, signed: true };

describe('Quant and BipolarQuant give the numbers of their formulas', () => {
  it.each<[string, Width, Make]>([
    [
      'weights of 3 bits, activations of 2',
      byte,
      (n, x, r) => {
        const h = n.node('MatMul', [
          x,
          n.quant(n.reals(r, [12, 16]), { bits: 3, scale: 0.31, signed: true, narrow: true }),
        ]);
        const a = n.quant(n.node('Relu', [h]), { bits: 2, scale: 0.7, signed: false });
        return n.node('MatMul', [a, n.quant(n.reals(r, [16, 5]), { bits: 4, scale: 0.17, signed: true })]);
      },
    ],
    [
      'signs for weights and activations',
      byte,
      (n, x, r) => {
        const h = n.node('MatMul', [x, n.bipolar(n.reals(r, [12, 16]), 0.3)]);
        const shifted = n.node('Add', [h, n.constant('b', tensor('float', [16], new Array(16).fill(0.013)))]);
        return n.node('MatMul', [n.bipolar(shifted, 0.9), n.bipolar(n.reals(r, [16, 5]), 0.25)]);
      },
    ],
    [
      'an input of 4 bits',
      { bits: 4, scale: 0.2, signed: false },
      (n, x, r) =>
        n.node('MatMul', [x, n.quant(n.reals(r, [12, 5]), { bits: 8, scale: 0.013, signed: true })]),
    ],
    ['signs of a function', byte, (n, x) => n.bipolar(n.node('Tanh', [x]), 0.5)],
  ])('%s', async (_, input, make) => {
    const { mismatches, imported } = await check(input, make);
    expect(mismatches).toBe(0);
    expect(imported.diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
  });

  // Powers of two: every tie is one, and sums of float32 are exact.
  it.each(MODES)('%s of weights, products and levels, whatever the zero point', async (mode) => {
    const input = { bits: 8, scale: 1 / 32, signed: true, zero: 3 };
    const weights = { bits: 4, scale: 1 / 8, signed: true, zero: 1, mode };
    for (const [zero, signed] of [
      [0, true],
      [3, false],
      [-2, true],
      [-1, true],
    ] as const) {
      const levels = { bits: 5, scale: 1 / 4, signed, narrow: zero === -1, zero, mode };
      const { mismatches, imported } = await check(input, (n, x, r) => {
        const h = n.quant(n.node('MatMul', [x, n.quant(n.reals(r, [12, 8]), weights)]), levels);
        const a = n.quant(n.node('Relu', [h]), { ...levels, scale: 1 / 2, bits: 3 });
        return n.node('MatMul', [a, n.quant(n.reals(r, [8, 5]), weights)]);
      });
      expect(mismatches, `zero point ${zero}`).toBe(0);
      expect(imported.diagnostics.map(({ code }) => code)).not.toContain('rounding-differs');
    }
  });

  it('one signed bit and a zero point: signs of the sum of both', async () => {
    const signs = { bits: 1, scale: 0.75, signed: true, zero: 2 };
    const { mismatches } = await check(byte, (n, x) =>
      n.quant(n.node('Tanh', [x]), { ...signs, scale: 0.25 }),
    );
    expect(mismatches).toBe(0);
    const behind = await check(byte, (n, x, r) =>
      n.quant(n.node('MatMul', [x, n.quant(n.reals(r, [12, 5]), signs)]), signs),
    );
    expect(behind.mismatches).toBe(0);
  });

  it('an input of few bits is brought to its levels', async () => {
    const { imported } = await check({ bits: 4, scale: 0.2, signed: true, narrow: true }, (_, x) => x);
    const [first] = imported.model.layers;
    expect(first).toMatchObject({ kind: 'requantise', requantiser: { min: -7, max: 7 } });
  });

  it.each([
    ['bits', { bits: 9, scale: 0.1, signed: true }, /9 bits; up to 8/],
    ['a scale of zero', { bits: 8, scale: 0, signed: true }, /scale 0 is not above zero/],
    ['a rounding nobody knows', { bits: 8, scale: 0.1, signed: true, mode: 'DPU' }, /rounding_mode = DPU/],
  ])('%s are refused', async (_, width, message) => {
    await expect(check(byte, (n, x) => n.quant(n.node('Tanh', [x]), width))).rejects.toThrow(message);
  });
});

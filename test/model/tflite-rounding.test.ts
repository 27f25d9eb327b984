import { describe, expect, it } from 'vitest';
import { fitRequantiser, requantise, tfliteRounding } from '../../src/model/requantiser.ts';
import { tfliteAddRounding } from '../../src/model/tflite-add.ts';
import {
  multiplyByQuantized,
  quantizeMultiplier,
  roundingDivideByPot,
  roundingDoublingHighMul,
} from '../../src/model/tflite-rounding.ts';
import { random } from '../support/random.ts';

describe('the integers of gemmlowp and TFLite, by hand', () => {
  it('QuantizeMultiplier: frexp and 31 bits', () => {
    expect(quantizeMultiplier(0.5)).toEqual({ multiplier: 2 ** 30, exponent: 0 });
    expect(quantizeMultiplier(1)).toEqual({ multiplier: 2 ** 30, exponent: 1 });
    expect(quantizeMultiplier(3)).toEqual({ multiplier: 3 * 2 ** 29, exponent: 2 });
    // 0.1 = 0.8 * 2^-3, 0.8 * 2^31 = 1717986918.4
    expect(quantizeMultiplier(0.1)).toEqual({ multiplier: 1717986918, exponent: -3 });
    // Rounds up to 2^31: halved again.
    expect(quantizeMultiplier(1 - 2 ** -40)).toEqual({ multiplier: 2 ** 30, exponent: 1 });
    expect(quantizeMultiplier(2 ** -33)).toEqual({ multiplier: 0, exponent: 0 });
    expect(quantizeMultiplier(0)).toEqual({ multiplier: 0, exponent: 0 });
  });

  it('a multiplier beyond those of the kernels is a number all the same', () => {
    for (const kind of ['single', 'double'] as const)
      expect(multiplyByQuantized(-3, quantizeMultiplier(2 ** 40), kind)).toBe(-3 * 2 ** 40);
  });

  it('SaturatingRoundingDoublingHighMul: ties up', () => {
    // 3 * 2^30 / 2^31 = 1.5, and its negative.
    expect(roundingDoublingHighMul(3, 2 ** 30)).toBe(2);
    expect(roundingDoublingHighMul(-3, 2 ** 30)).toBe(-1);
    expect(roundingDoublingHighMul(-4, 2 ** 30)).toBe(-2);
    expect(roundingDoublingHighMul(2 ** 31 - 1, 2 ** 31 - 1)).toBe(2 ** 31 - 2);
    expect(roundingDoublingHighMul(-(2 ** 31), 2 ** 31 - 1)).toBe(-(2 ** 31) + 1);
  });

  it('RoundingDivideByPOT: ties away from zero', () => {
    expect([5, 6, 7].map((x) => roundingDivideByPot(x, 2))).toEqual([1, 2, 2]);
    expect([-5, -6, -7].map((x) => roundingDivideByPot(x, 2))).toEqual([-1, -2, -2]);
    expect(roundingDivideByPot(-9, 0)).toBe(-9);
  });

  it('both together are not one rounding', () => {
    // 0.375 = 0.75 * 2^-1: 1 -> 0.75 -> 1 -> 0.5 -> 1, where the exact 0.375 is nearer to 0.
    expect(multiplyByQuantized(1, quantizeMultiplier(0.375))).toBe(1);
    // 0.25 = 0.5 * 2^-1. -3: -1.5 -> -1 up, -0.5 -> -1 away. 3: 1.5 -> 2, 1.
    expect(multiplyByQuantized(-3, quantizeMultiplier(0.25))).toBe(-1);
    expect(multiplyByQuantized(3, quantizeMultiplier(0.25))).toBe(1);
    expect(multiplyByQuantized(7, quantizeMultiplier(4))).toBe(28);
  });

  it('ADD of equal scales halves and doubles again: the sum itself', () => {
    const add = tfliteAddRounding([0.5, 0.5, 0.5], 3);
    expect([add(1, 2), add(-100, 27), add(0, 0)]).toEqual([6, -70, 3]);
    // To twice the scale: ties away from zero.
    const half = tfliteAddRounding([0.5, 0.5, 1], 0);
    expect([half(1, 2), half(-1, -2), half(1, 1)]).toEqual([2, -2, 1]);
  });
});

describe('one rounding of the whole product (TFLITE_SINGLE_ROUNDING)', () => {
  it('by hand: ties up, at any size', () => {
    // 0.375: 1 -> 0 where two roundings give 1; 4 -> 1.5 -> 2; -4 -> -1.5 -> -1.
    const m = quantizeMultiplier(0.375);
    expect([1, 4, -4, -1].map((x) => multiplyByQuantized(x, m, 'single'))).toEqual([0, 2, -1, 0]);
    expect(multiplyByQuantized(7, quantizeMultiplier(4), 'single')).toBe(28);
    expect(multiplyByQuantized(-3, quantizeMultiplier(0.5), 'single')).toBe(-1);
    // So steep that the shift is short.
    expect(multiplyByQuantized(-3, quantizeMultiplier(2 ** 20), 'single')).toBe(-3 * 2 ** 20);
  });

  it('is floor((x * M + 2^(s - 1)) / 2^s) in 64 bits', () => {
    const r = random(7);
    for (let i = 0; i < 20_000; i++) {
      const m = quantizeMultiplier(2 ** (12 * r.next() - 11));
      const x = r.int(-(2 ** 31), 2 ** 31 - 1);
      const shift = BigInt(31 - m.exponent);
      const exact = (BigInt(x) * BigInt(m.multiplier) + (1n << (shift - 1n))) >> shift;
      if (multiplyByQuantized(x, m, 'single') !== Number(exact))
        expect([x, m, multiplyByQuantized(x, m, 'single')]).toEqual([x, m, Number(exact)]);
    }
  });

  it('is one line at every accumulator, on both sides of zero', () => {
    const sources = [0.0123, 0.0037, 0.25].map((scale) => tfliteRounding(scale, -3, 'single'));
    const ranges = sources.map(() => ({ lo: -30_000, hi: 30_000 }));
    const fit = fitRequantiser(sources, ranges, -128, 127);
    expect(fit.below).toBeUndefined();
    expect(fit.exactness).toMatchObject({ channels: 0, accumulators: 0 });
  });
});

describe('fitRequantiser to TFLite', () => {
  it.each(Array.from({ length: 40 }, (_, i) => i))('seed %i: exact at every accumulator', (seed) => {
    const r = random(seed);
    const zeroPoint = r.int(-128, 127);
    const channels = Array.from({ length: r.int(1, 4) }, () => {
      const range = { lo: -r.int(0, 60_000), hi: r.int(1, 60_000) };
      return { range, source: tfliteRounding(2 ** -(2 + 9 * r.next()), zeroPoint) };
    });
    const shared = r.chance(0.3);
    const sources = channels.map((c) => (shared ? channels[0]! : c).source);
    const ranges = channels.map(({ range }) => range);
    const [min, max] = r.pick([
      [-128, 127],
      [zeroPoint, 127],
      [-100, 90],
    ] as const);
    const fit = fitRequantiser(sources, ranges, min, max);
    expect(fit.exactness).toMatchObject({ channels: 0, accumulators: 0 });
    for (const [c, { lo, hi }] of ranges.entries())
      for (let acc = lo; acc <= hi; acc++) {
        const wanted = Math.max(min, Math.min(max, sources[c]!(acc)));
        if (requantise(fit, c, acc) !== wanted)
          expect([c, acc, requantise(fit, c, acc)]).toEqual([c, acc, wanted]);
      }
    if (shared) expect(new Set(fit.multiplier).size).toBe(1);
  });

  it('takes one line where the clamp hides the negative side, two where it does not', () => {
    const ranges = [{ lo: -60_000, hi: 60_000 }];
    expect(fitRequantiser([tfliteRounding(0.0021, -128)], ranges, -128, 127).below).toBeUndefined();
    const two = fitRequantiser([tfliteRounding(0.0021, 0)], ranges, -128, 127);
    expect(two.below?.pivot).toEqual([0]);
  });
});

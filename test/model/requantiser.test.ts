import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fitRequantiser,
  float32Rounding,
  halfUpRounding,
  idealRounding,
  onnxRounding,
  requantise,
  roundHalfEven,
  type SourceRounding,
  tfliteRounding,
  thresholds,
} from '../../src/model/requantiser.ts';
import type { Interval } from '../../src/model/tensor.ts';

const clamp = (q: number, min: number, max: number) => Math.max(min, Math.min(max, q));

/** Accumulators at which the fit is off, counted one by one, and the largest step. */
function bruteForce(
  sources: readonly SourceRounding[],
  ranges: readonly Interval[],
  min: number,
  max: number,
) {
  const fit = fitRequantiser(sources, ranges, min, max);
  let off = 0;
  let worst = 0;
  const channels = new Set<number>();
  for (const [c, source] of sources.entries())
    for (let acc = ranges[c]!.lo; acc <= ranges[c]!.hi; acc++) {
      const d = Math.abs(requantise(fit, c, acc) - clamp(source(acc), min, max));
      if (d === 0) continue;
      off++;
      channels.add(c);
      worst = Math.max(worst, d);
    }
  return { fit, off, worst, channels: channels.size };
}

const range = fc
  .tuple(fc.integer({ min: -30_000, max: 30_000 }), fc.integer({ min: 0, max: 40_000 }))
  .map(([lo, length]): Interval => ({ lo, hi: lo + length }));
const scale = fc.double({ min: -14, max: 3, noNaN: true }).map((log) => Math.fround(2 ** log));
const clampRange = fc.constantFrom([0, 255], [-128, 127], [0, 127], [3, 200], [-20, -20]);

const roundings = { float32Rounding, idealRounding, halfUpRounding, tfliteRounding };

describe.each(Object.entries(roundings))('fitRequantiser to %s', (_, rounding) => {
  it('is off nowhere but where it says so, and by one step', () => {
    const channel = fc.record({ range, scale });
    fc.assert(
      fc.property(
        fc.array(channel, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: -128, max: 255 }),
        clampRange,
        (channels, zeroPoint, [min, max]) => {
          const sources = channels.map((c) => rounding(c.scale, zeroPoint));
          const {
            fit,
            off,
            worst,
            channels: count,
          } = bruteForce(
            sources,
            channels.map((c) => c.range),
            min!,
            max!,
          );
          expect(fit.exactness.accumulators).toBe(off);
          expect(fit.exactness.channels).toBe(count);
          expect(worst).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('fitRequantiser', () => {
  it('is exact for every half-up source: that is a line', () => {
    fc.assert(
      fc.property(range, scale, fc.integer({ min: -128, max: 127 }), (r, s, zeroPoint) => {
        expect(bruteForce([halfUpRounding(s, zeroPoint)], [r], -128, 127).off).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('takes the smallest shift', () => {
    const range = { lo: -2000, hi: 2000 };
    const fit = fitRequantiser([halfUpRounding(0.375, 0)], [range], -128, 127);
    expect(fit).toMatchObject({ multiplier: [3], shift: 3 });
  });

  it('serves a channel of one step, or none, beside one that needs a large shift', () => {
    const sources = [float32Rounding(Math.fround(3.1e-4), 0), (acc: number) => (acc < 17 ? 0 : 1), () => 3];
    const ranges = sources.map(() => ({ lo: -300_000, hi: 300_000 }));
    const { fit, off } = bruteForce(sources, ranges, 0, 255);
    expect(fit.shift).toBeGreaterThan(20);
    expect(fit.exactness.accumulators).toBe(off);
    expect(off).toBeLessThan(3);
  });

  it('needs no multiplier for a constant', () => {
    const fit = fitRequantiser([() => 7], [{ lo: -1000, hi: 1000 }], 0, 255);
    expect(requantise(fit, 0, 12)).toBe(7);
    expect(fit.multiplier).toEqual([0]);
  });

  it('takes half of the ties of a power of two, and no more', () => {
    // acc / 4: every second tie goes up, the others down; any line is off at every second of them.
    const { fit, off } = bruteForce([idealRounding(0.25, 0)], [{ lo: -400, hi: 400 }], -128, 127);
    expect(off).toBe(fit.exactness.accumulators);
    expect(off).toBeLessThanOrEqual(101);
  });

  it('holds its bound of bits, and counts what that costs', () => {
    const sources = [onnxRounding(0.02, 0.013, 0.31, 3), onnxRounding(0.02, 0.007, 0.31, 3)];
    const ranges = [
      { lo: -60_000, hi: 60_000 },
      { lo: -60_000, hi: 60_000 },
    ];
    const fit = fitRequantiser(sources, ranges, -128, 127, 0, 10);
    expect(Math.max(...fit.multiplier)).toBeLessThan(1024);
    let off = 0;
    for (const [c, source] of sources.entries())
      for (let acc = -60_000; acc <= 60_000; acc++)
        if (requantise(fit, c, acc) !== clamp(source(acc), -128, 127)) off++;
    expect(fit.exactness.accumulators).toBe(off);
    expect(off / fit.exactness.total).toBeLessThan(0.03);
  });

  it('stays below 2^53 over 31-bit accumulators', () => {
    const range = { lo: -(2 ** 31), hi: 2 ** 31 - 1 };
    fc.assert(
      fc.property(fc.double({ min: -30, max: 2, noNaN: true }), (log) => {
        const { multiplier, offset } = fitRequantiser(
          [float32Rounding(Math.fround(2 ** log), 0)],
          [range],
          -128,
          127,
        );
        expect(Math.abs(range.lo * multiplier[0]!) + Math.abs(offset[0]!)).toBeLessThan(2 ** 53);
      }),
      { numRuns: 60 },
    );
  });
});

describe('thresholds', () => {
  it('are where the source reaches each q', () => {
    fc.assert(
      fc.property(range, scale, clampRange, (r, s, [min, max]) => {
        const source = idealRounding(s, 0);
        const { first, steps } = thresholds(source, r, min!, max!);
        const expected: number[] = [];
        for (let acc = r.lo + 1; acc <= r.hi; acc++) {
          const before = clamp(source(acc - 1), min!, max!);
          for (let q = before + 1; q <= clamp(source(acc), min!, max!); q++) expected.push(acc);
        }
        expect(steps).toEqual(expected);
        expect(first).toBe(clamp(source(r.lo), min!, max!) + 1);
      }),
      { numRuns: 60 },
    );
  });
});

describe('roundings', () => {
  it('half to even', () => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven)).toEqual([
      -2, -2, 0, 0, 2, 2, 2, 3,
    ]);
  });

  it('tflite: equal to the reference kernels in 64-bit integers', () => {
    const int64 = (acc: number, multiplier: bigint, exponent: number): number => {
      const left = BigInt(acc) << BigInt(Math.max(0, exponent));
      const product = left * multiplier;
      const nudge = product >= 0n ? 1n << 30n : 1n - (1n << 30n);
      const high = (product + nudge) / (1n << 31n);
      const right = BigInt(Math.max(0, -exponent));
      const mask = (1n << right) - 1n;
      const threshold = (mask >> 1n) + (high < 0n ? 1n : 0n);
      return Number((high >> right) + ((high & mask) > threshold ? 1n : 0n));
    };
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 24), max: 2 ** 24 }),
        fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 }),
        fc.integer({ min: -20, max: 3 }),
        (acc, multiplier, exponent) => {
          const scale = (multiplier / 2 ** 31) * 2 ** exponent;
          expect(tfliteRounding(scale, 0)(acc) + 0).toBe(int64(acc, BigInt(multiplier), exponent));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fitRequantiser,
  halfUpRounding,
  onnxRounding,
  type Requantiser,
  requantise,
  tfliteRounding,
} from '../../src/model/requantiser.ts';
import type { Interval } from '../../src/model/tensor.ts';
import { type ClampWindow, clampWindows } from '../../src/passes/windows.ts';

const clamp = (x: number, { from, to }: ClampWindow) => Math.max(from, Math.min(to, x));

/** The window form, exact; ties are taken off what is odd, where the window is more than a clamp. */
function windowed(w: ClampWindow, r: Requantiser, channel: number, acc: number): number {
  const x = clamp(acc, w) - w.from;
  const part = w.below !== undefined && x < w.below.pivot ? w.below.part : 0;
  const sum = BigInt(x) * BigInt(w.multiplier) + BigInt(w.offset + part);
  const q = r.min + Number(sum >> BigInt(r.shift));
  if (r.ties === undefined || w.multiplier === 0 || (q & 1) !== r.ties.odd) return q;
  return r.min + Number((sum - BigInt(r.ties.part[channel]!)) >> BigInt(r.shift));
}

/** Accumulators worth trying: all of a short range; ends, steps and some between of a long one. */
function accumulators({ lo, hi }: Interval, w: ClampWindow): number[] {
  if (hi - lo < 3000) return Array.from({ length: hi - lo + 1 }, (_, i) => lo + i);
  const near = [lo, hi, w.from, w.to, 0].flatMap((x) => [x - 2, x - 1, x, x + 1, x + 2]);
  const spread = Array.from({ length: 500 }, (_, i) => lo + Math.floor(((hi - lo) * i) / 499));
  const inside = Array.from({ length: 1500 }, (_, i) => w.from + Math.floor(((w.to - w.from) * i) / 1499));
  return [...near, ...spread, ...inside].filter((x) => x >= lo && x <= hi);
}

function agree(r: Requantiser, ranges: readonly Interval[]): boolean {
  const windows = clampWindows(r, ranges);
  if (windows === undefined) return false;
  for (const [c, w] of windows.entries()) {
    const part = (x: number) => (w.below !== undefined && x < w.below.pivot ? w.below.part : 0);
    const last = w.to - w.from;
    const top = BigInt(last) * BigInt(w.multiplier) + BigInt(w.offset + part(last));
    expect(w.offset + part(0)).toBeGreaterThanOrEqual(0);
    expect(top < BigInt(r.max - r.min + 1) << BigInt(r.shift)).toBe(true);
    expect(w.from >= ranges[c]!.lo && w.to <= ranges[c]!.hi && w.from <= w.to).toBe(true);
    for (const acc of accumulators(ranges[c]!, w))
      if (windowed(w, r, c, acc) !== requantise(r, c, acc)) expect.fail(`channel ${c}, accumulator ${acc}`);
  }
  return true;
}

const elements = fc.constantFrom({ lo: 0, hi: 255 }, { lo: -128, hi: 127 });
const ranges = fc
  .tuple(
    fc.integer({ min: -(2 ** 30), max: 2 ** 30 }),
    fc.oneof(fc.nat(500), fc.nat(2 ** 16), fc.nat(2 ** 30)),
  )
  .map(([lo, width]): Interval => ({ lo, hi: lo + width }));
const clamps = fc
  .tuple(elements, fc.nat(255), fc.nat(255))
  .map(([{ lo }, a, b]) => ({ min: lo + Math.min(a, b), max: lo + Math.max(a, b) }));

describe('clampWindows', () => {
  it('leaves ties to be taken off odd results', () => {
    const ranges = [{ lo: 0, hi: 1_853_800 }];
    const r = fitRequantiser([onnxRounding(10 ** -4.139340570020682, 1, 1, 0)], ranges, 55, 135);
    expect(r.ties?.odd).toBe(1);
    const [w] = clampWindows(r, ranges)!;
    const wrong = Array.from({ length: 1_853_801 }, (_, acc) => acc).filter(
      (acc) => requantise(r, 0, acc) !== windowed(w!, r, 0, acc),
    );
    expect(wrong).toEqual([]);
  });

  it('equals requantise at every accumulator, for fitted requantisers of channels of any scale', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(ranges, fc.double({ min: -6, max: 1, noNaN: true }), fc.integer({ min: -128, max: 255 })),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        clamps,
        fc.constantFrom('onnx' as const, 'half-up' as const, 'tflite' as const),
        (channels, { min, max }, rounding) => {
          const sources = channels.map(([, exponent, zero]) => {
            if (rounding === 'onnx') return onnxRounding(10 ** exponent, 1, 1, zero);
            if (rounding === 'half-up') return halfUpRounding(10 ** exponent, zero);
            return tfliteRounding(10 ** exponent, zero);
          });
          const all = channels.map(([range]) => range);
          agree(fitRequantiser(sources, all, min, max), all);
        },
      ),
      { numRuns: 400 },
    ));

  it('equals requantise where the source has a second line below a pivot', () => {
    let found = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: -3000, max: 3000 }),
        fc.nat(3000),
        fc.integer({ min: -9, max: 0 }),
        fc.integer({ min: -128, max: 127 }),
        (lo, width, exponent, zero) => {
          const range = { lo, hi: lo + width };
          const r = fitRequantiser([tfliteRounding(2 ** exponent, zero)], [range], -128, 127);
          if (agree(r, [range]) && r.below !== undefined) found++;
        },
      ),
      { numRuns: 300 },
    );
    expect(found).toBeGreaterThan(20);
  });

  it('equals requantise, or says that there is no such form, for any integers', () => {
    let found = 0;
    fc.assert(
      fc.property(
        ranges,
        fc.nat(2 ** 20),
        fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
        fc.integer({ min: 0, max: 44 }),
        clamps,
        (range, multiplier, offset, shift, { min, max }) => {
          const exactness = { channels: 0, accumulators: 0, total: 0 };
          const r = { multiplier: [multiplier], offset: [offset], shift, min, max, exactness };
          if (agree(r, [range])) found++;
        },
      ),
      { numRuns: 1000 },
    );
    expect(found).toBeGreaterThan(300);
  });

  it('gives none where the offset would be no exact number', () => {
    const exactness = { channels: 0, accumulators: 0, total: 0 };
    const r = { multiplier: [1], offset: [1], shift: 45, min: -128, max: 127, exactness };
    expect(clampWindows(r, [{ lo: -100, hi: 100 }])).toBeUndefined();
  });

  it('gives none for a channel that leaps over a clamp', () => {
    const exactness = { channels: 0, accumulators: 0, total: 0 };
    const r = { multiplier: [10], offset: [0], shift: 0, min: 0, max: 255, exactness };
    expect(clampWindows(r, [{ lo: -3, hi: 25 }])).toBeDefined();
    expect(clampWindows({ ...r, offset: [5] }, [{ lo: -3, hi: 25 }])).toBeUndefined();
    expect(clampWindows(r, [{ lo: -3, hi: 26 }])).toBeUndefined();
  });
});

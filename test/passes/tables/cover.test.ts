import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CoveredLevel,
  cover,
  mostAligned,
  type Pieces,
  pieceAt,
} from '../../../src/passes/tables/cover.ts';

/** What a table of the longest prefix answers. */
function longest(bits: number, entries: readonly CoveredLevel[], x: number): number | undefined {
  const matching = entries.filter(({ value, length }) => {
    const size = 2 ** (bits - length);
    return Math.floor(x / size) === Math.floor(value / size);
  });
  return matching.sort((a, b) => b.length - a.length)[0]?.level;
}

const piecesOf = (starts: readonly number[], levels: readonly number[]): Pieces => {
  const distinct = [...new Set([0, ...starts])].sort((a, b) => a - b);
  return { starts: distinct, levels: distinct.map((_, i) => levels[i % levels.length]!) };
};

describe('prefixes of a step function', () => {
  it('give the function at every number', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 20 }),
        (starts, levels) => {
          const pieces = piecesOf(starts, levels);
          const entries = cover(8, pieces);
          for (let x = 0; x < 256; x++)
            expect(longest(8, entries, x)).toBe(pieces.levels[pieceAt(pieces, x)]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('give it at the thresholds of numbers of 48 bits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 2 ** 48 - 1 }), { minLength: 1, maxLength: 12 }),
        (starts) => {
          const pieces = piecesOf(starts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
          const entries = cover(48, pieces);
          for (const [i, start] of pieces.starts.entries())
            for (const x of [start - 1, start].filter((n) => n >= 0))
              expect(longest(48, entries, x)).toBe(pieces.levels[x < start ? i - 1 : i]);
        },
      ),
    );
  });

  it('are no more than any set of prefixes needs: checked against all sets of a small range', () => {
    const all: CoveredLevel[] = [];
    for (let length = 1; length <= 3; length++)
      for (let i = 0; i < 2 ** length; i++)
        for (const level of [0, 1]) all.push({ value: i * 2 ** (3 - length), length, level });
    const answers = (entries: readonly CoveredLevel[]) =>
      Array.from({ length: 8 }, (_, x) => longest(3, entries, x));
    const fewest = new Map<string, number>();
    const search = (from: number, chosen: readonly CoveredLevel[]): void => {
      const key = answers(chosen).join();
      fewest.set(key, Math.min(fewest.get(key) ?? Number.POSITIVE_INFINITY, chosen.length));
      if (chosen.length === 4) return;
      for (let i = from; i < all.length; i++) {
        const twice = chosen.some((c) => c.value === all[i]!.value && c.length === all[i]!.length);
        if (!twice) search(i + 1, [...chosen, all[i]!]);
      }
    };
    search(0, []);
    for (let bits = 0; bits < 256; bits++) {
      const levels = Array.from({ length: 8 }, (_, x) => (bits >> x) & 1);
      const starts = levels.flatMap((level, x) => (x === 0 || level !== levels[x - 1] ? [x] : []));
      const entries = cover(3, { starts, levels: starts.map((x) => levels[x]!) });
      // Functions that four prefixes do not give are not searched.
      const least = fewest.get(levels.join());
      if (least === undefined) expect(entries.length, levels.join('')).toBeGreaterThan(4);
      else expect(entries.length, levels.join('')).toBe(least);
    }
  });

  it('are one a level where thresholds stand at multiples of a power of two', () => {
    const starts = Array.from({ length: 16 }, (_, i) => i * 1024);
    expect(cover(14, { starts, levels: starts.map((_, i) => i) })).toHaveLength(16);
  });
});

describe('the roundest number of an interval', () => {
  it('is in it, and no rounder one is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 1, max: 2000 }), (low, width) => {
        const high = low + width;
        const twos = (n: number) => n & -n;
        const best = Math.max(...Array.from({ length: width }, (_, i) => twos(low + 1 + i)));
        const found = mostAligned(low, high);
        expect(found).toBeGreaterThan(low);
        expect(found).toBeLessThanOrEqual(high);
        expect(twos(found)).toBe(best);
      }),
    );
  });
});

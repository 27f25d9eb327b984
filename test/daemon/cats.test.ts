/** CATS metrics: 25 bits, scores, windows, damping. Expected figures are worked out by hand from docs/registry.md. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DampedScores,
  decodeScore,
  encodeScore,
  levelZero,
  normalised,
  recommendationOf,
  SCORE_BITS,
  score,
  Window,
} from '../../src/daemon/cats/index.ts';

const measured = { source: 'directly measured', statistics: 'mean' } as const;

describe('a score on the wire', () => {
  it('has 25 bits: type 8, level 2, format 1, length 3, value 8, source 3', () => {
    expect(SCORE_BITS).toBe(25);
    const fields = (type: number, level: number, value: number, source: number) =>
      Number.parseInt(
        [
          type.toString(2).padStart(8, '0'),
          level.toString(2).padStart(2, '0'),
          '0',
          '000',
          value.toString(2).padStart(8, '0'),
          source.toString(2).padStart(3, '0'),
        ].join(''),
        2,
      );
    expect(encodeScore(score('compute', 7))).toBe(fields(1, 1, 7, 3));
    expect(encodeScore(score('composed', 0))).toBe(fields(4, 1, 0, 3));
    expect(encodeScore(score('total', 10))).toBe(fields(5, 2, 10, 4));
  });

  it('is read back, and nothing else is', () => {
    for (const type of ['compute', 'communication', 'service', 'composed', 'total'] as const)
      for (let value = 0; value <= 10; value++)
        expect(decodeScore(encodeScore(score(type, value)))).toEqual(score(type, value));
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 2 ** 26 }), (bits) => {
        const found = decodeScore(bits);
        if (found !== undefined) expect(encodeScore(found)).toBe(bits);
      }),
    );
    expect(decodeScore(2 ** 25)).toBeUndefined();
    expect(decodeScore(1.5)).toBeUndefined();
    expect(() => encodeScore(levelZero('compute_queue', 1, measured))).toThrow(/no score/);
  });
});

describe('normalisation', () => {
  it('is linear between the best and the worst, and clamped', () => {
    expect(normalised('compute_utilization', 0)).toBe(10);
    expect(normalised('compute_utilization', 50)).toBe(5);
    expect(normalised('compute_utilization', 250)).toBe(0);
    expect(normalised('communication_delay', 5000)).toBe(7.5);
    expect(normalised('compute_memory_free', 2 ** 40)).toBe(10);
    expect(normalised('compute_memory_free', 0)).toBe(0);
    expect(normalised('service_rate', 1e6)).toBeUndefined();
    expect(normalised('compute_queue', Number.NaN)).toBeUndefined();
  });

  it('recommends as the draft says', () => {
    expect([0, 3, 4, 7, 8, 10].map(recommendationOf)).toEqual([
      'not recommended',
      'not recommended',
      'optional',
      'optional',
      'priority',
      'priority',
    ]);
  });
});

describe('scores of a node', () => {
  const of = (utilisation: number, delayUs: number) => [
    levelZero('compute_utilization', utilisation, measured),
    levelZero('compute_queue', 0, measured),
    levelZero('communication_delay', delayUs, measured),
    levelZero('service_rate', 1000, measured),
  ];

  it('are the worst of a category, and of all', () => {
    const scores = new DampedScores('worst-of').update(of(40, 2000));
    expect(scores).toEqual([score('compute', 6), score('communication', 9), score('total', 6)]);
    const mean = new DampedScores('mean').update(of(40, 2000));
    expect(mean).toEqual([score('compute', 8), score('communication', 9), score('total', 9)]);
  });

  it('move halfway at a time, and are told only when they have moved by three quarters', () => {
    const scores = new DampedScores('worst-of');
    scores.update(of(0, 0));
    // 10 -> 9.5: not told; 9.5 -> 9.25: told at three quarters.
    expect(scores.update(of(10, 0))).toBeUndefined();
    expect(scores.update(of(10, 0))).toEqual([
      score('compute', 9),
      score('communication', 10),
      score('total', 9),
    ]);
    // Swinging about what was told stays untold.
    for (let i = 0; i < 20; i++) expect(scores.update(of(i % 2 === 0 ? 5 : 15, 0))).toBeUndefined();
    // A lasting overload is told within a few windows.
    const told = [1, 2, 3, 4, 5, 6].map(() => scores.update(of(100, 0))?.at(-1)?.value);
    expect(told.findLast((v) => v !== undefined)).toBeLessThanOrEqual(1);
  });
});

it('a window forgets what is older than 10 s, and tells how fast a count rose', () => {
  const window = new Window();
  expect([window.mean(), window.rate(), window.rise()]).toEqual([undefined, undefined, 0]);
  for (let s = 0; s <= 20; s++) window.add(s * 100, 1000 * s);
  expect(window.rate()).toBe(100);
  expect(window.rise()).toBe(1000);
  expect([window.mean(), window.min()]).toEqual([1500, 1000]);
  window.add(2000, 40_000);
  window.add(2000, 41_000);
  expect(window.rate()).toBeLessThan(100);
});

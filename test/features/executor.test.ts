import { describe, expect, it } from 'vitest';
import { FeatureExecutor, log8, parseFeatures } from '../../src/features/index.ts';
import { type FrameOptions, frameOf, tcp4, udp4 } from './packets.ts';

const define = (spec: string) =>
  parseFeatures(
    `apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: test }\nspec:\n${spec}`,
    'test.yaml',
  );

/** The features of each row, given frames and their times in microseconds. */
function rowsOf(spec: string, frames: readonly (readonly [Uint8Array, number])[]): number[][] {
  const executor = new FeatureExecutor(define(spec));
  const rows = frames.flatMap(([data, us]) => executor.frame(frameOf(data, us)).rows);
  return [...rows, ...executor.end()].map((row) => [...row.features]);
}

const reply: FrameOptions = {
  source: '198.51.100.2',
  destination: '192.0.2.1',
  sourcePort: 443,
  destinationPort: 40_000,
};

describe('state', () => {
  it('counts, sums, extrema and directions go by the flow', () => {
    const spec = `
  state:
    n: { count: true }
    replies: { count: direction }
    bytes: { sum: ip.length }
    least: { min: ip.length }
    most: { max: ip.length }
    flags: { or: tcp.flags }
  features: { n: n, replies: replies & 255, bytes: bytes & 255, least: least & 255, most: most & 255, flags: flags, server: port.server & 255 }`;
    expect(
      rowsOf(spec.replace('n: n,', 'n: n & 255,'), [
        [tcp4({ flags: 2 }), 0],
        [tcp4({ ...reply, flags: 18, payload: [1, 2, 3] }), 10],
        [tcp4({ flags: 16, payload: [1] }), 20],
        // Another flow.
        [tcp4({ sourcePort: 40_001, flags: 2 }), 30],
      ]),
    ).toEqual([
      [1, 0, 40, 40, 40, 2, 443 & 255],
      [2, 1, 83, 40, 43, 18, 443 & 255],
      [3, 1, 124, 40, 43, 18, 443 & 255],
      [1, 0, 40, 40, 40, 2, 443 & 255],
    ]);
  });

  it('a sum stops at the largest of its width', () => {
    const spec = `
  state: { bytes: { sum: ip.length, bits: 6 } }
  features: { bytes: bytes }`;
    expect(
      rowsOf(spec, [
        [tcp4(), 0],
        [tcp4(), 1],
        [tcp4(), 2],
      ]),
    ).toEqual([[40], [63], [63]]);
  });

  it('times are differences of arrivals that are cut to the clock first', () => {
    const spec = `
  clock: us
  state: { begun: { first: time }, seen: { last: time } }
  features:
    gap: min(us(time - old.seen), 255)
    age: min(us(time - begun), 255)
    ms: min(ms(time - begun), 255)`;
    const executor = new FeatureExecutor(define(spec));
    const at = (ns: number) =>
      executor.frame({ ...frameOf(tcp4()), timeNs: BigInt(ns) }).rows.map((r) => [...r.features])[0];
    expect(at(1_999)).toEqual([0, 0, 0]);
    // 2 ns later, but the next microsecond.
    expect(at(2_001)).toEqual([1, 1, 0]);
    expect(at(5_000_000)).toEqual([255, 255, 4]);
    // A clock that steps back gives 0.
    expect(at(4_000_000)).toEqual([0, 255, 3]);
  });

  it('sequences, payload, histograms and averages', () => {
    const spec = `
  state:
    lengths: { sequence: payload.length, length: 3, when: payload.length > 0 }
    first: { payload: 2 }
    sizes: { histogram: payload.length, thresholds: [2, 4] }
    mean: { ewma: payload.length, shift: 1 }
  features:
    a: min(lengths[0], 255)
    b: min(lengths[1], 255)
    c: min(lengths[2], 255)
    p: first[0]
    q: first[1]
    small: sizes[0] & 255
    middle: sizes[1] & 255
    large: sizes[2] & 255
    mean: min(mean, 255)`;
    expect(
      rowsOf(spec, [
        [udp4(), 0],
        [udp4({ payload: [7, 8, 9] }), 1],
        [udp4({ payload: [4] }), 2],
        [udp4({ payload: [1, 2, 3, 4] }), 3],
        [udp4({ payload: [5, 6] }), 4],
      ]),
    ).toEqual([
      [0, 0, 0, 0, 0, 1, 0, 0, 0],
      [3, 0, 0, 7, 8, 1, 1, 0, 1],
      [3, 1, 0, 7, 8, 2, 1, 0, 1],
      [3, 1, 4, 7, 8, 2, 1, 1, 3],
      [3, 1, 4, 7, 8, 2, 2, 1, 3],
    ]);
  });

  it('tables and bins are functions', () => {
    const spec = `
  tables: { square: [0, 1, 4, 9] }
  bins: { size: [41, 43] }
  features: { a: 'square(min(payload.length, 3))', b: size(ip.length) }`;
    expect(
      rowsOf(spec, [
        [tcp4(), 0],
        [tcp4({ payload: [1, 2] }), 1],
        [tcp4({ payload: [1, 2, 3, 4] }), 2],
      ]),
    ).toEqual([
      [0, 0],
      [4, 1],
      [9, 2],
    ]);
  });
});

describe('when to classify', () => {
  const spec = (classify: string) => `
  state: { n: { count: true } }
  classify: ${classify}
  features: { n: n & 255 }`;
  const frames = (count: number, gap = 1) =>
    Array.from({ length: count }, (_, i) => [tcp4(), i * gap] as const);

  it('at powers of two, or at packets of given numbers', () => {
    expect(rowsOf(spec('powers-of-two'), frames(9))).toEqual([[1], [2], [4], [8]]);
    expect(rowsOf(spec('{ packets: [7, 3] }'), frames(9))).toEqual([[3], [7]]);
  });

  it('at the end: RST, FIN from both, a time-out, the end of the capture', () => {
    const fin = (back: boolean) => tcp4({ ...(back ? reply : {}), flags: 17 });
    expect(
      rowsOf(spec('end'), [
        [tcp4(), 0],
        [tcp4({ flags: 4 }), 1],
        [tcp4(), 2],
      ]),
    ).toEqual([[2]]);
    expect(
      rowsOf(spec('end'), [
        [tcp4(), 0],
        [fin(false), 1],
        [fin(true), 2],
        [tcp4(), 3],
        [tcp4({ flags: 2 }), 4],
      ]),
    ).toEqual([[3], [1]]);
    expect(rowsOf(spec('end'), frames(3))).toEqual([[3]]);
    expect(
      rowsOf(`${spec('end')}\n  timeouts: { idle: 1s }`, [
        [udp4(), 0],
        [udp4(), 1e6],
        [udp4(), 2_000_001],
      ]),
    ).toEqual([[2], [1]]);
    expect(rowsOf(`${spec('end')}\n  timeouts: { active: 5us }`, frames(7, 2))).toEqual([[3], [3], [1]]);
  });
});

describe('keys', () => {
  const spec = (key: string) => `
  key: ${key}
  state: { n: { count: true } }
  features: { n: n & 255, d: direction }`;
  const both = [
    [tcp4(), 0],
    [tcp4(reply), 1],
    [tcp4({ sourcePort: 9 }), 2],
  ] as const;

  it.each([
    [
      'five-tuple',
      [
        [1, 0],
        [2, 1],
        [1, 0],
      ],
    ],
    [
      'five-tuple-one-way',
      [
        [1, 0],
        [1, 0],
        [1, 0],
      ],
    ],
    [
      'host',
      [
        [1, 0],
        [1, 0],
        [2, 0],
      ],
    ],
    [
      'host-pair',
      [
        [1, 0],
        [2, 1],
        [3, 0],
      ],
    ],
    [
      '{ fields: [port.destination] }',
      [
        [1, 0],
        [1, 0],
        [2, 0],
      ],
    ],
  ])('%s', (key, rows) => {
    expect(rowsOf(spec(key), both)).toEqual(rows);
  });
});

describe('log8', () => {
  it('has eight steps an octave, is monotone, and exact below 16', () => {
    for (let v = 0; v < 16; v++) expect(log8(v)).toBe(v);
    const values = Array.from({ length: 70_000 }, (_, v) => log8(v));
    expect(values.every((value, v) => v === 0 || value >= values[v - 1]!)).toBe(true);
    for (let n = 3; n < 33; n++) expect(log8(2 ** n)).toBe((n - 2) * 8);
    expect(log8(2 ** 34)).toBe(255);
    expect(log8(Number.MAX_SAFE_INTEGER)).toBe(255);
  });
});

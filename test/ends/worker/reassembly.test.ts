import { describe, expect, it } from 'vitest';
import { Reassembly } from '../../../src/ends/worker/reassembly.ts';
import { encodeTensor } from '../../../src/wire/fragments.ts';
import { decodePacket, type InferencePacket, requestPacket } from '../../../src/wire/index.ts';
import { random } from '../../support/random.ts';

const limits = { tensors: 4, bytes: 1000, timeoutMs: 100 };
const tensor = (seed: number, length = 100) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed * 31) & 0xff);

function pieces(of: Uint8Array, count: number, change: { sequence?: number; modelVersion?: number } = {}) {
  const o = { modelId: 1, modelVersion: 1, layerCount: 3, element: 'uint8', jobId: 9n, ...change } as const;
  const { header } = requestPacket(of, o);
  return encodeTensor(header, of, count).map((bytes) => decodePacket(bytes)!);
}

const feed = (r: Reassembly, packets: readonly InferencePacket[], now = 0, from = '10.0.0.1:40000') =>
  packets
    .map((p) => r.add({ name: from, host: from.split(':')[0]!, proven: true }, p, 100, now))
    .filter((whole) => whole !== undefined);

describe('reassembly', () => {
  it('in any order, with duplicates', () => {
    const rng = random(3);
    for (const count of [2, 3, 7, 99, 100]) {
      const r = new Reassembly(limits);
      const order = pieces(tensor(count), count)
        .map((p) => ({ p, at: rng.next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ p }) => p);
      const [whole, ...more] = feed(r, [order[0]!, order[0]!, ...order]);
      expect(whole).toEqual(tensor(count));
      expect([more, r.pending, r.counts.duplicates, r.counts.completed]).toEqual([[], 0, 2, 1]);
    }
  });

  it('keeps senders, jobs and sequence numbers apart', () => {
    const r = new Reassembly(limits);
    const [a, b, c] = [pieces(tensor(1), 2), pieces(tensor(2), 2, { sequence: 1 }), pieces(tensor(3), 2)];
    feed(r, [a[0]!, b[1]!]);
    feed(r, [c[0]!], 0, '10.0.0.1:40001');
    expect(r.pending).toBe(3);
    expect(feed(r, [b[0]!])).toEqual([tensor(2)]);
    expect(feed(r, [c[1]!], 0, '10.0.0.1:40001')).toEqual([tensor(3)]);
    expect(feed(r, [a[1]!])).toEqual([tensor(1)]);
  });

  it('takes the newer of two tensors under one name, and never mixes them', () => {
    const r = new Reassembly(limits);
    feed(r, [pieces(tensor(1), 4)[2]!]);
    expect(feed(r, pieces(tensor(2), 5))).toEqual([tensor(2)]);
    feed(r, [pieces(tensor(1), 4)[2]!]);
    expect(feed(r, pieces(tensor(2), 4, { modelVersion: 2 }))).toEqual([tensor(2)]);
    // Nothing but the bytes of one piece tells these apart.
    feed(r, [pieces(tensor(1), 4)[0]!]);
    expect(feed(r, pieces(tensor(2), 4))).toEqual([tensor(2)]);
    expect(r.counts.replaced).toBe(3);
  });

  it('gives up what no fragment comes for, counted from the last one', () => {
    const r = new Reassembly(limits);
    const [a, b, c] = pieces(tensor(1), 3) as [InferencePacket, InferencePacket, InferencePacket];
    feed(r, [a], 0);
    feed(r, [b], 90);
    r.expire(189);
    expect(r.pending).toBe(1);
    r.expire(190);
    expect([r.pending, r.counts.expired]).toEqual([0, 1]);
    expect(feed(r, [c], 200)).toEqual([]);
    expect(feed(r, [a, b], 201)).toEqual([tensor(1)]);
  });

  it('drops the oldest where there are too many, or too large', () => {
    const r = new Reassembly(limits);
    for (let sequence = 0; sequence < 50; sequence++) feed(r, [pieces(tensor(1), 2, { sequence })[0]!]);
    expect([r.pending, r.counts.dropped]).toEqual([4, 46]);
    expect(feed(r, [pieces(tensor(1), 2, { sequence: 49 })[1]!])).toEqual([tensor(1)]);

    const narrow = new Reassembly({ ...limits, bytes: 250 });
    for (let sequence = 0; sequence < 3; sequence++) feed(narrow, [pieces(tensor(1), 2, { sequence })[0]!]);
    expect([narrow.pending, narrow.counts.dropped]).toEqual([2, 1]);
  });

  it('takes the room that one host wants from that host, not from others', () => {
    const r = new Reassembly({ ...limits, tensors: 8 });
    const [first, second] = [pieces(tensor(1), 2), pieces(tensor(2), 2)];
    expect(feed(r, [first[0]!, { ...second[0]!, header: { ...second[0]!.header, sequence: 7 } }])).toEqual(
      [],
    );
    for (let i = 0; i < 100; i++)
      feed(r, [pieces(tensor(i), 2, { sequence: i })[0]!], 1, `10.0.0.2:${1000 + i}`);
    expect(r.pending).toBe(8);
    expect(r.counts.dropped).toBe(94);
    expect(feed(r, [first[1]!], 2)).toEqual([tensor(1)]);
  });

  it('says when those that have not shown that they listen have their quarter', () => {
    const r = new Reassembly({ ...limits, tensors: 8 });
    const add = (proven: boolean, sequence: number) =>
      r.add({ name: 'a:1', host: 'a', proven }, pieces(tensor(1), 2, { sequence })[0]!, 100, 0);
    for (let i = 0; i < 5; i++) add(true, i);
    expect(r.isPressed).toBe(false);
    add(false, 10);
    expect(r.isPressed).toBe(false);
    add(false, 11);
    expect(r.isPressed).toBe(true);
    r.expire(1000);
    expect([r.isPressed, r.pending]).toEqual([false, 0]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../src/ends/edge/pacer.ts';
import { RequestEncoder } from '../../../src/ends/edge/requests.ts';
import { fragmentSpan, fragmentsFor, isPieceOf, MAX_FRAGMENTS } from '../../../src/wire/fragments.ts';
import { decodePacket, encodePacket, ipv4Bytes, requestPacket } from '../../../src/wire/index.ts';

const options = { modelId: 3, modelVersion: 2, layerCount: 5, nextLayer: 1, element: 'int8' } as const;

describe('fragments', () => {
  it('cover the tensor once, evenly, and fit the MTU', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 61, max: 9000 }),
        (elements, mtu) => {
          const count = fragmentsFor(elements, mtu);
          fc.pre(count <= MAX_FRAGMENTS);
          let at = 0;
          const sizes = Array.from({ length: count }, (_, i) => {
            const [start, end] = fragmentSpan(elements, i, count);
            expect(start).toBe(at);
            at = end;
            return end - start;
          });
          expect(at).toBe(elements);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          expect(ipv4Bytes(Math.max(...sizes))).toBeLessThanOrEqual(mtu);
          expect(count === 1 || ipv4Bytes(Math.ceil(elements / (count - 1))) > mtu).toBe(true);
        },
      ),
    );
  });

  it('are whole packets, the same as the codec makes', () => {
    const row = Uint8Array.from({ length: 10 }, (_, i) => 200 + i);
    const whole = new RequestEncoder(10, 1, { ...options, jobId: 77n, turnRound: true });
    const packet = requestPacket(row, { ...options, jobId: 77n, turnRound: true, sequence: 0xfffffffe });
    expect(Uint8Array.from(whole.encode(row, 0xfffffffe, 0))).toEqual(encodePacket(packet));

    const three = new RequestEncoder(10, 3, options);
    const parts = [0, 1, 2].map((i) => decodePacket(three.encode(row, 4, i))!);
    expect(
      parts.map(({ header }) => [header.fragmentIndex, header.fragmentCount, header.elementCount]),
    ).toEqual([
      [0, 3, 3],
      [1, 3, 3],
      [2, 3, 4],
    ]);
    expect(Buffer.concat(parts.map((p) => p.activations))).toEqual(Buffer.from(row));
    expect(parts.map(({ header }) => isPieceOf(10, header))).toEqual([true, true, true]);
    expect(parts.map(({ header }) => isPieceOf(11, header))).toEqual([true, false, true]);
  });
});

describe('the pacer', () => {
  /** Packets let go in a second of looks every so many ms. */
  const inOneSecond = (rate: number, everyMs: number, atOnce = 1) => {
    const pacer = new Pacer(rate, atOnce, 0);
    let sent = 0;
    for (let now = 0; now < 1000; now += everyMs) while (pacer.take(atOnce, now)) sent += atOnce;
    return sent;
  };

  it.each([
    [20_000, 1, 1],
    [20_000, 1.3, 1],
    [20_000, 5, 1],
    [300, 1, 1],
    [1, 1, 1],
    [5000, 1, 7],
  ])('keeps %i a second when asked every %f ms, %i at once', (rate, everyMs, atOnce) => {
    const sent = inOneSecond(rate, everyMs, atOnce);
    expect(Math.abs(sent - rate)).toBeLessThanOrEqual(atOnce + (rate * everyMs) / 1000);
  });

  it('makes up for no more than a short pause', () => {
    const pacer = new Pacer(10_000, 1, 0);
    let sent = 0;
    while (pacer.take(1, 5000)) sent++;
    expect(sent).toBe(200);
    expect(pacer.wait(1)).toBeCloseTo(0.1, 6);
  });
});

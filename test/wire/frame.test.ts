import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, framePayload, OUTER_BYTES } from '../../src/wire/index.ts';
import { addresses, checksums, padded } from '../support/frames.ts';

const payloads = fc.uint8Array({ maxLength: 200 });

describe('frames', () => {
  it('carry right checksums, for even and odd payloads', () =>
    fc.assert(
      fc.property(payloads, fc.nat(0xffff), (payload, sourcePort) => {
        const frame = encodeFrame({ ...addresses, sourcePort }, payload);
        expect(checksums(frame)).toEqual({ ip: 0, udp: 0 });
        expect(framePayload(frame)).toEqual(payload);
      }),
    ));

  it('send a UDP checksum of 0 as 0xffff', () => {
    // Two bytes that bring the sum to 0xffff, found by the checksum without them.
    const zero = encodeFrame(addresses, new Uint8Array(2));
    const payload = zero.subarray(40, 42);
    const frame = encodeFrame(addresses, payload);
    expect([...frame.subarray(40, 42)]).toEqual([0xff, 0xff]);
    expect(checksums(frame).udp).toBe(0);
  });

  it('give the payload without the padding of Ethernet', () => {
    const frame = padded(encodeFrame(addresses, Uint8Array.of(1, 2, 3)), 20, 0xee);
    expect(framePayload(frame)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('that are none have no payload', () => {
    const frame = encodeFrame(addresses, Uint8Array.of(1, 2, 3));
    for (let length = 0; length < frame.length; length++)
      expect(framePayload(frame.subarray(0, length))).toBeUndefined();
    for (const [at, byte] of [
      [12, 0x86], // no IPv4
      [14, 0x46], // options
      [23, 6], // TCP
      [39, 7], // UDP shorter than its own header
    ] as const) {
      const other = Uint8Array.from(frame);
      other[at] = byte;
      expect(framePayload(other)).toBeUndefined();
    }
    expect(OUTER_BYTES).toBe(42);
  });
});

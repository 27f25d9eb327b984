import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodePacket,
  encodePacket,
  fieldOffset,
  HEADER_BYTES,
  type Header,
  headerFields,
  type InferencePacket,
  outcomeIndex,
  packetOutcomes,
  requestPacket,
} from '../../src/wire/index.ts';

const request = requestPacket(Uint8Array.of(1, 2, 3), {
  modelId: 7,
  modelVersion: 9,
  layerCount: 4,
  element: 'int8',
});

/** A header of any numbers that fit, around as many activations as it says. */
const packets: fc.Arbitrary<InferencePacket> = fc
  .record({
    numbers: fc.record(
      Object.fromEntries(
        headerFields.map(({ name, bits }) => [
          name,
          bits === 64 ? fc.bigInt(0n, 2n ** 64n - 1n) : fc.nat(2 ** bits - 1),
        ]),
      ),
    ),
    activations: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ numbers, activations }) => {
    const { magic, headerVersion } = request.header;
    const header = { ...numbers, magic, headerVersion, elementCount: activations.length } as Header;
    return { header, activations };
  });

describe('codec', () => {
  it('gives back every field of every packet', () =>
    fc.assert(
      fc.property(packets, (packet) => {
        expect(decodePacket(encodePacket(packet))).toEqual(packet);
      }),
    ));

  it('writes big-endian, each field at its offset', () =>
    fc.assert(
      fc.property(packets, (packet) => {
        const bytes = Buffer.from(encodePacket(packet));
        for (const { name, bits } of headerFields) {
          const hex = bytes.toString('hex', fieldOffset(name), fieldOffset(name) + bits / 8);
          expect(BigInt(`0x${hex}`)).toBe(BigInt(packet.header[name]));
        }
      }),
    ));

  it('reads from the middle of a buffer', () => {
    const bytes = encodePacket(request);
    const larger = new Uint8Array(bytes.length + 9);
    larger.set(bytes, 5);
    expect(decodePacket(larger.subarray(5, 5 + bytes.length))).toEqual(request);
  });

  it('refuses a packet cut at any place', () => {
    const bytes = encodePacket(request);
    for (let length = 0; length < bytes.length; length++)
      expect(decodePacket(bytes.subarray(0, length))).toBeUndefined();
  });

  it('refuses bytes behind the activations', () => {
    expect(decodePacket(Uint8Array.from([...encodePacket(request), 0]))).toBeUndefined();
  });

  it.each(['magic', 'headerVersion'] as const)('refuses another %s', (name) => {
    const bytes = encodePacket(request);
    bytes[fieldOffset(name)]! ^= 1;
    expect(decodePacket(bytes)).toBeUndefined();
  });

  it('throws for numbers that do not fit', () => {
    for (const { name, bits } of headerFields) {
      const tooMuch = name === 'jobId' ? 2n ** 64n : 2 ** bits;
      for (const value of [tooMuch, name === 'jobId' ? -1n : -1])
        expect(() => encodePacket({ ...request, header: { ...request.header, [name]: value } })).toThrow(
          name,
        );
    }
  });
});

describe('definition', () => {
  it('has unique field names, aligned fields and verdicts', () => {
    const names = headerFields.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, bits } of headerFields) expect(fieldOffset(name) % Math.min(2, bits / 8)).toBe(0);
    expect(new Set(packetOutcomes.map(({ name }) => name)).size).toBe(packetOutcomes.length);
    for (const [i, { name }] of packetOutcomes.entries()) expect(outcomeIndex(name)).toBe(i);
    expect(HEADER_BYTES).toBe(32);
  });
});

import { expect, it } from 'vitest';
import { deviceMaps, mapSizes, nextHop, refusal, steerKey, wordFields } from '../../src/dataplane/abi.ts';
import { defineStruct } from '../../src/dataplane/struct.ts';
import { askedFor, decodeWord, encodeWord, NO_WORD, placesOf, WORDS } from '../../src/dataplane/words.ts';

it('a word has all of a version in it', () => {
  const word = {
    modelId: 0xfedc,
    modelVersion: 0xba98,
    slot: 1,
    threshold: 255,
    state: 'noWeights',
    current: false,
    limited: false,
  } as const;
  expect(encodeWord(word)).toBe(0x0003_ff01_ba98_fedcn);
  expect(decodeWord(encodeWord(word))).toEqual(word);
  const all = { ...word, slot: 255, current: true, limited: true } as const;
  expect(encodeWord(all)).toBe(0x0033_ffff_ba98_fedcn);
  expect(decodeWord(encodeWord(all))).toEqual(all);
  expect([askedFor(word), askedFor(all)]).toEqual([0xba98, 0]);
  expect(decodeWord(NO_WORD)).toBeUndefined();
});

it('fields of a word do not overlap', () => {
  const bits = wordFields.flatMap(({ at, bits }) => Array.from({ length: bits }, (_, i) => at + i));
  expect(new Set(bits).size).toBe(bits.length);
  expect(Math.max(...bits)).toBeLessThan(64);
});

it('a version has eight places, in two buckets; many versions find room', () => {
  const taken = new Set<number>();
  for (let id = 1; id <= 128; id++)
    for (const version of [0, 1]) {
      const places = placesOf(id * 501, version);
      expect(places).toHaveLength(8);
      expect(places.every((at) => at >= 0 && at < WORDS)).toBe(true);
      taken.add(places.find((at) => !taken.has(at))!);
    }
  expect(taken.size).toBe(256);
  expect(taken.has(undefined as never)).toBe(false);
});

it('structs lie as C lays them', () => {
  const hop = nextHop.encode({ kind: 2, port: 0x0102, source_mac: 0x02_00_00_00_00_0an, destination_mac: 1 });
  expect(hop.toString('hex')).toBe('0200020102000000000a000000000001'.slice(0, 32));
  expect(nextHop.decode(hop)).toMatchObject({ kind: 2n, port: 0x0102n, source_mac: 0x02000000000an });
  expect(steerKey.encode({ model_id: 0x1234, next_layer: 5 }).toString('hex')).toBe('34120500');
  expect(refusal.bytes).toBe(12);
  const laid = (a: 'u8' | 'u32', b: 'u8' | 'u32') => () =>
    defineStruct({
      name: 'x',
      description: '',
      fields: [
        { name: 'a', type: a },
        { name: 'b', type: b },
      ],
    });
  expect(laid('u8', 'u32')).toThrow('x.b stands behind a gap');
  expect(laid('u32', 'u8')).toThrow('x ends in a gap');
});

it('maps have the sizes that the kernel is asked for', () => {
  const sizes = Object.fromEntries(deviceMaps.map((m) => [m.name, mapSizes(m)]));
  expect(sizes.models).toEqual({ key: 4, value: 32 });
  expect(sizes.ipv4_lpm).toEqual({ key: 8, value: 16 });
  expect(sizes.refused).toEqual({ key: 0, value: 0 });
  expect(sizes.inferences).toEqual({ key: 4, value: 32 });
});

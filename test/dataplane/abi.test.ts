import { expect, it } from 'vitest';
import {
  deviceMaps,
  mapSizes,
  nextHop,
  refusal,
  SHARDS,
  shardOf,
  steerKey,
  wordFields,
} from '../../src/dataplane/abi.ts';
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

it('jobs are spread evenly over shards, however their numbers follow each other', () => {
  const numbers: Readonly<Record<string, (i: bigint) => bigint>> = {
    'one after the other': (i) => i,
    'of a process': (i) => (4711n << 40n) | i,
    'in the high half': (i) => i << 32n,
    'in the highest bits': (i) => i << 48n,
    'by thousands': (i) => 1000n * i,
    'from hashes': (i) => BigInt.asUintN(64, (i + 1n) ** 7n * 0xd6e8feb86659fd93n),
  };
  const each = 64;
  for (const [name, of] of Object.entries(numbers)) {
    const counts = new Array<number>(SHARDS).fill(0);
    for (let i = 0; i < each * SHARDS; i++) counts[shardOf(of(BigInt(i)))]!++;
    // Of chance alone it would be 511 with a deviation of 32.
    const chiSquare = counts.reduce((sum, n) => sum + (n - each) ** 2 / each, 0);
    expect(chiSquare, name).toBeLessThan(SHARDS + 130);
  }
  // By hand: 1 times the factor, its ten highest bits; all ones, folded: the upper half stays, the lower is 0.
  expect([shardOf(0n), shardOf(1n)]).toEqual([0, 0x9e37 >> 7]);
  expect(shardOf(2n ** 64n - 1n)).toBe(
    Number(BigInt.asUintN(64, 0xffffffff00000000n * 0x9e3779b97f4a7c15n) >> 55n),
  );
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

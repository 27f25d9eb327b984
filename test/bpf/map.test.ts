import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { BpfMap } from '../../src/bpf/index.ts';
import { describeWith, failure, fixtureObject, loading } from './support.ts';

const keyOf = (n: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(n);
  return bytes;
};

describeWith(loading, 'maps', () => {
  const object = fixtureObject('rewrite');

  it('tell their type and sizes', () => {
    expect(object().map('blocks').info).toEqual({
      name: 'blocks',
      type: 2,
      keySize: 4,
      valueSize: 3000,
      maxEntries: 2,
      perCpu: false,
    });
    expect(object().map('totals').info).toMatchObject({ type: 6, valueSize: 16, perCpu: true });
  });

  it('hold values of any size, which programs read', () => {
    const blocks = object().map('blocks');
    const block = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7 + 3) & 0xff));
    blocks.update(0, block);
    expect(blocks.lookup(0)).toEqual(block);
    const { packet } = object()
      .program('rewrite')
      .testRun({ packet: Buffer.alloc(60) });
    expect(packet[14]).toBe(1 + 3);
  });

  it('give all their elements, whatever their type', () => {
    const many = object().map('many');
    for (let n = 0; n < 12_000; n++) many.update(keyOf(n), n + 1);
    object()
      .map('prefixes')
      .update(Buffer.from([8, 0, 0, 0, 10, 0, 0, 0]), 7);
    object()
      .map('prefixes')
      .update(Buffer.from([16, 0, 0, 0, 10, 1, 0, 0]), 8);
    object().map('devices').update(1, 1);
    for (const [name, count] of [
      ...[['many', 12_000] as const, ['blocks', 2] as const, ['totals', 1] as const],
      ...[['prefixes', 2] as const, ['devices', 1] as const, ['seen', 0] as const],
    ]) {
      const map = object().map(name);
      const text = (key: Buffer, value: Buffer) => `${key.toString('hex')} ${value.toString('hex')}`;
      const oneByOne = [...map.keys()].flatMap((key) => {
        const value = map.lookup(key);
        return value === undefined ? [] : [text(key, value)];
      });
      const all = map.elements().map(({ key, value }) => text(key, value));
      expect(all).toHaveLength(count);
      expect(all.sort()).toEqual(oneByOne.sort());
    }
  });

  it('sum counters over the CPUs', () => {
    const totals = object().map('totals');
    totals.update(0, Buffer.alloc(16));
    for (let i = 0; i < 3; i++)
      object()
        .program('rewrite')
        .testRun({ packet: Buffer.alloc(100), repeat: 5 });
    expect(totals.sumPerCpu(0)).toEqual([15n, 1500n]);
    const each = totals.lookupPerCpu(0);
    expect(each?.every((value) => value.length === 16)).toBe(true);
    expect(totals.lookup(0)?.length).toBe(16 * each!.length);
  });

  it('give one value to all CPUs, and pad it to 8 bytes', () => {
    const odd = object().map('odd_sized');
    const row = Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    odd.update(0, row);
    const each = odd.lookupPerCpu(0)!;
    for (const value of each) expect(value).toEqual(row);
    const cpus = BigInt(each.length);
    expect(odd.sumPerCpu(0, 4)).toEqual([cpus, 2n * cpus, 3n * cpus]);
    expect(odd.lookup(0)?.length).toBe(16 * each.length);
    odd.update(0, odd.lookup(0)!);
    expect(odd.sumPerCpu(0, 4)).toEqual([cpus, 2n * cpus, 3n * cpus]);
  });

  it('refuse to sum what is no row of counters', async () => {
    expect(await failure(() => object().map('odd_sized').sumPerCpu(0))).toMatchObject({
      code: 'bpf-bad-argument',
      message: 'a value of map "odd_sized" (12 B) is no row of 8-byte counters',
    });
    expect((await failure(() => object().map('blocks').lookupPerCpu(0))).message).toBe(
      'map "blocks" is not per-CPU',
    );
  });

  it('report operations that the kernel refuses', async () => {
    const error = await failure(() => object().map('blocks').update(2, Buffer.alloc(3000)));
    expect(error).toMatchObject({ code: 'bpf-kernel-call', errnoName: 'E2BIG' });
    expect(error.message).toContain('update in map "blocks"');
    expect(await failure(() => object().map('blocks').delete(0))).toMatchObject({ errnoName: 'EINVAL' });
    expect(object().map('blocks').lookup(2)).toBeUndefined();
  });

  it.each([
    [
      'a short key',
      (map: BpfMap) => map.lookup(new Uint8Array(3)),
      'a key of map "blocks" has 4 bytes, not 3',
    ],
    [
      'a long key',
      (map: BpfMap) => map.delete(new Uint8Array(8)),
      'a key of map "blocks" has 4 bytes, not 8',
    ],
    ['a short value', (map: BpfMap) => map.update(0, Buffer.alloc(2999)), 'has 3000 bytes, not 2999'],
    ['a number for a long value', (map: BpfMap) => map.update(0, 5), 'has 3000 bytes, not 4'],
    ['a number of more than 32 bits', (map: BpfMap) => map.lookup(2 ** 32), 'no 32-bit integer'],
  ])('refuse %s', async (_, use, message) => {
    const error = await failure(() => use(object().map('blocks')));
    expect(error.code).toBe('bpf-bad-argument');
    expect(error.message).toContain(message);
  });
});

describeWith(loading, 'a hash map', () => {
  const object = fixtureObject('rewrite');
  let seen: BpfMap;
  beforeAll(() => {
    seen = object().map('seen');
  });
  beforeEach(() => {
    for (const k of seen.keys()) seen.delete(k);
  });

  it('finds, replaces and deletes', () => {
    expect(seen.lookup(keyOf(1))).toBeUndefined();
    seen.update(keyOf(1), 0xfffffffe);
    expect(seen.lookup(keyOf(1))?.readUInt32LE()).toBe(0xfffffffe);
    seen.update(keyOf(1), -1, 'replace');
    expect(seen.lookup(keyOf(1))?.readInt32LE()).toBe(-1);
    expect(seen.delete(keyOf(1))).toBe(true);
    expect(seen.delete(keyOf(1))).toBe(false);
  });

  it('tells creating from replacing, and when it is full', async () => {
    expect(await failure(() => seen.update(keyOf(1), 1, 'replace'))).toMatchObject({ errnoName: 'ENOENT' });
    seen.update(keyOf(1), 1, 'create');
    expect(await failure(() => seen.update(keyOf(1), 1, 'create'))).toMatchObject({ errnoName: 'EEXIST' });
    for (const n of [2, 3, 4]) seen.update(keyOf(n), n);
    expect(await failure(() => seen.update(keyOf(5), 5))).toMatchObject({ errnoName: 'E2BIG' });
  });

  it('lists its keys, also while they are deleted or their copies changed', () => {
    for (const n of [1, 2, 3, 4]) seen.update(keyOf(n), n);
    const found: number[] = [];
    for (const k of seen.keys()) {
      found.push(k.readUInt32LE());
      k.fill(0xff);
    }
    expect(found.sort()).toEqual([1, 2, 3, 4]);
    for (const k of seen.keys()) seen.delete(k);
    expect([...seen.keys()]).toEqual([]);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Frame, newNotes, readCapture } from '../../src/capture/index.ts';
import { asEthernet } from '../../src/features/as-ethernet.ts';
import type { Random } from '../support/random.ts';

const CAPTURES = join(import.meta.dirname, '../../examples/captures');

export const exampleCaptures = (): string[] =>
  readdirSync(CAPTURES)
    .filter((name) => name.endsWith('.pcap'))
    .sort()
    .map((name) => join(CAPTURES, name));

/** Frames of the example captures, as Ethernet. */
export const exampleFrames = (): Frame[] =>
  exampleCaptures().flatMap((file) => [...readCapture(readFileSync(file), newNotes())].map(asEthernet));

const PROTOCOLS = [6, 6, 6, 17, 17, 1, 58, 4, 41, 47, 2, 132];
const EXTENSIONS = [0, 43, 60, 51, 135, 139, 140];

const u16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];

/**
 * A frame of few addresses and ports, so that flows have many packets: stacked tags, options, chains of extension headers,
 * fragments; each part sometimes wrong, cut, or longer than it says.
 */
export function randomFrame(random: Random): { readonly data: Uint8Array; readonly length: number } {
  const below = (n: number) => random.int(0, n - 1);
  const chance = (oneIn: number) => below(oneIn) === 0;
  const protocol = PROTOCOLS[below(PROTOCOLS.length)]!;
  const payload = Array.from({ length: chance(4) ? 0 : below(80) }, () => below(256));
  let rest: number[];
  if (protocol === 6)
    rest = [
      ...u16(below(3) * 400 + 79),
      ...u16(below(3) * 400 + 79),
      ...[0, 0, 0, 1, 0, 0, 0, 2],
      chance(10) ? below(256) : 0x50,
      1 << below(8),
      ...u16(below(65_536)),
      ...[0, 0, 0, 0],
      ...payload,
    ];
  else if (protocol === 17)
    rest = [...u16(below(3) + 52), ...u16(below(3) + 52), ...u16(8 + payload.length), 0, 0, ...payload];
  else rest = [below(20), below(4), 0, 0, ...payload];
  const packet = chance(2) ? ipv4(below, chance, protocol, rest) : ipv6(below, chance, protocol, rest);
  const tags = chance(3) ? below(6) : 0;
  const type = packet.type ^ (chance(40) ? 1 << below(16) : 0);
  const bytes = [
    ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
    ...Array.from({ length: tags }, () => [
      ...u16([0x8100, 0x88a8, 0x9100][below(3)]!),
      ...u16(below(65_536)),
    ]).flat(),
    ...u16(type),
    ...packet.bytes,
    ...new Array<number>(chance(4) ? below(20) : 0).fill(0),
  ];
  const length = bytes.length + (chance(8) ? below(100) : 0);
  const data = Uint8Array.from(chance(6) ? bytes.slice(0, Math.max(14, below(bytes.length + 1))) : bytes);
  if (chance(10)) data[below(data.length)] = below(256);
  return { data, length: Math.max(length, data.length) };
}

type Below = (n: number) => number;
type Chance = (oneIn: number) => boolean;

function ipv4(below: Below, chance: Chance, protocol: number, rest: readonly number[]) {
  const options = chance(4) ? below(11) : 0;
  const length = 20 + 4 * options + rest.length + (chance(12) ? below(9) - 4 : 0);
  const bytes = [
    0x45 + options,
    below(256),
    ...u16(length),
    ...[0, 0],
    ...u16(chance(10) ? below(65_536) : 0x4000),
    below(256),
    protocol,
    ...[0, 0, 10, 0, 0],
    below(3),
    ...[10, 0, 0],
    below(3),
    ...new Array<number>(4 * options).fill(1),
    ...rest,
  ];
  return { type: 0x0800, bytes };
}

function ipv6(below: Below, chance: Chance, protocol: number, rest: readonly number[]) {
  const chain = Array.from({ length: chance(3) ? below(11) : 0 }, () => ({
    type: EXTENSIONS[below(EXTENSIONS.length)]!,
    units: chance(30) ? below(256) : below(3),
  }));
  if (chance(12)) chain.push({ type: 44, units: 0 });
  const types = [...chain.map((e) => e.type), protocol];
  const extensions = chain.flatMap(({ type, units }, i) => {
    const size = type === 51 ? (units + 2) * 4 : (units + 1) * 8;
    return [types[i + 1]!, units, ...new Array<number>(Math.min(size, 64) - 2).fill(0)];
  });
  const length = extensions.length + rest.length + (chance(12) ? below(9) - 4 : 0);
  const end = [0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0)];
  const bytes = [
    ...[0x60 + below(16), below(256), 0, 0],
    ...u16(Math.max(0, length)),
    types[0]!,
    below(256),
    ...[...end, below(3)],
    ...[...end, below(3)],
    ...extensions,
    ...rest,
  ];
  return { type: 0x86dd, bytes };
}

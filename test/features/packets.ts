/** Frames of known headers, byte by byte. */

export interface FrameOptions {
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly ttl?: number;
  /** Payload bytes. */
  readonly payload?: readonly number[];
  readonly tags?: readonly number[];
  /** Bytes of IPv4 options, a multiple of 4. */
  readonly options?: number;
  /** IPv4 flags and offset. */
  readonly fragment?: number;
}

const bytes16 = (...values: number[]) => values.flatMap((v) => [v >> 8, v & 255]);

export function tcp4(o: FrameOptions = {}): Uint8Array {
  const header = [
    ...bytes16(o.sourcePort ?? 40_000, o.destinationPort ?? 443),
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    2,
    0x50,
    o.flags ?? 16,
    ...bytes16(o.window ?? 1000, 0, 0),
  ];
  return ipv4(6, [...header, ...(o.payload ?? [])], o);
}

export function udp4(o: FrameOptions = {}): Uint8Array {
  const payload = o.payload ?? [];
  return ipv4(
    17,
    [...bytes16(o.sourcePort ?? 40_000, o.destinationPort ?? 53, 8 + payload.length, 0), ...payload],
    o,
  );
}

export function ipv4(protocol: number, rest: readonly number[], o: FrameOptions = {}): Uint8Array {
  const options = o.options ?? 0;
  const header = [
    0x45 + options / 4,
    0,
    ...bytes16(20 + options + rest.length, 0, o.fragment ?? 0),
    o.ttl ?? 64,
    protocol,
    0,
    0,
    ...address(o.source ?? '192.0.2.1'),
    ...address(o.destination ?? '198.51.100.2'),
    ...new Array<number>(options).fill(1),
  ];
  return ethernet(0x0800, [...header, ...rest], o.tags);
}

/** @param extensions type and whole bytes of each, whose own next type is filled in */
export function ipv6(
  protocol: number,
  rest: readonly number[],
  extensions: readonly (readonly [number, readonly number[]])[] = [],
): Uint8Array {
  const types = [...extensions.map(([type]) => type), protocol];
  const chain = extensions.flatMap(([, body], i) => [types[i + 1]!, ...body]);
  const length = chain.length + rest.length;
  const end = (last: number) => [0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), last];
  return ethernet(0x86dd, [
    0x60,
    0,
    0,
    0,
    ...bytes16(length),
    types[0]!,
    61,
    ...end(1),
    ...end(2),
    ...chain,
    ...rest,
  ]);
}

export function ethernet(type: number, rest: readonly number[], tags: readonly number[] = []): Uint8Array {
  const tagged = tags.flatMap((id, i) => bytes16(i === 0 && tags.length > 1 ? 0x88a8 : 0x8100, id));
  return Uint8Array.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...tagged, ...bytes16(type), ...rest]);
}

const address = (text: string) => text.split('.').map(Number);

export const frameOf = (data: Uint8Array, timeUs = 0) => ({
  link: 'ethernet' as const,
  data,
  length: data.length,
  timeNs: BigInt(timeUs) * 1000n,
});

/** A pcap file of frames, microseconds, little-endian. */
export function pcapOf(
  frames: readonly { readonly data: Uint8Array; readonly timeUs: number }[],
  link = 1,
): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(link, 20);
  return Buffer.concat([
    head,
    ...frames.flatMap(({ data, timeUs }) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(Math.floor(timeUs / 1e6), 0);
      record.writeUInt32LE(timeUs % 1e6, 4);
      record.writeUInt32LE(data.length, 8);
      record.writeUInt32LE(data.length, 12);
      return [record, data];
    }),
  ]);
}

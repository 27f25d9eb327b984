import { describe, expect, it } from 'vitest';
import { parsePacket } from '../../src/features/index.ts';
import { random } from '../support/random.ts';
import { ethernet, frameOf, ipv4, ipv6, tcp4, udp4 } from './packets.ts';

const parse = (data: Uint8Array, length = data.length) => parsePacket({ ...frameOf(data), length });
const fieldsOf = (data: Uint8Array) => {
  const packet = parse(data);
  if (typeof packet === 'string') throw new Error(packet);
  return packet.fields;
};

const udp = [0x9c, 0x40, 0, 53, 0, 10, 0, 0, 0xab, 0xcd];

describe('headers', () => {
  it('IPv4 with options and TCP', () => {
    expect(fieldsOf(tcp4({ options: 8, payload: [5, 6], flags: 24, window: 512, ttl: 9 }))).toMatchObject({
      'ip.version': 4,
      'ip.length': 50,
      'ip.header': 28,
      'ip.ttl': 9,
      'ip.protocol': 6,
      'is.tcp': 1,
      'is.udp': 0,
      'port.source': 40_000,
      'port.destination': 443,
      'tcp.flags': 24,
      'tcp.window': 512,
      'payload.length': 2,
      'payload.byte0': 5,
      'payload.byte1': 6,
      'payload.byte2': 0,
      'frame.length': 64,
    });
  });

  it('stacked VLAN tags: the outermost names the VLAN', () => {
    expect(fieldsOf(udp4({ tags: [100, 7] }))).toMatchObject({
      'vlan.id': 100,
      'is.udp': 1,
      'ip.length': 28,
    });
    expect(parse(udp4({ tags: [1, 2, 3, 4, 5] }))).toBe('foreign');
  });

  it('IPv6 with extension headers', () => {
    const options = (bytes: number) => [(bytes - 8) / 8, ...new Array<number>(bytes - 2).fill(0)];
    const frame = ipv6(17, udp, [
      [0, options(8)],
      [60, options(16)],
      [51, [4, ...new Array<number>(22).fill(0)]],
    ]);
    expect(fieldsOf(frame)).toMatchObject({
      'ip.version': 6,
      'ip.protocol': 17,
      'ip.header': 40 + 8 + 16 + 24,
      'ip.length': 40 + 48 + 10,
      'ip.ttl': 61,
      'port.source': 40_000,
      'payload.length': 2,
      'payload.byte0': 0xab,
    });
  });

  it('has a reason for everything else', () => {
    expect(parse(ethernet(0x0806, new Array(28).fill(0)))).toBe('foreign');
    expect(parse(ipv4(89, [1, 2, 3, 4]))).toBe('foreign');
    expect(parse(udp4({ fragment: 0x2000 }))).toBe('fragment');
    expect(parse(udp4({ fragment: 5 }))).toBe('fragment');
    expect(parse(ipv6(17, udp, [[44, [0, 0, 0, 0, 0, 0, 0]]]))).toBe('fragment');
    for (const protocol of [4, 41, 47]) expect(parse(ipv4(protocol, new Array(40).fill(0)))).toBe('tunnel');
    expect(parse(new Uint8Array(5))).toBe('damaged');
    // A length that is more than the frame has.
    expect(parse(tcp4().subarray(0, 40))).toBe('damaged');
    // The capture is cut, the frame was not: its headers are there.
    const whole = tcp4({ payload: [1, 2, 3] });
    expect(typeof parse(whole.subarray(0, 54), whole.length)).toBe('object');
    expect(parse(whole.subarray(0, 50), whole.length)).toBe('damaged');
  });

  it('neither throws nor reads beyond a frame, whatever it holds', () => {
    const r = random(7);
    const seeds = [
      tcp4({ options: 12, payload: [1, 2, 3] }),
      udp4({ tags: [5, 6] }),
      ipv6(6, [...tcp4().subarray(34)]),
    ];
    for (let i = 0; i < 20_000; i++) {
      const data = Uint8Array.from(seeds[i % seeds.length]!);
      for (let n = r.int(1, 6); n > 0; n--) data[r.int(0, data.length - 1)] = r.int(0, 255);
      const cut = data.subarray(0, r.int(0, data.length));
      const packet = parse(cut);
      if (typeof packet === 'string') continue;
      for (const value of Object.values(packet.fields))
        if (!Number.isInteger(value) || value < 0) throw new Error(String(value));
    }
  });
});

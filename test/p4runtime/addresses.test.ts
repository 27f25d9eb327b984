import { describe, expect, test } from 'vitest';
import {
  ipv4,
  ipv4Prefix,
  ipv4Text,
  ipv6,
  ipv6Prefix,
  ipv6Text,
  mac,
  macText,
  masked,
  parseValue,
  range,
} from '../../src/p4runtime/addresses.ts';

const refuses = (parse: (text: string) => unknown, texts: readonly string[]): void => {
  for (const text of texts) expect(() => parse(text), text).toThrow(/no |ends before|bits below|neither/);
};

describe('addresses from text, as Python’s ipaddress reads them', () => {
  test('IPv4', () => {
    expect([ipv4('0.0.0.0'), ipv4('10.0.0.1'), ipv4('255.255.255.255')]).toEqual([
      0n,
      0x0a000001n,
      0xffffffffn,
    ]);
    refuses(ipv4, [
      '',
      '10.0.0',
      '10.0.0.0.0',
      '256.0.0.1',
      '1e1.0x10. 3 .4',
      '010.0.0.1',
      ' 10.0.0.1',
      '10.0.0.-1',
      '10..0.1',
      '+1.0.0.0',
    ]);
  });

  test('IPv6', () => {
    expect(ipv6('::')).toBe(0n);
    expect(ipv6('::1')).toBe(1n);
    expect(ipv6('2001:db8::8:800:200C:417a')).toBe(0x20010db80000000000080800200c417an);
    expect(ipv6('1:2:3:4:5:6:7:8')).toBe(0x00010002000300040005000600070008n);
    expect(ipv6('fe80::')).toBe(0xfe80n << 112n);
    expect(ipv6('::ffff:192.0.2.1')).toBe(0xffffc0000201n);
    expect(ipv6('1:2:3:4:5:6:7::')).toBe(0x00010002000300040005000600070000n);
    refuses(ipv6, [
      '',
      ':',
      ':::',
      '1::2::3',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
      '::g',
      '1:2:3:4:5:6:7:8::',
      'fe80::1%eth0',
      '1.2.3.4::',
      '::1.2.3',
      ':1:2:3:4:5:6:7',
    ]);
  });

  test('MAC', () => {
    for (const text of ['00:11:22:aa:BB:cc', '00-11-22-AA-bb-cc', '0011.22aa.bbcc'])
      expect(mac(text)).toBe(0x001122aabbccn);
    refuses(mac, [
      '',
      '001122aabbcc',
      '00:11:22:33:44',
      '00:11:22:33:44:5',
      '00:11-22:33:44:55',
      '00:11:22:33:44:55:66',
      '0:1:2:3:4:5',
    ]);
  });

  test('prefixes', () => {
    expect(ipv4Prefix('10.0.0.0/8')).toEqual({ value: 0x0a000000n, prefix: 8 });
    expect(ipv4Prefix('0.0.0.0/0')).toEqual({ value: 0n, prefix: 0 });
    expect(ipv4Prefix('10.0.0.1')).toEqual({ value: 0x0a000001n, prefix: 32 });
    expect(ipv6Prefix('2001:db8::/32')).toEqual({ value: 0x20010db8n << 96n, prefix: 32 });
    refuses(ipv4Prefix, [
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '10.0.0.0/8/8',
      '10.0.0.0/1e1',
      '10.0.0.0/ 8',
      '10.1.0.0/8',
      '/8',
    ]);
    refuses(ipv6Prefix, ['2001:db8::/', '2001:db8::/129', '2001:db8::1/32']);
  });

  test('values, masks and ranges', () => {
    expect(['7', '0x1F', '0b11', '0o17', '10.0.0.1', '::1', '00:00:00:00:00:02'].map(parseValue)).toEqual([
      7n,
      31n,
      3n,
      15n,
      0x0a000001n,
      1n,
      2n,
    ]);
    refuses(parseValue, ['', ' ', '08', '-1', '1.5', '1e3', '0x', 'ten', '1_000']);
    expect(masked('0x0800&&&0xff00')).toEqual({ value: 0x800n, mask: 0xff00n });
    expect(masked('10.0.0.0 &&& 255.0.0.0')).toEqual({ value: 0x0a000000n, mask: 0xff000000n });
    expect(masked('10.0.0.0/8')).toEqual({ value: 0x0a000000n, mask: 0xff000000n });
    expect(masked('00:11:00:00:00:00/16').mask).toBe(0xffff00000000n);
    refuses(masked, ['10', '1&&&', '1&&&2&&&3', '10/8', '10.0.0.1/8', '10.0.0.0/']);
    expect(range('1024..65535')).toEqual({ low: 1024n, high: 65535n });
    expect(range('10.0.0.1..10.0.0.9')).toEqual({ low: 0x0a000001n, high: 0x0a000009n });
    expect(range('5')).toEqual({ low: 5n, high: 5n });
    refuses(range, ['', '5..', '..5', '9..5', '1..2..3', '1...5', '-1..5']);
  });

  test('numbers back to texts, as Python’s ipaddress prints them', () => {
    const texts = [
      '::',
      '::1',
      '8000::',
      '1::',
      '0:0:1::',
      '2001:db8::1',
      '2001:db8:0:1:1:1:1:1',
      '2001:0:0:1::1',
      '1::2:0:0:3:4',
      '::ffff:102:304',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    ];
    for (const text of texts) expect(ipv6Text(ipv6(text))).toBe(text);
    expect(ipv6Text(0x2001_0db8n << 96n)).toBe('2001:db8::');
    for (const text of ['0.0.0.0', '10.0.0.1', '255.255.255.255']) expect(ipv4Text(ipv4(text))).toBe(text);
    expect(macText(0x0a1b2cn)).toBe('00:00:00:0a:1b:2c');
    for (const make of [ipv4Text, ipv6Text, macText]) {
      expect(() => make(-1n)).toThrow(/is no .* address/);
      expect(() => make(2n ** 128n)).toThrow(/is no .* address/);
    }
  });
});

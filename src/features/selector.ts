import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { type ParsedPacket, transportOf } from './packet.ts';

/** Which packets a model is for, where several stand beside each other. Ends are equal: both ways of a flow are one flow's. */

const PORT = 0xffff;
const port = z.int().min(0).max(PORT);
const portRange = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, 'expected a port, or two as 8000-8100')
  .transform((text): readonly [number, number] => {
    const [low, high] = text.split('-').map(Number);
    return [low!, high!];
  })
  .refine(([low, high]) => low <= high && high <= PORT, 'expected a port, or two as 8000-8100');
const list = <T extends z.ZodType>(one: T) => z.array(one).min(1).max(64).optional();

const prefix = z
  .string({ error: 'expected a prefix, for example 10.0.0.0/8' })
  .transform((text, context): Prefix => {
    const parsed = prefixOf(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({
      code: 'custom',
      message: 'expected a prefix, for example 10.0.0.0/8 or 2001:db8::/32',
    });
    return z.NEVER;
  });

/** Which packets are meant: those for which all that is given holds. */
export const selectorSchema = z.strictObject({
  prefixes: list(prefix).describe('Either end is in one of them'),
  ports: list(z.union([port.transform((p): readonly [number, number] => [p, p]), portRange])).describe(
    'Either port is one of them, or within, as 8000-8100',
  ),
  protocols: list(z.enum(['tcp', 'udp', 'icmp'])),
  vlans: list(z.int().min(0).max(4095)).describe('The outermost VLAN; 0 for no tag'),
  dscp: list(z.int().min(0).max(63)),
});

/** All that it says must hold; of each list any. */
export type Selector = z.output<typeof selectorSchema>;

/** An address of 32 or 128 bits, of which the first `bits` matter. */
export interface Prefix {
  readonly version: 4 | 6;
  readonly address: bigint;
  readonly bits: number;
}

function prefixOf(text: string): Prefix | undefined {
  const [, address, length] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  if (address === undefined) return undefined;
  const version = isIPv4(address) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : undefined;
  const bits = Number(length);
  if (version === undefined || bits > addressBits(version)) return undefined;
  const value = version === 4 ? numberOf(address.split('.').map(Number)) : ipv6(address);
  const rest = BigInt(addressBits(version) - bits);
  // What is beyond the prefix does not matter.
  return { version, bits, address: (value >> rest) << rest };
}

/** Bits of an address of IPv4 or IPv6. */
export const addressBits = (version: 4 | 6): number => (version === 4 ? 32 : 128);

const numberOf = (bytes: readonly number[] | Uint8Array): bigint =>
  [...bytes].reduce((all, byte) => (all << 8n) | BigInt(byte), 0n);

function ipv6(text: string): bigint {
  // A URL writes an address in its one canonical form, without a dotted end.
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':'));
  const [front, back] = [words(head), words(tail ?? '')];
  const all =
    tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill('0'), ...back];
  return all.reduce((sum: bigint, word: string) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}

/** Whether a packet is one that the model is for. */
export function selects(s: Selector, { fields, source, destination }: ParsedPacket): boolean {
  const inPrefix = ({ version, address, bits }: Prefix, end: Uint8Array): boolean => {
    const rest = BigInt(addressBits(version) - bits);
    return fields['ip.version'] === version && numberOf(end) >> rest === address >> rest;
  };
  const inRange = ([low, high]: readonly [number, number], value: number) => value >= low && value <= high;
  const transport = transportOf(fields);
  return (
    (s.prefixes?.some((p) => inPrefix(p, source) || inPrefix(p, destination)) ?? true) &&
    (s.ports?.some(
      (r) =>
        transport !== 'icmp' && (inRange(r, fields['port.source']) || inRange(r, fields['port.destination'])),
    ) ??
      true) &&
    (s.protocols?.includes(transport) ?? true) &&
    (s.vlans?.includes(fields['vlan.id']) ?? true) &&
    (s.dscp?.includes(fields['ip.dscp']) ?? true)
  );
}

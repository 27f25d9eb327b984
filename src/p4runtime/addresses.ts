import { refusal } from './errors.ts';
import type { LpmValue, RangeValue, TernaryValue } from './match.ts';
import { toBigInt } from './values.ts';

const allOnes = (width: number): bigint => (1n << BigInt(width)) - 1n;

/** One to three digits without a leading zero, which some would read as octal. */
const OCTET = /^(?:0|[1-9]\d{0,2})$/;

function octets(text: string): readonly number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => OCTET.test(part) && Number(part) <= 255)) return undefined;
  return parts.map(Number);
}

/** `10.0.0.0` as a number. @throws P4RuntimeError `bad-value` */
export function ipv4(text: string): bigint {
  const bytes = octets(text);
  if (bytes === undefined) throw refusal('bad-value', `${JSON.stringify(text)} is no IPv4 address`);
  return toBigInt(Uint8Array.from(bytes));
}

/** The groups between colons, the last two of them perhaps as an IPv4 address; undefined where one is none. */
function groups(text: string): readonly bigint[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const found: bigint[] = [];
  for (const [i, part] of parts.entries()) {
    const bytes = i === parts.length - 1 ? octets(part) : undefined;
    if (bytes !== undefined) {
      const word = toBigInt(Uint8Array.from(bytes));
      found.push(word >> 16n, word & 0xffffn);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) found.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return found;
}

/** `2001:db8::1` as a number, in any form of RFC 4291. @throws P4RuntimeError `bad-value` */
export function ipv6(text: string): bigint {
  const fault = refusal('bad-value', `${JSON.stringify(text)} is no IPv6 address`);
  const halves = text.split('::');
  if (halves.length > 2) throw fault;
  const [head, tail] = halves.map(groups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) throw fault;
  // An IPv4 address may only be the end of all.
  if (halves.length === 2 && halves[0]!.includes('.')) throw fault;
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 8 : given > 7) throw fault;
  const zeros = Array.from({ length: 8 - given }, () => 0n);
  return [...head, ...zeros, ...(tail ?? [])].reduce((word, group) => (word << 16n) | group, 0n);
}

const MAC = /^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$|^(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}$/i;

/** `00:11:22:33:44:55`, with dashes, or `0011.2233.4455`, as a number. @throws P4RuntimeError `bad-value` */
export function mac(text: string): bigint {
  if (!MAC.test(text)) throw refusal('bad-value', `${JSON.stringify(text)} is no MAC address`);
  return BigInt(`0x${text.replaceAll(/[:.-]/g, '')}`);
}

/** Hexadecimal digits of a number, as many as `width` bits have. @throws P4RuntimeError `bad-value` where it has more */
function digits(value: bigint, width: number, what: string): string {
  if (value < 0n || value >= 1n << BigInt(width))
    throw refusal('bad-value', `${value} is no ${what} address`);
  return value.toString(16).padStart(width / 4, '0');
}

const pieces = (text: string, size: number): readonly string[] =>
  Array.from({ length: text.length / size }, (_, i) => text.slice(i * size, (i + 1) * size));

/** The other way: `10.0.0.0`. @throws P4RuntimeError `bad-value` on more than 32 bits */
export const ipv4Text = (value: bigint): string =>
  pieces(digits(value, 32, 'IPv4'), 2)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');

/** The other way, as RFC 5952 has it: `2001:db8::1`. @throws P4RuntimeError `bad-value` on more than 128 bits */
export function ipv6Text(value: bigint): string {
  const all = pieces(digits(value, 128, 'IPv6'), 4).map((group) => group.replace(/^0{1,3}/, ''));
  const runs = [
    ...all
      .map((g) => (g === '0' ? '0' : '-'))
      .join('')
      .matchAll(/0{2,}/g),
  ];
  // The longest run of zeros, of two alike the first.
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  if (longest === undefined) return all.join(':');
  return `${all.slice(0, longest.index).join(':')}::${all.slice(longest.index + longest[0].length).join(':')}`;
}

/** The other way: `00:11:22:33:44:55`. @throws P4RuntimeError `bad-value` on more than 48 bits */
export const macText = (value: bigint): string => pieces(digits(value, 48, 'MAC'), 2).join(':');

/** A number as programs write it (`10`, `0x0a`, `0o12`, `0b1010`), or an address. @throws P4RuntimeError `bad-value` */
export function parseValue(text: string): bigint {
  if (/^(?:0|[1-9]\d*|0x[0-9a-f]+|0o[0-7]+|0b[01]+)$/i.test(text)) return BigInt(text);
  if (MAC.test(text)) return mac(text);
  if (text.includes(':')) return ipv6(text);
  if (text.includes('.')) return ipv4(text);
  throw refusal('bad-value', `${JSON.stringify(text)} is neither a number nor an address`);
}

/** Bits of an address by how it is written; undefined for a plain number. */
function widthOf(text: string): number | undefined {
  if (MAC.test(text)) return 48;
  return text.includes(':') ? 128 : text.includes('.') ? 32 : undefined;
}

/** @throws P4RuntimeError `bad-value` on a prefix that is no number, too long, or leaves bits of the address below it */
function prefixed(text: string, width: number, address: (text: string) => bigint): LpmValue {
  const slash = text.indexOf('/');
  if (slash < 0) return { value: address(text), prefix: width };
  const length = text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > width)
    throw refusal(
      'bad-value',
      `${JSON.stringify(text)}: ${JSON.stringify(length)} is no prefix of 0..${width}`,
    );
  const prefix = Number(length);
  const value = address(text.slice(0, slash));
  if ((value & allOnes(width - prefix)) !== 0n)
    throw refusal('bad-value', `${JSON.stringify(text)}: bits below the prefix of ${prefix} are set`);
  return { value, prefix };
}

/** `10.0.0.0/8`; without a prefix the whole address. @throws P4RuntimeError `bad-value` */
export const ipv4Prefix = (text: string): LpmValue => prefixed(text, 32, ipv4);

/** `2001:db8::/32`; without a prefix the whole address. @throws P4RuntimeError `bad-value` */
export const ipv6Prefix = (text: string): LpmValue => prefixed(text, 128, ipv6);

/**
 * Value and mask: `0x0800&&&0xff00` as in P4, an address with a mask (`10.0.0.0&&&255.0.0.0`), or with a prefix (`10.0.0.0/8`).
 * @throws P4RuntimeError `bad-value`
 */
export function masked(text: string): TernaryValue {
  const parts = text.split('&&&').map((part) => part.trim());
  if (parts.length === 2) return { value: parseValue(parts[0]!), mask: parseValue(parts[1]!) };
  const width = widthOf(text.split('/')[0]!);
  if (parts.length !== 1 || !text.includes('/') || width === undefined)
    throw refusal('bad-value', `${JSON.stringify(text)} is no value&&&mask, nor an address with a prefix`);
  const { value, prefix } = prefixed(text, width, parseValue);
  return { value, mask: allOnes(width) ^ allOnes(width - prefix) };
}

/** `1024..65535` as in P4, both ends included; one value alone is a range of itself. @throws P4RuntimeError `bad-value` */
export function range(text: string): RangeValue {
  const parts = text.split('..').map((part) => part.trim());
  if (parts.length > 2) throw refusal('bad-value', `${JSON.stringify(text)} is no low..high`);
  const [low = 0n, high = low] = parts.map(parseValue);
  if (low > high) throw refusal('bad-value', `${JSON.stringify(text)}: the range ends before it begins`);
  return { low, high };
}

import { refusal } from './errors.ts';

/** A value of a field or parameter; a string only where the P4Info translates the type to one. */
export type Value = bigint | number | boolean | string | Uint8Array;

/**
 * P4Runtime's bytestrings are big-endian and canonical: no leading zero byte, and one zero byte for zero
 * (section "Bytestrings" of the specification).
 */
export function canonicalBytes(value: bigint | number): Uint8Array {
  if (value >= 0 && value <= 0xffff_ffff) return fewBytes(Number(value));
  const hex = BigInt(value).toString(16);
  return Uint8Array.from(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
}

/** The usual case, without a detour by text. */
function fewBytes(value: number): Uint8Array {
  const size = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x100_0000 ? 3 : 4;
  const bytes = new Uint8Array(size);
  for (let at = size - 1, rest = value; at >= 0; at--, rest = Math.floor(rest / 0x100))
    bytes[at] = rest % 0x100;
  return bytes;
}

/** A port as the program's controllers name it: a number, a translated string, or the bytes of either. */
export type Port = number | bigint | string | Uint8Array;

/** @throws P4RuntimeError `bad-value` on a number that is no port */
export function portBytes(port: Port): Uint8Array {
  if (port instanceof Uint8Array) return port;
  if (typeof port === 'string') return Buffer.from(port, 'utf8');
  if (port < 0 || (typeof port === 'number' && !Number.isSafeInteger(port)))
    throw refusal('bad-value', `${port} is no port`);
  return canonicalBytes(port);
}

/** Strips leading zeros of raw big-endian bytes, such as an address. */
export function canonical(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  return bytes.subarray(at);
}

/** A number holds so many bytes exactly. */
const BYTES_OF_A_NUMBER = 6;

/** The number in big-endian bytes; no bytes are 0. */
export function toBigInt(bytes: Uint8Array): bigint {
  if (bytes.length <= BYTES_OF_A_NUMBER) {
    let value = 0;
    for (let at = 0; at < bytes.length; at++) value = value * 0x100 + bytes[at]!;
    return BigInt(value);
  }
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`);
}

/** Bits that a big-endian number needs; 0 needs none. */
export function bitLength(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at === bytes.length ? 0 : (bytes.length - at) * 8 - (Math.clz32(bytes[at]!) - 24);
}

/** A field or parameter as far as its values go. */
export interface ValueType {
  readonly name: string;
  /** Bits; 0 is a translated type whose values are strings. */
  readonly bitwidth: number;
}

/** @throws P4RuntimeError `bad-value` on what is negative, fractional, of the wrong type or wider than the field. */
export function encodeValue(type: ValueType, value: Value): Uint8Array {
  if (value === undefined || value === null) throw refusal('bad-value', `${type.name} is ${value}`);
  if (type.bitwidth === 0) return stringBytes(type, value);
  if (typeof value === 'string')
    throw refusal('bad-value', `${type.name} takes a number, not ${JSON.stringify(value)}`);
  if (value instanceof Uint8Array)
    return checked(type, canonical(value.length === 0 ? Uint8Array.of(0) : value), value);
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw refusal('bad-value', `${type.name}: ${value} is no whole number below 2^53; give a bigint`);
  const number = typeof value === 'boolean' ? Number(value) : value;
  if (number < 0) throw refusal('bad-value', `${type.name}: ${number} is negative, the field is unsigned`);
  return checked(type, canonicalBytes(number), number);
}

function checked(type: ValueType, bytes: Uint8Array, shown: bigint | number | Uint8Array): Uint8Array {
  if (bitLength(bytes) <= type.bitwidth) return bytes;
  const text = typeof shown === 'object' ? `0x${Buffer.from(shown).toString('hex')}` : `${shown}`;
  throw refusal(
    'bad-value',
    `${type.name}: ${text} needs ${bitLength(bytes)} bits, the field has ${type.bitwidth}`,
  );
}

function stringBytes(type: ValueType, value: Value): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (value instanceof Uint8Array) return value;
  throw refusal('bad-value', `${type.name} takes a string, not ${value}: its type is translated`);
}

/** A number, or a string where the type is translated to one. @throws as decodeValue */
export const decodeAny = (type: ValueType, bytes: Uint8Array): bigint | string =>
  type.bitwidth === 0 ? Buffer.from(bytes).toString('utf8') : decodeValue(type, bytes);

/** What the device sent. @throws P4RuntimeError `bad-value` on more bits than the field has: never cut. */
export function decodeValue(type: ValueType, bytes: Uint8Array): bigint {
  if (bitLength(bytes) <= type.bitwidth) return toBigInt(bytes);
  throw refusal(
    'bad-value',
    `${type.name}: the device sent ${bitLength(bytes)} bits, the field has ${type.bitwidth}`,
  );
}

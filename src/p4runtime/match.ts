import { refusal } from './errors.ts';
import type { MatchFieldInfo } from './p4info-index.ts';
import type { Init, Message } from './proto/messages.ts';
import { bitLength, decodeAny, decodeValue, encodeValue, toBigInt, type Value } from './values.ts';

/** What to match, by the kind of the field; a bare value is an exact one of any kind. */
export interface LpmValue {
  readonly value: Value;
  /** Leading bits that count; 0 is "don't care". */
  readonly prefix: number;
}
/** A value and the bits of it that count. */
export interface TernaryValue {
  readonly value: Value;
  /** Bits that count; 0 is "don't care". */
  readonly mask: Value;
}
/** All from `low` to `high`. */
export interface RangeValue {
  readonly low: Value;
  /** Inclusive. */
  readonly high: Value;
}
type Structured = LpmValue | TernaryValue | RangeValue;
/** What a field is matched with; which forms it takes is said by its match kind in the P4Info. */
export type MatchValue = Value | Structured;

/** As read back: numbers, or strings where the type is translated to them. */
export type DecodedMatch =
  | { readonly kind: 'exact' | 'optional'; readonly value: bigint | string }
  | { readonly kind: 'lpm'; readonly value: bigint; readonly prefix: number }
  | { readonly kind: 'ternary'; readonly value: bigint; readonly mask: bigint }
  | { readonly kind: 'range'; readonly low: bigint; readonly high: bigint };

const isStructured = (value: MatchValue): value is LpmValue | TernaryValue | RangeValue =>
  typeof value === 'object' && !(value instanceof Uint8Array);

const allOnes = (width: number): bigint => (1n << BigInt(width)) - 1n;

/**
 * A field as P4Runtime has it; undefined for "don't care", which is left out (section "Match Format").
 * @throws P4RuntimeError `bad-value`, or `bad-entry` on a value of another match kind
 */
export function encodeMatch(field: MatchFieldInfo, value: MatchValue): Init<'FieldMatch'> | undefined {
  if (value === undefined || value === null)
    throw refusal('bad-entry', `${field.name}: its match is ${value}; leave it out for "don't care"`);
  const fieldId = field.id;
  // Of strings nobody says which begin alike, or which lie between.
  if (field.bitwidth === 0 && field.match !== 'EXACT' && field.match !== 'OPTIONAL')
    throw refusal(
      'bad-entry',
      `${field.name} is a string for controllers, so it cannot be matched ${field.match}: leave it out`,
    );
  switch (field.match) {
    case 'EXACT':
      return { fieldId, exact: { value: encodeValue(field, plain(field, value)) } };
    case 'OPTIONAL':
      return { fieldId, optional: { value: encodeValue(field, plain(field, value)) } };
    case 'LPM':
      return encodeLpm(field, isStructured(value) ? value : { value, prefix: field.bitwidth });
    case 'TERNARY':
      return encodeTernary(field, isStructured(value) ? value : { value, mask: allOnes(field.bitwidth) });
    case 'RANGE':
      return encodeRange(field, isStructured(value) ? value : { low: value, high: value });
  }
}

function plain(field: MatchFieldInfo, value: MatchValue): Value {
  if (!isStructured(value)) return value;
  throw refusal('bad-entry', `${field.name} is matched ${field.match}: it takes one value`);
}

function encodeLpm(field: MatchFieldInfo, value: Structured): Init<'FieldMatch'> | undefined {
  if (!('prefix' in value))
    throw refusal('bad-entry', `${field.name} is matched LPM: it takes value and prefix`);
  const { prefix } = value;
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > field.bitwidth)
    throw refusal('bad-value', `${field.name}: a prefix of ${prefix} is not within 0..${field.bitwidth}`);
  if (prefix === 0) return undefined;
  const bytes = encodeValue(field, value.value);
  if ((toBigInt(bytes) & allOnes(field.bitwidth - prefix)) !== 0n)
    throw refusal('bad-value', `${field.name}: bits below the prefix of ${prefix} are set`);
  return { fieldId: field.id, lpm: { value: bytes, prefixLen: prefix } };
}

function encodeTernary(field: MatchFieldInfo, value: Structured): Init<'FieldMatch'> | undefined {
  if (!('mask' in value))
    throw refusal('bad-entry', `${field.name} is matched TERNARY: it takes value and mask`);
  const bytes = encodeValue(field, value.value);
  const mask = encodeValue({ ...field, name: `mask of ${field.name}` }, value.mask);
  if (bitLength(mask) === 0) return undefined;
  if ((toBigInt(bytes) & ~toBigInt(mask)) !== 0n)
    throw refusal('bad-value', `${field.name}: bits outside the mask are set`);
  return { fieldId: field.id, ternary: { value: bytes, mask } };
}

function encodeRange(field: MatchFieldInfo, value: Structured): Init<'FieldMatch'> | undefined {
  if (!('low' in value)) throw refusal('bad-entry', `${field.name} is matched RANGE: it takes low and high`);
  const low = encodeValue(field, value.low);
  const high = encodeValue(field, value.high);
  if (toBigInt(low) > toBigInt(high))
    throw refusal('bad-value', `${field.name}: the range ends before it begins`);
  if (bitLength(low) === 0 && toBigInt(high) === allOnes(field.bitwidth)) return undefined;
  return { fieldId: field.id, range: { low, high } };
}

/** @throws P4RuntimeError `bad-answer` on a match that does not fit the field, `bad-value` on too many bits */
export function decodeMatch(field: MatchFieldInfo, match: Message<'FieldMatch'>): DecodedMatch {
  if (match.exact !== undefined) return { kind: 'exact', value: decodeAny(field, match.exact.value) };
  if (match.optional !== undefined)
    return { kind: 'optional', value: decodeAny(field, match.optional.value) };
  if (match.lpm !== undefined)
    return { kind: 'lpm', value: decodeValue(field, match.lpm.value), prefix: match.lpm.prefixLen };
  if (match.ternary !== undefined) {
    const { value, mask } = match.ternary;
    return { kind: 'ternary', value: decodeValue(field, value), mask: decodeValue(field, mask) };
  }
  if (match.range !== undefined)
    return {
      kind: 'range',
      low: decodeValue(field, match.range.low),
      high: decodeValue(field, match.range.high),
    };
  throw refusal('bad-answer', `${field.name}: the device sent a match of no kind that is known`);
}

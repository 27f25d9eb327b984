import type { NameIndex } from '../name-index.ts';
import type { MatchFieldInfo } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { bitLength, canonical, toBigInt, type ValueType } from '../values.ts';
import { invalid } from './fault.ts';

/** A byte string in its shortest form. @throws Fault INVALID_ARGUMENT on none, or more bits than the type has */
export function checkBytes(type: ValueType, bytes: Uint8Array): Uint8Array {
  if (type.bitwidth === 0) return bytes;
  if (bytes.length === 0) throw invalid(`${type.name}: an empty byte string is no value`);
  if (bitLength(bytes) > type.bitwidth)
    throw invalid(`${type.name}: ${bitLength(bytes)} bits do not fit ${type.bitwidth}`);
  return canonical(bytes);
}

function checkLpm(
  field: MatchFieldInfo,
  { value, prefixLen }: Message<'FieldMatch.LPM'>,
): Init<'FieldMatch'> {
  if (prefixLen < 1 || prefixLen > field.bitwidth)
    throw invalid(`${field.name}: a prefix of ${prefixLen} is not within 1..${field.bitwidth}`);
  const bytes = checkBytes(field, value);
  if (BigInt.asUintN(field.bitwidth - prefixLen, toBigInt(bytes)) !== 0n)
    throw invalid(`${field.name}: bits below the prefix are set`);
  return { fieldId: field.id, lpm: { value: bytes, prefixLen } };
}

function checkTernary(field: MatchFieldInfo, ternary: Message<'FieldMatch.Ternary'>): Init<'FieldMatch'> {
  const value = checkBytes(field, ternary.value);
  const mask = checkBytes(field, ternary.mask);
  if (bitLength(mask) === 0) throw invalid(`${field.name}: a mask of 0 is "don't care" and left out`);
  if ((toBigInt(value) & ~toBigInt(mask)) !== 0n)
    throw invalid(`${field.name}: bits outside the mask are set`);
  return { fieldId: field.id, ternary: { value, mask } };
}

function checkRange(field: MatchFieldInfo, range: Message<'FieldMatch.Range'>): Init<'FieldMatch'> {
  const low = checkBytes(field, range.low);
  const high = checkBytes(field, range.high);
  if (toBigInt(low) > toBigInt(high)) throw invalid(`${field.name}: the range ends before it begins`);
  if (bitLength(low) === 0 && toBigInt(high) === (1n << BigInt(field.bitwidth)) - 1n)
    throw invalid(`${field.name}: the full range is "don't care" and left out`);
  return { fieldId: field.id, range: { low, high } };
}

function checkField(field: MatchFieldInfo, match: Message<'FieldMatch'>): Init<'FieldMatch'> {
  const { exact, optional, lpm, ternary, range } = match;
  if (field.match === 'EXACT' && exact)
    return { fieldId: field.id, exact: { value: checkBytes(field, exact.value) } };
  if (field.match === 'OPTIONAL' && optional)
    return { fieldId: field.id, optional: { value: checkBytes(field, optional.value) } };
  if (field.match === 'LPM' && lpm) return checkLpm(field, lpm);
  if (field.match === 'TERNARY' && ternary) return checkTernary(field, ternary);
  if (field.match === 'RANGE' && range) return checkRange(field, range);
  throw invalid(`${field.name} is matched ${field.match}`);
}

/** The key of an entry, in order of the fields' ids (section "Match Format"). @throws Fault INVALID_ARGUMENT */
export function checkMatch(
  fields: NameIndex<MatchFieldInfo> | readonly MatchFieldInfo[],
  match: readonly Message<'FieldMatch'>[],
): readonly Init<'FieldMatch'>[] {
  const byId = new Map([...fields].map((field) => [field.id, field]));
  const seen = new Set<number>();
  const checked = match.map((m) => {
    const field = byId.get(m.fieldId);
    if (field === undefined) throw invalid(`there is no match field ${m.fieldId}`);
    if (seen.has(m.fieldId)) throw invalid(`${field.name} is matched twice`);
    seen.add(m.fieldId);
    return checkField(field, m);
  });
  for (const field of byId.values())
    if (field.match === 'EXACT' && !seen.has(field.id)) throw invalid(`${field.name} is missing`);
  return checked.sort((a, b) => (a.fieldId ?? 0) - (b.fieldId ?? 0));
}

import type { Config, Init, Message } from '../proto/messages.ts';
import { bitLength, canonical } from '../values.ts';
import { invalid } from './fault.ts';

type Spec = Config<'P4DataTypeSpec'>;
type Types = Config<'P4TypeInfo'> | undefined;

/** int<W> is in two's complement, as short as it goes (section "Representation of Arbitrary P4 Types"). */
function checkInt(width: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) throw invalid('an empty byte string is no value');
  const negative = bytes[0]! >= 0x80;
  let at = 0;
  // A byte may go if the sign bit of the next says the same.
  while (at < bytes.length - 1 && bytes[at] === (negative ? 0xff : 0) && bytes[at + 1]! >= 0x80 === negative)
    at++;
  const short = bytes.subarray(at);
  const magnitude = negative ? Uint8Array.from(short, (b) => b ^ 0xff) : short;
  if (bitLength(magnitude) + 1 > width) throw invalid(`the number does not fit int<${width}>`);
  return short;
}

function checkBitstring(spec: Config<'P4BitstringLikeTypeSpec'>, bytes: Uint8Array): Uint8Array {
  if (spec.int !== undefined) return checkInt(spec.int.bitwidth, bytes);
  const width = spec.bit?.bitwidth ?? 0;
  if (bytes.length === 0 || bitLength(bytes) > width) throw invalid(`the byte string is no bit<${width}>`);
  return canonical(bytes);
}

function checkHeader(types: Types, name: string, header: Message<'P4Header'>): Init<'P4Header'> {
  const members = types?.headers[name]?.members ?? [];
  if (!header.isValid) {
    if (header.bitstrings.length > 0) throw invalid('an invalid header has no fields');
    return header;
  }
  if (header.bitstrings.length !== members.length)
    throw invalid(`header ${name} has ${members.length} fields`);
  const bitstrings = members.map((m, i) =>
    checkBitstring(
      m.typeSpec ?? { annotations: [], annotationLocations: [], structuredAnnotations: [] },
      header.bitstrings[i]!,
    ),
  );
  return { isValid: true, bitstrings };
}

function checkMembers(
  types: Types,
  specs: readonly (Spec | undefined)[],
  data: Message<'P4StructLike'>,
): Init<'P4StructLike'> {
  if (data.members.length !== specs.length) throw invalid(`the value has ${specs.length} members`);
  return { members: specs.map((spec, i) => checkData(types, spec ?? {}, data.members[i]!)) };
}

function checkVarbit(most: number, { bitstring, bitwidth }: Message<'P4Varbit'>): Init<'P4Varbit'> {
  if (bitwidth < 0 || bitwidth > most || bitLength(bitstring) > bitwidth)
    throw invalid(`the byte string of ${bitwidth} bits is no varbit<${most}>`);
  return { bitstring: bitstring.length === 0 ? bitstring : canonical(bitstring), bitwidth };
}

function checkUnion(types: Types, name: string, union: Message<'P4HeaderUnion'>): Init<'P4HeaderUnion'> {
  const { validHeaderName, validHeader } = union;
  if (validHeaderName === '' && validHeader === undefined) return {};
  const member = types?.headerUnions[name]?.members.find((m) => m.name === validHeaderName);
  if (member === undefined || validHeader?.isValid !== true)
    throw invalid(`${JSON.stringify(validHeaderName)} is no valid header of ${name}`);
  return { validHeaderName, validHeader: checkHeader(types, member.header?.name ?? '', validHeader) };
}

function checkStack<I, O>(
  size: number,
  { entries }: { readonly entries: readonly I[] },
  one: (entry: I) => O,
): { readonly entries: readonly O[] } {
  if (entries.length !== size) throw invalid(`the stack has ${size} entries`);
  return { entries: entries.map(one) };
}

/** A translated type has its own bits, or a string; any other is the type that it names anew. */
function checkNewType(types: Types, name: string, data: Message<'P4Data'>): Init<'P4Data'> {
  const type = types?.newTypes[name];
  if (type?.originalType) return checkData(types, type.originalType, data);
  const { sdnBitwidth, sdnString } = type?.translatedType ?? {};
  if (data.bitstring && sdnString) return { bitstring: data.bitstring };
  if (data.bitstring?.length && sdnBitwidth !== undefined && bitLength(data.bitstring) <= sdnBitwidth)
    return { bitstring: canonical(data.bitstring) };
  throw invalid(`the value is no ${name}`);
}

/** A value of the type that the P4Info states, canonical. @throws Fault INVALID_ARGUMENT */
export function checkData(types: Types, spec: Spec, data: Message<'P4Data'>): Init<'P4Data'> {
  if (spec.bitstring?.varbit === undefined && spec.bitstring && data.bitstring)
    return { bitstring: checkBitstring(spec.bitstring, data.bitstring) };
  if (spec.bool && data.bool !== undefined) return data;
  if (spec.tuple && data.tuple) return { tuple: checkMembers(types, spec.tuple.members, data.tuple) };
  if (spec.struct && data.struct) {
    const members = types?.structs[spec.struct.name]?.members ?? [];
    return {
      struct: checkMembers(
        types,
        members.map((m) => m.typeSpec),
        data.struct,
      ),
    };
  }
  if (spec.bitstring?.varbit && data.varbit)
    return { varbit: checkVarbit(spec.bitstring.varbit.maxBitwidth, data.varbit) };
  if (spec.newType) return checkNewType(types, spec.newType.name, data);
  if (spec.header && data.header) return { header: checkHeader(types, spec.header.name, data.header) };
  if (spec.headerUnion && data.headerUnion)
    return { headerUnion: checkUnion(types, spec.headerUnion.name, data.headerUnion) };
  const { headerStack, headerUnionStack } = spec;
  if (headerStack && data.headerStack) {
    const name = headerStack.header?.name ?? '';
    return {
      headerStack: checkStack(headerStack.size, data.headerStack, (h) => checkHeader(types, name, h)),
    };
  }
  if (headerUnionStack && data.headerUnionStack) {
    const name = headerUnionStack.headerUnion?.name ?? '';
    const one = (u: Message<'P4HeaderUnion'>) => checkUnion(types, name, u);
    return { headerUnionStack: checkStack(headerUnionStack.size, data.headerUnionStack, one) };
  }
  if (spec.enum && data.enum !== undefined) {
    if (types?.enums[spec.enum.name]?.members.some((m) => m.name === data.enum)) return data;
    throw invalid(`${data.enum} is no value of ${spec.enum.name}`);
  }
  if (spec.error && data.error !== undefined) return data;
  if (spec.serializableEnum && data.enumValue) {
    const width = types?.serializableEnums[spec.serializableEnum.name]?.underlyingType?.bitwidth ?? 0;
    if (bitLength(data.enumValue) <= width) return { enumValue: canonical(data.enumValue) };
  }
  throw invalid('the value is not of the type in the P4Info');
}

const NOTHING = new Uint8Array(0);
const ZERO = Uint8Array.of(0);

/** What a register holds that nobody has written: zeros, invalid headers, the first member of an enum. */
export function zeroData(types: Types, spec: Spec): Init<'P4Data'> {
  const zeros = (specs: readonly (Spec | undefined)[]): Init<'P4StructLike'> => ({
    members: specs.map((member) => zeroData(types, member ?? {})),
  });
  const copies = <T>(size: number, value: T): readonly T[] => Array.from({ length: size }, () => value);
  if (spec.bitstring?.varbit) return { varbit: { bitstring: NOTHING, bitwidth: 0 } };
  if (spec.bool) return { bool: false };
  if (spec.tuple) return { tuple: zeros(spec.tuple.members) };
  if (spec.struct)
    return { struct: zeros((types?.structs[spec.struct.name]?.members ?? []).map((m) => m.typeSpec)) };
  if (spec.header) return { header: { isValid: false } };
  if (spec.headerUnion) return { headerUnion: {} };
  if (spec.headerStack)
    return { headerStack: { entries: copies(spec.headerStack.size, { isValid: false }) } };
  if (spec.headerUnionStack) return { headerUnionStack: { entries: copies(spec.headerUnionStack.size, {}) } };
  if (spec.enum) return { enum: types?.enums[spec.enum.name]?.members[0]?.name ?? '' };
  if (spec.error) return { error: types?.error?.members[0] ?? '' };
  if (spec.serializableEnum) return { enumValue: ZERO };
  const named = spec.newType && types?.newTypes[spec.newType.name];
  if (named?.originalType) return zeroData(types, named.originalType);
  return { bitstring: named?.translatedType?.sdnString ? NOTHING : ZERO };
}

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
  if (spec.header && data.header) return { header: checkHeader(types, spec.header.name, data.header) };
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

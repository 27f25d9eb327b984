import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';
import type { Config, Message } from './proto/messages.ts';
import { decodeValue, toBigInt } from './values.ts';

/**
 * A value of any P4 type. Bits are numbers, negative ones of `int<W>` too; members of a struct, a header or a union go by
 * name; an invalid header, and a union without a valid one, is null; an enum is the name of its member, where that is known.
 */
export type DataValue =
  | bigint
  | boolean
  | string
  | null
  | readonly DataValue[]
  | { readonly [member: string]: DataValue };

type Spec = Config<'P4DataTypeSpec'>;
type Bits = Config<'P4BitstringLikeTypeSpec'>;

const misfit = (what: string) =>
  refusal('bad-answer', `the device sent data that does not fit its type in the P4Info: ${what}`);

/** @throws P4RuntimeError `bad-answer` on more bits than the type has */
function signed(bytes: Uint8Array, width: number): bigint {
  if (bytes.length === 0) throw misfit('no bytes for a number');
  const value = BigInt.asIntN(bytes.length * 8, toBigInt(bytes));
  if (BigInt.asIntN(width, value) !== value) throw misfit(`${value} is no int<${width}>`);
  return value;
}

function bits(type: Bits | undefined, bytes: Uint8Array): bigint {
  if (type?.int !== undefined) return signed(bytes, type.int.bitwidth);
  const bitwidth = type?.bit?.bitwidth ?? type?.varbit?.maxBitwidth;
  return bitwidth === undefined ? toBigInt(bytes) : decodeValue({ name: 'the data', bitwidth }, bytes);
}

/** Turns what a device sends into values, by the types of one P4Info. */
class Decoder {
  readonly #types: Config<'P4TypeInfo'> | undefined;

  constructor(index: P4InfoIndex) {
    this.#types = index.p4info.typeInfo;
  }

  decode(spec: Spec | undefined, data: Message<'P4Data'>): DataValue {
    if (spec?.newType !== undefined) return this.#newType(spec.newType.name, data);
    const { bool, bitstring, varbit, struct, tuple, error } = data;
    if (bool !== undefined) return bool;
    if (bitstring !== undefined) return bits(spec?.bitstring, bitstring);
    if (varbit !== undefined) return bits(spec?.bitstring, varbit.bitstring);
    if (struct !== undefined) return this.#struct(spec?.struct?.name, struct);
    if (tuple !== undefined) return tuple.members.map((m, i) => this.decode(spec?.tuple?.members[i], m));
    if (data.enum !== undefined) return data.enum;
    if (error !== undefined) return error;
    if (data.enumValue !== undefined) return this.#enumValue(spec?.serializableEnum?.name, data.enumValue);
    return this.#headers(spec, data);
  }

  #headers(spec: Spec | undefined, data: Message<'P4Data'>): DataValue {
    const { header, headerUnion, headerStack, headerUnionStack } = data;
    if (header !== undefined) return this.#header(spec?.header?.name, header);
    if (headerUnion !== undefined) return this.#union(spec?.headerUnion?.name, headerUnion);
    if (headerStack !== undefined)
      return headerStack.entries.map((h) => this.#header(spec?.headerStack?.header?.name, h));
    if (headerUnionStack !== undefined)
      return headerUnionStack.entries.map((u) => this.#union(spec?.headerUnionStack?.headerUnion?.name, u));
    throw misfit('it is of no kind');
  }

  /** A translated type has its own bits, or a string; any other is the type behind it. */
  #newType(name: string, data: Message<'P4Data'>): DataValue {
    const type = this.#types?.newTypes[name];
    if (type?.originalType !== undefined) return this.decode(type.originalType, data);
    const translated = type?.translatedType;
    if (translated?.sdnString !== undefined && data.bitstring !== undefined)
      return Buffer.from(data.bitstring).toString('utf8');
    if (translated?.sdnBitwidth === undefined || data.bitstring === undefined) throw misfit(`no ${name}`);
    return decodeValue({ name, bitwidth: translated.sdnBitwidth }, data.bitstring);
  }

  #struct(name: string | undefined, struct: Message<'P4StructLike'>): DataValue {
    const members = this.#types?.structs[name ?? '']?.members;
    if (members?.length !== struct.members.length) throw misfit(`no struct ${name}`);
    return Object.fromEntries(
      members.map(({ name, typeSpec }, i) => [name, this.decode(typeSpec, struct.members[i]!)]),
    );
  }

  #header(name: string | undefined, header: Message<'P4Header'>): DataValue {
    if (!header.isValid) return null;
    const members = this.#types?.headers[name ?? '']?.members;
    if (members?.length !== header.bitstrings.length) throw misfit(`no header ${name}`);
    return Object.fromEntries(
      members.map(({ name, typeSpec }, i) => [name, bits(typeSpec, header.bitstrings[i]!)]),
    );
  }

  #union(name: string | undefined, union: Message<'P4HeaderUnion'>): DataValue {
    const { validHeaderName, validHeader } = union;
    if (validHeaderName === '' || validHeader === undefined) return null;
    const member = this.#types?.headerUnions[name ?? '']?.members.find((m) => m.name === validHeaderName);
    return { [validHeaderName]: this.#header(member?.header?.name, validHeader) };
  }

  /** The member with that value; the number where no member has it. */
  #enumValue(name: string | undefined, bytes: Uint8Array): DataValue {
    const type = this.#types?.serializableEnums[name ?? ''];
    if (type === undefined) throw misfit(`no enum ${name}`);
    const value = decodeValue({ name: name!, bitwidth: type.underlyingType?.bitwidth ?? 0 }, bytes);
    return type.members.find((m) => toBigInt(m.value) === value)?.name ?? value;
  }
}

/**
 * Data of a digest or a register by names.
 * @throws P4RuntimeError `bad-answer` where it does not fit its type, `bad-value` on too many bits
 */
export const decodeData = (index: P4InfoIndex, type: Spec | undefined, data: Message<'P4Data'>): DataValue =>
  new Decoder(index).decode(type, data);

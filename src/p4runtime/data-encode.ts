import type { DataValue } from './data.ts';
import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';
import type { Config, ConfigInit, Init } from './proto/messages.ts';
import { bitLength, canonicalBytes } from './values.ts';

type Spec = ConfigInit<'P4DataTypeSpec'>;
type Bits = ConfigInit<'P4BitstringLikeTypeSpec'>;
type Members = { readonly [member: string]: DataValue };

function encodeBits(type: Bits, value: DataValue): Uint8Array {
  if (typeof value !== 'bigint') throw refusal('bad-value', `${String(value)} is no number: give a bigint`);
  const width = type.int?.bitwidth ?? type.bit?.bitwidth ?? type.varbit?.maxBitwidth ?? 0;
  const fits = type.int === undefined ? BigInt.asUintN(width, value) : BigInt.asIntN(width, value);
  if (fits !== value)
    throw refusal('bad-value', `${value} is no ${type.int === undefined ? 'bit' : 'int'}<${width}>`);
  if (type.int === undefined) return canonicalBytes(value);
  // Two's complement, as few bytes as hold the sign too.
  const magnitude = bitLength(canonicalBytes(value < 0n ? -value - 1n : value));
  const bytes = Math.floor(magnitude / 8) + 1;
  const raw = canonicalBytes(BigInt.asUintN(bytes * 8, value));
  return Uint8Array.from({ length: bytes }, (_, i) => raw[i - (bytes - raw.length)] ?? 0);
}

const isMembers = (value: DataValue): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Values into what a device takes, by the types of one P4Info. */
class Encoder {
  readonly #types: Config<'P4TypeInfo'> | undefined;

  constructor(index: P4InfoIndex) {
    this.#types = index.p4info.typeInfo;
  }

  encode(type: Spec, value: DataValue): Init<'P4Data'> {
    const { bitstring, struct, tuple } = type;
    // How many of its bits a number has, it does not tell.
    if (bitstring?.varbit)
      return {
        varbit: { bitstring: encodeBits(bitstring, value), bitwidth: bitstring.varbit.maxBitwidth ?? 0 },
      };
    if (bitstring) return { bitstring: encodeBits(bitstring, value) };
    if (type.bool && typeof value === 'boolean') return { bool: value };
    if (struct)
      return { struct: this.#members(this.#types?.structs[struct.name ?? '']?.members ?? [], value) };
    if (tuple && Array.isArray(value))
      return { tuple: { members: (tuple.members ?? []).map((t, i) => this.encode(t, value[i] ?? null)) } };
    if (type.newType) return this.#newType(type.newType.name ?? '', value);
    return this.#headers(type, value) ?? this.#enum(type, value);
  }

  #members(
    named: readonly { readonly name: string; readonly typeSpec?: Spec }[],
    given: DataValue,
  ): Init<'P4StructLike'> {
    if (!isMembers(given))
      throw refusal('bad-value', `${String(given)} is no struct: give its members by name`);
    return {
      members: named.map(({ name, typeSpec }) => {
        const member = given[name];
        if (member === undefined) throw refusal('bad-value', `the member ${name} is missing`);
        return this.encode(typeSpec ?? {}, member);
      }),
    };
  }

  #headers(type: Spec, value: DataValue): Init<'P4Data'> | undefined {
    const { header, headerUnion, headerStack, headerUnionStack } = type;
    if (header) return { header: this.#header(header.name, value) };
    if (headerUnion) return { headerUnion: this.#union(headerUnion.name, value) };
    if (headerStack)
      return {
        headerStack: stack(headerStack.size, value, (v) => this.#header(headerStack.header?.name, v)),
      };
    if (!headerUnionStack) return undefined;
    const { size, headerUnion: union } = headerUnionStack;
    return { headerUnionStack: stack(size, value, (v) => this.#union(union?.name, v)) };
  }

  #header(name: string | undefined, value: DataValue): Init<'P4Header'> {
    if (value === null) return { isValid: false };
    const fields = this.#types?.headers[name ?? '']?.members ?? [];
    const named = fields.map((f) => ({ name: f.name, typeSpec: { bitstring: f.typeSpec } }));
    const { members = [] } = this.#members(named, value);
    const bits = (data: Init<'P4Data'>) => data.bitstring ?? data.varbit?.bitstring ?? new Uint8Array(0);
    return { isValid: true, bitstrings: members.map(bits) };
  }

  #union(name: string | undefined, value: DataValue): Init<'P4HeaderUnion'> {
    if (value === null) return {};
    const own = this.#types?.headerUnions[name ?? '']?.members ?? [];
    const [valid = '', ...others] = isMembers(value) ? Object.keys(value) : [];
    const member = own.find((m) => m.name === valid);
    if (member === undefined || others.length > 0 || !isMembers(value))
      throw refusal('bad-value', `a union has one header, of ${own.map((m) => m.name).join(', ')}`);
    return { validHeaderName: valid, validHeader: this.#header(member.header?.name, value[valid]!) };
  }

  #enum(type: Spec, value: DataValue): Init<'P4Data'> {
    if (type.enum && typeof value === 'string') return { enum: value };
    if (type.error && typeof value === 'string') return { error: value };
    if (type.serializableEnum) {
      const own = this.#types?.serializableEnums[type.serializableEnum.name ?? ''];
      const found = own?.members.find((m) => m.name === value)?.value;
      if (found !== undefined) return { enumValue: found };
      const bitwidth = own?.underlyingType?.bitwidth ?? 0;
      if (typeof value === 'bigint') return { enumValue: encodeBits({ bit: { bitwidth } }, value) };
    }
    throw refusal('bad-value', `${String(value)} is no value of the type in the P4Info`);
  }

  /** A translated type has its own bits, or a string; any other is the type behind it. */
  #newType(name: string, value: DataValue): Init<'P4Data'> {
    const own = this.#types?.newTypes[name];
    if (own?.originalType) return this.encode(own.originalType, value);
    const { sdnString, sdnBitwidth } = own?.translatedType ?? {};
    if (sdnString && typeof value === 'string') return { bitstring: Buffer.from(value, 'utf8') };
    if (sdnBitwidth !== undefined)
      return { bitstring: encodeBits({ bit: { bitwidth: sdnBitwidth } }, value) };
    throw refusal('bad-value', `${String(value)} is no ${name}`);
  }
}

function stack<T>(
  size = 0,
  value: DataValue,
  one: (entry: DataValue) => T,
): { readonly entries: readonly T[] } {
  if (!Array.isArray(value) || value.length !== size)
    throw refusal(
      'bad-value',
      `${String(value)} is no stack of ${size}: give a list, null where there is none`,
    );
  return { entries: value.map(one) };
}

/**
 * Data of a register, or of a digest that a device sends, from values.
 * @throws P4RuntimeError `bad-value` where the value does not fit the type, or the type has no such value
 */
export const encodeData = (index: P4InfoIndex, type: Spec, value: DataValue): Init<'P4Data'> =>
  new Encoder(index).encode(type, value);

/** Structs that a program in the kernel and its controller share: one definition, C text and codec from it. */

/** Widths as C has them; `be32` is in the order of the network, `mac` six bytes, `u64` a counter or a word. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'be32' | 'mac';

/** A field of a struct. */
export interface StructField {
  readonly name: string;
  readonly type: FieldType;
}

/** A struct before its places are computed: C aligns each field, and no gap is allowed. */
export interface StructDefinition<Name extends string = string> {
  /** Without the prefix that C gives it. */
  readonly name: string;
  readonly description: string;
  readonly fields: readonly (StructField & { readonly name: Name })[];
}

interface TypeOf {
  readonly bytes: number;
  readonly align: number;
  /** C of a field of this name. */
  readonly c: (name: string) => string;
  readonly read: (bytes: Buffer, at: number) => bigint;
  readonly write: (bytes: Buffer, at: number, value: bigint) => void;
}

const big = (bytes: Buffer, at: number, count: number): bigint =>
  BigInt(`0x${bytes.toString('hex', at, at + count)}`);

const types = {
  u8: {
    bytes: 1,
    align: 1,
    c: (name) => `__u8 ${name}`,
    read: (b, at) => BigInt(b.readUInt8(at)),
    write: (b, at, v) => void b.writeUInt8(Number(v), at),
  },
  u16: {
    bytes: 2,
    align: 2,
    c: (name) => `__u16 ${name}`,
    read: (b, at) => BigInt(b.readUInt16LE(at)),
    write: (b, at, v) => void b.writeUInt16LE(Number(v), at),
  },
  u32: {
    bytes: 4,
    align: 4,
    c: (name) => `__u32 ${name}`,
    read: (b, at) => BigInt(b.readUInt32LE(at)),
    write: (b, at, v) => void b.writeUInt32LE(Number(v), at),
  },
  u64: {
    bytes: 8,
    align: 8,
    c: (name) => `__u64 ${name}`,
    read: (b, at) => b.readBigUInt64LE(at),
    write: (b, at, v) => void b.writeBigUInt64LE(v, at),
  },
  be32: {
    bytes: 4,
    align: 4,
    c: (name) => `__be32 ${name}`,
    read: (b, at) => BigInt(b.readUInt32BE(at)),
    write: (b, at, v) => void b.writeUInt32BE(Number(v), at),
  },
  mac: {
    bytes: 6,
    align: 1,
    c: (name) => `__u8 ${name}[ETH_ALEN]`,
    read: (b, at) => big(b, at, 6),
    write: (b, at, v) => void b.write(v.toString(16).padStart(12, '0'), at, 'hex'),
  },
} satisfies Record<FieldType, TypeOf>;

/** A struct whose bytes can be read and written. Every value is a number; fields that are left out are 0. */
export interface Struct<Name extends string = string> extends StructDefinition<Name> {
  readonly bytes: number;
  encode(values: Readonly<Partial<Record<Name, number | bigint>>>): Buffer;
  /** @param at where it begins */
  decode(bytes: Buffer, at?: number): Readonly<Record<Name, bigint>>;
}

/** @throws Error where C would put a gap between fields: a struct says what all of its bytes are */
export function defineStruct<const Name extends string>(definition: StructDefinition<Name>): Struct<Name> {
  let end = 0;
  let align = 1;
  const places = definition.fields.map((field) => {
    const type = types[field.type];
    if (end % type.align !== 0) throw new Error(`${definition.name}.${field.name} stands behind a gap`);
    const at = end;
    end += type.bytes;
    align = Math.max(align, type.align);
    return { name: field.name, at, type };
  });
  if (end % align !== 0) throw new Error(`${definition.name} ends in a gap`);
  const bytes = end;
  return {
    ...definition,
    bytes,
    encode(values) {
      const buffer = Buffer.alloc(bytes);
      for (const { name, at, type } of places) type.write(buffer, at, BigInt(values[name] ?? 0));
      return buffer;
    },
    decode(buffer, start = 0) {
      const entries = places.map(({ name, at, type }) => [name, type.read(buffer, start + at)] as const);
      return Object.fromEntries(entries) as Record<Name, bigint>;
    },
  };
}

/** The C of a struct. */
export const structC = ({ name, description, fields }: StructDefinition): string[] => [
  `/* ${description} */`,
  `struct intransit_${name} {`,
  ...fields.map((f) => `\t${types[f.type].c(f.name)};`),
  '};',
];

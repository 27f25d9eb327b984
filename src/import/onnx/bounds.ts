import protobuf from 'protobufjs/light.js';

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5];
const LONGEST_VARINT = 10;
/** Types that are bytes, not messages, and of which an element costs as much as a small message. */
const TEXT = new Set(['string', 'bytes']);

/**
 * What one file may hold, however few bytes it takes: an empty node takes two in the file, and hundreds once it is decoded.
 * Networks of thousands of layers stay far below.
 */
const mostOf = {
  /** Nodes, tensors, attributes, dimensions, each with its names. */
  parts: 300_000,
  /** Numbers that stand in lists, those of 64 bits four times; weights as raw data are not among them. */
  numbers: 2 ** 23,
} as const;

/**
 * Counts what a message in protobuf's binary format holds, in one pass and without making anything of it.
 * @returns why it is too much, or what is wrong with it; undefined where it can be decoded
 */
export function boundFault(bytes: Uint8Array, type: protobuf.Type): string | undefined {
  const counts = { parts: 0, numbers: 0 };
  const reader = new Cursor(bytes);
  /** One field of a message. @returns whether it could be read, and is not too much */
  const field = (of: protobuf.Type, end: number): boolean => {
    const tag = reader.varint(end);
    const wire = tag % 8;
    const known = of.fieldsById[Math.floor(tag / 8)]?.resolve();
    const isMessage = known?.resolvedType instanceof protobuf.Type;
    if (isMessage || TEXT.has(known?.type ?? '')) counts.parts++;
    else if (known?.repeated) counts.numbers += costOf(known.type);
    if (wire !== DELIMITED) return reader.skip(wire, end);
    const length = reader.varint(end);
    const to = reader.at + length;
    if (!(to <= end)) return false;
    if (isMessage) return message(known.resolvedType as protobuf.Type, to);
    // Numbers in a row take at least a byte each.
    if (known?.repeated && !TEXT.has(known.type))
      counts.numbers += (costOf(known.type) * length) / widthOf(known.type);
    reader.at = to;
    return true;
  };
  const message = (of: protobuf.Type, end: number): boolean => {
    while (reader.at < end)
      if (!field(of, end) || counts.parts > mostOf.parts || counts.numbers > mostOf.numbers) return false;
    return true;
  };
  const whole = message(type, bytes.length);
  if (counts.parts > mostOf.parts)
    return `it has more than ${mostOf.parts} nodes, tensors, attributes and names, which no network needs`;
  if (counts.numbers > mostOf.numbers)
    return `it has more than ${mostOf.numbers} numbers in lists; weights belong into raw data`;
  return whole ? undefined : 'it ends in the middle of a message, so it is truncated or another format';
}

/** A whole number of 64 bits is an object on its way. */
const costOf = (type: string): number => (type === 'int64' ? 4 : 1);
const widthOf = (type: string): number => (type === 'float' ? 4 : type === 'double' ? 8 : 1);

class Cursor {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** NaN where it is cut off, or too long: no place in the file is before that. */
  varint(end: number): number {
    let value = 0;
    for (let i = 0; i < LONGEST_VARINT && this.at < end; i++) {
      const byte = this.#bytes[this.at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  }

  skip(wire: number, end: number): boolean {
    if (wire === VARINT) return !Number.isNaN(this.varint(end));
    if (wire !== FIXED64 && wire !== FIXED32) return false;
    this.at += wire === FIXED64 ? 8 : 4;
    return this.at <= end;
  }
}

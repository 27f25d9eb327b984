import { BpfError } from './errors.ts';

/** A section of a relocatable object. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly bytes: Buffer;
  readonly executable: boolean;
}

/** A named place of a section. */
export interface ElfSymbol {
  readonly name: string;
  readonly isFunction: boolean;
  /** Index of its section; 0 where it is in none, as what another object would bring. */
  readonly section: number;
  readonly at: number;
  readonly size: number;
}

/** Sections in the order of their numbers, and symbols. */
export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const MOST_SECTIONS = 256;
const MOST_SYMBOLS = 65_536;
const [RELOCATABLE, BPF_MACHINE] = [1, 247];
const [SYMBOL_TABLE, NO_BITS] = [2, 8];
const EXECUTABLE = 4n;
const FUNCTION = 2;

/** An error for bytes that are no object of ours. */
export const elfFault = (what: string): BpfError =>
  new BpfError('bpf-object-invalid', `the object ${what}`, {
    remedy: 'pass an object that clang -target bpf made of a program of this version',
  });

/** Sections and symbols of a 64-bit little-endian object for BPF, in one pass. @throws BpfError `bpf-object-invalid` */
export function readElf(elf: Uint8Array): ElfFile {
  const file = Buffer.from(elf.buffer, elf.byteOffset, elf.length);
  if (file.length < HEADER_BYTES || file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01')
    throw elfFault('is no 64-bit little-endian ELF file');
  if (file.readUInt16LE(16) !== RELOCATABLE || file.readUInt16LE(18) !== BPF_MACHINE)
    throw elfFault('is no relocatable object for BPF');
  const [size, count, namesAt] = [file.readUInt16LE(58), file.readUInt16LE(60), file.readUInt16LE(62)];
  if (size !== SECTION_BYTES || count > MOST_SECTIONS || namesAt >= count)
    throw elfFault('has no table of sections, or too large a one');
  const table = part(file, file.readBigUInt64LE(40), BigInt(count * SECTION_BYTES));
  const heads = Array.from({ length: count }, (_, i) =>
    table.subarray(i * SECTION_BYTES, (i + 1) * SECTION_BYTES),
  );
  const contents = heads.map((head) =>
    head.readUInt32LE(4) === NO_BITS
      ? Buffer.alloc(0)
      : part(file, head.readBigUInt64LE(24), head.readBigUInt64LE(32)),
  );
  const sections = heads.map((head, i) => ({
    name: text(contents[namesAt]!, head.readUInt32LE(0)),
    type: head.readUInt32LE(4),
    bytes: contents[i]!,
    executable: (head.readBigUInt64LE(8) & EXECUTABLE) !== 0n,
  }));
  const symbolTables = heads.flatMap((head, i) => (head.readUInt32LE(4) === SYMBOL_TABLE ? [i] : []));
  if (symbolTables.length !== 1) throw elfFault('has not one table of symbols');
  const at = symbolTables[0]!;
  const names = contents[heads[at]!.readUInt32LE(40)];
  const symbols = contents[at]!;
  if (
    names === undefined ||
    symbols.length % SYMBOL_BYTES !== 0 ||
    symbols.length > MOST_SYMBOLS * SYMBOL_BYTES
  )
    throw elfFault('has a damaged table of symbols');
  return { sections, symbols: symbolsOf(symbols, names) };
}

function symbolsOf(table: Buffer, names: Buffer): ElfSymbol[] {
  return Array.from({ length: table.length / SYMBOL_BYTES }, (_, i) => {
    const entry = table.subarray(i * SYMBOL_BYTES, (i + 1) * SYMBOL_BYTES);
    return {
      name: text(names, entry.readUInt32LE(0)),
      isFunction: (entry.readUInt8(4) & 15) === FUNCTION,
      section: entry.readUInt16LE(6),
      at: Number(entry.readBigUInt64LE(8)),
      size: Number(entry.readBigUInt64LE(16)),
    };
  });
}

function part(file: Buffer, at: bigint, size: bigint): Buffer {
  if (at + size > BigInt(file.length)) throw elfFault('is cut off');
  return file.subarray(Number(at), Number(at + size));
}

const LONGEST_NAME = 256;

function text(names: Buffer, at: number): string {
  const end = names.subarray(at, at + LONGEST_NAME).indexOf(0);
  if (at >= names.length || end < 0) throw elfFault('has a name without an end');
  return names.toString('latin1', at, at + end);
}

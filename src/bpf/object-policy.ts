/** What an object from elsewhere may hold. */
import { type ElfFile, elfFault, readElf } from './elf.ts';
import type { MapInfo } from './map.ts';

/** A size, or the largest one. */
export type Size = number | { readonly most: number };

/** A map as it must be declared; sizes in bytes, `type` and `flags` are the kernel's numbers. */
export interface MapPolicy {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: Size;
  readonly maxEntries: Size;
  /** Any of these. */
  readonly flags: readonly number[];
  readonly optional?: boolean;
}

/** Plain data, so that it can be handed to another process. */
export interface ObjectPolicy {
  /** The XDP programs, all of them. */
  readonly programs: readonly string[];
  /** Numbers of helpers that code may call. */
  readonly helpers: readonly number[];
  /** All that may be declared; internal maps as `.rodata`. */
  readonly maps: Readonly<Record<string, MapPolicy>>;
  readonly mostBytes: number;
}

/** A map as an object declares it. */
export interface DeclaredMap extends Omit<MapInfo, 'perCpu'> {
  readonly flags: number;
  readonly pinPath: string | undefined;
}

const CODE = { text: '.text', xdp: 'xdp' } as const;
/** Sections that mean something to libbpf or the kernel; what debuggers read aside. */
const SECTIONS: ReadonlySet<string> = new Set([
  '',
  '.strtab',
  '.symtab',
  CODE.text,
  `.rel${CODE.text}`,
  CODE.xdp,
  `.rel${CODE.xdp}`,
  '.rodata',
  '.maps',
  'license',
  '.BTF',
  '.rel.BTF',
  '.BTF.ext',
  '.rel.BTF.ext',
  '.llvm_addrsig',
]);
const DEBUG_SECTION = /^\.(?:rel\.)?debug_[a-z_]+$/;

const INSTRUCTION_BYTES = 8;
const [CALL, CALL_BY_REGISTER, LOAD_64] = [0x85, 0x8d, 0x18];
const [HELPER_CALL, LOCAL_CALL] = [0, 1];
/** Of `struct btf_ext_header`, since there are relocations against the kernel's own types. */
const EXT_HEADER_BYTES = 32;

/**
 * Looks at an object's bytes before libbpf does: its programs, known sections, no code but calls of its own functions and
 * of permitted helpers, nothing that refers to the kernel's insides.
 * @throws BpfError `bpf-object-invalid`
 */
export function checkObject(elf: Uint8Array, policy: ObjectPolicy): void {
  if (elf.length > policy.mostBytes)
    throw elfFault(`has ${elf.length} bytes: at most ${policy.mostBytes} are taken`);
  const file = readElf(elf);
  checkSections(file);
  checkSymbols(file, policy.programs);
  for (const { executable, bytes } of file.sections)
    if (executable) checkCode(bytes, new Set(policy.helpers));
}

function checkSections({ sections }: ElfFile): void {
  const seen = new Set<string>();
  for (const { name, executable, bytes } of sections) {
    if (DEBUG_SECTION.test(name)) continue;
    if (!SECTIONS.has(name))
      throw elfFault(`has a section ${JSON.stringify(name)}, which no program of ours has`);
    if (seen.has(name)) throw elfFault(`has two sections ${JSON.stringify(name)}`);
    seen.add(name);
    if (executable !== (name === CODE.text || name === CODE.xdp))
      throw elfFault(`has code in section ${JSON.stringify(name)}, or none where code belongs`);
    if (name === '.BTF.ext' && bytes.length >= EXT_HEADER_BYTES && bytes.readUInt32LE(28) !== 0)
      throw elfFault('asks to be fitted to types of the kernel');
  }
}

function checkSymbols({ sections, symbols }: ElfFile, wanted: readonly string[]): void {
  const programs: (typeof symbols)[number][] = [];
  for (const [i, symbol] of symbols.entries()) {
    if (i === 0) continue;
    if (symbol.section === 0) throw elfFault(`needs ${JSON.stringify(symbol.name)} from elsewhere`);
    if (symbol.isFunction && sections[symbol.section]?.name === CODE.xdp) programs.push(symbol);
  }
  const names = programs.map((p) => p.name);
  if (names.length !== wanted.length || wanted.some((name) => !names.includes(name)))
    throw elfFault(`must have the programs ${wanted.join(', ')}, not ${JSON.stringify(names.slice(0, 4))}`);
  // One behind the other, from the beginning of their section to its end.
  let end = 0;
  for (const { at, size } of programs.toSorted((a, b) => a.at - b.at)) {
    if (at !== end) throw elfFault('has more in its section of programs than those');
    end = at + size;
  }
  if (programs.some((p) => end !== sections[p.section]!.bytes.length))
    throw elfFault('has more in its section of programs than those');
}

function checkCode(code: Buffer, helpers: ReadonlySet<number>): void {
  if (code.length % INSTRUCTION_BYTES !== 0) throw elfFault('has half an instruction');
  for (let at = 0; at < code.length; at += INSTRUCTION_BYTES) {
    const source = code.readUInt8(at + 1) >> 4;
    switch (code.readUInt8(at)) {
      case CALL:
        if (source === LOCAL_CALL) break;
        if (source !== HELPER_CALL || !helpers.has(code.readInt32LE(at + 4)))
          throw elfFault(
            `calls ${source === HELPER_CALL ? 'helper' : 'function'} ${code.readInt32LE(at + 4)} of the kernel`,
          );
        break;
      case CALL_BY_REGISTER:
        throw elfFault('calls what a register holds');
      case LOAD_64:
        // Maps are named by relocations; a number here would be a descriptor of whoever loads it.
        if (source !== 0) throw elfFault('names a map or a type of the kernel by number');
        at += INSTRUCTION_BYTES;
    }
  }
}

/** Checks the maps of an opened object before they are made. @throws BpfError `bpf-object-invalid` */
export function checkDeclaredMaps(maps: readonly DeclaredMap[], policy: ObjectPolicy): void {
  for (const map of maps) {
    const fault =
      mapFault(map, policy) ??
      (policy.maps[map.name]?.flags.includes(map.flags) ? undefined : `has flags ${map.flags}`);
    if (fault !== undefined) throw elfFault(`declares map ${JSON.stringify(map.name)}, which ${fault}`);
    if (map.pinPath !== undefined) throw elfFault(`would pin map ${JSON.stringify(map.name)}`);
  }
  const names = new Set(maps.map((m) => m.name));
  const missing = Object.entries(policy.maps).filter(([name, m]) => m.optional !== true && !names.has(name));
  if (missing.length > 0)
    throw elfFault(
      `has no map ${missing.map(([name]) => name).join(', ')}: compile it with this version of intransit`,
    );
}

/** How a map differs from what one of its name must be; undefined where it does not. */
export function mapFault(
  { name, type, keySize, valueSize, maxEntries }: Omit<MapInfo, 'perCpu'>,
  { maps }: Pick<ObjectPolicy, 'maps'>,
): string | undefined {
  const wanted = Object.hasOwn(maps, name) ? maps[name] : undefined;
  if (wanted === undefined) return 'no program of ours has';
  if (type !== wanted.type) return `is of type ${type}, not ${wanted.type}`;
  if (keySize !== wanted.keySize) return `has keys of ${keySize} bytes, not ${wanted.keySize}`;
  if (!fits(valueSize, wanted.valueSize))
    return `has values of ${valueSize} bytes, not ${sizeText(wanted.valueSize)}`;
  if (!fits(maxEntries, wanted.maxEntries))
    return `has ${maxEntries} entries, not ${sizeText(wanted.maxEntries)}`;
  return undefined;
}

const fits = (size: number, wanted: Size): boolean =>
  typeof wanted === 'number' ? size === wanted : size > 0 && size <= wanted.most;
const sizeText = (size: Size): string => (typeof size === 'number' ? `${size}` : `at most ${size.most}`);

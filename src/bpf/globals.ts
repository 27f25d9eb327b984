/** Initial values of a program's global variables, set between opening and loading. */
import { BpfError } from './errors.ts';
import { type Libbpf, libbpf, type Pointer } from './native.ts';

/** A number is written with the variable's own size (1, 2, 4 or 8 bytes); bytes must have exactly that size. */
export type GlobalValue = number | bigint | Uint8Array;

interface Variable {
  /** Where its initial value lies. */
  readonly address: Pointer;
  readonly size: number;
}

const BTF_KIND_DATASEC = 15;
const SECTIONS = ['.rodata', '.data', '.bss'];

/**
 * Sets variables by name; `const volatile` ones are constants for the verifier, which then drops dead branches.
 *
 * @throws BpfError `bpf-unknown-name`, `bpf-bad-argument`
 */
export function setGlobals(object: Pointer, values: Readonly<Record<string, GlobalValue>>): void {
  const wanted = Object.entries(values);
  if (wanted.length === 0) return;
  const variables = readVariables(object);
  for (const [name, value] of wanted) {
    const variable = variables.get(name);
    if (variable === undefined) {
      const known = [...variables.keys()].join(', ') || 'none';
      const remedy = `use one of its variables: ${known}`;
      throw new BpfError('bpf-unknown-name', `the object has no global variable "${name}"`, { remedy });
    }
    const bytes = encode(name, value, variable.size);
    libbpf().copyMemory(variable.address, bytes, bytes.length);
  }
}

/** The variables as BTF lists them: a DATASEC type a section, with `{type, offset, size}` a variable. */
function readVariables(object: Pointer): Map<string, Variable> {
  const lib = libbpf();
  const found = new Map<string, Variable>();
  const btf = lib.objectBtf(object);
  for (const section of SECTIONS) {
    const map = lib.findMap(object, section);
    const base = map === null ? null : lib.mapInitialValue(map, Buffer.alloc(8));
    if (btf === null || base === null) continue;
    const id = lib.btfFind(btf, section, BTF_KIND_DATASEC);
    const type = id < 0 ? null : lib.btfType(btf, id);
    if (type === null) continue;
    // struct btf_type { u32 name_offset, info, size }; the low 16 bits of info count the members that follow it.
    const members = readBytes(lib, type, 12).readUInt32LE(4) & 0xffff;
    for (let i = 0; i < members; i++) {
      const member = readBytes(lib, type + BigInt(12 + 12 * i), 12);
      const variable = lib.btfType(btf, member.readUInt32LE(0));
      if (variable === null) continue;
      const name = lib.btfName(btf, readBytes(lib, variable, 4).readUInt32LE(0));
      found.set(name, { address: base + BigInt(member.readUInt32LE(4)), size: member.readUInt32LE(8) });
    }
  }
  return found;
}

function readBytes(lib: Libbpf, from: Pointer, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  lib.copyMemory(bytes, from, size);
  return bytes;
}

function encode(name: string, value: GlobalValue, size: number): Uint8Array {
  if (typeof value === 'object') {
    if (value.length !== size) throw badValue(`variable "${name}" has ${size} bytes, not ${value.length}`);
    return value;
  }
  if (![1, 2, 4, 8].includes(size) || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw badValue(`variable "${name}" of ${size} bytes cannot be set to ${value}`);
  }
  const bits = size * 8;
  const wide = BigInt(value);
  if (wide !== BigInt.asIntN(bits, wide) && wide !== BigInt.asUintN(bits, wide)) {
    throw badValue(`${value} does not fit variable "${name}" of ${size} bytes`);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, wide));
  return bytes.subarray(0, size);
}

function badValue(message: string): BpfError {
  return new BpfError('bpf-bad-argument', message, { remedy: 'pass a value of the size of the variable' });
}

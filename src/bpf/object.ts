import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { BpfError } from './errors.ts';
import type { GlobalValue } from './globals.ts';
import { Lease } from './lease.ts';
import { type LoadedObject, loadObject } from './load.ts';
import { BpfMap } from './map.ts';
import { libbpf, type Pointer } from './native.ts';
import { BpfProgram } from './program.ts';

/** What a BPF object is given before it is loaded. */
export interface OpenOptions {
  /** Shown in errors and used for internal maps; default: the file's name without its ending. */
  readonly name?: string;
  /** Initial values of global variables by name; see `GlobalValue`. */
  readonly globals?: Readonly<Record<string, GlobalValue>>;
  /** Maps that are there already, by name: the object works on them instead of making its own. */
  readonly maps?: Readonly<Record<string, BpfMap>>;
}

/**
 * Loads a compiled BPF object, a path or the bytes of an ELF file, into the kernel. The verifier runs on another
 * thread. Its maps and programs live until `close()`, or for as long as a link or a pin holds them.
 *
 * @throws VerifierError with a one-line summary and the verifier's whole log
 * @throws BpfError `bpf-object-invalid`, `bpf-load` (a map or relocation failed; the log is libbpf's), `bpf-permission`,
 *   `bpf-libbpf-missing`, `bpf-unknown-name` or `bpf-bad-argument` (a global)
 */
export async function openObject(elf: string | Uint8Array, options: OpenOptions = {}): Promise<BpfObject> {
  const fileName = typeof elf === 'string' ? basename(elf).replace(/(\.bpf)?\.o$/, '') : 'object';
  const name = options.name ?? fileName;
  const bytes = typeof elf === 'string' ? await readElf(elf) : elf;
  const { globals = {}, maps = {} } = options;
  return new BpfObject(name, await loadObject({ name, elf: bytes, globals, maps }));
}

/** A loaded BPF object: its programs and maps, until it is closed. */
export class BpfObject implements Disposable {
  readonly name: string;
  readonly programs: ReadonlyMap<string, BpfProgram>;
  /** By the names of the source; internal maps as `.rodata`, `.data` and `.bss`. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly #handle: Pointer;
  readonly #lease: Lease;

  /** @internal Use `openObject`. */
  constructor(name: string, loaded: LoadedObject) {
    const lib = libbpf();
    const lease = new Lease(`BPF object "${name}"`);
    const programs = new Map<string, BpfProgram>();
    for (let p = lib.nextProgram(loaded.handle, null); p !== null; p = lib.nextProgram(loaded.handle, p)) {
      const programName = lib.programName(p);
      const stats = loaded.stats.get(programName);
      programs.set(programName, new BpfProgram(programName, lib.programFd(p), lease, stats));
    }
    const maps = new Map<string, BpfMap>();
    for (let m = lib.nextMap(loaded.handle, null); m !== null; m = lib.nextMap(loaded.handle, m)) {
      // libbpf puts the object's name before ".rodata" and its like; a declared map's name has no dot.
      const mapName = lib.mapName(m).replace(/^[^.]+(?=\.)/, '');
      maps.set(mapName, new BpfMap(lib.mapFd(m), lease, mapName));
    }
    this.name = name;
    this.programs = programs;
    this.maps = maps;
    this.#handle = loaded.handle;
    this.#lease = lease;
  }

  /** @throws BpfError `bpf-unknown-name` */
  program(name: string): BpfProgram {
    return this.programs.get(name) ?? this.#unknown('program', name, this.programs);
  }

  /** @throws BpfError `bpf-unknown-name` */
  map(name: string): BpfMap {
    return this.maps.get(name) ?? this.#unknown('map', name, this.maps);
  }

  /** Lets go of all programs and maps. Links go on, and keep what they use. Idempotent. */
  close(): void {
    if (this.#lease.end()) libbpf().objectClose(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #unknown(kind: string, name: string, known: ReadonlyMap<string, unknown>): never {
    const remedy = `use one of its ${kind}s: ${[...known.keys()].join(', ') || 'none'}`;
    throw new BpfError('bpf-unknown-name', `BPF object "${this.name}" has no ${kind} "${name}"`, { remedy });
  }
}

async function readElf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const message = `${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`;
    throw new BpfError('bpf-object-invalid', message, { remedy: 'compile it first (compileBpf)', cause });
  }
}

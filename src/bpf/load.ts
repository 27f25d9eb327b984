/** Opening and loading an ELF object, and finding out why libbpf or the kernel refused it. */
import { BpfError, describeErrno, KernelCallError, permissionError, VerifierError } from './errors.ts';
import { type GlobalValue, setGlobals } from './globals.ts';
import { withMessages } from './libbpf-messages.ts';
import { allocate, readCString, type StableMemory } from './memory.ts';
import { callAsync, libbpf, type Pointer } from './native.ts';
import type { DeclaredMap } from './object-policy.ts';
import {
  parseVerifierRefusal,
  parseVerifierStats,
  type VerifierRefusal,
  type VerifierStats,
} from './verifier-log.ts';

/** An object before it is loaded. */
export interface ElfObject {
  readonly name: string;
  readonly elf: Uint8Array;
  readonly globals: Readonly<Record<string, GlobalValue>>;
  /** Descriptors of maps to use instead of new ones, by name. */
  readonly maps: Readonly<Record<string, { readonly fd: number }>>;
  /** Looks at the maps that the object declares, before they are made, and throws where they will not do. */
  readonly accept?: (maps: readonly DeclaredMap[]) => void;
  /** Capabilities are a thread's: a process that has given most of them up has the rest on its first thread. */
  readonly onThisThread?: boolean;
}

/** libbpf's handle, and what the verifier said of each program. */
export interface LoadedObject {
  readonly handle: Pointer;
  /** By the name of the program. */
  readonly stats: ReadonlyMap<string, VerifierStats>;
}

/** The verifier's log of each program, and either a loaded object or the stage and errno of the failure. */
type Attempt =
  | { readonly ok: true; readonly handle: Pointer; readonly logs: ReadonlyMap<string, string> }
  | {
      readonly ok: false;
      readonly stage: 'open' | 'load';
      readonly errno: number;
      readonly logs: ReadonlyMap<string, string>;
    };

/** BPF_LOG_STATS: the statistics, and the reason of a refusal without the trace that led to it. Costs nothing. */
const STATS_LEVEL = 4;
const TRACE_LEVEL = STATS_LEVEL | 1;
const STATS_BYTES = 64 * 1024;
/** The largest log that every kernel allows. Since 6.4 the kernel keeps the tail of a longer one, with the reason. */
const TRACE_BYTES = 2 ** 24 - 1;
const [EPERM, ENOMEM] = [1, 12];

/**
 * Loads an object. The first attempt asks the verifier for statistics only; a refused object is loaded once more with
 * the trace of the refused program and with libbpf's own messages, so that only failures pay for them.
 *
 * @throws VerifierError, BpfError `bpf-object-invalid` | `bpf-load` | `bpf-permission` | `bpf-unknown-name`
 */
export async function loadObject(object: ElfObject): Promise<LoadedObject> {
  const first = await attempt(object);
  if (first.ok) return { handle: first.handle, stats: statsOf(first.logs) };
  const refused = findRefusal(first.logs);
  const { result: second, messages } = await withMessages(() => attempt(object, refused?.program));
  // What failed for want of memory, say, may succeed now.
  if (second.ok) return { handle: second.handle, stats: statsOf(second.logs) };
  const { program, refusal, log } = findRefusal(second.logs) ?? refused ?? {};
  if (program !== undefined && refusal && log) throw new VerifierError(program, { ...refusal, log });
  throw loadError(object.name, second.stage, second.errno, messages);
}

/** @param traced the program whose log is to hold the trace */
async function attempt(object: ElfObject, traced?: string): Promise<Attempt> {
  const lib = libbpf();
  const handle = open(object);
  if (handle === null) return { ok: false, stage: 'open', errno: lib.errno(), logs: new Map() };
  const buffers = new Map<string, StableMemory>();
  let result: number;
  try {
    object.accept?.(declaredMaps(handle));
    setGlobals(handle, object.globals);
    for (const [name, { fd }] of Object.entries(object.maps)) reuseMap(handle, name, fd);
    for (let p = lib.nextProgram(handle, null); p !== null; p = lib.nextProgram(handle, p)) {
      const name = lib.programName(p);
      const log = allocate(name === traced ? TRACE_BYTES : STATS_BYTES);
      buffers.set(name, log);
      lib.setProgramLogBuffer(p, log.address, log.bytes.length);
      lib.setProgramLogLevel(p, name === traced ? TRACE_LEVEL : STATS_LEVEL);
    }
    result = object.onThisThread === true ? lib.objectLoad(handle) : await callAsync(lib.objectLoad, handle);
  } catch (error) {
    lib.objectClose(handle);
    throw error;
  }
  // A loaded object still points at the buffers, but it writes to them only while it loads.
  const logs = new Map([...buffers].map(([name, log]) => [name, readCString(log.bytes)]));
  if (result === 0) return { ok: true, handle, logs };
  lib.objectClose(handle);
  return { ok: false, stage: 'load', errno: -result, logs };
}

/** struct bpf_object_open_opts of libbpf 1.0: 80 bytes, `sz` at 0, `object_name` at 8. */
function open({ name, elf }: ElfObject): Pointer | null {
  // Internal maps are called NAME.rodata and so on; no other dot may stand in it.
  const plain = name.replace(/\W/g, '_');
  const cName = allocate(plain.length + 1);
  cName.bytes.write(plain);
  const opts = Buffer.alloc(80);
  opts.writeBigUInt64LE(80n, 0);
  opts.writeBigUInt64LE(cName.address, 8);
  return libbpf().objectOpen(elf, elf.length, opts);
}

function declaredMaps(handle: Pointer): readonly DeclaredMap[] {
  const lib = libbpf();
  const maps: DeclaredMap[] = [];
  for (let m = lib.nextMap(handle, null); m !== null; m = lib.nextMap(handle, m))
    maps.push({
      name: lib.mapName(m).replace(/^[^.]+(?=\.)/, ''),
      type: lib.mapType(m),
      keySize: lib.mapKeySize(m),
      valueSize: lib.mapValueSize(m),
      maxEntries: lib.mapMaxEntries(m),
      flags: lib.mapFlags(m),
      pinPath: lib.mapPinPath(m) ?? undefined,
    });
  return maps;
}

function reuseMap(handle: Pointer, name: string, fd: number): void {
  const lib = libbpf();
  const map = lib.findMap(handle, name);
  if (map === null)
    throw new BpfError('bpf-unknown-name', `the object has no map "${name}"`, {
      remedy: 'name one of its maps',
    });
  const result = lib.mapReuseFd(map, fd);
  if (result < 0)
    throw new KernelCallError(`use map "${name}" again`, -result, 'pass an open map', 'bpf-load');
}

/** The kernel takes programs in turn and stops at the first refusal, so at most one log gives a reason. */
function findRefusal(
  logs: ReadonlyMap<string, string>,
): { program: string; log: string; refusal: VerifierRefusal } | undefined {
  for (const [program, log] of logs) {
    const refusal = parseVerifierRefusal(log);
    if (refusal) return { program, log, refusal };
  }
  return undefined;
}

function loadError(
  name: string,
  stage: 'open' | 'load',
  errno: number,
  messages: readonly string[],
): BpfError {
  const log = messages.join('\n');
  // The first message is the nearest to the cause; those after it report how the failure spread.
  const cause = messages.find((message) => !message.includes('Retrying')) ?? describeErrno(errno);
  if (stage === 'open') {
    const remedy = 'pass an ELF file that clang -target bpf wrote, with maps in SEC(".maps")';
    return new BpfError('bpf-object-invalid', `${name} is no BPF object that libbpf can open: ${cause}`, {
      remedy,
      log,
    });
  }
  if (errno === EPERM) return permissionError(`load ${name}`, log);
  const remedy =
    errno === ENOMEM ? 'make its maps smaller, or free memory' : 'the log says what libbpf tried';
  return new KernelCallError(`load ${name} (${cause})`, errno, remedy, 'bpf-load', log);
}

function statsOf(logs: ReadonlyMap<string, string>): Map<string, VerifierStats> {
  const stats = new Map<string, VerifierStats>();
  for (const [name, log] of logs) {
    const parsed = parseVerifierStats(log);
    if (parsed) stats.set(name, parsed);
  }
  return stats;
}

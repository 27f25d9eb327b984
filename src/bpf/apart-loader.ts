/**
 * The process in which objects from elsewhere are opened and loaded: libbpf reads them in C, and does not promise to
 * survive what it reads. It serves requests from its standard input until that ends.
 */
import { readSync, writeSync } from 'node:fs';
import { LENGTH_BYTES, type LoadAnswer, type LoadRequest } from './apart-protocol.ts';
import { BpfError, KernelCallError } from './errors.ts';
import { loadObject } from './load.ts';
import { libbpf, type Pointer } from './native.ts';
import { checkDeclaredMaps, checkObject } from './object-policy.ts';
import { keepToLoad } from './privileges.ts';
import type { VerifierStats } from './verifier-log.ts';

const [STDIN, STDOUT] = [0, 1];

/** Undefined at the end of the input. */
function read(size: number): Buffer | undefined {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const count = untilReady(() => readSync(STDIN, bytes, at, size - at, null));
    if (count === 0) return undefined;
    at += count;
  }
  return bytes;
}

/** Whoever else loads code into this process may have made its pipes such that they do not wait. */
function untilReady(transfer: () => number): number {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function load({ name, policy, globals, reused }: LoadRequest, elf: Buffer): Promise<Loaded> {
  checkObject(elf, policy);
  const { handle, stats } = await loadObject({
    name,
    elf,
    globals: Object.fromEntries(
      Object.entries(globals).map(([variable, value]) => [
        variable,
        typeof value === 'number' ? value : Uint8Array.from(value),
      ]),
    ),
    maps: Object.fromEntries(Object.entries(reused).map(([map, fd]) => [map, { fd }])),
    accept: (maps) => checkDeclaredMaps(maps, policy),
    onThisThread: true,
  });
  const lib = libbpf();
  const programs: Record<string, { fd: number; stats?: VerifierStats }> = {};
  for (let p = lib.nextProgram(handle, null); p !== null; p = lib.nextProgram(handle, p)) {
    const own = stats.get(lib.programName(p));
    programs[lib.programName(p)] = { fd: lib.programFd(p), ...(own && { stats: own }) };
  }
  const maps: Record<string, number> = {};
  for (let m = lib.nextMap(handle, null); m !== null; m = lib.nextMap(handle, m))
    maps[lib.mapName(m).replace(/^[^.]+(?=\.)/, '')] = lib.mapFd(m);
  return { handle, answer: { ok: true, programs, maps } };
}

interface Loaded {
  readonly handle: Pointer;
  readonly answer: LoadAnswer;
}

function failure(error: unknown): LoadAnswer {
  if (!(error instanceof BpfError))
    return {
      ok: false,
      code: 'bpf-load',
      message: error instanceof Error ? error.message : String(error),
      remedy: 'compile it again',
    };
  const { code, message, remedy, log } = error;
  const errno = error instanceof KernelCallError ? { errno: error.errno } : {};
  return { ok: false, code, message, remedy, ...(log !== undefined && { log }), ...errno };
}

function say(answer: LoadAnswer): void {
  const text = Buffer.from(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < text.length; ) {
    const from = at;
    at += untilReady(() => writeSync(STDOUT, text, from));
  }
}

async function serve(): Promise<void> {
  // Both libraries are read before the right to read files is gone.
  libbpf();
  keepToLoad();
  let last: Pointer | undefined;
  for (;;) {
    const length = read(LENGTH_BYTES);
    if (length === undefined) return;
    const request: LoadRequest = JSON.parse(read(length.readUInt32LE())!.toString('utf8'));
    const elf = read(request.bytes)!;
    if (last !== undefined) libbpf().objectClose(last);
    last = undefined;
    try {
      const { handle, answer } = await load(request, elf);
      last = request.keep ? undefined : handle;
      say(answer);
    } catch (error) {
      say(failure(error));
    }
  }
}

await serve().catch((error) => say(failure(error)));

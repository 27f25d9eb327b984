/** Loading of objects from elsewhere, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LENGTH_BYTES, type LoadAnswer, type LoadRequest } from './apart-protocol.ts';
import { BpfError, type BpfErrorCode, describeErrno, KernelCallError, permissionError } from './errors.ts';
import { Lease } from './lease.ts';
import { BpfMap } from './map.ts';
import { libbpf } from './native.ts';
import { checkObject, mapFault, type ObjectPolicy } from './object-policy.ts';
import { checkKind, type PinKind } from './pin.ts';
import { BpfProgram } from './program.ts';

/** Of an object that a process of its own loads. */
export interface ApartOptions {
  /** Shown in errors and used for internal maps. */
  readonly name: string;
  readonly policy: ObjectPolicy;
  readonly globals?: LoadRequest['globals'];
  /** Maps that are there already, by their names in the object. */
  readonly reuse?: ReadonlyMap<string, BpfMap>;
  /** Default 120,000: the verifier may take seconds. */
  readonly timeoutMs?: number;
}

/** Programs with their maps, until they are closed. */
export interface ApartObject {
  readonly programs: ReadonlyMap<string, BpfProgram>;
  readonly maps: ReadonlyMap<string, BpfMap>;
  close(): void;
}

const TIMEOUT_MS = 120_000;
const MOST_ANSWER = 2 ** 25;
/** Descriptors in the loader: those after the standard ones. */
const FIRST_REUSED_FD = 3;
const [PIDFD_OPEN, PIDFD_GETFD] = [434, 438];

/**
 * Loads an object of whoever sent it. Its bytes are checked here; libbpf opens it in a process that is nobody's and can do
 * nothing but load. If that dies of it, that is a refusal.
 * @throws BpfError as `openObject`, and `bpf-object-invalid` for what `policy` does not permit
 */
export async function openObjectApart(elf: Uint8Array, options: ApartOptions): Promise<ApartObject> {
  const [object] = await openObjectsApart([{ elf, ...options }], []);
  return object!;
}

/**
 * Loads several objects of one sender, in one process.
 * @param shared names of maps that are those of the first object in all others, unless they are reused from elsewhere
 * @throws BpfError as `openObjectApart`; none is loaded then
 */
export async function openObjectsApart(
  objects: readonly (ApartOptions & { readonly elf: Uint8Array })[],
  shared: readonly string[],
): Promise<readonly ApartObject[]> {
  for (const { elf, policy } of objects) checkObject(elf, policy);
  const maps = [...new Set(objects.flatMap(({ reuse }) => [...(reuse?.values() ?? [])]))];
  const descriptorOf = (map: BpfMap): number => FIRST_REUSED_FD + maps.indexOf(map);
  const loader = startLoader(maps.map((map) => map.fd));
  const adopted: ApartObject[] = [];
  const common: Record<string, number> = {};
  try {
    for (const { elf, ...options } of objects) {
      const own = [...(options.reuse ?? [])].map(([name, map]) => [name, descriptorOf(map)]);
      const answer = await loader.load(elf, options, {
        reused: { ...common, ...Object.fromEntries(own) },
        keep: true,
      });
      if (!answer.ok) throw errorOf(answer);
      adopted.push(adopt(loader.pid, answer, options.policy));
      for (const name of shared) common[name] ??= answer.maps[name]!;
    }
    return adopted;
  } catch (error) {
    for (const object of adopted) object.close();
    throw error;
  } finally {
    loader.end();
  }
}

/** What an object is loaded with and after. */
export interface LoadPlace {
  /** Descriptors in the loader, by the names of maps that are to be used again. */
  readonly reused: LoadRequest['reused'];
  /** Whether it stays when the next one is loaded. */
  readonly keep: boolean;
}

/** A running loader; for one object, unless somebody wants to know how many it survives. */
export interface Loader {
  readonly pid: number;
  /** @throws BpfError `bpf-object-invalid` where the loader died of it */
  load(elf: Uint8Array, options: ApartOptions, place?: LoadPlace): Promise<LoadAnswer>;
  end(): void;
}

const ALONE: LoadPlace = { reused: {}, keep: false };

/** @param reused descriptors that it is given, from 3 on */
export function startLoader(reused: readonly number[] = []): Loader {
  const here = fileURLToPath(import.meta.url);
  const isSource = here.endsWith('.ts');
  // From its sources the project runs by tsx, wherever it was started.
  const require = createRequire(import.meta.url);
  const flags = isSource ? ['--import', pathToFileURL(require.resolve('tsx')).href] : [];
  const script = fileURLToPath(
    new URL(isSource ? './apart-loader.ts' : './apart-loader.js', import.meta.url),
  );
  const child = spawn(process.execPath, [...flags, script], {
    cwd: '/',
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'pipe', ...reused],
  });
  const ended = endOf(child);
  return {
    get pid() {
      return child.pid ?? 0;
    },
    async load(elf, { name, policy, globals = {}, timeoutMs = TIMEOUT_MS }, place = ALONE) {
      const request: LoadRequest = { name, policy, globals, ...place, bytes: elf.length };
      const json = Buffer.from(JSON.stringify(request));
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(json.length);
      child.stdin!.write(Buffer.concat([length, json, elf]));
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      try {
        const line = await Promise.race([lineOf(child), ended]);
        if (typeof line === 'string') return answerOf(name, line);
        throw died(name, line);
      } finally {
        clearTimeout(timer);
      }
    },
    end() {
      child.stdin!.end();
      child.kill('SIGKILL');
    },
  };
}

interface End {
  readonly how: string;
  readonly said: string;
}

function endOf(child: ChildProcess): Promise<End> {
  let said = '';
  child.stderr!.on('data', (text) => {
    said = (said + text).slice(-4_000);
  });
  // What dies while it is written to.
  child.stdin!.on('error', () => {});
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ how: error.message, said }));
    child.once('close', (code, signal) => resolve({ how: signal ?? `exit code ${code}`, said }));
  });
}

/** An object that took its loader over could say anything. */
function answerOf(name: string, line: string): LoadAnswer {
  try {
    return JSON.parse(line);
  } catch {
    throw died(name, { how: 'its answer is none', said: '' });
  }
}

function lineOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (chunk: Buffer): void => {
      const end = chunk.indexOf('\n');
      chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
      length += chunk.length;
      if (end < 0 && length < MOST_ANSWER) return;
      child.stdout!.off('data', take);
      resolve(end < 0 ? '' : Buffer.concat(chunks).toString('utf8'));
    };
    child.stdout!.on('data', take);
  });
}

const died = (name: string, { how, said }: End): BpfError =>
  new BpfError('bpf-object-invalid', `${name}: the loader died of the object (${how})`, {
    remedy: 'the object is damaged: compile it again',
    log: said,
  });

function errorOf({ code, message, remedy, log, errno }: LoadAnswer & { readonly ok: false }): BpfError {
  const known = code as BpfErrorCode;
  // The message of such an error is made of the number.
  const what = message.replace(`: ${describeErrno(errno ?? 0)}`, '');
  if (errno !== undefined) return new KernelCallError(what, errno, remedy, known, log);
  return new BpfError(known, message, { remedy, ...(log !== undefined && { log }) });
}

/** Takes program and maps over. What the loader says of them is not believed: the kernel is asked. */
function adopt(
  pid: number,
  { programs, maps }: LoadAnswer & { readonly ok: true },
  policy: ObjectPolicy,
): ApartObject {
  const lib = libbpf();
  const process = lib.syscall(PIDFD_OPEN, pid, 0, 0);
  if (process < 0) throw permissionError('reach the loader of programs');
  const lease = new Lease(`BPF object "${policy.programs[0]}"`);
  const fds: number[] = [];
  const take = (fd: number, kind: PinKind): number => {
    const own = lib.syscall(PIDFD_GETFD, process, fd, 0);
    if (own < 0) throw permissionError('take a program over from its loader (CAP_SYS_PTRACE)');
    fds.push(own);
    checkKind(own, kind, `descriptor ${fd} of the loader`);
    return own;
  };
  const close = (): void => {
    if (lease.end()) for (const fd of fds) closeSync(fd);
  };
  try {
    const taken = new Map<string, BpfMap>();
    for (const [name, fd] of Object.entries(maps)) taken.set(name, new BpfMap(take(fd, 'map'), lease, name));
    for (const { info } of taken.values()) {
      const fault = mapFault(info, policy);
      if (fault !== undefined)
        throw new BpfError('bpf-object-invalid', `map ${info.name} ${fault}`, { remedy: 'compile it again' });
    }
    const loaded = policy.programs.map((name) => {
      const found = programs[name];
      if (found === undefined)
        throw new BpfError('bpf-object-invalid', `program ${name} was not loaded`, {
          remedy: 'compile it again',
        });
      return [name, new BpfProgram(name, take(found.fd, 'prog'), lease, found.stats)] as const;
    });
    return { programs: new Map(loaded), maps: taken, close };
  } catch (error) {
    close();
    throw error;
  } finally {
    closeSync(process);
  }
}

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { BpfError, CompileError, remedies } from '../bpf/errors.ts';
import { type CompileEntry, compileEntry } from './compile-cache.ts';
import { findTool } from './find-tool.ts';

/** How `compileBpf` calls clang. */
export interface CompileOptions {
  /** Default: `clang` on the PATH. */
  readonly clang?: string;
  readonly includeDirs?: readonly string[];
  /** Further arguments, after the standard ones: `-DLANES=3`. */
  readonly flags?: readonly string[];
  readonly signal?: AbortSignal;
}

/** BTF (`-g`) gives maps their types and the verifier's log its source lines; v3 has 32-bit jumps. */
export const BPF_FLAGS: readonly string[] = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror'];

/** Of the kernel and of libbpf: with another version of either, one of them is another file. */
const SYSTEM_HEADERS = [
  '/usr/include/linux/bpf.h',
  '/usr/include/linux/version.h',
  '/usr/include/bpf/bpf_helpers.h',
];

/**
 * Compiles one C file to a BPF object. clang writes a temporary file and renames it, so the object is whole or absent.
 *
 * @throws BpfError `bpf-clang-missing`
 * @throws CompileError with the first error and its place; `log` is all that clang said
 */
export async function compileBpf(
  sourcePath: string,
  objectPath: string,
  options: CompileOptions = {},
): Promise<void> {
  const clang = options.clang ?? 'clang';
  const { includeDirs = [], flags = [] } = options;
  const entry = await keptOutput(clang, sourcePath, includeDirs, flags);
  const known = await entry?.read();
  if (known !== undefined) {
    const whole = `${objectPath}.${process.pid}`;
    await writeFile(whole, known);
    return await rename(whole, objectPath);
  }
  const includes = [...includeDirs.map((dir) => `-I${dir}`), ...systemIncludes()];
  const args = [...BPF_FLAGS, ...includes, ...flags, '-c', sourcePath, '-o', objectPath];
  const { error, log } = await run(clang, args, options.signal);
  if (error === null) return await entry?.keep(await readFile(objectPath));
  if (error.code === 'ENOENT' || error.code === 'EACCES') {
    throw new BpfError('bpf-clang-missing', `${clang} does not start: ${error.code}`, {
      remedy: remedies.clang,
      cause: error,
    });
  }
  throw compileError(sourcePath, log, error);
}

async function keptOutput(
  clang: string,
  source: string,
  includeDirs: readonly string[],
  flags: readonly string[],
): Promise<CompileEntry | undefined> {
  const tool = findTool(clang);
  if (tool === undefined) return undefined;
  return compileEntry({
    tool,
    source,
    flags: [...BPF_FLAGS, ...flags],
    includeDirs,
    endings: ['.c', '.h'],
    systemFiles: SYSTEM_HEADERS,
  });
}

/**
 * @internal Where Debian and Ubuntu keep `asm/types.h`. clang searches that folder for the host's target only; after
 * all others, so that it stands in for nothing.
 */
export function systemIncludes(arch: string = process.arch): string[] {
  const triples: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };
  const dir = `/usr/include/${triples[arch]}-linux-gnu`;
  return existsSync(dir) ? ['-idirafter', dir] : [];
}

/** @internal The error of a failed run of clang, from all that it printed. */
export function compileError(sourcePath: string, log: string, cause?: Error): CompileError {
  const placed = /^(\S.*?):(\d+):\d+: (?:fatal )?error: (.*)$/m.exec(log);
  const plain = /^(?:.*?: )?(?:fatal )?error: (.*)$/m.exec(log);
  const [, file, line, text] = placed ?? [];
  const reason = text ?? plain?.[1] ?? cause?.message.split('\n')[0] ?? 'clang failed';
  const place = file === undefined ? '' : `${file}:${line}: `;
  return new CompileError(`clang refused ${sourcePath}: ${place}${reason}`, {
    remedy: compileRemedy(reason),
    log,
    cause,
    ...(file !== undefined && { file, line: Number(line) }),
  });
}

function compileRemedy(reason: string): string {
  if (/'bpf\/.*not found/.test(reason)) return 'install the headers of libbpf: apt-get install libbpf-dev';
  if (/'(linux|asm)\/.*not found/.test(reason))
    return 'install the headers of the kernel: apt-get install linux-libc-dev';
  if (/stack limit|stack size/i.test(reason))
    return 'keep large data in a per-CPU map: the stack has 512 bytes';
  if (/No available targets|unknown target/.test(reason)) return remedies.clang;
  return 'correct the source; the log has all errors';
}

interface RunResult {
  readonly error: (Error & { code?: string | number | null | undefined }) | null;
  readonly log: string;
}

function run(command: string, args: readonly string[], signal?: AbortSignal): Promise<RunResult> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 * 1024 * 1024, ...(signal && { signal }) };
    execFile(command, args, options, (error, stdout, stderr) => resolve({ error, log: stderr + stdout }));
  });
}

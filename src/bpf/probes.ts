/**
 * What this machine can do. Each probe has three answers: a feature that could not be tried (no root, no libbpf) is
 * `unknown`, which is not the same as missing.
 */
import { execFile } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { describeErrno, remedies } from './errors.ts';
import { readInfo } from './memory.ts';
import { type Libbpf, libbpf } from './native.ts';

/** What a host may have or lack, by the names that `probe` uses. */
export type Feature =
  | 'libbpf'
  | 'privilege'
  | 'xdp-program'
  | 'jit'
  | 'per-cpu-array'
  | 'bpf-loop'
  | 'btf'
  | 'xdp-link'
  | 'clang';

/** Whether the host has a feature, with what was seen; `unknown` where it could not be told. */
export interface ProbeResult {
  readonly feature: Feature;
  readonly answer: 'supported' | 'unsupported' | 'unknown';
  /** What was seen: a version, an error, a file. */
  readonly reason: string;
  /** What would help, for answers other than `supported`. */
  readonly remedy?: string;
}

/** What the probes look at; tests put other machines in its place. */
export interface ProbeHost {
  readonly libbpf: () => Libbpf;
  readonly readFile: (path: string) => Buffer;
  /** @returns standard output. Rejects with a `code` of ENOENT where there is no such command. */
  readonly run: (command: string, args: readonly string[]) => Promise<string>;
}

/** The machine that this process runs on. */
export const thisHost: ProbeHost = {
  libbpf,
  readFile: (path) => readFileSync(path),
  run: (command, args) =>
    new Promise((resolve, reject) => {
      execFile(command, args, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    }),
};

const PROG_TYPE_XDP = 6;
const MAP_TYPE_PERCPU_ARRAY = 6;
const HELPER_LOOP = 181;
const EPERM = 1;
const KERNEL_REMEDY = 'use a kernel of 5.17 or later, built with CONFIG_BPF_SYSCALL';

/** All probes, in the order in which they depend on each other. Changes nothing on the machine; about 50 ms. */
export async function probeAll(host: ProbeHost = thisHost, clang = 'clang'): Promise<ProbeResult[]> {
  const library = probeLibbpf(host);
  const lib = library.answer === 'supported' ? host.libbpf() : undefined;
  return [library, ...probeKernel(lib), probeBtf(host), probeXdpLink(host), await probeClang(host, clang)];
}

/** Is libbpf.so.1 present? */
export function probeLibbpf(host: ProbeHost = thisHost): ProbeResult {
  try {
    return supported('libbpf', `libbpf ${host.libbpf().versionString()}`);
  } catch (error) {
    return { feature: 'libbpf', answer: 'unsupported', reason: messageOf(error), remedy: remedies.libbpf };
  }
}

/** Loads the smallest XDP program there is: it tells of permission, program type and JIT at once. */
function probeKernel(lib: Libbpf | undefined): ProbeResult[] {
  const features = ['privilege', 'xdp-program', 'jit', 'per-cpu-array', 'bpf-loop'] as const;
  if (!lib) return features.map((f) => unknown(f, 'not tried without libbpf', remedies.libbpf));
  const fd = loadSmallestProgram(lib);
  if (fd === -EPERM) {
    const refused: ProbeResult = {
      feature: 'privilege',
      answer: 'unsupported',
      reason: describeErrno(EPERM),
      remedy: remedies.root,
    };
    return [
      refused,
      ...features.slice(1).map((f) => unknown(f, 'not tried without permission', remedies.root)),
    ];
  }
  const jited = fd < 0 ? undefined : readInfo(fd, 24).readUInt32LE(16);
  if (fd >= 0) closeSync(fd);
  return [
    fd >= 0
      ? supported('privilege', 'bpf(2) is permitted')
      : unknown('privilege', describeErrno(-fd), KERNEL_REMEDY),
    fd >= 0
      ? supported('xdp-program', 'a program loads')
      : unsupported('xdp-program', describeErrno(-fd), KERNEL_REMEDY),
    jited === undefined ? unknown('jit', 'no program loads', KERNEL_REMEDY) : jitResult(jited),
    fromAnswer('per-cpu-array', lib.probeMapType(MAP_TYPE_PERCPU_ARRAY, null)),
    fromAnswer('bpf-loop', lib.probeHelper(PROG_TYPE_XDP, HELPER_LOOP, null)),
  ];
}

/** `r0 = XDP_PASS; exit`. @returns a descriptor or the negative errno */
function loadSmallestProgram(lib: Libbpf): number {
  const instructions = Buffer.from('b700000002000000' + '9500000000000000', 'hex');
  return lib.programLoad(PROG_TYPE_XDP, 'intransit_probe', 'GPL', instructions, 2, null);
}

function jitResult(jitedBytes: number): ProbeResult {
  if (jitedBytes > 0) return supported('jit', `the kernel compiled 2 instructions to ${jitedBytes} bytes`);
  return unsupported('jit', 'the kernel interprets programs', 'sysctl net.core.bpf_jit_enable=1');
}

/** libbpf's probes: 1 yes, 0 no, negative errno: could not tell. */
function fromAnswer(feature: Feature, answer: number): ProbeResult {
  if (answer > 0) return supported(feature, 'the kernel accepts it');
  if (answer === 0) return unsupported(feature, 'the kernel refuses it', KERNEL_REMEDY);
  return unknown(feature, describeErrno(-answer), KERNEL_REMEDY);
}

const BTF_PATH = '/sys/kernel/btf/vmlinux';
const BTF_REMEDY = 'use a kernel built with CONFIG_DEBUG_INFO_BTF';

/** Does the kernel tell its types? */
export function probeBtf(host: ProbeHost = thisHost): ProbeResult {
  const btf = readBtf(host);
  if (Buffer.isBuffer(btf)) return supported('btf', `${BTF_PATH}, ${btf.length} bytes`);
  return btf === 'ENOENT'
    ? unsupported('btf', `no ${BTF_PATH}`, BTF_REMEDY)
    : unknown('btf', btf, BTF_REMEDY);
}

/** Links to interfaces came with 5.9. Trying would need an interface, so the kernel's type of that name decides. */
export function probeXdpLink(host: ProbeHost = thisHost): ProbeResult {
  const btf = readBtf(host);
  if (!Buffer.isBuffer(btf))
    return unknown('xdp-link', `the kernel's types cannot be read: ${btf}`, BTF_REMEDY);
  if (btf.includes('\0bpf_xdp_link\0')) return supported('xdp-link', 'the kernel has struct bpf_xdp_link');
  return unsupported('xdp-link', 'the kernel has no struct bpf_xdp_link', 'use a kernel of 5.9 or later');
}

/** @returns the bytes, or the name of the error */
function readBtf(host: ProbeHost): Buffer | string {
  try {
    return host.readFile(BTF_PATH);
  } catch (error) {
    return codeOf(error) ?? messageOf(error);
  }
}

/** Is there a clang that compiles for BPF? */
export async function probeClang(host: ProbeHost = thisHost, clang = 'clang'): Promise<ProbeResult> {
  try {
    const version = (await host.run(clang, ['--version'])).split('\n')[0] ?? '';
    const targets = await host.run(clang, ['--print-targets']);
    if (/^\s*bpf\b/m.test(targets)) return supported('clang', version);
    return unsupported('clang', `${version} has no BPF target`, remedies.clang);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return unsupported('clang', `no command "${clang}"`, remedies.clang);
    return unknown('clang', messageOf(error), remedies.clang);
  }
}

function supported(feature: Feature, reason: string): ProbeResult {
  return { feature, answer: 'supported', reason };
}

function unsupported(feature: Feature, reason: string, remedy: string): ProbeResult {
  return { feature, answer: 'unsupported', reason, remedy };
}

function unknown(feature: Feature, reason: string, remedy: string): ProbeResult {
  return { feature, answer: 'unknown', reason, remedy };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

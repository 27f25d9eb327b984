/**
 * The errors of the BPF runtime. Each says what failed (`message`), which case it is (`code`, stable, for a table of
 * diagnostics), what the user can do (`remedy`), and where there is one the whole log of the tool or kernel (`log`).
 */
import { getSystemErrorMap } from 'node:util';

/** Cases of a BpfError; stable, so that programs can tell them apart. */
export type BpfErrorCode =
  | 'bpf-libbpf-missing'
  | 'bpf-permission'
  | 'bpf-object-invalid'
  | 'bpf-load'
  | 'bpf-verifier'
  | 'bpf-unknown-name'
  | 'bpf-bad-argument'
  | 'bpf-closed'
  | 'bpf-kernel-call'
  | 'bpf-interface'
  | 'bpf-attach'
  | 'bpf-pin'
  | 'bpf-clang-missing'
  | 'bpf-compile';

/** What an error says besides its message: what would help, and the whole log of a tool or of the kernel. */
export interface BpfErrorDetails {
  readonly remedy: string;
  readonly log?: string | undefined;
  readonly cause?: unknown;
}

/** A fault of the BPF runtime: which case it is (`code`), and what the user can do (`remedy`). */
export class BpfError extends Error {
  override readonly name: string = 'BpfError';
  readonly code: BpfErrorCode;
  readonly remedy: string;
  readonly log: string | undefined;

  constructor(code: BpfErrorCode, message: string, details: BpfErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.remedy = details.remedy;
    this.log = details.log;
  }
}

/** A system call that the kernel answered with an error. `errno` is positive, `errnoName` is like `ENOENT`. */
export class KernelCallError extends BpfError {
  override readonly name: string = 'KernelCallError';
  readonly errno: number;
  readonly errnoName: string;

  constructor(
    what: string,
    errno: number,
    remedy: string,
    code: BpfErrorCode = 'bpf-kernel-call',
    log?: string,
  ) {
    super(code, `${what}: ${describeErrno(errno)}`, { remedy, log });
    this.errno = errno;
    this.errnoName = errnoName(errno);
  }
}

/** The verifier refused a program. `summary` is one line (and the message); `log` is the verifier's whole log. */
export class VerifierError extends BpfError {
  override readonly name = 'VerifierError';
  readonly program: string;
  readonly summary: string;
  /** Index of the refused instruction, if the log names one. */
  readonly instruction: number | undefined;
  /** Instructions that the verifier walked before it gave up. */
  readonly processedInstructions: number | undefined;

  constructor(
    program: string,
    facts: {
      summary: string;
      instruction?: number;
      processedInstructions?: number;
      remedy: string;
      log: string;
    },
  ) {
    super('bpf-verifier', `the kernel's verifier refused program "${program}": ${facts.summary}`, facts);
    this.program = program;
    this.summary = facts.summary;
    this.instruction = facts.instruction;
    this.processedInstructions = facts.processedInstructions;
  }
}

/** clang refused a source file. The place is absent for errors without one (linker, backend, output file). */
export class CompileError extends BpfError {
  override readonly name = 'CompileError';
  readonly file: string | undefined;
  readonly line: number | undefined;

  constructor(message: string, details: BpfErrorDetails & { file?: string; line?: number }) {
    super('bpf-compile', message, details);
    this.file = details.file;
    this.line = details.line;
  }
}

/** What helps where a part of the machine is missing. */
export const remedies = {
  libbpf: 'install libbpf 1.x: apt-get install libbpf1',
  clang: 'install clang with its BPF target: apt-get install clang, or pass the path of another clang',
  root: 'run as root (sudo), or with the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON',
} as const;

/** Of a call that the kernel does not permit: `bpf-permission`, with how to be permitted. */
export function permissionError(what: string, log?: string): BpfError {
  return new BpfError('bpf-permission', `${what}: the kernel does not permit it`, {
    remedy: remedies.root,
    log,
  });
}

/**
 * Errors that Node names otherwise or not at all: EOPNOTSUPP (to Node a matter of sockets), and the kernel's inner
 * ENOTSUPP, which its BPF code lets through to user space.
 */
const NOT_SUPPORTED = new Map([
  [95, 'EOPNOTSUPP'],
  [524, 'ENOTSUPP'],
]);

/** `ENOENT` for 2; `errno 999` for a number without a name. */
export function errnoName(errno: number): string {
  return NOT_SUPPORTED.get(errno) ?? getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** `no such file or directory (ENOENT)`. */
export function describeErrno(errno: number): string {
  const text = NOT_SUPPORTED.has(errno) ? 'operation not supported' : getSystemErrorMap().get(-errno)?.[1];
  return text === undefined ? errnoName(errno) : `${text} (${errnoName(errno)})`;
}

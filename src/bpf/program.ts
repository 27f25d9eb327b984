import { closeSync } from 'node:fs';
import { Lease } from './lease.ts';
import { readCString, readInfo } from './memory.ts';
import { openPin, pin } from './pin.ts';
import { createTestRunner, type TestRunner } from './test-run.ts';
import type { VerifierStats } from './verifier-log.ts';
import { type AttachOptions, attachXdp, type XdpLink } from './xdp-link.ts';

/** What the kernel tells of a loaded program. */
export interface ProgramInfo {
  /** The kernel's number of its type: 6 is XDP. */
  readonly type: number;
  readonly id: number;
  /** Hash of the instructions, 16 hex digits. */
  readonly tag: string;
  /** Bytes of machine code; 0 where the kernel interprets (no JIT). */
  readonly jitedBytes: number;
  /** Bytes of BPF instructions, 8 each, after the kernel's rewriting. */
  readonly translatedBytes: number;
}

/** A run of a program on a packet, without an interface. */
export interface TestRunOptions {
  /** The frame, from the Ethernet header on; at least 14 bytes. */
  readonly packet: Uint8Array;
  /** Runs in one call. A program that rewrites its packet sees its own output from the second run on. */
  readonly repeat?: number;
  /** Bytes of room for a packet that the program lengthens; default: that of the input and 256 more. */
  readonly dataOutSize?: number;
}

/** What came of a test run: what the program returned, and the packet as the program left it. */
export interface TestRunResult {
  /** The program's return value; see `XdpAction`. */
  readonly action: number;
  readonly packet: Buffer;
  /** Mean of the runs, in ns, as the kernel measured it; that of a single run includes reading the clock. */
  readonly durationNs: number;
}

/** What an XDP program returns. */
export const XdpAction = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

/** A program in the kernel: it can be run on a packet, put on an interface, and pinned. */
export class BpfProgram {
  readonly name: string;
  /** What the verifier told of it; undefined where the kernel (before 5.2) does not. */
  readonly stats: VerifierStats | undefined;
  readonly #fd: number;
  readonly #lease: Lease;

  /** @internal Programs come from `BpfObject.program`. */
  constructor(name: string, fd: number, lease: Lease, stats: VerifierStats | undefined) {
    this.name = name;
    this.stats = stats;
    this.#fd = fd;
    this.#lease = lease;
  }

  /** @throws BpfError `bpf-closed` */
  get fd(): number {
    this.#lease.check();
    return this.#fd;
  }

  /** Instructions that the verifier walked, over all paths; the kernel's limit is 1,000,000. */
  get verifiedInstructions(): number | undefined {
    return this.stats?.verifiedInstructions;
  }

  info(): ProgramInfo {
    const raw = readInfo(this.fd, 24);
    return {
      type: raw.readUInt32LE(0),
      id: raw.readUInt32LE(4),
      tag: raw.toString('hex', 8, 16),
      jitedBytes: raw.readUInt32LE(16),
      translatedBytes: raw.readUInt32LE(20),
    };
  }

  /**
   * Runs the program on a packet, in this thread and on no interface. For many runs see `createTestRunner`.
   *
   * @throws KernelCallError EINVAL (shorter than 14 bytes, or longer than the kernel takes), ENOSPC (`dataOutSize`)
   */
  testRun({ packet, repeat = 1, dataOutSize }: TestRunOptions): TestRunResult {
    const runner = createTestRunner(this, packet.length, dataOutSize);
    const action = runner.run(packet, repeat);
    return { action, packet: Buffer.from(runner.packet), durationNs: runner.durationNs };
  }

  /** A runner with buffers of its own, for packets up to `maxPacket` bytes. */
  createTestRunner(maxPacket: number, dataOutSize?: number): TestRunner {
    return createTestRunner(this, maxPacket, dataOutSize);
  }

  /** Attaches the program to an interface, until the link is closed or this process ends. See `attachXdp`. */
  attachXdp(options: AttachOptions): XdpLink {
    return attachXdp(this, options);
  }

  /** Keeps the program alive beyond this process, under a path of a BPF file system (`ensureBpffs`). */
  pin(path: string): void {
    pin(this.fd, path, `program "${this.name}"`);
  }
}

/** A program of its own, which lives until `close()` (and in the kernel for as long as it is pinned or attached). */
export class PinnedProgram extends BpfProgram implements Disposable {
  readonly #close: () => void;

  /** @internal */
  constructor(fd: number, path: string) {
    const lease = new Lease(`program at ${path}`);
    // struct bpf_prog_info: the name, cut to 15 characters, at byte 64.
    super(readCString(readInfo(fd, 80).subarray(64, 80)), fd, lease, undefined);
    this.#close = () => lease.end() && closeSync(fd);
  }

  close(): void {
    this.#close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a program that this or an earlier process pinned. @throws BpfError `bpf-pin` */
export function openPinnedProgram(path: string): PinnedProgram {
  return new PinnedProgram(openPin(path, 'prog'), path);
}

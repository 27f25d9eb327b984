import { BpfError, KernelCallError } from './errors.ts';
import { allocate } from './memory.ts';
import { libbpf } from './native.ts';

/** struct bpf_test_run_opts: its size, and the offsets used here. */
const OPTS = {
  size: 80,
  dataIn: 8,
  dataOut: 16,
  sizeIn: 24,
  sizeOut: 28,
  retval: 56,
  repeat: 60,
  duration: 64,
};
const [EINTR, EINVAL, ENOSPC] = [4, 22, 28];

/** Bytes by which a program may lengthen its packet unless told otherwise: as much as XDP's headroom. */
const DEFAULT_GROWTH = 256;

/** Bytes of the shortest packet that the kernel runs an XDP program on: an Ethernet header. */
export const LEAST_PACKET = 14;

/** Anything with the descriptor of a program; reading `fd` fails when it is closed. */
interface Runnable {
  readonly name: string;
  readonly fd: number;
}

/** Test runs of one program, one after the other, without allocations. */
export interface TestRunner {
  /**
   * Runs the program on a copy of `packet`, synchronously.
   *
   * @returns what the program returned, an `XdpAction`
   * @throws KernelCallError EINVAL, ENOSPC, EINTR (a signal came between repeats)
   */
  run(packet: Uint8Array, repeat?: number): number;
  /** The packet as the last run left it: a view, valid until the next run. */
  readonly packet: Uint8Array;
  /** Mean duration of the last call's runs, in ns. */
  readonly durationNs: number;
}

/** Buffers and options struct are made once, so a run allocates nothing but the view of its result. */
export function createTestRunner(program: Runnable, maxPacket: number, dataOutSize?: number): TestRunner {
  const lib = libbpf();
  const input = allocate(Math.max(maxPacket, 1));
  const output = allocate(dataOutSize ?? maxPacket + DEFAULT_GROWTH);
  const { bytes: opts } = allocate(OPTS.size);
  opts.writeBigUInt64LE(BigInt(OPTS.size), 0);
  opts.writeBigUInt64LE(input.address, OPTS.dataIn);
  opts.writeBigUInt64LE(output.address, OPTS.dataOut);

  return {
    run(packet, repeat = 1) {
      if (packet.length > maxPacket) {
        const message = `the packet has ${packet.length} bytes, the runner holds ${maxPacket}`;
        throw new BpfError('bpf-bad-argument', message, {
          remedy: 'create the runner for the longest packet',
        });
      }
      input.bytes.set(packet);
      opts.writeUInt32LE(packet.length, OPTS.sizeIn);
      opts.writeUInt32LE(output.bytes.length, OPTS.sizeOut);
      opts.writeInt32LE(repeat, OPTS.repeat);
      const result = lib.testRun(program.fd, opts);
      if (result < 0) throw runError(program.name, -result, packet.length, output.bytes.length);
      return opts.readUInt32LE(OPTS.retval);
    },
    get packet() {
      return output.bytes.subarray(0, opts.readUInt32LE(OPTS.sizeOut));
    },
    get durationNs() {
      return opts.readUInt32LE(OPTS.duration);
    },
  };
}

function runError(name: string, errno: number, length: number, room: number): KernelCallError {
  const what = `test run of "${name}" with a packet of ${length} bytes`;
  return new KernelCallError(what, errno, runRemedy(errno, room));
}

function runRemedy(errno: number, room: number): string {
  if (errno === EINVAL) return 'pass a frame of at least 14 bytes; older kernels take about 3,500 at most';
  if (errno === ENOSPC) return `pass a dataOutSize above ${room}: the program lengthens its packet`;
  if (errno === EINTR) return 'run again: a signal interrupted the repeats';
  return 'check that the program is an XDP program';
}

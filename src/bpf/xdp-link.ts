/** XDP programs on interfaces, held by BPF links: a link that is not pinned ends with the process, even when killed. */
import { closeSync } from 'node:fs';
import { BpfError, errnoName, KernelCallError, permissionError } from './errors.ts';
import { Lease } from './lease.ts';
import { readInfo } from './memory.ts';
import { libbpf } from './native.ts';
import { withNetns } from './netns.ts';
import { openPin, pin } from './pin.ts';

/** `native`: in the driver; `generic`: in the network stack, slower, on any interface. */
export type XdpMode = 'native' | 'generic';

/** Where a program is put, and how. */
export interface AttachOptions {
  /** Name or index of the interface. */
  readonly interface: string | number;
  /** `auto` (the default) takes native, and generic where the driver refuses. */
  readonly mode?: XdpMode | 'auto';
  /** Namespace of the interface, if it is not the process's: a name of `ip netns`, or a path. */
  readonly netns?: string;
}

/** Anything with the descriptor of a program; reading `fd` fails when it is closed. */
interface Attachable {
  readonly name: string;
  readonly fd: number;
}

const BPF_XDP = 37;
const XDP_FLAGS: Record<XdpMode, number> = { generic: 1 << 1, native: 1 << 2 };
const [QUERY_BYTES, QUERY_MODE_AT] = [32, 24];
/** By `XDP_ATTACHED_*`. */
const ATTACHED: readonly (XdpMode | undefined)[] = [undefined, 'native', 'generic'];
const [EPERM, EBUSY, EEXIST, ENODEV, EINVAL, ERANGE, EOPNOTSUPP] = [1, 16, 17, 19, 22, 34, 95];
/** What a driver answers that has no native XDP, or none with this MTU, these queues or these offloads. */
const DRIVER_REFUSALS: readonly number[] = [EINVAL, ERANGE, EOPNOTSUPP];

/** A program on an interface; it goes with its link, unless that is pinned. */
export class XdpLink implements Disposable {
  /** 0 once the interface is gone. */
  readonly ifindex: number;
  /** Undefined for a link opened from a pin, whose kernel info does not tell. */
  readonly mode: XdpMode | undefined;
  /** Why `auto` did not take native mode, where it did not. */
  readonly nativeRefusal: string | undefined;
  readonly #fd: number;
  readonly #lease = new Lease('XDP link');

  /** @internal Links come from `attachXdp` or `openPinnedLink`. */
  constructor(fd: number, mode?: XdpMode, nativeRefusal?: string) {
    this.#fd = fd;
    this.mode = mode;
    this.nativeRefusal = nativeRefusal;
    this.ifindex = this.info().ifindex;
  }

  /** The kernel's ids of the link and of its program, and the interface (0 when it is gone or the link detached). */
  info(): { readonly id: number; readonly programId: number; readonly ifindex: number } {
    this.#lease.check();
    const raw = readInfo(this.#fd, 24);
    return { id: raw.readUInt32LE(4), programId: raw.readUInt32LE(8), ifindex: raw.readUInt32LE(16) };
  }

  /** Puts another program in place of the present one; every packet meets one of the two. */
  update(program: Attachable): void {
    this.#lease.check();
    const result = libbpf().linkUpdate(this.#fd, program.fd, null);
    if (result < 0) throw attachError(`put program "${program.name}" into the XDP link`, -result);
  }

  /** Lets the link outlive this process. @throws BpfError `bpf-pin` */
  pin(path: string): void {
    this.#lease.check();
    pin(this.#fd, path, 'XDP link');
  }

  /** Takes the program off the interface, even if the link is pinned, and closes. Idempotent. */
  detach(): void {
    if (!this.#lease.end()) return;
    libbpf().linkDetach(this.#fd);
    closeSync(this.#fd);
  }

  /** Lets go of the link: the program leaves the interface unless the link is pinned. Idempotent. */
  close(): void {
    if (this.#lease.end()) closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Attaches an XDP program to an interface.
 *
 * @throws BpfError `bpf-interface` (no such interface or namespace), `bpf-permission`
 * @throws KernelCallError `bpf-attach`: EBUSY (another program is there), EOPNOTSUPP and others (native mode refused)
 */
export function attachXdp(program: Attachable, options: AttachOptions): XdpLink {
  const { netns } = options;
  return netns === undefined
    ? attachHere(program, options)
    : withNetns(netns, () => attachHere(program, options));
}

function attachHere(program: Attachable, { interface: target, mode = 'auto' }: AttachOptions): XdpLink {
  const ifindex = typeof target === 'number' ? target : interfaceIndex(target);
  const first = mode === 'generic' ? 'generic' : 'native';
  const fd = createLink(program.fd, ifindex, first);
  if (fd >= 0) return new XdpLink(fd, first);
  if (mode === 'auto' && DRIVER_REFUSALS.includes(-fd)) {
    const fallback = createLink(program.fd, ifindex, 'generic');
    if (fallback >= 0) return new XdpLink(fallback, 'generic', errnoName(-fd));
  }
  throw attachError(`attach program "${program.name}" to interface ${target} in ${first} mode`, -fd);
}

/** @returns the index, at least 1. @throws BpfError `bpf-interface` */
export function interfaceIndex(name: string): number {
  const index = libbpf().interfaceIndex(name);
  if (index > 0) return index;
  const remedy = 'ip link show lists the interfaces; one of another namespace needs the option netns';
  throw new BpfError('bpf-interface', `there is no interface "${name}"`, { remedy });
}

/**
 * In which mode a program is on an interface: of this network namespace, whatever holds it there.
 * @returns undefined where none is, or the kernel does not tell
 */
export function interfaceXdpMode(ifindex: number): XdpMode | undefined {
  // struct bpf_xdp_query_opts: size (8 bytes), four ids of programs, then the mode, in 24 bytes and padding.
  const opts = Buffer.alloc(QUERY_BYTES);
  opts.writeBigUInt64LE(BigInt(QUERY_BYTES), 0);
  if (libbpf().xdpQuery(ifindex, 0, opts) < 0) return undefined;
  return ATTACHED[opts.readUInt8(QUERY_MODE_AT)];
}

/** Opens a link that this or an earlier process pinned. @throws BpfError `bpf-pin` */
export function openPinnedLink(path: string): XdpLink {
  return new XdpLink(openPin(path, 'link'));
}

/** struct bpf_link_create_opts: 64 bytes, `sz` at 0, `flags` at 8. @returns a descriptor, or the negative errno */
function createLink(programFd: number, ifindex: number, mode: XdpMode): number {
  const opts = Buffer.alloc(64);
  opts.writeBigUInt64LE(64n, 0);
  opts.writeUInt32LE(XDP_FLAGS[mode], 8);
  return libbpf().linkCreate(programFd, ifindex, BPF_XDP, opts);
}

function attachError(what: string, errno: number): BpfError {
  if (errno === EPERM) return permissionError(what);
  return new KernelCallError(what, errno, attachRemedy(errno), 'bpf-attach');
}

function attachRemedy(errno: number): string {
  if (errno === EBUSY)
    return 'stop the program that is there: bpftool net shows it, ip link set dev IF xdp off removes it';
  if (errno === EEXIST)
    return 'use the mode of the program that is there: native and generic exclude each other';
  if (errno === ENODEV) return 'ip link show lists the interfaces';
  return "use generic mode, or lower the interface's MTU and turn LRO off";
}

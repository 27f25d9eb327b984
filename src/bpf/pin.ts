/** Pins: names in a BPF file system that keep maps, programs and links alive when the process ends. */
import { chmodSync, closeSync, lstatSync, mkdirSync, readlinkSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BpfError, KernelCallError, permissionError } from './errors.ts';
import { libbpf } from './native.ts';

const PRIVATE = 0o700;
const OTHERS = 0o077;
const BPF_FS_MAGIC = 0xcafe4a11;
const [EPERM, ENOENT, EACCES, EEXIST] = [1, 2, 13, 17];

/**
 * Makes sure that `mountPoint` is a BPF file system (mounting one if need be: `ip netns exec` for one hides the
 * usual mount) and that `mountPoint/folder` exists in it. What is made, and every folder below the mount point, is this
 * user's alone: whoever can write there can put another program in place of ours.
 *
 * @returns the path of the folder
 * @throws BpfError `bpf-pin`, `bpf-permission`
 */
export function ensureBpffs(folder = '', mountPoint = '/sys/fs/bpf'): string {
  try {
    mkdirSync(mountPoint, { recursive: true });
    if (!isBpffs(mountPoint)) mountBpffs(mountPoint);
    let path = mountPoint;
    for (const name of folder.split('/').filter((part) => part !== '')) {
      path = join(path, name);
      ownFolder(path);
    }
    return path;
  } catch (cause) {
    if (cause instanceof BpfError) throw cause;
    const message = `no folder for pins under ${mountPoint}: ${cause instanceof Error ? cause.message : cause}`;
    throw new BpfError('bpf-pin', message, { remedy: `mount -t bpf bpf ${mountPoint}`, cause });
  }
}

/** Makes a folder, or makes sure that it is ours. */
function ownFolder(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    mkdirSync(path, { mode: PRIVATE });
    return;
  }
  if (!found.isDirectory() || found.uid !== process.getuid?.())
    throw new BpfError('bpf-pin', `${path} is not a folder of this user`, {
      remedy: 'see who has made it, and remove it',
    });
  if ((found.mode & OTHERS) !== 0) chmodSync(path, PRIVATE);
}

/**
 * Whether a pin is this user's, as are all that this user makes.
 * @throws BpfError `bpf-pin` where it is somebody else's
 */
function checkPinOwner(path: string): void {
  if (lstatSync(path).uid === process.getuid?.()) return;
  throw new BpfError('bpf-pin', `${path} belongs to another user`, {
    remedy: 'see who has made it, and remove it',
  });
}

function mountBpffs(mountPoint: string): void {
  if (libbpf().mount('bpf', mountPoint, 'bpf', 0, 'mode=0700') === 0) return;
  const errno = libbpf().errno();
  if (errno === EPERM) throw permissionError(`mount a BPF file system at ${mountPoint}`);
  const remedy = `mount -t bpf bpf ${mountPoint}`;
  throw new KernelCallError(`mount a BPF file system at ${mountPoint}`, errno, remedy, 'bpf-pin');
}

/** @internal `what` names the object in errors. @throws BpfError `bpf-pin` */
export function pin(fd: number, path: string, what: string): void {
  const result = libbpf().pin(fd, path);
  if (result >= 0) return;
  // The kernel answers EPERM on other file systems, as if permission were lacking.
  throw isBpffs(dirname(path)) === false
    ? elsewhere(what, path)
    : pinError(`pin ${what} at ${path}`, -result);
}

/** Removes a pin; the object goes on while something else holds it. Nothing happens if there is none. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}

/** Kinds of what a descriptor of BPF stands for. */
export type PinKind = 'map' | 'link' | 'prog';

/** @internal @returns a new descriptor. @throws BpfError `bpf-pin`, also where the pin is of another kind, or another's */
export function openPin(path: string, kind: PinKind): number {
  const fd = libbpf().openPinned(path);
  if (fd < 0) throw pinError(`open the ${kind} at ${path}`, -fd);
  try {
    checkPinOwner(path);
    checkKind(fd, kind, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** @throws BpfError `bpf-pin` where a descriptor is of another kind @param what it is, for the error */
export function checkKind(fd: number, kind: PinKind, what: string): void {
  // "anon_inode:bpf-map"; a link's is "anon_inode:bpf_link" on older kernels.
  const found = readlinkSync(`/proc/self/fd/${fd}`).replace(/^anon_inode:bpf[-_]/, '');
  if (found === kind) return;
  throw new BpfError('bpf-pin', `${what} is a ${found}, no ${kind}`, { remedy: `pass a ${kind}` });
}

function pinError(what: string, errno: number): BpfError {
  if (errno === EPERM || errno === EACCES) return permissionError(what);
  return new KernelCallError(what, errno, pinRemedy(errno), 'bpf-pin');
}

/** Undefined where there is no such folder. */
function isBpffs(folder: string): boolean | undefined {
  try {
    return statfsSync(folder).type === BPF_FS_MAGIC;
  } catch {
    return undefined;
  }
}

function elsewhere(what: string, path: string): BpfError {
  const message = `pin ${what} at ${path}: the folder is in no BPF file system`;
  return new BpfError('bpf-pin', message, { remedy: 'choose a path under that of ensureBpffs' });
}

function pinRemedy(errno: number): string {
  if (errno === EEXIST) return 'remove the pin that is there (rm), or choose another path';
  if (errno === ENOENT) return 'create the folder first: ensureBpffs';
  return 'choose a path under that of ensureBpffs, without dots in its last part';
}

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type koffi from 'koffi';

type Koffi = typeof koffi;

const LOCK_EX_NB = 2 | 4;
const [EINTR, EAGAIN] = [4, 11];
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

let calls:
  | { readonly flock: (fd: number, operation: number) => number; readonly errno: () => number }
  | undefined;

/** Node has no call for it. @returns no where another process has it @throws Error where the file system has no locks, or no more */
function tryLock(fd: number, path: string): boolean {
  if (calls === undefined) {
    const ffi: Koffi = createRequire(import.meta.url)('koffi');
    calls = { flock: ffi.load(null).func('int flock(int fd, int operation)'), errno: () => ffi.errno() };
  }
  for (;;) {
    if (calls.flock(fd, LOCK_EX_NB) === 0) return true;
    const errno = calls.errno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) throw new Error(`${path} cannot be locked: ${getSystemErrorName(-errno)}`);
  }
}

/** A lock that this process has. */
export interface Lock {
  /** The second call does nothing. */
  release(): void;
}

/**
 * A lock on a file, which is made and goes with it; it ends with this process, however that ends. Only this user may open
 * the file: whoever can, can lock it.
 * @param note is written into the file, for whoever wonders whose it is
 * @returns undefined where another process has it @throws Error of the system call
 */
export function lockFile(path: string, note = `${process.pid}\n`): Lock | undefined {
  for (;;) {
    const fd = openSync(path, FLAGS, 0o600);
    let isOurs = false;
    try {
      isOurs = tryLock(fd, path);
    } finally {
      if (!isOurs) closeSync(fd);
    }
    if (!isOurs) return undefined;
    // Whoever had it may have removed the file between the two calls: then this lock is on no file any more.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) {
      closeSync(fd);
      continue;
    }
    try {
      fchmodSync(fd, 0o600);
      ftruncateSync(fd);
      writeSync(fd, note, 0);
    } catch {
      // A full disk: the lock holds all the same.
    }
    let held = true;
    return {
      release() {
        if (!held) return;
        held = false;
        rmSync(path, { force: true });
        closeSync(fd);
      },
    };
  }
}

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasFolderPaths, inFolder } from './folders.ts';
import { isOwnerGone, OWNER_PATTERN, ownerMark } from './owner.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const HOUR_MS = 3_600_000;
/** Characters of a name that leave room for the rest of a temporary one. */
const LONGEST = 150;

/** Of a file that is replaced as a whole. */
export interface ReplaceOptions {
  /** Default that of any new file of this process. */
  readonly mode?: number;
}

/** A file that is on disk, but not yet under its name. */
export interface AtomicFile {
  /** Gives it its name: whoever opens that finds the old contents or the new ones, even if the machine stops meanwhile. */
  commit(): void;
  /** Removes it. */
  abandon(): void;
}

/**
 * Writes a file whole or not at all, to disk. A device or a pipe is written to as it is. What killed runs have left of
 * temporary files is removed.
 * @throws Error of the system call; the file is as before then
 */
export function replaceFile(path: string, content: string | Uint8Array, options: ReplaceOptions = {}): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isFile() && !there.isDirectory()) {
    writeFileSync(path, content);
    return;
  }
  const file = atomicFile(path, content, options);
  try {
    file.commit();
  } finally {
    file.abandon();
  }
}

/** The first half of `replaceFile`: after it only a name is missing. @throws Error of the system call */
export function atomicFile(
  path: string,
  content: string | Uint8Array,
  options: ReplaceOptions = {},
): AtomicFile {
  const folder = openSync(dirname(path), 'r');
  const at = (name: string) => (hasFolderPaths ? inFolder(folder, name) : join(dirname(path), name));
  const name = basename(path);
  const random = randomBytes(6).toString('hex');
  const temporary = at(`.${name.slice(0, LONGEST)}.intransit-${ownerMark()}-${random}.tmp`);
  let open = true;
  const abandon = () => {
    if (!open) return;
    open = false;
    rmSync(temporary, { force: true });
    closeSync(folder);
  };
  try {
    sweep(at, name);
    const fd = openSync(temporary, CREATE, 0o600);
    try {
      writeFileSync(fd, content);
      fchmodSync(fd, options.mode ?? 0o666 & ~process.umask());
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    abandon();
    throw error;
  }
  return {
    abandon,
    commit() {
      renameSync(temporary, at(name));
      fsyncSync(folder);
    },
  };
}

function sweep(at: (name: string) => string, name: string): void {
  const pattern = new RegExp(`^\\.(.*)\\.intransit-(${OWNER_PATTERN})-[0-9a-f]{12}\\.tmp$`, 's');
  try {
    for (const other of readdirSync(at('.'))) {
      const match = pattern.exec(other);
      if (match === null || match[1] !== name.slice(0, LONGEST)) continue;
      const { uid, mtimeMs } = lstatSync(at(other));
      const isOurs = uid === process.getuid?.();
      if (isOurs && (isOwnerGone(match[2]!) || Date.now() - mtimeMs > HOUR_MS))
        rmSync(at(other), { force: true });
    }
  } catch {
    // What is left stays for the next run.
  }
}

import { constants, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errnoOf } from './errno.ts';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Makes a folder and what is missing above it. Node's own recursive call never returns for folders of /proc, which can be
 * entered but not added to.
 * @param mode of the folders that are made
 * @throws Error of the system call; ENOTDIR where a file is in the way
 */
export function ensureFolder(path: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const found = statSync(at, { throwIfNoEntry: false });
    if (found?.isDirectory()) break;
    if (found !== undefined) throw notDirectory(at);
    missing.push(at);
    if (dirname(at) === at) break;
  }
  for (const folder of missing.reverse())
    try {
      mkdirSync(folder, { mode });
    } catch (error) {
      // Another process was faster.
      if (errnoOf(error) !== 'EEXIST' || !statSync(folder).isDirectory()) throw error;
    }
}

function notDirectory(path: string): Error {
  const error: NodeJS.ErrnoException = new Error(`ENOTDIR: not a directory, '${path}'`);
  error.code = 'ENOTDIR';
  return error;
}

/** Whether nobody but this user and root can add to a folder, rename what is in it, or move it away. */
export function isPrivate(path: string): boolean {
  const uid = process.getuid?.();
  if (uid === undefined) return false;
  try {
    let at = realpathSync(path);
    const own = lstatSync(at);
    if (!own.isDirectory() || own.uid !== uid || (own.mode & OTHERS_WRITE) !== 0) return false;
    while (dirname(at) !== at) {
      at = dirname(at);
      const above = lstatSync(at);
      if (above.uid !== uid && above.uid !== 0) return false;
      if ((above.mode & OTHERS_WRITE) !== 0 && (above.mode & STICKY) === 0) return false;
    }
    return true;
  } catch {
    // What cannot be looked at is nobody's word for it.
    return false;
  }
}

/**
 * A folder of this user's own for what lives as long as a process: TMPDIR where that is private, root's cache, or one of
 * the XDG folders. Undefined where there is none; a name in a folder that others may write to too could be anybody's.
 */
export function privateBase(): string | undefined {
  for (const base of candidates())
    try {
      ensureFolder(base, 0o700);
      if (isPrivate(base)) return base;
    } catch {
      // Read-only, or full: the next one.
    }
  return undefined;
}

function candidates(): string[] {
  const { XDG_RUNTIME_DIR, XDG_CACHE_HOME, TMPDIR } = process.env;
  const own = TMPDIR !== undefined && isPrivate(tmpdir()) ? [join(tmpdir(), 'intransit')] : [];
  // Not in /run, which many systems mount without the right to execute: benchmarks run what they compile.
  if (process.getuid?.() === 0) return [...own, '/var/cache/intransit', '/run/intransit/tmp'];
  const bases = [XDG_RUNTIME_DIR, XDG_CACHE_HOME ?? join(homedir(), '.cache')];
  return [...own, ...bases.flatMap((b) => (b === undefined || b === '' ? [] : [join(b, 'intransit')]))];
}

/** How a folder is opened that must not be a symbolic link. */
export const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A name in a folder that was opened: whatever becomes of the folder's path meanwhile, it is in that folder. */
export const inFolder = (fd: number, name: string): string => `/proc/self/fd/${fd}/${name}`;

/** Whether `inFolder` works on this system. */
export const hasFolderPaths = process.platform === 'linux';

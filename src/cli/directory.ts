import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import {
  ensureFolder,
  errnoOf,
  FOLDER_FLAGS,
  hasFolderPaths,
  inFolder,
  isOwnerGone,
  messageOf,
  OWNER_PATTERN,
  ownerMark,
  removeTree,
} from '../durable/index.ts';
import { temporaryFolder } from '../temporary.ts';

const MARK = '.intransit-';

/** A file that only directories written by us have. */
const OURS = 'manifest.json';

/**
 * Fills a directory whole or not at all: a private one is filled, its files are copied to a sibling, and that takes its place
 * by renaming. What killed runs have left of such siblings is removed. A directory with other people's files is refused.
 * @param fill writes files, no folders, into the folder that it is given
 */
export async function writeDirectory(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  using filled = temporaryFolder();
  const target = resolve(path);
  try {
    refuseForeign(target, path);
    ensureFolder(dirname(target));
  } catch (error) {
    return asDiagnostic(error, path);
  }
  await fill(filled.path);
  try {
    putInPlace(filled.path, target);
  } catch (error) {
    return asDiagnostic(error, path);
  }
}

function refuseForeign(target: string, file: string): void {
  if (lstatSync(target, { throwIfNoEntry: false }) === undefined) return;
  const entries = readdirSync(target);
  if (entries.length > 0 && !entries.includes(OURS)) refuse('output-exists', {}, { file });
}

/** The parent may be anybody's: it is opened once, and all names are looked up in what was opened. */
function putInPlace(filled: string, target: string): void {
  const parent = openSync(dirname(target), 'r');
  const at = (name: string) => (hasFolderPaths ? inFolder(parent, name) : join(dirname(target), name));
  const name = basename(target);
  const start = `${MARK}${name}-${ownerMark()}-${randomBytes(6).toString('hex')}`;
  const [fresh, old] = [`${start}-new`, `${start}-old`];
  try {
    sweep(at, name);
    copyFolder(filled, at(fresh));
    if (lstatSync(at(name), { throwIfNoEntry: false }) !== undefined) renameSync(at(name), at(old));
    renameSync(at(fresh), at(name));
    fsyncSync(parent);
  } finally {
    removeTree(at(fresh));
    removeTree(at(old));
    closeSync(parent);
  }
}

/** Nobody else can enter the new folder before it is complete. */
function copyFolder(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  const folder = openSync(to, FOLDER_FLAGS);
  try {
    for (const name of readdirSync(from)) {
      const copy = hasFolderPaths ? inFolder(folder, name) : join(to, name);
      writeFileSync(copy, readFileSync(join(from, name)), { flag: 'wx', flush: true });
    }
    chmodSync(hasFolderPaths ? inFolder(folder, '.') : to, 0o777 & ~process.umask());
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Siblings of runs that do not run any more. An old directory whose new one never came is put back. */
function sweep(at: (name: string) => string, name: string): void {
  const pattern = new RegExp(`^(${OWNER_PATTERN})-[0-9a-f]{12}-(new|old)$`);
  const start = `${MARK}${name}-`;
  for (const entry of readdirSync(at('.'))) {
    const match = entry.startsWith(start) ? pattern.exec(entry.slice(start.length)) : null;
    if (match === null || !isOwnerGone(match[1]!)) continue;
    try {
      // What others have put there under such a name is theirs.
      if (lstatSync(at(entry)).uid !== process.getuid?.()) continue;
      if (match[2] === 'old' && lstatSync(at(name), { throwIfNoEntry: false }) === undefined)
        renameSync(at(entry), at(name));
      else removeTree(at(entry));
    } catch {
      // It stays for the next run.
    }
  }
}

function asDiagnostic(error: unknown, file: string): never {
  if (errnoOf(error) === undefined) throw error;
  return refuse('file-unwritable', { reason: messageOf(error) }, { file });
}

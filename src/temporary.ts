import { lstatSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isOwnerGone, ownerMark, privateBase, removeTree } from './durable/index.ts';

const PREFIX = 'intransit-';
const DAY_MS = 86_400_000;

/** Folders of this process that are still there. */
const open = new Set<TemporaryFolder>();

/** A folder that goes when it is disposed of, or with the process. */
export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/** Of a folder that goes with its process. */
export interface TemporaryOptions {
  /** Stands in the name; a run that makes one of a kind clears those of the kind that killed runs have left. */
  readonly kind?: string;
  /** Longest path; default any. */
  readonly maxPath?: number;
  /** What is to be done with such a folder before it is removed. */
  readonly clear?: (path: string) => void;
}

/**
 * A folder that nobody else can read or write. It goes when it is disposed of, at the latest when the process ends; if the
 * process is killed, with the next one of its kind. Only folders of this user's own are searched for such.
 */
export function temporaryFolder(options: TemporaryOptions = {}): TemporaryFolder {
  const { kind = 'tmp', maxPath = Number.POSITIVE_INFINITY } = options;
  const found = privateBase();
  const name = `${kind}-${ownerMark()}-`;
  const base = found !== undefined && join(found, name).length + 6 <= maxPath ? found : undefined;
  if (base !== undefined) sweep(base, kind, options.clear);
  // In a folder of everybody's the name cannot be foretold, and nothing is searched for.
  const path =
    base === undefined ? mkdtempSync(join(shared(maxPath), PREFIX)) : mkdtempSync(join(base, name));
  const folder: TemporaryFolder = {
    path,
    [Symbol.dispose]() {
      open.delete(folder);
      removeTree(path);
      if (base !== undefined) leave(base);
    },
  };
  open.add(folder);
  return folder;
}

const shared = (maxPath: number): string =>
  join(tmpdir(), PREFIX).length + 6 <= maxPath ? tmpdir() : '/tmp';

/** Removes what runs that were killed have left behind. No fault of it is one of whoever needs a folder. */
function sweep(base: string, kind: string, clear?: (path: string) => void): void {
  for (const name of readdirSync(base))
    try {
      const path = join(base, name);
      const mark = name.startsWith(`${kind}-`) ? name.slice(kind.length + 1).replace(/-[^-]*$/, '') : '';
      if (mark === '' || !(isOwnerGone(mark) || isOld(path, mark))) continue;
      clear?.(path);
      removeTree(path);
    } catch {
      // It stays for the next run.
    }
}

/** Of another start of the machine. */
const isOld = (path: string, mark: string): boolean =>
  mark.split('-')[0] !== ownerMark().split('-')[0] && Date.now() - lstatSync(path).mtimeMs > DAY_MS;

function leave(base: string): void {
  try {
    if (dirname(base) === tmpdir()) rmdirSync(base);
  } catch {
    // Others are at work there.
  }
}

process.on('exit', () => {
  for (const folder of [...open])
    try {
      folder[Symbol.dispose]();
    } catch {
      // The next run tries again.
    }
});

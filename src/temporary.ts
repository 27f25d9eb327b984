import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './alive.ts';

const PREFIX = 'intransit-';

/** Folders of this process that are still there. */
const open = new Set<string>();

/** Whether the process that made a folder still runs; its number is part of the name. */
function isOrphan(name: string): boolean {
  const pid = Number(/^intransit-(\d+)-/.exec(name)?.[1]);
  return Number.isInteger(pid) && !isAlive(pid);
}

/** Removes what runs that were killed have left behind. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()))
    if (name.startsWith(PREFIX) && isOrphan(name))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
}

export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/**
 * A folder that goes when it is disposed of, at the latest when the process ends; if the process is killed, with the
 * next folder that anybody makes.
 */
export function temporaryFolder(): TemporaryFolder {
  if (open.size === 0) sweep();
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  open.add(path);
  return {
    path,
    [Symbol.dispose]() {
      open.delete(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

process.on('exit', () => {
  for (const path of open) rmSync(path, { recursive: true, force: true });
});

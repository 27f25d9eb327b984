import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A private temporary directory of one run: the program, the switch's sockets, and the ids of both processes, so that
 * the next run can clear up behind one that was killed.
 */
const PREFIX = 'intransit-bmv2-';

/** A socket's path may have 107 characters; where the user's folder for temporary files is deep, `/tmp` serves. */
const BASE = tmpdir().length <= 60 ? tmpdir() : '/tmp';

const OWNER = 'owner.pid';
const SWITCH = 'switch.pid';

export interface Workspace {
  readonly directory: string;
  /** The process that works here: it ends when this one does. */
  adopt(pid: number): void;
  /** Takes the directory away; the process should be gone by then. */
  remove(): void;
}

export function createWorkspace(): Workspace {
  clearLeftovers();
  const directory = mkdtempSync(join(BASE, PREFIX));
  writeFileSync(join(directory, OWNER), `${process.pid}`);
  let child: number | undefined;
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const onExit = (): void => {
    if (child !== undefined) kill(child);
    remove();
  };
  process.once('exit', onExit);
  return {
    directory,
    adopt(pid) {
      child = pid;
      writeFileSync(join(directory, SWITCH), `${pid}`);
    },
    remove() {
      process.off('exit', onExit);
      remove();
    },
  };
}

/** Kills switches and removes directories whose owner is gone. */
export function clearLeftovers(): void {
  for (const name of readdirSync(BASE)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(BASE, name);
    const owner = readPid(join(directory, OWNER));
    // A directory without an owner is one that another run is just making.
    if (owner === undefined || commandLine(owner) !== '') continue;
    const pid = readPid(join(directory, SWITCH));
    if (pid !== undefined && commandLine(pid).includes(directory)) kill(pid);
    rmSync(directory, { recursive: true, force: true });
  }
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Empty for a process that is gone, or a zombie. Also guards against an id that has been given to somebody else. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

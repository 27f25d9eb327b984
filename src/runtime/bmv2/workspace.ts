import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../temporary.ts';

const KIND = 'bmv2';
const SWITCH = 'switch.pid';
/** A socket's path may have 107 characters. */
const MAX_PATH = 80;

/**
 * A private temporary directory of one run: the program, the switch's sockets, and the id of the switch, so that the next
 * run can clear up after one that was killed.
 */
export interface Workspace {
  readonly directory: string;
  /** The process that works here: it ends when this one does. */
  adopt(pid: number): void;
  /** Takes the directory away; the process should be gone by then. */
  remove(): void;
}

/** A folder for one switch, short enough for sockets; it and its process go with this process. What killed runs left is cleared. */
export function createWorkspace(): Workspace {
  const folder = temporaryFolder({ kind: KIND, maxPath: MAX_PATH, clear: killLeftover });
  let child: number | undefined;
  const onExit = (): void => {
    if (child !== undefined) kill(child);
  };
  process.once('exit', onExit);
  return {
    directory: folder.path,
    adopt(pid) {
      child = pid;
      writeFileSync(join(folder.path, SWITCH), `${pid}`);
    },
    remove() {
      process.off('exit', onExit);
      folder[Symbol.dispose]();
    },
  };
}

/** Kills switches and removes directories whose owner is gone. */
export function clearLeftovers(): void {
  temporaryFolder({ kind: KIND, maxPath: MAX_PATH, clear: killLeftover })[Symbol.dispose]();
}

function killLeftover(directory: string): void {
  const pid = readPid(join(directory, SWITCH));
  if (pid !== undefined && commandLine(pid).includes(directory)) kill(pid);
}

/** Undefined where no switch was started yet. */
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

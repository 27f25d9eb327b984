/** Which process a name in a folder belongs to. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

let here: string | undefined;

/** The machine since it was started, and the namespace in which process ids count. */
function place(): string {
  here ??= createHash('sha256')
    .update(read('/proc/sys/kernel/random/boot_id'))
    .update(namespace())
    .digest('hex')
    .slice(0, 8);
  return here;
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** When a process was started, in ticks since the machine was; 0 for one that is gone, or has ended and waits for its parent. */
function startOf(pid: number): number {
  // The name of the program, in brackets, may hold anything.
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\)\s*/s, '')
    .split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 0 : Number(fields[19] ?? 0);
}

/** Stands in names of what goes with this process: letters, digits and `-`. */
export const ownerMark = (): string => `${place()}-${process.pid}-${startOf(process.pid)}`;

/** As part of a regular expression. */
export const OWNER_PATTERN = '[0-9a-f]{8}-\\d+-\\d+';

/**
 * Whether the process of a mark has ended. One of another machine, or of another namespace, may still be at work. Not even
 * a process that got the same number later is mistaken for it.
 */
export function isOwnerGone(mark: string): boolean {
  const match = /^([0-9a-f]{8})-(\d+)-(\d+)$/.exec(mark);
  if (match === null || match[1] !== place() || process.platform !== 'linux') return false;
  return startOf(Number(match[2])) !== Number(match[3]);
}

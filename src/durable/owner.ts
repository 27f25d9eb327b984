/** Which process a name in a folder belongs to. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from './errno.ts';

let here: string | undefined;

/** The machine since it was started, and the namespace in which process ids count. */
function place(): string {
  here ??= createHash('sha256')
    .update(told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')))
    .update(told(() => readlinkSync('/proc/self/ns/pid')))
    .digest('hex')
    .slice(0, 8);
  return here;
}

/** Empty where the system does not tell: then marks of this process are of a place that no other knows. */
function told(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/**
 * When a process was started, in ticks since the machine was; 0 for one that is gone, or has ended and waits for its parent.
 * Undefined where that cannot be found out, as by a process that has too many files open.
 */
function startOf(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '') ? 0 : undefined;
  }
  // The name of the program, in brackets, may hold anything.
  const fields = text.replace(/^.*\)\s*/s, '').split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? 0 : Number(fields[19] ?? 0);
}

/** Stands in names of what goes with this process: letters, digits and `-`. */
export const ownerMark = (): string => `${place()}-${process.pid}-${startOf(process.pid) ?? 0}`;

/** As part of a regular expression. */
export const OWNER_PATTERN = '[0-9a-f]{8}-\\d+-\\d+';

/**
 * Whether the process of a mark has ended. One of another machine, or of another namespace, may still be at work. Not even
 * a process that got the same number later is mistaken for it.
 */
export function isOwnerGone(mark: string): boolean {
  const match = /^([0-9a-f]{8})-(\d+)-(\d+)$/.exec(mark);
  if (match === null || match[1] !== place() || process.platform !== 'linux') return false;
  const start = startOf(Number(match[2]));
  return start !== undefined && start !== Number(match[3]);
}

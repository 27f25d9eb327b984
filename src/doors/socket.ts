import { execFileSync } from 'node:child_process';
import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import { ensureFolder, lockFile, messageOf } from '../durable/index.ts';
import { type Door, placeOf } from '../p4runtime/server/door.ts';
import { type DoorListen, socketPath } from './rules.ts';

/** Folder of sockets and locks; root's alone to write. */
export const RUN_FOLDER = '/run/intransit';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Bits of a socket's mode: its user's alone, or a group's too. */
export const socketMode = (group: string | undefined): number => (group === undefined ? 0o600 : 0o660);

/** @throws DiagnosticError `agent` */
export const cannotListen = (address: string, reason: string, remedy?: string): never =>
  refuse('agent', {
    reason: `cannot listen at ${address}: ${reason}`,
    remedy: remedy ?? 'choose another --listen, or stop what has it (ss -ltnp shows it)',
  });

/** Makes sure that nobody else has the path, or could put something else there. @returns what gives it back */
export async function takePath(path: string, owner = 'agent'): Promise<() => void> {
  const address = `unix:${path}`;
  const folder = dirname(path);
  ensureFolder(folder, 0o755);
  const { uid, mode } = statSync(folder);
  if (uid !== 0 && uid !== process.getuid?.())
    cannotListen(
      address,
      `${folder} belongs to another user`,
      `choose a folder of root, such as ${RUN_FOLDER}`,
    );
  if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0)
    cannotListen(address, `others can write to ${folder}`, `choose a folder of root, such as ${RUN_FOLDER}`);
  const lock = lockFile(`${path}.lock`);
  if (lock === undefined) return cannotListen(address, `another ${owner} listens there`);
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isSocket())
      cannotListen(address, 'something else than a socket is there');
    if (found !== undefined && (await isAnswered(path))) cannotListen(address, 'somebody listens there');
    if (found !== undefined) unlinkSync(path);
    return () => lock.release();
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A socket file outlives a process that was killed; nobody answers there then. */
const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    // A queue that is full is somebody's.
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  });

/** Listens, a socket with the rights of its group. @returns the address, with the port that was taken. @throws Error of the system call */
export async function openAt(door: Door, { address, group }: DoorListen): Promise<string> {
  const rights = { mode: socketMode(group), ...(group !== undefined && { gid: groupId(group) }) };
  const port = await door.open(placeOf(address), rights);
  return socketPath(address) === undefined ? address.replace(/:\d+$/, `:${port}`) : address;
}

/** @throws Error where there is no such group */
export function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  try {
    const entry = execFileSync('getent', ['group', '--', group], { encoding: 'utf8', stdio: 'pipe' });
    return Number(entry.split(':')[2]);
  } catch (error) {
    // getent ends with 2 where it knows no such name.
    if ((error as { readonly status?: number }).status === 2) throw new Error(`there is no group ${group}`);
    throw new Error(`the group ${group} cannot be looked up: ${messageOf(error)}; name it by its number`);
  }
}

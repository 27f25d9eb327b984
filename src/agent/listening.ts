import { execFileSync } from 'node:child_process';
import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';

import { refuse } from '../diagnostics/index.ts';
import { ensureFolder, lockFile } from '../durable/index.ts';
import type { P4RuntimeServer, P4RuntimeServerOptions } from '../p4runtime/index.ts';

/** Folder of sockets and locks; root's alone to write. */
export const RUN_FOLDER = '/run/intransit';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Where an agent is driven from. */
export interface AgentListen extends P4RuntimeServerOptions {
  /** Of a socket: members of that group may drive the agent too; by name or number. */
  readonly group?: string;
  /** Whoever reaches the address may drive the agent: without TLS, or with any certificate of the authority. */
  readonly insecure?: boolean;
}

/** Nobody but root reaches it. */
export const defaultAddress = (name: string): string => `unix:${join(RUN_FOLDER, `${name}.sock`)}`;

const socketPath = (address: string): string | undefined => /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];

/** What an agent will not listen with; undefined where nothing is wrong. */
export function listenFault({ address, tls, allow, group, insecure }: AgentListen): string | undefined {
  const isSocket = socketPath(address) !== undefined;
  if (group !== undefined && !isSocket)
    return '--group is of a socket (unix:PATH): over TCP use TLS and --allow';
  if (allow !== undefined && tls?.ca === undefined)
    return '--allow names certificates, and only --tls-ca asks clients for one';
  if (isSocket || insecure === true) return undefined;
  if (tls === undefined)
    return `--listen ${address}: whoever reaches it could drive this host: use TLS (--tls-cert, --tls-key, --tls-ca and --allow), a socket (unix:PATH), or say --insecure`;
  if (tls.ca === undefined)
    return 'clients show no certificate, so anybody could drive this host: add --tls-ca and --allow, or say --insecure';
  if (allow === undefined)
    return 'any certificate of --tls-ca could drive this host: name those that may with --allow NAME, or say --insecure';
  return undefined;
}

/** What is to be said of an address that anybody may use. */
export function insecureWarning({ address, tls, allow, insecure }: AgentListen): string | undefined {
  if (insecure !== true || socketPath(address) !== undefined || allow !== undefined) return undefined;
  const who = tls?.ca === undefined ? 'whoever reaches it' : 'any certificate of --tls-ca';
  return `warning: --insecure: ${who} can drive this host at ${address}`;
}

export interface Listening {
  readonly address: string;
  /** Once the server is closed. */
  release(): void;
}

/**
 * Opens the server's door. A socket is only for this user, or a group, from the moment when it is there; one that a dead
 * process has left is replaced.
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openDoor(server: P4RuntimeServer, listen: AgentListen): Promise<Listening> {
  const path = socketPath(listen.address);
  const release = path === undefined ? () => {} : await takePath(path);
  try {
    const { group, ...options } = listen;
    const socket = {
      mode: group === undefined ? 0o600 : 0o660,
      ...(group !== undefined && { gid: groupId(group) }),
    };
    return { address: await server.listen({ ...options, socket }), release };
  } catch (error) {
    release();
    return cannot(listen.address, error instanceof Error ? error.message : String(error));
  }
}

const cannot = (address: string, reason: string, remedy?: string): never =>
  refuse('agent', {
    reason: `cannot listen at ${address}: ${reason}`,
    remedy: remedy ?? 'choose another --listen, or stop what has it (ss -ltnp shows it)',
  });

/** Makes sure that nobody else has the path, or could put something else there. @returns what gives it back */
async function takePath(path: string): Promise<() => void> {
  const address = `unix:${path}`;
  const folder = dirname(path);
  ensureFolder(folder, 0o755);
  const { uid, mode } = statSync(folder);
  if (uid !== 0 && uid !== process.getuid?.())
    cannot(address, `${folder} belongs to another user`, `choose a folder of root, such as ${RUN_FOLDER}`);
  if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0)
    cannot(address, `others can write to ${folder}`, `choose a folder of root, such as ${RUN_FOLDER}`);
  const lock = lockFile(`${path}.lock`);
  if (lock === undefined) return cannot(address, 'another agent listens there');
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isSocket()) cannot(address, 'something else than a socket is there');
    if (found !== undefined && (await isAnswered(path))) cannot(address, 'somebody listens there');
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

/** @throws Error where there is no such group */
function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  try {
    const entry = execFileSync('getent', ['group', '--', group], { encoding: 'utf8', stdio: 'pipe' });
    return Number(entry.split(':')[2]);
  } catch {
    throw new Error(`there is no group ${group}`);
  }
}

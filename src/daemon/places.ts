import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where a controller and its clients meet, and what it keeps where; of root, or of a user. Knows nothing of the rest. */

const isRoot = (): boolean => process.getuid?.() === 0;

/** Folder of sockets and tokens. */
export const runFolder = (): string =>
  isRoot()
    ? '/run/intransit'
    : join(process.env.XDG_RUNTIME_DIR ?? join(homedir(), '.local/state'), 'intransit');

/** Folder of what outlives a start of the machine. */
export const stateFolder = (): string =>
  isRoot()
    ? '/var/lib/intransit/controller'
    : join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'intransit/controller');

/** Where `controller` listens, and clients look for it, if nobody says otherwise. */
export const defaultSocket = (): string => join(runFolder(), 'controller.sock');

/** The token of a controller on loopback, by its port. */
export const tokenFile = (address: string): string =>
  join(runFolder(), `controller-${address.replace(/^.*:/, '')}.token`);

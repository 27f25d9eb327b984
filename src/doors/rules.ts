import type { DoorTls } from '../p4runtime/server/door.ts';
import type { PeerRule } from '../p4runtime/server/peer.ts';

/** Where something is driven from: a socket of this machine, or TCP. */
export interface DoorListen {
  /** `unix:PATH` or `HOST:PORT`. */
  readonly address: string;
  readonly tls?: DoorTls;
  /** Clients that may come in, by the names in their certificates. */
  readonly allow?: readonly PeerRule[];
  /** Of a socket: members of that group may come in too; by name or number. */
  readonly group?: string;
  /** Whoever reaches the address may come in: without TLS, or with any certificate of the authority. */
  readonly insecure?: boolean;
}

type Facts = Pick<DoorListen, 'address' | 'group' | 'insecure'> & {
  readonly tls?: Partial<Record<keyof DoorTls, unknown>> | undefined;
  readonly allow?: readonly unknown[] | undefined;
};

/** The path of `unix:PATH`; undefined for an address of TCP. */
export const socketPath = (address: string): string | undefined =>
  /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];

/** The options of the command line by which a door is described, and what it leads to. */
export interface DoorWords {
  readonly option: string;
  /** `this host`, `this worker`. */
  readonly what: string;
}

/** What nobody should listen with; undefined where nothing is wrong. */
export function listenFault(
  { address, tls, allow, group, insecure }: Facts,
  { option, what }: DoorWords = { option: 'listen', what: 'this host' },
): string | undefined {
  const isSocket = socketPath(address) !== undefined;
  if (group !== undefined && !isSocket)
    return '--group is of a socket (unix:PATH): over TCP use TLS and --allow';
  if (allow !== undefined && tls?.ca === undefined)
    return '--allow names certificates, and only --tls-ca asks clients for one';
  if (isSocket || insecure === true) return undefined;
  if (tls === undefined)
    return `--${option} ${address}: whoever reaches it could drive ${what}: use TLS (--tls-cert, --tls-key, --tls-ca and --allow), a socket (unix:PATH), or say --insecure`;
  if (tls.ca === undefined)
    return `clients show no certificate, so anybody could drive ${what}: add --tls-ca and --allow, or say --insecure`;
  if (allow === undefined)
    return `any certificate of --tls-ca could drive ${what}: name those that may with --allow NAME, or say --insecure`;
  return undefined;
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost):\d+$/;

/** Whether only this machine reaches it, and anybody on it. */
export const isLoopback = (address: string): boolean => LOOPBACK.test(address);

/** What is to be said of an address that anybody may use. */
export function insecureWarning(
  { address, tls, allow, insecure }: Facts,
  what = 'this host',
): string | undefined {
  if (insecure !== true || socketPath(address) !== undefined || allow !== undefined) return undefined;
  const who = tls?.ca === undefined ? 'whoever reaches it' : 'any certificate of --tls-ca';
  return `warning: --insecure: ${who} can drive ${what} at ${address}`;
}

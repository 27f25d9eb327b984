import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { userInfo } from 'node:os';
import { peerOfRequest } from '../../doors/http.ts';
import { type DoorListen, isLoopback, listenFault, socketPath } from '../../doors/rules.ts';
import { mayTake } from '../../p4runtime/server/peer.ts';
import { refuseRequest } from './http.ts';

/** What a request does, and a client may: `--allow NAME=read` lets one in who only looks. */
export type Right = 'read' | 'write' | 'register';

/** Where the API listens, and who may come in. */
export interface ApiListen extends DoorListen {
  /** Of a TCP door on loopback without TLS: what clients must show. */
  readonly token?: string;
}

/** What nobody should listen with; undefined where nothing is wrong. */
export function apiListenFault(
  listen: Omit<ApiListen, 'tls' | 'allow'> & {
    readonly tls?: object | undefined;
    readonly allow?: readonly unknown[] | undefined;
  },
): string | undefined {
  if (listen.token !== undefined && isLoopback(listen.address)) return undefined;
  return listenFault(listen, { option: 'listen', what: 'the network' });
}

/** Paths that tell nothing of the network: whoever comes may have them. */
const PUBLIC = /^\/(healthz|readyz|page\/[\w.-]+)?$/;

/** Who asks for what anybody may have. */
export const ANYBODY_ELSE = 'anybody';

/**
 * Who asks, for the log.
 * @throws Refused `Unauthorized`, `Forbidden`
 */
export function admitted(request: IncomingMessage, listen: ApiListen, right: Right, path: string): string {
  const peer = peerOfRequest(request, listen);
  if (peer === undefined)
    return refuseRequest(
      'Forbidden',
      'no name of the certificate is among those that may come in',
      'have the operator allow it: intransit controller --allow NAME',
    );
  if (PUBLIC.test(path) && right === 'read') return ANYBODY_ELSE;
  if (listen.token !== undefined && !hasToken(request, listen.token))
    return refuseRequest(
      'Unauthorized',
      'the token is missing or wrong',
      'give it as Authorization: Bearer TOKEN; the command line reads it from --token-file',
    );
  if (!mayTake(peer, right))
    return refuseRequest(
      'Forbidden',
      `${peer.name} may not ${right === 'read' ? 'read' : right}`,
      `have the operator allow it: intransit controller --allow ${peer.name}=read,${right}`,
    );
  if (peer.name !== '') return peer.name;
  return socketPath(listen.address) === undefined ? 'operator' : `user:${userInfo().username}`;
}

function hasToken({ headers }: IncomingMessage, token: string): boolean {
  const given = /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? '')?.[1];
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

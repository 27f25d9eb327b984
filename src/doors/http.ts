import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { messageOf } from '../durable/index.ts';
import { Door } from '../p4runtime/server/door.ts';
import { ANYBODY, type Peer, peerOf } from '../p4runtime/server/peer.ts';
import { type DoorListen, isLoopback, socketPath } from './rules.ts';
import { cannotListen, openAt, takePath } from './socket.ts';

/** Time for the head of a request and for all of it to come, ms, and how often that is looked at. */
const SLOW = { headersTimeout: 10_000, requestTimeout: 300_000, connectionsCheckingInterval: 2_000 };

/** A door that listens. */
export interface HttpDoor {
  /** With the port that was taken, where any was asked for. */
  readonly address: string;
  /** Ends all connections at once. */
  close(): void;
}

/**
 * HTTP behind a door: a socket of this machine, or TCP, with TLS if there is any.
 * @param owner what it is that listens, for the message where somebody does already
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openHttpDoor(
  listen: DoorListen,
  owner: string,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpDoor> {
  const path = socketPath(listen.address);
  const release = path === undefined ? () => {} : await takePath(path, owner);
  const http = createServer(SLOW, (request, response) => {
    const foreign = foreignFault(request, listen);
    if (foreign !== undefined) refuse(response, 403, foreign);
    else if (!URL.canParse(request.url ?? '', 'http://door')) refuse(response, 400, 'the path is none');
    else answer(request, response);
  });
  // The door listens, not this server, which starts to watch over slow requests when it is told so.
  http.emit('listening');
  const door = new Door(listen.tls, (connection) => http.emit('connection', connection), 'http/1.1');
  try {
    const address = await openAt(door, listen);
    return { address, close: () => closeAll(http, door, release) };
  } catch (error) {
    closeAll(http, door, release);
    return cannotListen(listen.address, messageOf(error));
  }
}

function closeAll(http: Server, door: Door, release: () => void): void {
  http.close();
  door.close();
  release();
}

/**
 * What is wrong with a request that a page of somebody else's had a browser send: what is behind a door is not that page's to
 * drive. A name of somebody else's may also lead to this machine, and its page then asks as if it were ours.
 */
function foreignFault({ headers }: IncomingMessage, { address, tls }: DoorListen): string | undefined {
  const { origin, host } = headers;
  if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== host)
    return `pages of ${origin} may not ask`;
  const isForMachine = tls === undefined && isLoopback(address);
  if (isForMachine && host !== undefined && !isLoopback(/:\d+$/.test(host) ? host : `${host}:80`))
    return `${host} is no name of this machine's own`;
  return undefined;
}

function refuse(response: ServerResponse, status: number, error: string): void {
  // What comes with the request is not read.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ error }));
}

/** Who is at the other end; undefined where TLS let in one who has none of the names. */
export function peerOfRequest({ socket }: IncomingMessage, { allow }: DoorListen): Peer | undefined {
  if (allow === undefined || !(socket instanceof TLSSocket)) return ANYBODY;
  const certificate = socket.getPeerCertificate(true).raw;
  return certificate === undefined ? undefined : peerOf(certificate, allow);
}

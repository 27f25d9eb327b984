import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { Door, placeOf } from '../p4runtime/server/door.ts';
import { ANYBODY, type Peer, peerOf } from '../p4runtime/server/peer.ts';
import { type DoorListen, socketPath } from './rules.ts';
import { cannotListen, groupId, socketMode, takePath } from './socket.ts';

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
  const http = createServer(answer);
  const door = new Door(listen.tls, (connection) => http.emit('connection', connection), 'http/1.1');
  try {
    const socket = {
      mode: socketMode(listen.group),
      ...(listen.group !== undefined && { gid: groupId(listen.group) }),
    };
    const port = await door.open(placeOf(listen.address), socket);
    const address = path === undefined ? listen.address.replace(/:\d+$/, `:${port}`) : listen.address;
    return { address, close: () => closeAll(http, door, release) };
  } catch (error) {
    closeAll(http, door, release);
    return cannotListen(listen.address, error instanceof Error ? error.message : String(error));
  }
}

function closeAll(http: Server, door: Door, release: () => void): void {
  http.close();
  door.close();
  release();
}

/** Who is at the other end; undefined where TLS let in one who has none of the names. */
export function peerOfRequest({ socket }: IncomingMessage, { allow }: DoorListen): Peer | undefined {
  if (allow === undefined || !(socket instanceof TLSSocket)) return ANYBODY;
  const certificate = socket.getPeerCertificate(true).raw;
  return certificate === undefined ? undefined : peerOf(certificate, allow);
}

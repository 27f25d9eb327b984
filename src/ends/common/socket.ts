import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { refuse } from '../../diagnostics/index.ts';
import { DEFAULT_PORT } from '../../wire/index.ts';

/** A host by name or IPv4 address, and a UDP port: that of requests if absent. */
export interface Peer {
  readonly host: string;
  readonly port?: number;
}

/** Room for the packets that come in while the program computes; the system may grant less. */
export const BUFFER_BYTES = 8 * 2 ** 20;

/** Room for bursts of packets, as far as the system grants it. */
export function raiseBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
  } catch {
    // What the system grants by itself has to do.
  }
}

/** `host:port`, for messages; the port is that of inference if none is named. */
export const peerName = ({ host, port = DEFAULT_PORT }: Peer): string => `${host}:${port}`;

/**
 * A socket connected to the peer: the system hands on what its ICMP messages say, and drops packets of others.
 * @throws DiagnosticError `host-unknown`, `send-failed` without a route, `listen-failed`
 */
export async function connectSocket(to: Peer, local: Partial<Peer> = {}): Promise<Socket> {
  const address = await addressOf(to.host);
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((done, fail) => {
      socket.once('error', fail);
      socket.bind({ port: local.port ?? 0, ...(local.host !== undefined && { address: local.host }) }, done);
    });
  } catch (error) {
    socket.close();
    const name = `${local.host ?? '0.0.0.0'}:${local.port ?? 0}`;
    return refuse('listen-failed', { address: name, reason: (error as Error).message });
  }
  try {
    await new Promise<void>((done, fail) => {
      // Told to the callback or as an event, by the moment at which it happens.
      socket.once('error', fail);
      socket.connect(to.port ?? DEFAULT_PORT, address, (error?: Error) => (error ? fail(error) : done()));
    });
  } catch (error) {
    socket.close();
    return refuse('send-failed', { to: peerName(to), reason: (error as Error).message, refused: false });
  }
  socket.removeAllListeners('error');
  raiseBuffers(socket);
  return socket;
}

/** The IPv4 address of a host, by name or itself. @throws DiagnosticError `host-unknown` */
export async function addressOf(host: string): Promise<string> {
  if (isIPv4(host)) return host;
  try {
    return (await lookup(host, { family: 4 })).address;
  } catch (error) {
    return refuse('host-unknown', { host, reason: (error as NodeJS.ErrnoException).code ?? String(error) });
  }
}

import { constants } from 'node:crypto';
import { chmodSync, chownSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { LIMITS } from './limits.ts';

/** PEM texts of a server's TLS. */
export interface DoorTls {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  /** Clients must show a certificate that it signed. */
  readonly ca?: Uint8Array;
}

/** What a door is opened at: a port (0 takes a free one) of a host, or a path. */
export type Place = { readonly path: string } | { readonly host: string; readonly port: number };

/** Permissions of a socket's file. */
export interface SocketMode {
  readonly mode: number;
  readonly gid?: number;
}

/** @throws Error on anything but `HOST:PORT`, `[HOST]:PORT` and `unix:PATH` */
export function placeOf(address: string): Place {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];
  if (path !== undefined) return { path };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 0xffff)
    throw new Error(`${address} is no address: HOST:PORT, [HOST]:PORT or unix:PATH`);
  return { host, port: Number(port) };
}

/** Where connections come in: bounded in number, and through TLS if there is any, before HTTP/2 hears of them. */
export class Door {
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #enter: (connection: Duplex) => void;
  readonly #protocol: string;
  readonly #sockets = new Set<Socket>();
  /** Connections on which TLS is not agreed yet: by address and port, with the address. */
  readonly #agreeing = new Map<string, string | undefined>();

  /**
   * @param enter takes a connection on which clear text is spoken from here on
   * @param protocol what is spoken behind TLS, by its ALPN name
   */
  constructor(tls: DoorTls | undefined, enter: (connection: Duplex) => void, protocol = 'h2') {
    this.#enter = enter;
    this.#protocol = protocol;
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    this.#server.maxConnections = LIMITS.connections;
    this.#tls = tls && this.#tlsServer(tls);
  }

  /** @returns the port; 0 of a path. @throws Error, as `EADDRINUSE` */
  async open(place: Place, { mode, gid }: SocketMode = { mode: 0o600 }): Promise<number> {
    // A socket is nobody else's from the moment when it is there.
    const mask = process.umask(0o177);
    let listening: Promise<void>;
    try {
      listening = this.#listen(place);
    } finally {
      process.umask(mask);
    }
    await listening;
    if ('path' in place) {
      if (gid !== undefined) chownSync(place.path, process.getuid?.() ?? 0, gid);
      chmodSync(place.path, mode);
    }
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  #listen(place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(place, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** Ends all connections at once. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Without a listener a reset by the other end would be nobody's.
    socket.on('error', () => {});
    if (this.#tls === undefined) this.#enter(socket);
    else this.#agree(this.#tls, socket);
  }

  /** TLS is agreed within a time, and one address may not have everybody wait. */
  #agree(tls: TlsServer, socket: Socket): void {
    const from = socket.remoteAddress;
    if ([...this.#agreeing.values()].filter((other) => other === from).length >= LIMITS.handshakes) {
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    this.#agreeing.set(name, from);
    socket.once('close', () => this.#agreeing.delete(name));
    tls.emit('connection', socket);
  }

  #tlsServer({ cert, key, ca }: DoorTls): TlsServer {
    const pem = (bytes: Uint8Array) => Buffer.from(bytes);
    const server = createTlsServer({
      cert: pem(cert),
      key: pem(key),
      ...(ca !== undefined && { ca: pem(ca), requestCert: true, rejectUnauthorized: true }),
      ALPNProtocols: [this.#protocol],
      handshakeTimeout: LIMITS.handshakeMs,
      // Keys are agreed once a connection: a client that asks for them again and again costs much and gains nothing.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      minVersion: 'TLSv1.2',
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#agreeing.delete(nameOf(socket));
      socket.on('error', () => {});
      this.#enter(socket);
    });
    server.on('tlsClientError', (_, socket) => socket.destroy());
    return server;
  }
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';

/** A message as gRPC frames it. */
export function frame(message: Uint8Array, compressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** HTTP/2 to a server of gRPC, by hand: what no well-behaved client sends. */
export async function dial(address: string): Promise<ClientHttp2Session> {
  const path = /^unix:(.*)$/.exec(address)?.[1];
  const [host, port] = address.split(':');
  const session = connectHttp2('http://localhost', {
    createConnection: () =>
      path === undefined ? connectSocket({ host: host!, port: Number(port) }) : connectSocket(path),
  });
  session.on('error', () => {});
  await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject));
  return session;
}

export function open(
  session: ClientHttp2Session,
  method: string,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': `/p4.v1.P4Runtime/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    },
    { endStream: false },
  );
  stream.on('error', () => {});
  return stream;
}

export interface Ending {
  /** Of gRPC; undefined where the stream was cut off. */
  readonly code: number | undefined;
  readonly message: string;
}

/** How a call ends; its answers are read and forgotten. */
export function ending(stream: ClientHttp2Stream): Promise<Ending> {
  return new Promise((resolve) => {
    let found: Ending = { code: undefined, message: 'cut off' };
    const look = (headers: Record<string, unknown>): void => {
      const code = headers['grpc-status'];
      if (code === undefined) return;
      found = { code: Number(code), message: decodeURI(String(headers['grpc-message'] ?? '')) };
      resolve(found);
    };
    stream.on('response', look);
    stream.on('trailers', look);
    stream.on('close', () => resolve(found));
    stream.resume();
  });
}

/** One message, and how that ends. */
export function call(
  session: ClientHttp2Session,
  method: string,
  body: Uint8Array,
  headers?: Readonly<Record<string, string>>,
): Promise<Ending> {
  const stream = open(session, method, headers);
  const end = ending(stream);
  stream.end(body);
  return end;
}

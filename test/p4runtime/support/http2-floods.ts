import { connect, type Socket } from 'node:net';

/** Frames of HTTP/2 by hand (RFC 9113): floods that no library would send. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
const [END_HEADERS, CANCEL] = [0x4, 8];

function frameOf(type: keyof typeof types, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = types[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Literals of HPACK that are not indexed: POST and http from the static table, the others by name. */
function headersOf(path: string): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
  const literal = (name: string, value: string) => Buffer.concat([Buffer.of(0), text(name), text(value)]);
  return Buffer.concat([
    Buffer.of(0x83, 0x86, 0x04),
    text(path),
    literal(':authority', 'localhost'),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
  ]);
}

const request = headersOf('/p4.v1.P4Runtime/Write');
const streamId = (i: number) => 2 * i + 1;

/** What is sent again and again: the frames of turn `i`. */
export const floods = {
  pings: (i: number) => frameOf('ping', 0, 0, Buffer.concat([word(i), word(0)])),
  settings: (i: number) =>
    frameOf('settings', 0, 0, Buffer.concat([Buffer.of(0, 4), word(65_535 + (i % 99))])),
  'reset streams': (i: number) =>
    Buffer.concat([
      frameOf('headers', END_HEADERS, streamId(i), request),
      frameOf('reset', 0, streamId(i), word(CANCEL)),
    ]),
  'headers without an end': (i: number) =>
    i === 0
      ? frameOf('headers', 0, 1, request)
      : frameOf('continuation', 0, 1, headersOf(`/${i}`).subarray(2)),
  'empty data': (i: number) =>
    i === 0 ? frameOf('headers', END_HEADERS, 1, request) : frameOf('data', 0, 1, Buffer.alloc(0)),
  priorities: (i: number) => frameOf('priority', 0, streamId(i + 1), Buffer.concat([word(0), Buffer.of(9)])),
  'window updates': () => frameOf('windowUpdate', 0, 0, word(1)),
} as const;

export type Flood = keyof typeof floods;

const CHUNK = 1_000;

/**
 * Sends the frames as fast as they are taken, and reads nothing. Ends when all are sent, when the other side ends the
 * connection, or when it has taken nothing for a while.
 * @returns turns that were sent
 */
export async function sendFlood(path: string, flood: Flood, turns: number): Promise<number> {
  const socket = connect(path);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  socket.pause();
  socket.write(Buffer.concat([PREFACE, frameOf('settings', 0, 0, Buffer.alloc(0))]));
  let sent = 0;
  while (sent < turns && !socket.destroyed) {
    const count = Math.min(CHUNK, turns - sent);
    const bytes = Buffer.concat(Array.from({ length: count }, (_, i) => floods[flood](sent + i)));
    if (!socket.write(bytes) && !(await drained(socket))) break;
    sent += count;
  }
  socket.destroy();
  return sent;
}

const STUCK_MS = 3_000;

/** Whether the other side took what was written. */
function drained(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (taken: boolean) => () => {
      clearTimeout(timer);
      resolve(taken);
    };
    const timer = setTimeout(done(false), STUCK_MS);
    socket.once('drain', done(true)).once('close', done(false));
  });
}

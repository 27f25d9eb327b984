/** What one request may be. */
export interface MessageLimits {
  /** Bytes on the wire. */
  readonly bytes: number;
  /** Fields, those of messages in it included. */
  readonly elements: number;
}

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** What one server spends on its clients. Nothing that a client sends makes it spend more. */
export const LIMITS = {
  /** Open connections. */
  connections: 64,
  /** Of those, the ones from one address on which TLS is not agreed yet. */
  handshakes: 16,
  /** Time for that, ms. */
  handshakeMs: 5_000,
  /** Calls under way: of one connection, and of all. */
  connectionCalls: 100,
  calls: 512,
  /** Streams of controllers, of one connection. */
  connectionStreams: 16,
  /** Time in which a stream must have said who it is, ms. */
  arbitrationMs: 10_000,
  /** Time for the bytes of one request to arrive, and for those of one answer to be read, ms. */
  transferMs: 30_000,
  /** Time for a client to end its side of a call that is over, ms. */
  partingMs: 2_000,
  /** Messages that wait for a stream to be read. */
  queued: 256,
  /** A Write or a program of one who is not, or not yet, the primary: it is refused anyway, but by a proper answer. */
  stranger: { bytes: 4 * MIB, elements: 20_000 },
  /** The same of the primary. */
  primary: { bytes: 64 * MIB, elements: 1_000_000 },
  /** Reads and the small calls. */
  reading: { bytes: MIB, elements: 20_000 },
  /** One message of a stream: the largest is a packet. */
  streamed: { bytes: 256 * KIB, elements: 2_000 },
  /** Memory for requests that are under way: of all who are no primary together, and of the primaries. */
  strangersBytes: 64 * MIB,
  primariesBytes: 512 * MIB,
  /** What an element takes once it is decoded, about. */
  elementBytes: 256,
  /** Answers that wait to be read: of one connection, and of all. */
  connectionUnread: 96 * MIB,
  unread: 256 * MIB,
  /** Entities that one Read may give. */
  readEntities: 1_000_000,
  /** Node's own account of a connection: beyond it new calls are refused. */
  sessionMegabytes: 128,
} as const;

/** After so long without a sign of the client, its connection counts as broken, and its streams are gone. */
export const KEEPALIVE = { timeMs: 10_000, timeoutMs: 5_000 } as const;

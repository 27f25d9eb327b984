import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { type MethodDefinition, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { MessageShape } from '../proto/shape.ts';
import { Budget } from './budget.ts';
import { exhausted, Fault, invalid } from './fault.ts';
import { Incoming } from './incoming.ts';
import { LIMITS, type MessageLimits } from './limits.ts';
import { countElements } from './message-elements.ts';
import { ANYBODY, type Peer, type PeerRule, peerOf } from './peer.ts';

type NextCall = ConstructorParameters<typeof ServerInterceptingCall>[0];
type Outcome = Parameters<NextCall['sendStatus']>[0];
type Context = ReturnType<NextCall['getAuthContext']>;

/** A method as the server has it: messages pass grpc-js as bytes, and are decoded where it is known who sent them. */
export interface Method {
  readonly definition: MethodDefinition<object, object>;
  readonly shape: MessageShape;
  readonly kind: 'writing' | 'reading' | 'stream';
}

interface AdmissionOptions {
  /** By their paths. */
  readonly methods: ReadonlyMap<string, Method>;
  readonly isPrimary: (peer: Peer) => boolean;
}

interface Connection {
  readonly peer: Peer | undefined;
  calls: number;
  streams: number;
  unread: number;
}

/** Whom a call came from, and the way to end it whatever its client does. */
export interface Admitted {
  readonly peer: Peer;
  cut(): void;
}

/** By what grpc-js tells a handler of its call. */
const admitted = new WeakMap<object, Admitted>();

/** What was found of a call when it was let in. @throws Error where it never was */
export function admittedOf(call: { getAuthContext(): object }): Admitted {
  const found = admitted.get(call.getAuthContext());
  if (found === undefined) throw new Error('a call that was not admitted');
  return found;
}

/**
 * Decides over each call before anything is spent on it: who sends it, how large it may be, how many there are. Refused
 * calls end with a status; those that neither send nor read are cut off.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #connections = new WeakMap<ServerHttp2Session, Connection>();
  readonly #calls = new Budget(LIMITS.calls);
  readonly #unread = new Budget(LIMITS.unread);
  readonly #budgets = {
    stranger: new Budget(LIMITS.strangersBytes),
    primary: new Budget(LIMITS.primariesBytes),
  };
  /** Whom a certificate lets in; undefined where the door asks for none. */
  rules: readonly PeerRule[] | undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  readonly interceptor: ServerInterceptor = ({ path }, next) => {
    const stream = http2Stream(next);
    const connection = this.#connection(stream, next);
    const method = this.#options.methods.get(path);
    try {
      if (method === undefined) throw new Fault(status.UNIMPLEMENTED, 'there is no such method');
      if (connection.peer === undefined)
        throw new Fault(status.PERMISSION_DENIED, 'the certificate is of nobody who is allowed here');
      this.#count(connection, method, stream);
      return this.#admit(method, connection, connection.peer, stream, next);
    } catch (error) {
      endCall(next, stream, error);
      return new ServerInterceptingCall(next, { start: () => {} });
    }
  };

  #connection({ session }: ServerHttp2Stream, call: NextCall): Connection {
    if (session === undefined) return { peer: undefined, calls: 0, streams: 0, unread: 0 };
    const known = this.#connections.get(session as ServerHttp2Session);
    if (known !== undefined) return known;
    const { rules } = this;
    const certificate = rules === undefined ? undefined : call.getAuthContext().sslPeerCertificate?.raw;
    const peer =
      rules === undefined ? ANYBODY : certificate === undefined ? undefined : peerOf(certificate, rules);
    const connection: Connection = { peer, calls: 0, streams: 0, unread: 0 };
    this.#connections.set(session as ServerHttp2Session, connection);
    return connection;
  }

  /** @throws Fault RESOURCE_EXHAUSTED */
  #count(connection: Connection, { kind }: Method, stream: ServerHttp2Stream): void {
    const streams = kind === 'stream' ? 1 : 0;
    if (connection.calls >= LIMITS.connectionCalls || connection.streams + streams > LIMITS.connectionStreams)
      throw exhausted('this connection has too many calls under way');
    if (!this.#calls.take(1)) throw exhausted('the server has too many calls under way');
    connection.calls++;
    connection.streams += streams;
    stream.once('close', () => {
      this.#calls.give(1);
      connection.calls--;
      connection.streams -= streams;
    });
  }

  #admit(
    method: Method,
    connection: Connection,
    peer: Peer,
    stream: ServerHttp2Stream,
    next: NextCall,
  ): ServerInterceptingCall {
    const trusted = this.#options.isPrimary(peer) ? 'primary' : 'stranger';
    const limits =
      method.kind === 'writing'
        ? LIMITS[trusted]
        : method.kind === 'stream'
          ? LIMITS.streamed
          : LIMITS.reading;
    const request = new Request(method, limits, this.#budgets[trusted], stream, next);
    const answers = new Answers(method, connection, this.#unread, stream);
    return new AdmittedCall(peer, request, answers, stream, next);
  }
}

/** What comes in of one call. */
class Request {
  readonly #method: Method;
  readonly #limits: MessageLimits;
  readonly #budget: Budget;
  /** Taken of the budget. */
  #cost = 0;

  constructor(
    method: Method,
    limits: MessageLimits,
    budget: Budget,
    stream: ServerHttp2Stream,
    call: NextCall,
  ) {
    this.#method = method;
    this.#limits = limits;
    this.#budget = budget;
    const incoming = new Incoming(limits.bytes);
    const isStream = method.kind === 'stream';
    const late = new Fault(status.DEADLINE_EXCEEDED, 'the request did not arrive in time');
    const timer = isStream ? undefined : setTimeout(() => endCall(call, stream, late), LIMITS.transferMs);
    // Before the listener of grpc-js, which keeps the bytes.
    stream.prependListener('data', (chunk: Buffer) => {
      try {
        incoming.take(chunk);
        // Messages of streams are small, and their number has a limit of its own.
        if (!isStream) this.#spend(chunk.length);
      } catch (error) {
        endCall(call, stream, error);
      }
    });
    stream.once('end', () => clearTimeout(timer));
    stream.once('close', () => {
      clearTimeout(timer);
      this.#budget.give(this.#cost);
      this.#cost = 0;
    });
  }

  /** @throws Fault */
  decode(bytes: Buffer): object {
    const elements = countElements(bytes, this.#method.shape, this.#limits.elements);
    if (this.#method.kind !== 'stream') this.#spend(elements * LIMITS.elementBytes);
    try {
      return this.#method.definition.requestDeserialize(bytes);
    } catch (error) {
      throw invalid(`the message is none: ${error instanceof Error ? error.message : error}`);
    }
  }

  #spend(bytes: number): void {
    if (!this.#budget.take(bytes)) throw exhausted('the server has no memory left for requests: try again');
    this.#cost += bytes;
  }
}

/** What goes out of one call. */
class Answers {
  readonly #method: Method;
  readonly #connection: Connection;
  readonly #budget: Budget;
  readonly #stream: ServerHttp2Stream;
  #cost = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(method: Method, connection: Connection, budget: Budget, stream: ServerHttp2Stream) {
    this.#method = method;
    this.#connection = connection;
    this.#budget = budget;
    this.#stream = stream;
    stream.once('close', () => this.#settle(this.#cost));
  }

  /** @throws Fault where too much waits already */
  encode(message: object): Buffer {
    const bytes = this.#method.definition.responseSerialize(message);
    const { length } = bytes;
    const { unread } = this.#connection;
    if ((unread > 0 && unread + length > LIMITS.connectionUnread) || !this.#budget.take(length))
      throw exhausted('too many answers wait to be read');
    this.#cost += length;
    this.#connection.unread += length;
    this.#timer ??= setTimeout(() => this.#stream.close(constants.NGHTTP2_CANCEL), LIMITS.transferMs);
    return bytes;
  }

  /** The client has taken so many bytes. */
  taken(bytes: number): void {
    if (this.#cost > 0) this.#settle(bytes);
  }

  #settle(bytes: number): void {
    this.#cost -= bytes;
    this.#connection.unread -= bytes;
    this.#budget.give(bytes);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

class AdmittedCall extends ServerInterceptingCall {
  readonly #answers: Answers;
  readonly #context: Context;
  readonly #stream: ServerHttp2Stream;

  constructor(peer: Peer, request: Request, answers: Answers, stream: ServerHttp2Stream, next: NextCall) {
    super(next, {
      start: (begin) =>
        begin({
          onReceiveMessage: (bytes: Buffer, forward) => {
            try {
              forward(request.decode(bytes));
            } catch (error) {
              endCall(next, stream, error);
            }
          },
        }),
    });
    this.#answers = answers;
    this.#stream = stream;
    this.#context = { ...next.getAuthContext() };
    admitted.set(this.#context, { peer, cut: () => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM) });
  }

  override getAuthContext(): Context {
    return this.#context;
  }

  override sendMessage(message: object, done: () => void): void {
    try {
      const bytes = this.#answers.encode(message);
      super.sendMessage(bytes, () => {
        this.#answers.taken(bytes.length);
        done();
      });
    } catch (error) {
      endCall(this, this.#stream, error);
    }
  }

  override sendStatus(outcome: Outcome): void {
    super.sendStatus(outcome);
    part(this.#stream);
  }
}

/** Ends a call with a refusal, or another error. */
function endCall(call: Pick<NextCall, 'sendStatus'>, stream: ServerHttp2Stream, error: unknown): void {
  call.sendStatus({
    code: error instanceof Fault ? error.code : status.INTERNAL,
    details: error instanceof Error ? error.message : String(error),
  });
  part(stream);
}

const parting = new WeakSet<ServerHttp2Stream>();

/** A call that is over goes, even if its client sends on. */
function part(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed || parting.has(stream)) return;
  parting.add(stream);
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LIMITS.partingMs);
  stream.once('close', () => clearTimeout(timer));
}

/** grpc-js has no public way to a call's stream, without which neither size nor sender of a request is known in time. */
function http2Stream(call: NextCall): ServerHttp2Stream {
  const stream: unknown = Reflect.get(call, 'stream');
  if (isStream(stream)) return stream;
  throw new Error('this version of grpc-js keeps the stream of a call elsewhere');
}

const isStream = (value: unknown): value is ServerHttp2Stream =>
  typeof value === 'object' && value !== null && 'session' in value && 'prependListener' in value;

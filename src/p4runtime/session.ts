import { type ServiceError, status } from '@grpc/grpc-js';
import { electionIdOf, MAX_ELECTION_ID, toUint128 } from './election.ts';
import { Emitter } from './emitter.ts';
import { P4RuntimeError } from './errors.ts';
import { endStream, Outbox } from './outbox.ts';
import type { Init, Message } from './proto/messages.ts';
import { Rpc, type RpcOptions, type Stream } from './rpc.ts';
import { rpcFailure } from './rpc-errors.ts';
import type { SessionEvents, SessionOptions, SessionState } from './session-state.ts';

const TIMEOUT_MS = 10_000;
const BACKOFF_MS = [50, 1_000] as const;
/** How long a device may take to end a stream on which nothing was sent but bids. */
const CLOSE_MS = 1_000;

/** Codes after which the same request would fail the same way. */
const FATAL: ReadonlySet<number> = new Set([
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
]);

/**
 * A controller's stream with one device and its arbitration, as a state machine:
 * `disconnected -> connecting -> arbitrating -> primary | backup`, back to `disconnected` on any loss, `closed` at the end.
 */
export class Session {
  readonly events = new Emitter<SessionEvents>();
  readonly deviceId: bigint;
  readonly timeoutMs: number;
  readonly #rpcOptions: RpcOptions;
  readonly #options: SessionOptions;
  #electionId: bigint;
  #state: SessionState = { kind: 'disconnected', attempt: 0 };
  #rpc: Rpc | undefined;
  #stream: Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #outbox = new Outbox();
  #closed: Promise<void> = Promise.resolve();
  #everConnected = false;
  #sentPackets = false;

  constructor(options: RpcOptions & SessionOptions) {
    this.#rpcOptions = options;
    this.#options = options;
    this.deviceId = BigInt(options.deviceId);
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#electionId = options.electionId ?? 1n;
  }

  state(): SessionState {
    return this.#state;
  }

  get electionId(): bigint {
    return this.#electionId;
  }

  /** What identifies this controller in a Write. */
  get identity() {
    const { role } = this.#options;
    return {
      deviceId: this.deviceId,
      electionId: toUint128(this.#electionId),
      ...(role !== undefined && { role }),
    };
  }

  /** The connection of the moment. @throws P4RuntimeError `unreachable` where there is none */
  rpc(): Rpc {
    if (this.#rpc !== undefined && this.#everConnected && this.#state.kind !== 'connecting') return this.#rpc;
    throw this.#unusable();
  }

  /** Begins; further attempts follow by themselves. */
  open(): void {
    if (this.#state.kind === 'closed') throw this.#unusable();
    if (this.#state.kind === 'disconnected') this.#dial();
  }

  /**
   * Sends on the stream. What is returned resolves when the message is on its way, and rejects where the stream ended before:
   * who waits for it sends no faster than the device takes.
   * @throws P4RuntimeError `unreachable`, or `not-primary`; RangeError, TypeError on a message that cannot be serialised
   */
  send(message: Init<'StreamMessageRequest'>): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) throw this.#unusable();
    if (this.#state.kind !== 'primary')
      throw new P4RuntimeError({
        kind: 'not-primary',
        call: 'StreamChannel',
        code: status.PERMISSION_DENIED,
        message: `the session is ${this.#state.kind}; the device would drop this`,
      });
    this.#sentPackets = true;
    return this.#outbox.send(stream, message);
  }

  /** Resolves when all that was sent is on its way. @throws P4RuntimeError where the stream ended before */
  flush(): Promise<void> {
    return this.#outbox.flush();
  }

  /** Bids anew with another id on the same stream. */
  bid(electionId: bigint): void {
    this.#electionId = electionId;
    if (this.#stream !== undefined) this.#arbitrate();
  }

  /** Drops the connection, and makes a new one unless closed: for calls whose outcome the channel no longer tells. */
  redial(error: P4RuntimeError): void {
    if (this.#rpc !== undefined) this.#lost(error);
  }

  /** Ends the session at once. What was sent still goes out: resolves when the device has taken it, or gave no sign of it. */
  close(): Promise<void> {
    if (this.#state.kind === 'closed') return this.#closed;
    const [stream, rpc] = [this.#stream, this.#rpc];
    const settled = this.#state.kind === 'primary' || this.#state.kind === 'backup';
    if (stream !== undefined && settled) {
      this.#stream = undefined;
      this.#rpc = undefined;
      // A device that takes packets one by one may be long behind; it has the time of any call.
      const patience = this.#sentPackets ? this.timeoutMs : CLOSE_MS;
      this.#closed = endStream(stream, this.#outbox, patience).finally(() => {
        this.#outbox.clear();
        rpc?.close();
      });
    }
    this.#release();
    this.#enter({ kind: 'closed' });
    return this.#closed;
  }

  #enter(state: SessionState): void {
    this.#state = state;
    this.events.emit('state', state);
  }

  #attempt(): number {
    return this.#state.kind === 'disconnected' || this.#state.kind === 'connecting' ? this.#state.attempt : 0;
  }

  #dial(): void {
    const rpc = new Rpc(this.#rpcOptions);
    this.#rpc = rpc;
    this.#enter({ kind: 'connecting', attempt: this.#attempt() + 1 });
    // An open port is not yet a device, and only a call tells why TLS fails.
    rpc.capabilities({}, this.timeoutMs).then(
      () => this.#connected(rpc),
      (error: P4RuntimeError) => {
        // Version 1.0 has no such method.
        if (error.code === status.UNIMPLEMENTED) this.#connected(rpc);
        else if (this.#rpc === rpc) this.#lost(error);
      },
    );
  }

  #connected(rpc: Rpc): void {
    if (this.#rpc !== rpc || this.#state.kind !== 'connecting') return;
    this.#everConnected = true;
    const stream = rpc.openStream();
    this.#stream = stream;
    const lost = (error: P4RuntimeError) => {
      if (this.#stream === stream) this.#lost(error);
    };
    stream.on(
      'data',
      (message: Message<'StreamMessageResponse'>) => this.#stream === stream && this.#receive(message),
    );
    stream.on('error', (error: ServiceError) =>
      lost(rpcFailure('StreamChannel', error.code, error.details, error)),
    );
    stream.on('end', () => {
      // A status that is not OK comes as an error, right behind the end.
      setImmediate(() =>
        lost(
          new P4RuntimeError({
            kind: 'stream-ended',
            call: 'StreamChannel',
            code: status.UNAVAILABLE,
            message: 'the device closed the stream',
          }),
        ),
      );
    });
    this.#arbitrate();
  }

  #arbitrate(): void {
    const { role, roleConfig } = this.#options;
    this.#enter({ kind: 'arbitrating', electionId: this.#electionId });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#lost(rpcFailure('StreamChannel', status.DEADLINE_EXCEEDED, 'the bid was not answered')),
      this.timeoutMs,
    );
    const arbitration = {
      deviceId: this.deviceId,
      electionId: toUint128(this.#electionId),
      ...(role !== undefined && { role: { name: role, ...(roleConfig && { config: roleConfig }) } }),
    };
    if (this.#stream !== undefined) void this.#outbox.send(this.#stream, { arbitration });
  }

  #receive(message: Message<'StreamMessageResponse'>): void {
    if (message.arbitration !== undefined) this.#arbitrated(message.arbitration);
    else if (message.packet !== undefined) this.events.emit('packetIn', message.packet);
    else if (message.digest !== undefined) this.events.emit('digest', message.digest);
    else if (message.idleTimeoutNotification !== undefined)
      this.events.emit('idleTimeout', message.idleTimeoutNotification);
    else if (message.error !== undefined) this.events.emit('streamError', message.error);
    // Kinds of a later version say nothing to this one.
  }

  #arbitrated(update: Message<'MasterArbitrationUpdate'>): void {
    clearTimeout(this.#timer);
    const electionId = this.#electionId;
    const code = update.status?.code ?? status.OK;
    // BMv2 promotes a backup with OK and its own, lower id: the status decides, not the id.
    if (code === status.OK) {
      this.#enter({ kind: 'primary', electionId });
      return;
    }
    const highest = update.electionId === undefined ? undefined : electionIdOf(update.electionId);
    if (code === status.NOT_FOUND && this.#options.takeover !== false) {
      const above = highest === undefined || highest < electionId ? electionId : highest;
      // Nobody can be above the largest: only its holder, or a reset of the device.
      if (above < MAX_ELECTION_ID) {
        this.bid(above + 1n);
        return;
      }
    }
    const hasPrimary = code === status.ALREADY_EXISTS;
    this.#enter({ kind: 'backup', electionId, hasPrimary, ...(highest !== undefined && { highest }) });
  }

  #lost(error: P4RuntimeError): void {
    if (this.#state.kind === 'closed') return;
    const attempt = this.#attempt();
    const arbitrating = this.#state.kind === 'arbitrating';
    this.#release();
    const taken = arbitrating && error.code === status.INVALID_ARGUMENT;
    if (taken && this.#options.rebid !== false && this.#electionId > 1n) this.#electionId -= 1n;
    else if (taken) {
      const message = `election id ${this.#electionId} is refused: ${error.message}`;
      this.#enter({
        kind: 'closed',
        error: new P4RuntimeError({ kind: 'election-id-taken', message, cause: error, code: error.code }),
      });
      return;
    }
    const hopeless = FATAL.has(error.code) || (error.kind === 'tls' && !this.#everConnected);
    if (hopeless || this.#options.reconnect === false) {
      this.#enter({ kind: 'closed', error });
      return;
    }
    this.#enter({ kind: 'disconnected', attempt, error });
    const [first, last] = this.#options.backoffMs ?? BACKOFF_MS;
    this.#timer = setTimeout(() => this.#dial(), Math.min(last, first * 2 ** attempt));
  }

  /** Leaves nothing behind of the connection. */
  #release(): void {
    clearTimeout(this.#timer);
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) {
      stream.removeAllListeners('data');
      stream.on('error', () => {});
      stream.cancel();
      this.#outbox.clear();
    }
    this.#rpc?.close();
    this.#rpc = undefined;
  }

  #unusable(): P4RuntimeError {
    const state = this.#state;
    const cause = 'error' in state ? state.error : undefined;
    const message = `the session is ${state.kind}${cause === undefined ? '' : `: ${cause.message}`}`;
    const kind = state.kind === 'closed' ? (cause?.kind ?? 'closed') : 'unreachable';
    return new P4RuntimeError({ kind, message, code: status.UNAVAILABLE, cause });
  }
}

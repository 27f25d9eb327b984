import { status } from '@grpc/grpc-js';
import { settableDefaults } from './default-actions.ts';
import { difference } from './difference.ts';
import { entityKey } from './entity-key.ts';
import { P4RuntimeError } from './errors.ts';
import { EventStream, type StreamOptions } from './event-stream.ts';
import { Pipeline } from './pipeline.ts';
import type { Config, Init, Message } from './proto/messages.ts';
import { inverseOf, needsBefore, readRequestOf } from './rollback.ts';
import type { RpcOptions } from './rpc.ts';
import { Session } from './session.ts';
import type { SessionEvents, SessionOptions, SessionState } from './session-state.ts';
import { insertion, removal } from './whole-entity.ts';
import { type CallOptions, outcomeError, type WriteOptions, writeAll } from './writer.ts';

type Entity = Init<'Entity'>;
type Update = Init<'Update'>;

/** Where a device is, and as whom to write to it. */
export type P4ClientOptions = RpcOptions & SessionOptions;

/** Entities a Read: bounds the request where many single entries are read. */
const READ_BATCH = 500;

/**
 * A controller's client of one device: session and arbitration, pipeline, writes, reads, packets, digests. Entities come
 * from a `P4Program`, or are written as the standard has them. Failures are `P4RuntimeError`s.
 */
export class P4Client {
  readonly session: Session;
  readonly pipeline: Pipeline;

  constructor(options: P4ClientOptions) {
    this.session = new Session(options);
    this.pipeline = new Pipeline(this.session);
  }

  state(): SessionState {
    return this.session.state();
  }

  on<E extends keyof SessionEvents>(event: E, listener: (argument: SessionEvents[E]) => void): () => void {
    return this.session.events.on(event, listener);
  }

  /**
   * Connects and waits for the outcome of the first arbitration. A device that does not answer is tried until the time is
   * over; the session then goes on trying, unless it was told not to.
   */
  async connect(timeoutMs = this.session.timeoutMs): Promise<'primary' | 'backup'> {
    const settled = this.until((state) => state.kind === 'primary' || state.kind === 'backup', timeoutMs);
    if (this.state().kind !== 'closed') this.session.open();
    const { kind } = await settled;
    return kind === 'primary' ? 'primary' : 'backup';
  }

  /** Waits to become the primary. */
  async primary(timeoutMs = this.session.timeoutMs): Promise<void> {
    await this.until((state) => state.kind === 'primary', timeoutMs);
  }

  /** @throws P4RuntimeError `deadline` with the last cause, or what closed the session */
  until(wanted: (state: SessionState) => boolean, timeoutMs: number): Promise<SessionState> {
    return new Promise((resolve, reject) => {
      let last: P4RuntimeError | undefined;
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        off();
        act();
      };
      const look = (state: SessionState): void => {
        if ('error' in state && state.error !== undefined) last = state.error;
        if (wanted(state)) finish(() => resolve(state));
        else if (state.kind === 'closed') finish(() => reject(last ?? closedError()));
      };
      const off = this.on('state', look);
      const timer = setTimeout(
        () => finish(() => reject(waitError(timeoutMs, this.state(), last))),
        timeoutMs,
      );
      look(this.state());
    });
  }

  /** Semantic version of P4Runtime that the device speaks. */
  async capabilities({ timeoutMs = this.session.timeoutMs }: CallOptions = {}): Promise<string> {
    try {
      const answer = await this.session.rpc().capabilities({ deviceId: this.session.deviceId }, timeoutMs);
      return answer.p4runtimeApiVersion;
    } catch (error) {
      // The method is of version 1.1.
      if (error instanceof P4RuntimeError && error.code === status.UNIMPLEMENTED) return '1.0.0';
      throw error;
    }
  }

  /**
   * Writes in batches; every update is tried unless the options say otherwise. A generator is asked for the updates of a batch
   * while those before it are on their way: of many thousand that is several times as fast as a list of all, which the garbage
   * collector copies about. What it throws is thrown when those are answered; the batch that was being
   * made is not sent.
   * @throws P4RuntimeError whose `updates` name each one that failed, by its index here; all others were done
   */
  async write(updates: Iterable<Update>, options: WriteOptions = {}): Promise<void> {
    if (options.onError === 'rollback') return this.#writeOrUndo([...updates], options);
    const error = outcomeError(await writeAll(this.session, updates, options));
    if (error !== undefined) throw error;
  }

  /** A default action is there always, and so is modified. */
  insert(entities: Iterable<Entity>, options?: WriteOptions): Promise<void> {
    return this.write(each(entities, insertion), options);
  }

  modify(entities: Iterable<Entity>, options?: WriteOptions): Promise<void> {
    return this.write(
      each(entities, (entity) => ({ type: 'MODIFY', entity })),
      options,
    );
  }

  /** A default action is put back to what the program says. */
  delete(entities: Iterable<Entity>, options?: WriteOptions): Promise<void> {
    return this.write(each(entities, removal), options);
  }

  /**
   * Entities that match the requests, as they come. An id of 0, or a key left out, is a wildcard. The time-out is that of the
   * device, from one message to the next; the time that the caller takes does not count.
   */
  async *read(
    requests: readonly Entity[],
    options?: CallOptions,
  ): AsyncGenerator<Message<'Entity'>, void, void> {
    for await (const { entities } of this.#answers(requests, options)) yield* entities;
  }

  /** The same at once. */
  async readAll(requests: readonly Entity[], options?: CallOptions): Promise<readonly Message<'Entity'>[]> {
    const found: (readonly Message<'Entity'>[])[] = [];
    // Message by message: a turn of the event loop for each of many entities costs more than to decode it.
    for await (const { entities } of this.#answers(requests, options)) found.push(entities);
    return found.flat();
  }

  #answers(
    requests: readonly Entity[],
    { timeoutMs = this.session.timeoutMs }: CallOptions = {},
  ): AsyncGenerator<Message<'ReadResponse'>, void, void> {
    const { deviceId } = this.session;
    const { role } = this.session.identity;
    const request = { deviceId, entities: requests, ...(role !== undefined && { role }) };
    return this.session.rpc().read(request, timeoutMs);
  }

  /**
   * Deletes what the requests find, in an order in which it can be deleted; without requests all table entries, members,
   * groups, multicast groups and clone sessions. What the program brings along stays.
   * @param options `defaults`: whether default actions become those of the program again; as a matter of course where all is to go
   * @returns how many entities were deleted
   */
  async deleteAll(
    requests?: readonly Entity[],
    { defaults = requests === undefined, ...options }: WriteOptions & { readonly defaults?: boolean } = {},
  ): Promise<number> {
    const p4info = (await this.pipeline.get('P4INFO_AND_COOKIE', options))?.p4info;
    if (p4info === undefined) return 0;
    const found = await this.readAll(requests ?? everything(p4info), options);
    const constant = new Set(p4info.tables.filter((t) => t.isConstTable).map((t) => t.preamble?.id ?? 0));
    const updates = difference(found, [], constant);
    await this.write(updates, options);
    if (defaults) await this.modify(settableDefaults(p4info), options);
    return updates.length;
  }

  /**
   * What is returned resolves when the packet is on its way: waiting for it is how to send no faster than the device takes.
   * @throws P4RuntimeError `not-primary`: a device drops the packets of others without a word
   */
  packetOut(packet: Init<'PacketOut'>): Promise<void> {
    return this.session.send({ packet });
  }

  /** Without it the device holds items back that it has sent once. */
  acknowledge(digest: { readonly digestId: number; readonly listId: bigint }): Promise<void> {
    return this.session.send({ digestAck: { digestId: digest.digestId, listId: digest.listId } });
  }

  /** Resolves when all packets are on their way. */
  flush(): Promise<void> {
    return this.session.flush();
  }

  /** Packets from here on, until the client is closed or the loop is left. */
  packets(options: StreamOptions<Message<'PacketIn'>> = {}): EventStream<Message<'PacketIn'>> {
    return this.#events('packetIn', options);
  }

  /** Lists of digests from here on, of one digest or of all; each is acknowledged as it is handed out, unless told not to. */
  digests(
    options: StreamOptions<Message<'DigestList'>> & {
      readonly digestId?: number;
      readonly acknowledge?: boolean;
    } = {},
  ): EventStream<Message<'DigestList'>> {
    const { digestId, acknowledge = true, filter = () => true } = options;
    const wanted = (list: Message<'DigestList'>) =>
      (digestId === undefined || list.digestId === digestId) && filter(list);
    const taken = (list: Message<'DigestList'>) => {
      if (acknowledge && this.state().kind === 'primary') void this.acknowledge(list);
    };
    return this.#events('digest', { ...options, filter: wanted }, taken);
  }

  /** Entries that no packet met for their time, from here on. */
  idleTimeouts(
    options: StreamOptions<Message<'IdleTimeoutNotification'>> = {},
  ): EventStream<Message<'IdleTimeoutNotification'>> {
    return this.#events('idleTimeout', options);
  }

  /** Ends the session at once. Packets that were sent still go out: resolves when the device has taken them. */
  close(): Promise<void> {
    return this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #events<T>(
    event: 'packetIn' | 'digest' | 'idleTimeout',
    options: StreamOptions<T>,
    taken?: (item: T) => void,
  ): EventStream<T> {
    const stream = new EventStream<T>(this.session.events, event, options, taken);
    // Of a client that is closed nothing comes any more.
    if (this.state().kind === 'closed') void stream.return();
    return stream;
  }

  async #writeOrUndo(updates: readonly Update[], options: WriteOptions): Promise<void> {
    const before = await this.#before(updates);
    const outcome = await writeAll(this.session, updates, options);
    const remark = outcome.errors.length > 0 ? ', the others were taken back' : '';
    const error = outcomeError(outcome, remark);
    if (error === undefined) return;
    const notDone = new Set([...outcome.errors.map((e) => e.index), ...outcome.unsent]);
    await this.#undo(updates, notDone, before, error);
    throw error;
  }

  async #before(updates: readonly Update[]): Promise<ReadonlyMap<string, Entity>> {
    const requests = needsBefore(updates).map(readRequestOf);
    const before = new Map<string, Entity>();
    for (let at = 0; at < requests.length; at += READ_BATCH)
      for await (const entity of this.read(requests.slice(at, at + READ_BATCH)))
        before.set(entityKey(entity), entity);
    return before;
  }

  async #undo(
    updates: readonly Update[],
    notDone: ReadonlySet<number>,
    before: ReadonlyMap<string, Entity>,
    cause: P4RuntimeError,
  ): Promise<void> {
    // Of a call without an answer nobody knows what was done; undoing the rest would hide that.
    const unknown = UNKNOWN_OUTCOME.has(cause.code) && cause.kind !== 'write-failed';
    const done = updates.filter((_, i) => !notDone.has(i));
    const reason = unknown ? 'a call had no answer' : await this.#takeBack(done, before);
    if (reason === undefined) return;
    const message = `${cause.message}\nand what was done could not be taken back: ${reason}`;
    throw new P4RuntimeError({
      kind: 'rollback-failed',
      code: cause.code,
      message,
      updates: cause.updates,
      cause,
    });
  }

  /** @returns why it did not work */
  async #takeBack(done: readonly Update[], before: ReadonlyMap<string, Entity>): Promise<string | undefined> {
    const undo = inverseOf(done, before);
    return outcomeError(await writeAll(this.session, undo, {}))?.message;
  }
}

function* each(
  entities: Iterable<Entity>,
  update: (entity: Entity) => Update,
): Generator<Update, void, void> {
  for (const entity of entities) yield update(entity);
}

/** Requests that find all that can be deleted under a P4Info. */
function everything({ actionProfiles }: Config<'P4Info'>): readonly Entity[] {
  return [
    { tableEntry: {} },
    ...(actionProfiles.length > 0 ? [{ actionProfileMember: {} }] : []),
    ...(actionProfiles.some((p) => p.withSelector) ? [{ actionProfileGroup: {} }] : []),
    { packetReplicationEngineEntry: { multicastGroupEntry: {} } },
    { packetReplicationEngineEntry: { cloneSessionEntry: {} } },
  ];
}

/** Codes behind which the device may or may not have done what was asked. */
const UNKNOWN_OUTCOME: ReadonlySet<number> = new Set([
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.CANCELLED,
  status.INTERNAL,
]);

const closedError = (): P4RuntimeError =>
  new P4RuntimeError({ kind: 'closed', code: status.CANCELLED, message: 'the client was closed' });

function waitError(timeoutMs: number, state: SessionState, last: P4RuntimeError | undefined): P4RuntimeError {
  const why = last === undefined ? '' : `: ${last.message}`;
  const message = `after ${timeoutMs} ms the session is still ${state.kind}${why}`;
  const kind = last?.kind ?? (state.kind === 'backup' ? 'not-primary' : 'deadline');
  return new P4RuntimeError({ kind, message, code: last?.code ?? status.DEADLINE_EXCEEDED, cause: last });
}

import type { ServiceError } from '@grpc/grpc-js';
import { electionIdOf, toUint128 } from '../../../src/p4runtime/election.ts';
import type { Init, Message } from '../../../src/p4runtime/proto/messages.ts';
import type { Rpc, Stream } from '../../../src/p4runtime/rpc.ts';

const PATIENCE_MS = 5_000;
/** How long nothing must come for it to count as nothing. */
const QUIET_MS = 150;

export interface Bid {
  readonly id?: bigint;
  readonly role?: Init<'Role'>;
  readonly deviceId?: number;
}

/** The answer to a bid, as the tests look at it. */
export interface Standing {
  readonly code: number;
  readonly id: bigint | undefined;
}

/** A controller's stream without any of the client's cleverness. */
export class RawStream {
  readonly #stream: Stream;
  readonly #deviceId: number;
  readonly #queue: Message<'StreamMessageResponse'>[] = [];
  #wake: () => void = () => {};
  #end: number | undefined;

  constructor(rpc: Rpc, deviceId: number) {
    this.#deviceId = deviceId;
    this.#stream = rpc.openStream();
    this.#stream.on('data', (message: Message<'StreamMessageResponse'>) => {
      this.#queue.push(message);
      this.#wake();
    });
    this.#stream.on('status', (s: { code: number }) => {
      this.#end = s.code;
      this.#wake();
    });
    this.#stream.on('error', (_: ServiceError) => {});
  }

  send(message: Init<'StreamMessageRequest'>): void {
    this.#stream.write(message);
  }

  bid({ id, role, deviceId = this.#deviceId }: Bid): void {
    this.send({
      arbitration: {
        deviceId,
        ...(id !== undefined && { electionId: toUint128(id) }),
        ...(role && { role }),
      },
    });
  }

  /** The next message of any kind. */
  async next(): Promise<Message<'StreamMessageResponse'>> {
    await this.#until(() => this.#queue.length > 0 || this.#end !== undefined, PATIENCE_MS);
    const message = this.#queue.shift();
    if (message === undefined)
      throw new Error(`no message came; the stream ended with ${this.#end ?? 'nothing'}`);
    return message;
  }

  async standing(): Promise<Standing> {
    const { arbitration } = await this.next();
    if (arbitration === undefined) throw new Error('the message is no arbitration');
    return {
      code: arbitration.status?.code ?? 0,
      id: arbitration.electionId === undefined ? undefined : electionIdOf(arbitration.electionId),
    };
  }

  /** Bids and waits for the answer. */
  async become(bid: Bid): Promise<Standing> {
    this.bid(bid);
    return this.standing();
  }

  /** The code with which the stream ends. */
  async ended(): Promise<number> {
    await this.#until(() => this.#end !== undefined, PATIENCE_MS);
    if (this.#end === undefined) throw new Error('the stream did not end');
    return this.#end;
  }

  /** Whether nothing comes for a moment. */
  async silent(): Promise<boolean> {
    await this.#until(() => this.#queue.length > 0 || this.#end !== undefined, QUIET_MS);
    return this.#queue.length === 0 && this.#end === undefined;
  }

  /** Reads away what was not asked for. */
  async drain(): Promise<void> {
    await this.silent();
    this.#queue.length = 0;
  }

  close(): void {
    this.#stream.cancel();
  }

  #until(ready: () => boolean, ms: number): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#wake = () => ready() && finish();
    });
  }
}

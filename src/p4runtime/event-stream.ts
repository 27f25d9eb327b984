import type { Emitter } from './emitter.ts';
import type { SessionEvents } from './session-state.ts';

/** Which events an iterator yields, and how many may wait for it. */
export interface StreamOptions<T> {
  /** Only what this is true of. */
  readonly filter?: (item: T) => boolean;
  /** Items that wait for the consumer; of more the oldest are dropped. Default 10,000. */
  readonly limit?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

const LIMIT = 10_000;

type StreamEvent = 'packetIn' | 'digest' | 'idleTimeout';
interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: Error): void;
}

/**
 * Events of a session as an async iterator: everything from its making on, also what comes before the loop begins. Ends when
 * the client is closed, with its error if it was closed by one.
 */
export class EventStream<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #items: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  readonly #taken: (item: T) => void;
  readonly #limit: number;
  readonly #end: () => void;
  #done = false;
  #error: Error | undefined;
  #dropped = 0;

  constructor(
    events: Emitter<SessionEvents>,
    event: StreamEvent,
    { filter, limit = LIMIT, signal }: StreamOptions<T>,
    taken: (item: T) => void = () => {},
  ) {
    this.#limit = limit;
    this.#taken = taken;
    const offs = [
      // Which message belongs to the event is the caller's to say.
      events.on(event, (item) => {
        if (filter === undefined || filter(item as T)) this.#put(item as T);
      }),
      events.on('state', (state) => {
        if (state.kind === 'closed') this.#finish(state.error);
      }),
    ];
    const abort = (): void => this.#finish(undefined);
    this.#end = () => {
      for (const off of offs) off();
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
  }

  /** Items that were dropped because nobody took them in time. */
  get dropped(): number {
    return this.#dropped;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#taken(item);
      return Promise.resolve({ done: false, value: item });
    }
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) return Promise.reject(error);
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#items.length = 0;
    this.#finish(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#taken(item);
      waiting.resolve({ done: false, value: item });
      return;
    }
    this.#items.push(item);
    if (this.#items.length <= this.#limit) return;
    this.#items.shift();
    this.#dropped++;
  }

  #finish(error: Error | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#end();
    const [first, ...others] = this.#waiting.splice(0);
    if (error !== undefined && first !== undefined) first.reject(error);
    else {
      first?.resolve({ done: true, value: undefined });
      this.#error = error;
    }
    for (const { resolve } of others) resolve({ done: true, value: undefined });
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

/** So long others are waited for, ms. */
const GATHER_MS = 10;

interface Waiting<T> {
  readonly item: T;
  readonly done: (error?: unknown) => void;
}

/**
 * Work that comes piece by piece is done for all at once that came within a moment, or while the last was done: where each costs as much as all
 * objects that there are, many that come together would cost their square.
 */
export class Gathering<T> {
  readonly #work: (items: readonly T[]) => Promise<void>;
  #waiting: Waiting<T>[] = [];
  #running: Promise<void> | undefined;

  /** @param work for all of them, wholly or not at all */
  constructor(work: (items: readonly T[]) => Promise<void>) {
    this.#work = work;
  }

  /** Waits until it is done. @throws what its work throws for this one alone */
  add(item: T): Promise<void> {
    const waited = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ item, done: (error) => (error === undefined ? resolve() : reject(error)) });
    });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return waited;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await sleep(GATHER_MS);
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#do(batch);
    }
  }

  /** Where it fails for several, one of them is at fault, which alone is to hear of it: it is looked for by halves. */
  async #do(batch: readonly Waiting<T>[]): Promise<void> {
    try {
      await this.#work(batch.map((w) => w.item));
      for (const { done } of batch) done();
    } catch (error) {
      if (batch.length === 1) return batch[0]!.done(error);
      const half = batch.length >> 1;
      await this.#do(batch.slice(0, half));
      await this.#do(batch.slice(half));
    }
  }
}

import type { RemoteInfo } from 'node:dgram';
import { Fifo } from '../edge/fifo.ts';
import type { Header } from '../wire/index.ts';

/** A whole tensor to compute on, and whom to tell. */
export interface Job {
  readonly header: Header;
  readonly tensor: Uint8Array;
  readonly from: RemoteInfo;
}

/** What computes a job: the large model, or the layers from a cursor on. Jobs of one computation go in one batch. */
export type Computation = 'large' | number;

export interface Batch {
  readonly computation: Computation;
  readonly jobs: readonly Job[];
}

/** Jobs that wait, by what computes them; the computation whose first job is the oldest goes first. */
export class JobQueue {
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #waiting = new Map<Computation, Fifo<Job & { readonly arrival: number }>>();
  #arrivals = 0;
  #length = 0;
  #bytes = 0;

  constructor(most: number, mostBytes: number) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Returns false if there is no room. */
  add(computation: Computation, job: Job): boolean {
    if (this.#length >= this.#most || this.#bytes + job.tensor.length > this.#mostBytes) return false;
    let queue = this.#waiting.get(computation);
    if (queue === undefined) {
      queue = new Fifo();
      this.#waiting.set(computation, queue);
    }
    queue.push({ ...job, arrival: this.#arrivals++ });
    this.#length++;
    this.#bytes += job.tensor.length;
    return true;
  }

  /** What waits now, up to `most` jobs. */
  take(most: number): Batch | undefined {
    let oldest: { computation: Computation; queue: Fifo<Job>; arrival: number } | undefined;
    for (const [computation, queue] of this.#waiting) {
      const arrival = queue.peek()?.arrival;
      if (arrival !== undefined && (oldest === undefined || arrival < oldest.arrival))
        oldest = { computation, queue, arrival };
    }
    if (oldest === undefined) return undefined;
    const jobs: Job[] = [];
    while (jobs.length < most) {
      const job = oldest.queue.shift();
      if (job === undefined) break;
      jobs.push(job);
      this.#length--;
      this.#bytes -= job.tensor.length;
    }
    return { computation: oldest.computation, jobs };
  }
}

import type { Header } from '../../wire/index.ts';
import { Fifo } from '../common/fifo.ts';
import type { Address } from './cookies.ts';

/** A whole tensor to compute on, and whom to tell. */
export interface Job {
  readonly header: Header;
  readonly tensor: Uint8Array;
  readonly from: Address;
  /** Of the steady clock, ms. */
  readonly arrivedAt: number;
}

/** Jobs of one computation; what that is, is the caller's matter, but the same one is the same value. */
export interface Batch<Computation> {
  readonly computation: Computation;
  readonly jobs: readonly Job[];
}

interface Source<Computation> {
  /** By computation, in the order in which they came. */
  readonly waiting: Map<Computation, Fifo<Job & { readonly arrival: number }>>;
  length: number;
  bytes: number;
}

/**
 * Jobs that wait, by the host that asks. Hosts take turns, so that none waits for all that another has asked before it; and
 * where room is short, none takes more than an equal share of it.
 */
export class JobQueue<Computation> {
  readonly #most: number;
  readonly #mostBytes: number;
  /** In the order in which it is their turn. */
  readonly #sources = new Map<string, Source<Computation>>();
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
    const { address } = job.from;
    const known = this.#sources.get(address);
    const source = known ?? { waiting: new Map(), length: 0, bytes: 0 };
    if (!this.#hasRoom(source, this.#sources.size + (known === undefined ? 1 : 0), job.tensor.length))
      return false;
    let queue = source.waiting.get(computation);
    if (queue === undefined) {
      queue = new Fifo();
      source.waiting.set(computation, queue);
    }
    queue.push({ ...job, arrival: this.#arrivals++ });
    this.#sources.set(address, source);
    this.#count(source, 1, job.tensor.length);
    return true;
  }

  #hasRoom(source: Source<Computation>, sources: number, bytes: number): boolean {
    const [length, total] = [this.#length + 1, this.#bytes + bytes];
    if (length > this.#most || total > this.#mostBytes) return false;
    if (2 * length > this.#most && source.length >= this.#most / sources) return false;
    return 2 * total <= this.#mostBytes || source.bytes + bytes <= this.#mostBytes / sources;
  }

  /** What waits now, up to `most` jobs: the oldest computation of the host whose turn it is, a job from each host in turn. */
  take(most: number): Batch<Computation> | undefined {
    const [first] = this.#sources.values();
    const computation = first === undefined ? undefined : oldest(first);
    if (computation === undefined) return undefined;
    const jobs: Job[] = [];
    for (let before = -1; jobs.length < most && jobs.length > before; ) {
      before = jobs.length;
      // As many as there are now: whoever has had its turn goes to the end.
      for (const [address, source] of [...this.#sources]) {
        if (jobs.length === most) break;
        const job = source.waiting.get(computation)?.shift();
        if (job === undefined) continue;
        jobs.push(job);
        this.#count(source, -1, -job.tensor.length);
        this.#sources.delete(address);
        if (source.length > 0) this.#sources.set(address, source);
      }
    }
    return { computation, jobs };
  }

  /** What waits and is asked for, which then waits here no more. */
  remove(isWanted: (job: Job) => boolean): Batch<Computation>[] {
    const found = new Map<Computation, Job[]>();
    for (const [address, source] of [...this.#sources]) {
      for (const [computation, queue] of source.waiting) {
        const kept = new Fifo<Job & { readonly arrival: number }>();
        for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
          if (!isWanted(job)) {
            kept.push(job);
            continue;
          }
          this.#count(source, -1, -job.tensor.length);
          const jobs = found.get(computation) ?? [];
          jobs.push(job);
          found.set(computation, jobs);
        }
        source.waiting.set(computation, kept);
      }
      if (source.length === 0) this.#sources.delete(address);
    }
    return [...found].map(([computation, jobs]) => ({ computation, jobs }));
  }

  /** All that waits, which then waits no more. */
  drain(): Job[] {
    const jobs: Job[] = [];
    for (let batch = this.take(this.#most); batch !== undefined; batch = this.take(this.#most))
      jobs.push(...batch.jobs);
    return jobs;
  }

  #count(source: Source<Computation>, jobs: number, bytes: number): void {
    source.length += jobs;
    source.bytes += bytes;
    this.#length += jobs;
    this.#bytes += bytes;
  }
}

function oldest<Computation>({ waiting }: Source<Computation>): Computation | undefined {
  let found: { readonly computation: Computation; readonly arrival: number } | undefined;
  for (const [computation, queue] of waiting) {
    const arrival = queue.peek()?.arrival;
    if (arrival !== undefined && (found === undefined || arrival < found.arrival))
      found = { computation, arrival };
  }
  return found?.computation;
}

import type { Address } from './cookies.ts';

/** Where a job went, and by which versions it goes on. */
export interface Move {
  readonly to: Address;
  /** By model: the version of its requests that name none. */
  readonly versions: ReadonlyMap<number, number>;
}

/** Who asked, and in how many bytes. */
export interface Asker {
  readonly from: Address;
  readonly bytes: number;
}

/** Jobs that were handed over at most, and requests of them that are remembered: the oldest make room. */
const MOST_MOVES = 1024;
const MOST_ASKED = 16_384;
/** How long a job is remembered that nothing was heard of, ms. */
const FORGET_MS = 300_000;

/** The jobs that a worker has handed over to another one: what still comes of them is sent on there, and the answers back. */
export class JobMoves {
  readonly #moves = new Map<bigint, Move & { heardAt: number }>();
  readonly #asked = new Map<string, Asker>();

  get size(): number {
    return this.#moves.size;
  }

  add(jobId: bigint, move: Move, now: number): void {
    this.#moves.delete(jobId);
    this.#moves.set(jobId, { ...move, heardAt: now });
    const [oldest] = this.#moves.keys();
    if (this.#moves.size > MOST_MOVES && oldest !== undefined) this.#moves.delete(oldest);
  }

  remove(jobId: bigint): void {
    this.#moves.delete(jobId);
  }

  of(jobId: bigint, now: number): Move | undefined {
    const move = this.#moves.get(jobId);
    if (move === undefined) return undefined;
    if (now - move.heardAt > FORGET_MS) {
      this.#moves.delete(jobId);
      return undefined;
    }
    move.heardAt = now;
    return move;
  }

  asked(jobId: bigint, sequence: number, asker: Asker): void {
    const key = `${jobId}/${sequence}`;
    this.#asked.delete(key);
    this.#asked.set(key, asker);
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MOST_ASKED && oldest !== undefined) this.#asked.delete(oldest);
  }

  asker(jobId: bigint, sequence: number): Asker | undefined {
    return this.#asked.get(`${jobId}/${sequence}`);
  }
}

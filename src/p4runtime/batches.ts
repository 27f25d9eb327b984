import { entityHash } from './entity-hash.ts';
import { entityGroup } from './entity-key.ts';
import type { Init } from './proto/messages.ts';

/** Some updates of a longer list. */
export interface Batch {
  /** Index of the first in that list. */
  readonly offset: number;
  readonly updates: readonly Init<'Update'>[];
  /** Whether it may be sent only when all batches before it are answered. */
  readonly afterAll: boolean;
}

/**
 * Cuts updates into batches, one after the other as they are asked for: while a device works on the first, the next is
 * made, and so are its updates where they come from a generator. The order that the caller gave holds between tables, between kinds of entities, between insertions and deletions,
 * and for two updates of one entity; what stands between two such borders may be on its way together, in any order. The
 * order within a Write is free by the standard (section "Batching and Ordering of Updates"), so two updates of one entity
 * never share one either. Entities are told apart by a hash: two that share one by chance only wait for each other.
 */
export function* planBatches(updates: Iterable<Init<'Update'>>, size: number): Generator<Batch, void, void> {
  let batch: Init<'Update'>[] = [];
  let offset = 0;
  let afterAll = false;
  let previous: Init<'Update'> | undefined;
  const seen = new SeenHashes();
  for (const update of updates) {
    const hash = entityHash(update.entity ?? {});
    const border = previous !== undefined && (!sameGroup(previous, update) || seen.has(hash));
    if (border || batch.length === size) {
      yield { offset, updates: batch, afterAll };
      offset += batch.length;
      batch = [];
      afterAll = border;
    }
    if (border) seen.clear();
    previous = update;
    batch.push(update);
    seen.add(hash);
  }
  if (batch.length > 0) yield { offset, updates: batch, afterAll };
}

/** A power of two. */
const FIRST_PLACES = 1024;
/** Spreads hashes that differ in few bits. */
const SPREAD = 0x9e37_79b1;

/**
 * Hashes of entities, by open addressing in a table that is never full: a `Set` takes several times as long, which was a third
 * of a long Write. Each place says in which generation it was taken, so that a border costs nothing.
 */
class SeenHashes {
  #hashes = new Int32Array(FIRST_PLACES);
  #generations = new Int32Array(FIRST_PLACES);
  #shift = 32 - Math.log2(FIRST_PLACES);
  #generation = 1;
  #used = 0;

  has(hash: number): boolean {
    return this.#generations[this.#find(hash)] === this.#generation;
  }

  add(hash: number): void {
    const at = this.#find(hash);
    if (this.#generations[at] === this.#generation) return;
    this.#hashes[at] = hash;
    this.#generations[at] = this.#generation;
    this.#used++;
    if (this.#used > this.#hashes.length / 2) this.#grow();
  }

  clear(): void {
    this.#generation++;
    this.#used = 0;
  }

  #grow(): void {
    const [hashes, generations] = [this.#hashes, this.#generations];
    this.#hashes = new Int32Array(hashes.length * 2);
    this.#generations = new Int32Array(hashes.length * 2);
    this.#shift--;
    this.#used = 0;
    for (const [at, hash] of hashes.entries()) if (generations[at] === this.#generation) this.add(hash);
  }

  /** Where the hash is, or would be. */
  #find(hash: number): number {
    const last = this.#hashes.length - 1;
    let at = Math.imul(hash, SPREAD) >>> this.#shift;
    while (this.#generations[at] === this.#generation && this.#hashes[at] !== hash) at = (at + 1) & last;
    return at;
  }
}

function sameGroup(a: Init<'Update'>, b: Init<'Update'>): boolean {
  if (a.type !== b.type) return false;
  const [x, y] = [a.entity?.tableEntry, b.entity?.tableEntry];
  if (x !== undefined || y !== undefined) return x?.tableId === y?.tableId;
  return entityGroup(a.entity ?? {}) === entityGroup(b.entity ?? {});
}

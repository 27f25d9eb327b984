import type { Objects } from './objects.ts';
import { fileDigests } from './stored.ts';

/**
 * Files that no version names: handed over for an `apply` that was refused, or only asked what would come of it. A file comes
 * before the version that names it, so it is dropped when two looks in a row have found it unused.
 */
export class UnusedFiles {
  readonly #objects: Objects;
  #seen: ReadonlySet<string> = new Set();

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** @returns how many were dropped @throws StoreUnavailable */
  async look(): Promise<number> {
    const { blobs } = this.#objects.store;
    const used = await this.#used();
    if (used === undefined) return 0;
    const unused = (await blobs.list()).filter((digest) => !used.has(digest));
    const old = unused.filter((digest) => this.#seen.has(digest));
    this.#seen = new Set(unused);
    for (const digest of old) await this.#drop(digest);
    return old.length;
  }

  /** Undefined where a version cannot be read: nobody knows what file it has. */
  async #used(): Promise<ReadonlySet<string> | undefined> {
    const { objects } = await this.#objects.list();
    if ([...this.#objects.store.damaged.values()].some(({ kind }) => kind === 'ModelVersion'))
      return undefined;
    return new Set(fileDigests(objects));
  }

  /** A version that came to name it in this moment gets it back. */
  async #drop(digest: string): Promise<void> {
    const { blobs } = this.#objects.store;
    const bytes = await blobs.get(digest);
    await blobs.delete(digest);
    const used = await this.#used();
    if (bytes !== undefined && (used === undefined || used.has(digest))) await blobs.put(bytes);
  }
}

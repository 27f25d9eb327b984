import { digestOf } from '../digest.ts';
import { type Blobs, MOST_BLOB_BYTES } from '../store.ts';
import type { Keys } from './keys.ts';
import type { EtcdRpc } from './rpc.ts';

/** Etcd takes 1.5 MiB in one request. */
const CHUNK_BYTES = 2 ** 20;

/** Files in pieces; the key of the digest comes last, so that a file is whole or not there. */
export class EtcdBlobs implements Blobs {
  readonly #rpc: EtcdRpc;
  readonly #keys: Keys;

  constructor(rpc: EtcdRpc, keys: Keys) {
    this.#rpc = rpc;
    this.#keys = keys;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = digestOf(bytes);
    // One that was altered is written again.
    if ((await this.get(digest)) !== undefined) return digest;
    const count = Math.ceil(bytes.length / CHUNK_BYTES);
    for (let i = 0; i < count; i++)
      await this.#put(
        this.#keys.chunk(digest, i),
        Buffer.from(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      );
    await this.#put(this.#keys.digest(digest), Buffer.from(`${count}`));
    return digest;
  }

  async get(digest: string): Promise<Buffer | undefined> {
    const { kvs } = await this.#rpc.call('KV.Range', { key: this.#keys.digest(digest) });
    if (kvs[0] === undefined) return undefined;
    const chunks: Buffer[] = [];
    const count = Number(kvs[0].value.toString('latin1'));
    if (!(count <= Math.ceil(MOST_BLOB_BYTES / CHUNK_BYTES))) return undefined;
    for (let i = 0; i < count; i++) {
      const found = await this.#rpc.call('KV.Range', { key: this.#keys.chunk(digest, i) });
      if (found.kvs[0] === undefined) return undefined;
      chunks.push(found.kvs[0].value);
    }
    const bytes = Buffer.concat(chunks);
    // Somebody else wrote there: a file is what its name says, or not there.
    return digestOf(bytes) === digest ? bytes : undefined;
  }

  async has(digest: string): Promise<boolean> {
    const { kvs } = await this.#rpc.call('KV.Range', { key: this.#keys.digest(digest) });
    return kvs.length > 0;
  }

  async list(): Promise<readonly string[]> {
    const { kvs } = await this.#rpc.call('KV.Range', { ...this.#keys.digests(), keys_only: true });
    return kvs.map(({ key }) => this.#keys.parts(key)[1]!);
  }

  async delete(digest: string): Promise<void> {
    await this.#rpc.call('KV.Txn', {
      compare: [],
      success: [
        { request_delete_range: { key: this.#keys.digest(digest) } },
        { request_delete_range: this.#keys.chunks(digest) },
      ],
    });
  }

  async #put(key: Buffer, value: Buffer): Promise<void> {
    await this.#rpc.call('KV.Txn', { compare: [], success: [{ request_put: { key, value } }] });
  }
}

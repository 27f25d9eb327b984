import type { Leases, Term } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Compare, EtcdRpc, RangeRequest } from './rpc.ts';

const text = (value: string | number): Buffer => Buffer.from(String(value));

/** Refused unless the term goes on: its key has its number, and goes when etcd ends the lease. */
export const fenceOf = (keys: Keys, { lease, term }: Term): Compare => ({
  result: 'EQUAL',
  target: 'VALUE',
  key: keys.lease(lease),
  value: text(term),
});

/** Terms are counted by us and never reused; etcd's own leases only end them. */
export class EtcdLeases implements Leases {
  readonly #rpc: EtcdRpc;
  readonly #keys: Keys;
  /** Ids of etcd's leases, by lease and term. */
  readonly #ids = new Map<string, string>();

  constructor(rpc: EtcdRpc, keys: Keys) {
    this.#rpc = rpc;
    this.#keys = keys;
  }

  async acquire(lease: string, holder: string, ttlMs: number, isOthers = false): Promise<Term | undefined> {
    if ((await this.#value({ key: this.#keys.lease(lease) })) !== undefined) return undefined;
    const before = await this.#term(lease);
    const term = before.term + 1;
    const { ID } = await this.#rpc.call('Lease.LeaseGrant', { TTL: Math.max(1, Math.ceil(ttlMs / 1000)) });
    const { succeeded } = await this.#rpc.call('KV.Txn', {
      compare: [
        { result: 'EQUAL', target: 'CREATE', key: this.#keys.lease(lease), create_revision: 0 },
        { result: 'EQUAL', target: 'MOD', key: this.#keys.term(lease), mod_revision: before.revision },
      ],
      success: [
        { request_put: { key: this.#keys.lease(lease), value: text(term), lease: ID } },
        { request_put: { key: this.#keys.holder(lease), value: text(holder), lease: ID } },
        { request_put: { key: this.#keys.term(lease), value: text(term) } },
      ],
    });
    if (!succeeded) {
      await this.#rpc.call('Lease.LeaseRevoke', { ID });
      return undefined;
    }
    if (!isOthers) this.#ids.set(nameOf({ lease, term }), ID);
    return { lease, term };
  }

  async renew(term: Term): Promise<boolean> {
    const ID = this.#ids.get(nameOf(term)) ?? (await this.#idOf(term));
    if (ID === undefined) return false;
    const { TTL } = await this.#rpc.exchange<{ readonly TTL: string }>('Lease.LeaseKeepAlive', { ID });
    if (Number(TTL) > 0) return true;
    this.#ids.delete(nameOf(term));
    return false;
  }

  async release(term: Term): Promise<void> {
    const ID = this.#ids.get(nameOf(term)) ?? (await this.#idOf(term));
    this.#ids.delete(nameOf(term));
    if (ID !== undefined) await this.#rpc.call('Lease.LeaseRevoke', { ID }).catch(() => {});
  }

  async holder(lease: string) {
    const { responses } = await this.#rpc.call('KV.Txn', {
      compare: [],
      success: [
        { request_range: { key: this.#keys.lease(lease) } },
        { request_range: { key: this.#keys.holder(lease) } },
      ],
    });
    const [term, holder] = responses.map((r) => r.response_range?.kvs[0]?.value.toString());
    return term === undefined || holder === undefined ? undefined : { holder, term: Number(term) };
  }

  async held(prefix: string): Promise<ReadonlySet<string>> {
    const { kvs } = await this.#rpc.call('KV.Range', { ...this.#keys.leases(prefix), keys_only: true });
    return new Set(kvs.map(({ key }) => this.#keys.parts(key).slice(1).join('/')));
  }

  async terms(): Promise<ReadonlyMap<string, number>> {
    const { kvs } = await this.#rpc.call('KV.Range', this.#keys.terms());
    return new Map(
      kvs.map(({ key, value }) => [this.#keys.parts(key).slice(1).join('/'), Number(value.toString())]),
    );
  }

  async raise(lease: string, term: number): Promise<void> {
    for (;;) {
      const before = await this.#term(lease);
      if (before.term >= term) return;
      const key = this.#keys.term(lease);
      const { succeeded } = await this.#rpc.call('KV.Txn', {
        compare: [{ result: 'EQUAL', target: 'MOD', key, mod_revision: before.revision }],
        success: [{ request_put: { key, value: text(term) } }],
      });
      if (succeeded) return;
    }
  }

  /** Of a term that began in another process: whoever is told of it may prolong it. */
  async #idOf({ lease, term }: Term): Promise<string | undefined> {
    const found = await this.#value({ key: this.#keys.lease(lease) });
    return found?.value.toString() === `${term}` ? found.lease : undefined;
  }

  /** Gives back what this process holds. */
  async releaseAll(): Promise<void> {
    const ids = [...this.#ids.values()];
    this.#ids.clear();
    await Promise.all(ids.map((ID) => this.#rpc.call('Lease.LeaseRevoke', { ID }).catch(() => {})));
  }

  async #term(lease: string): Promise<{ readonly term: number; readonly revision: number }> {
    const found = await this.#value({ key: this.#keys.term(lease) });
    return { term: Number(found?.value.toString() ?? 0), revision: Number(found?.mod_revision ?? 0) };
  }

  async #value(request: RangeRequest) {
    return (await this.#rpc.call('KV.Range', request)).kvs[0];
  }
}

const nameOf = ({ lease, term }: Term): string => `${lease}/${term}`;

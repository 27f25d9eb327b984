import { status } from '@grpc/grpc-js';
import { type Leases, StoreUnavailable, type Term, termsOf } from '../store.ts';
import type { Keys } from './keys.ts';
import type { Compare, EtcdRpc, RangeRequest, Txn } from './rpc.ts';

const text = (value: string | number): Buffer => Buffer.from(String(value));

/** Refused unless the term goes on: its key has its number, and goes when etcd ends the lease. */
export const fenceOf = (keys: Keys, { lease, term }: Term): Compare => ({
  result: 'EQUAL',
  target: 'VALUE',
  key: keys.lease(lease),
  value: text(term),
});

/** Etcd ends no lease sooner, s: ours end by what others see of them. */
const LEAST_TTL = 2;

/** One of this process. */
interface Own {
  /** Of etcd's lease. */
  readonly id: string;
  readonly ttlMs: number;
  /** When etcd was asked last to prolong it, by the steady clock, ms. */
  prolongedAt: number;
}

/**
 * Terms are counted by us and never reused. A lease ends in one of two ways: whoever holds it for himself writes a beat again and
 * again, and another process that has seen none for its time takes the lease over by comparing that beat; and etcd, whose leases last two
 * seconds at least, removes the keys of those who are gone.
 */
export class EtcdLeases implements Leases {
  readonly #rpc: EtcdRpc;
  readonly #keys: Keys;
  readonly #own = new Map<string, Own>();
  /** The beat of another's lease as it was seen last, and since when, by the steady clock. */
  readonly #beats = new Map<string, { readonly revision: string; readonly since: number }>();

  constructor(rpc: EtcdRpc, keys: Keys) {
    this.#rpc = rpc;
    this.#keys = keys;
  }

  async acquire(lease: string, holder: string, ttlMs: number, isOthers = false): Promise<Term | undefined> {
    let isFree = await this.#freedBy(lease);
    if (isFree === undefined) return undefined;
    let id = await this.#grant(ttlMs);
    while (isFree !== undefined) {
      const before = await this.#term(lease);
      const term = before.term + 1;
      const key = this.#keys.term(termsOf(lease));
      const taken = await this.#onLease({
        compare: [...isFree, { result: 'EQUAL', target: 'MOD', key, mod_revision: before.revision }],
        success: [
          { request_put: { key: this.#keys.lease(lease), value: text(term), lease: id } },
          { request_put: { key: this.#keys.holder(lease), value: text(holder), lease: id } },
          { request_put: { key, value: text(term) } },
          ...(isOthers ? [] : [this.#beat(lease, ttlMs, id)]),
        ],
      });
      if (taken === true) {
        if (!isOthers) this.#own.set(nameOf({ lease, term }), { id, ttlMs, prolongedAt: performance.now() });
        return { lease, term };
      }
      // In a crowd that wants terms of the same count its turn may come later than etcd waits.
      if (taken === 'ended') id = await this.#grant(ttlMs);
      // Another one was faster with this lease, or with a term of the same count.
      isFree = await this.#freedBy(lease);
    }
    await this.#rpc.call('Lease.LeaseRevoke', { ID: id });
    return undefined;
  }

  async renew(term: Term): Promise<boolean> {
    const own = this.#own.get(nameOf(term));
    if (own === undefined) {
      const id = await this.#idOf(term);
      return id !== undefined && (await this.#prolong(id));
    }
    if ((await this.#showLife(term, own)) && (await this.#prolongOwn(own))) return true;
    this.#own.delete(nameOf(term));
    // Nothing hangs on it any more, and it ends by itself.
    void this.#rpc.call('Lease.LeaseRevoke', { ID: own.id }).catch(() => {});
    return false;
  }

  async release(term: Term): Promise<void> {
    const ID = this.#own.get(nameOf(term))?.id ?? (await this.#idOf(term));
    this.#own.delete(nameOf(term));
    // One that cannot be given back ends by itself.
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
    if (term === undefined || holder === undefined) return undefined;
    return { holder, term: termIn(this.#keys.lease(lease), term) };
  }

  async held(prefix: string): Promise<ReadonlySet<string>> {
    const { kvs } = await this.#rpc.call('KV.Range', { ...this.#keys.leases(prefix), keys_only: true });
    return new Set(kvs.map(({ key }) => this.#keys.parts(key).slice(1).join('/')));
  }

  async terms(): Promise<ReadonlyMap<string, number>> {
    const { kvs } = await this.#rpc.call('KV.Range', this.#keys.terms());
    return new Map(
      kvs.map(({ key, value }) => [
        this.#keys.parts(key).slice(1).join('/'),
        termIn(key, value.toString('latin1')),
      ]),
    );
  }

  async raise(lease: string, term: number): Promise<void> {
    for (;;) {
      const before = await this.#term(lease);
      if (before.term >= term) return;
      const key = this.#keys.term(termsOf(lease));
      const { succeeded } = await this.#rpc.call('KV.Txn', {
        compare: [{ result: 'EQUAL', target: 'MOD', key, mod_revision: before.revision }],
        success: [{ request_put: { key, value: text(term) } }],
      });
      if (succeeded) return;
    }
  }

  /** What must still hold so that the lease can be had: nobody has it, or who has it has been silent for its time. */
  async #freedBy(lease: string): Promise<readonly Compare[] | undefined> {
    const { responses } = await this.#rpc.call('KV.Txn', {
      compare: [],
      success: [
        { request_range: { key: this.#keys.lease(lease) } },
        { request_range: { key: this.#keys.beat(lease) } },
      ],
    });
    const [held, beat] = responses.map((r) => r.response_range?.kvs[0]);
    const key = this.#keys.lease(lease);
    if (held === undefined) return [{ result: 'EQUAL', target: 'CREATE', key, create_revision: 0 }];
    if (beat === undefined) return undefined;
    const seen = this.#beats.get(lease);
    const now = performance.now();
    if (seen?.revision !== beat.mod_revision) {
      this.#beats.set(lease, { revision: beat.mod_revision, since: now });
      return undefined;
    }
    // A beat that is no number ends with the lease itself.
    if (!(now - seen.since >= Number(beat.value.toString()))) return undefined;
    return [
      {
        result: 'EQUAL',
        target: 'MOD',
        key: this.#keys.beat(lease),
        mod_revision: Number(beat.mod_revision),
      },
      { result: 'EQUAL', target: 'MOD', key, mod_revision: Number(held.mod_revision) },
    ];
  }

  #beat(lease: string, ttlMs: number, id: string) {
    return { request_put: { key: this.#keys.beat(lease), value: text(ttlMs), lease: id } };
  }

  /** Shows that the holder lives. @returns whether the term goes on */
  async #showLife(term: Term, { id, ttlMs }: Own): Promise<boolean> {
    const shown = await this.#onLease({
      compare: [fenceOf(this.#keys, term)],
      success: [this.#beat(term.lease, ttlMs, id)],
    });
    return shown === true;
  }

  async #grant(ttlMs: number): Promise<string> {
    const TTL = Math.max(LEAST_TTL, Math.ceil(ttlMs / 1000));
    return (await this.#rpc.call('Lease.LeaseGrant', { TTL })).ID;
  }

  /** A transaction whose keys hang on a lease of etcd's. @returns whether it succeeded, or that etcd has ended the lease */
  async #onLease(transaction: Txn): Promise<boolean | 'ended'> {
    try {
      return (await this.#rpc.call('KV.Txn', transaction)).succeeded;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === status.NOT_FOUND) return 'ended';
      throw error;
    }
  }

  async #prolongOwn(own: Own): Promise<boolean> {
    const now = performance.now();
    if (now - own.prolongedAt < Math.max(own.ttlMs, 1000 * LEAST_TTL) / 4) return true;
    own.prolongedAt = now;
    return await this.#prolong(own.id);
  }

  async #prolong(ID: string): Promise<boolean> {
    const { TTL } = await this.#rpc.exchange<{ readonly TTL: string }>('Lease.LeaseKeepAlive', { ID });
    return Number(TTL) > 0;
  }

  /** Of a term that began in another process: whoever is told of it may prolong it. */
  async #idOf({ lease, term }: Term): Promise<string | undefined> {
    const found = await this.#value({ key: this.#keys.lease(lease) });
    return found?.value.toString() === `${term}` ? found.lease : undefined;
  }

  /** Gives back what this process holds. */
  async releaseAll(): Promise<void> {
    const ids = [...this.#own.values()].map(({ id }) => id);
    this.#own.clear();
    // Those that cannot be given back end by themselves.
    await Promise.all(ids.map((ID) => this.#rpc.call('Lease.LeaseRevoke', { ID }).catch(() => {})));
  }

  async #term(lease: string): Promise<{ readonly term: number; readonly revision: number }> {
    const found = await this.#value({ key: this.#keys.term(termsOf(lease)) });
    const term = found === undefined ? 0 : termIn(found.key, found.value.toString('latin1'));
    return { term, revision: Number(found?.mod_revision ?? 0) };
  }

  async #value(request: RangeRequest) {
    return (await this.#rpc.call('KV.Range', request)).kvs[0];
  }
}

const nameOf = ({ lease, term }: Term): string => `${lease}/${term}`;

/** Terms count up for good, and election ids at devices go by them: one that cannot be read is not begun anew. @throws StoreUnavailable */
function termIn(key: Buffer, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new StoreUnavailable(
    `etcd: the key ${key} holds no term: put a number there that is above all terms before, as the log tells them`,
  );
}

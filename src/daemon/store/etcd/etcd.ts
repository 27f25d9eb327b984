import { randomBytes } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type ChannelCredentials, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { z } from 'zod';
import { refuse } from '../../../diagnostics/index.ts';
import { messageOf } from '../../../durable/index.ts';
import { readBytes } from '../../../files.ts';
import {
  type Batch,
  type Change,
  type Committed,
  type EventFilter,
  type EventInput,
  type RecordName,
  type Snapshot,
  type Store,
  StoreCompacted,
  StoreConflict,
  type StoreEvent,
  StoreFenced,
  type StoreRecord,
  StoreUnavailable,
  type WatchChange,
  type WatchListener,
} from '../store.ts';
import { storedValue } from '../stored-value.ts';
import { EtcdBlobs } from './blobs.ts';
import { Keys } from './keys.ts';
import { EtcdLeases, fenceOf } from './leases.ts';
import { type Compare, EtcdRpc, type KeyValue, type RequestOp, type WatchResponse } from './rpc.ts';

const PREFIX = '/intransit/v1alpha1/';

/** In one request: etcd takes 128 unless it is told otherwise. */
const MOST_OPERATIONS = 100;

/** Batches of events that are read at once. */
const PAGE = 500;

/**
 * @param place `HOST:PORT,...`, and behind a slash a prefix of keys. With ETCDCTL_CACERT, and ETCDCTL_CERT and ETCDCTL_KEY where
 * etcd asks for one, over TLS
 * @throws DiagnosticError `store` where nobody answers
 */
export async function openEtcd(place: string): Promise<Store> {
  const name = `etcd:${place}`;
  const [, list, prefix] = /^([^/]+)(\/.*)?$/.exec(place) ?? [];
  const endpoints = list?.split(',') ?? [];
  if (endpoints.length === 0 || endpoints.some((e) => !/^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(e)))
    return refuse('store', {
      store: name,
      reason: 'it is no address',
      remedy: 'name it etcd:HOST:PORT,HOST:PORT',
    });
  const rpc = new EtcdRpc(endpoints, security(name));
  const store = new EtcdStore(
    rpc,
    name,
    new Keys(prefix === undefined ? PREFIX : `${prefix.replace(/\/*$/, '')}/`),
  );
  try {
    await store.get('Device', '-');
    return store;
  } catch (error) {
    rpc.close();
    return refuse('store', {
      store: name,
      reason: messageOf(error),
      remedy: `see that etcd runs and listens there, ${
        !process.env[CA]
          ? `without TLS (else set ${CA})`
          : `over TLS, with a certificate of ${CA} for that host, and takes the one of ${CERT}`
      }`,
    });
  }
}

const [CA, CERT, KEY] = ['ETCDCTL_CACERT', 'ETCDCTL_CERT', 'ETCDCTL_KEY'];

/** @throws DiagnosticError `store` where the files of TLS do not go together, or are none */
function security(store: string): ChannelCredentials {
  const [ca, cert, key] = [CA, CERT, KEY].map((name) => process.env[name] || undefined);
  if ((cert === undefined) !== (key === undefined) || (ca === undefined && cert !== undefined))
    return refuse('store', {
      store,
      reason: `${CERT} and ${KEY} belong together, and to ${CA}`,
      remedy: 'set all three, or none',
    });
  if (ca === undefined) return credentials.createInsecure();
  const pem = (file: string | undefined) => (file === undefined ? null : readBytes(file, 'pem'));
  const files = [pem(ca), pem(key), pem(cert)] as const;
  try {
    createSecureContext({ ca: files[0]!, ...(files[1] && files[2] && { key: files[1], cert: files[2] }) });
    return credentials.createSsl(...files);
  } catch (error) {
    return refuse('store', {
      store,
      reason: `${CA}, ${CERT} and ${KEY} cannot be used: ${messageOf(error)}`,
      remedy: 'name files of PEM: an authority, a certificate and its key',
    });
  }
}

class EtcdStore implements Store {
  readonly name: string;
  readonly isShared = true;
  readonly leases: EtcdLeases;
  readonly blobs: EtcdBlobs;
  readonly #rpc: EtcdRpc;
  readonly #keys: Keys;
  /** Of this process among others. */
  readonly #instance = randomBytes(6).toString('hex');
  #batches = 0;

  constructor(rpc: EtcdRpc, name: string, keys: Keys) {
    this.#rpc = rpc;
    this.#keys = keys;
    this.name = name;
    this.leases = new EtcdLeases(rpc, keys);
    this.blobs = new EtcdBlobs(rpc, keys);
  }

  placeOf(kind: string, name: string): string {
    return `the key ${this.#keys.object(kind, name)}`.replace(/\/+$/, '');
  }

  async read(): Promise<Snapshot> {
    const { header, responses } = await this.#rpc.call('KV.Txn', {
      compare: [],
      success: [{ request_range: this.#keys.objects() }, { request_range: { key: this.#keys.spec() } }],
    });
    const [objects, spec] = responses.map((r) => r.response_range?.kvs ?? []);
    return {
      revision: Number(header.revision),
      specRevision: Number(spec?.[0]?.mod_revision ?? 0),
      records: objects!.map((kv) => this.#record(kv)),
    };
  }

  async get(kind: string, name: string): Promise<StoreRecord | undefined> {
    const { kvs } = await this.#rpc.call('KV.Range', { key: this.#keys.object(kind, name) });
    return kvs[0] && this.#record(kvs[0]);
  }

  async pick(names: readonly RecordName[]): Promise<readonly StoreRecord[]> {
    const found: StoreRecord[] = [];
    for (let from = 0; from < names.length; from += MOST_OPERATIONS) {
      const keys = names.slice(from, from + MOST_OPERATIONS).map((n) => this.#keys.object(n.kind, n.name));
      const { responses } = await this.#rpc.call('KV.Txn', { compare: [], success: keys.map(range) });
      for (const { response_range } of responses)
        found.push(...(response_range?.kvs ?? []).map((kv) => this.#record(kv)));
    }
    return found;
  }

  async commit({ changes, basis, fence, events = [] }: Batch): Promise<Committed> {
    const spec = this.#keys.spec();
    const expected = changes.flatMap((change) => this.#expectation(change));
    const { header, succeeded, responses } = await this.#rpc.call('KV.Txn', {
      compare: [
        ...(fence === undefined ? [] : [fenceOf(this.#keys, fence)]),
        ...(basis === undefined ? [] : [modified(spec, basis)]),
        ...expected.map((e) => e.compare),
      ],
      success: [
        ...changes.map((change) => this.#operation(change)),
        ...(basis === undefined ? [] : [put(spec, '')]),
        ...(events.length === 0 ? [] : [this.#logged(events)]),
      ],
      // What was found instead.
      failure: [
        ...(fence === undefined ? [] : [range(this.#keys.lease(fence.lease))]),
        ...(basis === undefined ? [] : [range(spec)]),
        ...expected.map((e) => range(e.compare.key)),
      ],
    });
    if (succeeded) return { revision: Number(header.revision) };
    const found = responses.map((r) => r.response_range?.kvs[0]);
    if (fence !== undefined && found.shift()?.value.toString() !== `${fence.term}`)
      throw new StoreFenced(fence);
    const revisions = found.map((kv) => (kv === undefined ? undefined : Number(kv.mod_revision)));
    if (basis !== undefined) {
      const actual = revisions.shift() ?? 0;
      if (actual !== basis) throw new StoreConflict(undefined, basis, actual);
    }
    const at = expected.findIndex((e, i) => (e.expect === 'absent' ? 0 : e.expect) !== (revisions[i] ?? 0));
    throw new StoreConflict(expected[at]?.key, expected[at]?.expect ?? 'any', revisions[at]);
  }

  async watch(after: number, listener: WatchListener, signal: AbortSignal): Promise<void> {
    await this.#refuseForgotten(after);
    const stream = this.#rpc.stream('Watch.Watch');
    const stop = () => stream.cancel();
    signal.addEventListener('abort', stop, { once: true });
    await new Promise<void>((resolve, reject) => {
      let isOver = false;
      /** A stream that fails ends too: that is told once. */
      const lost = (error: Error) => {
        if (isOver) return;
        isOver = true;
        reject(error);
        signal.removeEventListener('abort', stop);
        if (!signal.aborted) listener.onLost(error);
      };
      stream.on('error', (error: ServiceError) => lost(new StoreUnavailable(`etcd: ${error.details}`)));
      stream.on('end', () => lost(new StoreUnavailable('etcd ended the watch')));
      stream.on('data', (response: WatchResponse) => {
        if (response.canceled) {
          stream.cancel();
          return lost(new StoreCompacted(response.cancel_reason));
        }
        if (response.created) resolve();
        if (!signal.aborted && !isOver) this.#tell(response, listener);
      });
      stream.write({ create_request: { ...this.#keys.all(), start_revision: after + 1 } });
    });
  }

  async events({ kind, name, actor, since, until, limit }: EventFilter): Promise<readonly StoreEvent[]> {
    const found: StoreEvent[] = [];
    let at = this.#keys.events();
    for (;;) {
      const { kvs, more } = await this.#rpc.call('KV.Range', { ...at, limit: PAGE });
      for (const kv of kvs)
        for (const event of eventsOf(kv).reverse()) {
          const isWanted =
            (kind === undefined || event.object.kind === kind) &&
            (name === undefined || event.object.name === name) &&
            (actor === undefined || event.actor === actor) &&
            (since === undefined || event.time >= since) &&
            (until === undefined || event.time < until);
          if (isWanted) found.push(event);
        }
      if (!more || found.length >= limit) break;
      at = { ...at, key: Buffer.concat([kvs.at(-1)!.key, Buffer.of(0)]) };
    }
    return found.sort(byId).slice(-limit);
  }

  async close(): Promise<void> {
    await this.leases.releaseAll();
    this.#rpc.close();
  }

  #record({ key, value, mod_revision }: KeyValue): StoreRecord {
    const [, kind, ...name] = this.#keys.parts(key);
    return {
      kind: kind!,
      name: name.join('/'),
      value: storedValue(value),
      revision: Number(mod_revision),
    };
  }

  #expectation({ kind, name, expect }: Change) {
    if (expect === 'any') return [];
    const key = this.#keys.object(kind, name);
    const compare: Compare =
      expect === 'absent'
        ? { result: 'EQUAL', target: 'CREATE', key, create_revision: 0 }
        : modified(key, expect);
    return [{ key: `${kind}/${name}`, expect, compare }];
  }

  #operation(change: Change): RequestOp {
    const key = this.#keys.object(change.kind, change.name);
    return change.op === 'delete'
      ? { request_delete_range: { key } }
      : put(key, JSON.stringify(change.value));
  }

  /** Keys count down, so that the newest are read first. */
  #logged(events: readonly EventInput[]): RequestOp {
    const down = (value: number) => String(Number.MAX_SAFE_INTEGER - value).padStart(16, '0');
    const now = new Date();
    const key = this.#keys.eventBatch(`${down(now.getTime())}-${down(this.#batches++)}-${this.#instance}`);
    return put(key, JSON.stringify(events.map((e) => ({ ...e, time: e.time ?? now.toISOString() }))));
  }

  #tell({ events }: WatchResponse, listener: WatchListener): void {
    const batches = new Map<number, { changes: WatchChange[]; events: StoreEvent[] }>();
    for (const { type, kv } of events) {
      const [what, kind, ...name] = this.#keys.parts(kv.key);
      if (what !== 'objects' && what !== 'events') continue;
      const revision = Number(kv.mod_revision);
      const batch = batches.get(revision) ?? { changes: [], events: [] };
      batches.set(revision, batch);
      if (what === 'events') batch.events.push(...(type === 'PUT' ? eventsOf(kv) : []));
      else if (type === 'PUT') batch.changes.push({ type: 'put', record: this.#record(kv) });
      else batch.changes.push({ type: 'delete', kind: kind!, name: name.join('/') });
    }
    for (const [revision, batch] of batches) listener.onBatch({ revision, ...batch });
  }

  async #refuseForgotten(after: number): Promise<void> {
    if (after < 0) throw new StoreCompacted(`there is no revision ${after}`);
    try {
      if (after > 0) await this.#rpc.call('KV.Range', { key: this.#keys.spec(), revision: after });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === status.OUT_OF_RANGE)
        throw new StoreCompacted(`revisions up to ${after} are not remembered`);
      throw error;
    }
  }
}

const modified = (key: Buffer, mod_revision: number): Compare => ({
  result: 'EQUAL',
  target: 'MOD',
  key,
  mod_revision,
});
const put = (key: Buffer, value: string): RequestOp => ({ request_put: { key, value: Buffer.from(value) } });
const range = (key: Buffer): RequestOp => ({ request_range: { key } });

const eventSchema = z.object({
  time: z.string(),
  actor: z.string(),
  type: z.enum(['Normal', 'Warning']),
  reason: z.string(),
  message: z.string(),
  object: z.object({ kind: z.string(), name: z.string() }),
});

/** Whoever reads the log is told of what stands among it and is none. */
function eventsOf({ key, value, mod_revision }: KeyValue): StoreEvent[] {
  const parsed = z.array(eventSchema).safeParse(storedValue(value));
  if (parsed.success) return parsed.data.map((event, i) => ({ ...event, id: `${mod_revision}.${i}` }));
  const name = key.toString('utf8');
  const message = `the key ${name} holds no events: it is left alone`;
  const time = new Date(0).toISOString();
  const object = { kind: 'Event', name };
  return [
    {
      id: `${mod_revision}.0`,
      time,
      actor: 'controller',
      type: 'Warning',
      reason: 'Damaged',
      message,
      object,
    },
  ];
}

const byId = (a: StoreEvent, b: StoreEvent): number => {
  const [x, y] = [a, b].map(({ id }) => id.split('.').map(Number));
  return x![0]! - y![0]! || x![1]! - y![1]!;
};

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind, SpecOf, StatusOf, StoredObject } from '../../src/daemon/manifests/index.ts';
import { Reconciler, type ReconcilerOptions } from '../../src/daemon/network/index.ts';
import { Objects } from '../../src/daemon/objects/index.ts';
import { openSqlite, type Store, type StoreEvent } from '../../src/daemon/store/index.ts';
import type { MemoryNode } from '../controller/support.ts';

/** A reconciler over a store of its own, and short words for what tests do with it. */
export class TestNetwork {
  readonly store: Store;
  readonly objects: Objects;
  readonly #folder: string;
  readonly #options: Partial<ReconcilerOptions>;
  #reconciler: Reconciler | undefined;

  constructor(
    folder: string,
    options: Partial<ReconcilerOptions> = {},
    store = openSqlite(join(folder, 'store.db')),
  ) {
    this.#folder = folder;
    this.#options = options;
    this.store = store;
    this.objects = new Objects(this.store);
  }

  /** Begins to look after the network, as a daemon that is started does. */
  start(): Reconciler {
    this.#reconciler = new Reconciler(this.objects, {
      folder: join(this.#folder, 'programs'),
      graceMs: 100,
      moveMs: 600,
      ...this.#options,
    });
    return this.#reconciler;
  }

  async stop(): Promise<void> {
    await this.#reconciler?.close();
    this.#reconciler = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.store.close();
  }

  /** @param spec fields with defaults may be left out */
  async apply(...manifests: readonly (readonly [Kind, string, object])[]): Promise<void> {
    const documents = manifests.map(([kind, name, spec]) => ({
      apiVersion: 'intransit.dev/v1alpha1',
      kind,
      metadata: { name },
      spec,
    }));
    await this.objects.apply(documents, { actor: 'test' });
  }

  /** A version of a model, with its file. */
  async version(model: string, version: number, file: string): Promise<readonly [Kind, string, object]> {
    const digest = await this.store.blobs.put(readFileSync(file));
    const name = file.split('/').at(-1)!;
    return ['ModelVersion', `${model}-${version}`, { model, version, source: { name, digest } }];
  }

  async status<K extends Kind>(kind: K, name: string): Promise<StatusOf<K>> {
    return (await this.objects.need(kind, name)).status as StatusOf<K>;
  }

  async spec<K extends Kind>(kind: K, name: string): Promise<SpecOf<K>> {
    return (await this.objects.need(kind, name)).spec as SpecOf<K>;
  }

  events(filter: { readonly kind?: Kind; readonly name?: string } = {}): Promise<readonly StoreEvent[]> {
    return this.store.events({ ...filter, limit: 10_000 });
  }

  /** Waits until an object is as is wanted. */
  async until<K extends Kind>(
    kind: K,
    name: string,
    isSo: (object: StoredObject<K>) => boolean,
    timeoutMs = 20_000,
  ): Promise<StoredObject<K>> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const object = await this.objects.need(kind, name);
      if (isSo(object)) return object;
      if (performance.now() > end)
        throw new Error(
          `${kind}/${name} is not as it should be: ${JSON.stringify([object.spec, object.status])}`,
        );
      await sleep(20);
    }
  }

  /** Waits for a condition of an object. */
  condition(
    kind: 'Device' | 'Worker' | 'Service',
    name: string,
    type: string,
    reason: string,
  ): Promise<StoredObject> {
    return this.until(kind, name, ({ status }) =>
      status.conditions.some((c) => c.type === type && c.reason === reason),
    );
  }

  inSync(...names: readonly string[]): Promise<unknown> {
    return Promise.all(names.map((n) => this.until('Device', n, ({ status }) => status.state === 'in sync')));
  }
}

/** A device of no data plane, of the made-up target. */
export const psaDevice = (name: string, { address }: MemoryNode, more: object = {}) =>
  ['Device', name, { target: 'psa', address, ...more }] as const;

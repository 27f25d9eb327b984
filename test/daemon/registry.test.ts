/** Nodes that announce themselves: leases, what is an operator's, and real workers that come, die and leave. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { levelZero } from '../../src/daemon/cats/index.ts';
import { Registry, type RegistryOptions, registryRoutes } from '../../src/daemon/index.ts';
import { Refused } from '../../src/daemon/manifests/index.ts';
import { Objects } from '../../src/daemon/objects/index.ts';
import { type RegistrationInput, registrationSchema } from '../../src/daemon/registry/index.ts';
import { openSqlite } from '../../src/daemon/store/index.ts';
import { ask } from '../ends/worker/inference-support.ts';
import { cliArguments, testFolder } from '../support/io.ts';
import { device, documents, manifest, testDaemon } from './api/support.ts';

const LOCAL = { actor: 'user:test', isLocal: true };

const worker = (more: Partial<RegistrationInput> = {}) =>
  ({
    kind: 'Worker',
    name: 'w1',
    instance: 'one',
    leaseMs: 1000,
    capability: {
      kind: 'worker',
      accelerator: 'cpu',
      couldHold: { layers: 255, memoryBytes: 1e9 },
      load: 0.25,
    },
    metrics: [
      levelZero('compute_utilization', 25, { source: 'directly measured', statistics: 'mean' }),
      levelZero('service_rate', 120, { source: 'directly measured', statistics: 'mean' }),
    ],
    spec: { control: 'unix:/run/intransit/w1.sock', address: '10.0.0.9:18858' },
    ...more,
  }) as RegistrationInput;

const folder = testFolder();
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

let stores = 0;
function registryOf(options: Partial<RegistryOptions> = {}) {
  const store = openSqlite(join(folder, `${stores++}.db`));
  const objects = new Objects(store);
  const registry = new Registry(objects, { isLeading: () => true, sweepMs: 20, goneMs: 300, ...options });
  open.push(store, registry);
  const register = (more: Partial<RegistrationInput> = {}, by = LOCAL) =>
    registry.register(registrationSchema.parse(worker(more)), by);
  return { objects, registry, register };
}

const until = async <T>(find: () => Promise<T | undefined>, ms = 30_000): Promise<T> => {
  for (const end = performance.now() + ms; ; ) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error('it did not come');
    await sleep(20);
  }
};

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof Refused)) throw error ?? new Error('expected a refusal');
  return `${error.reason}: ${error.message}`;
};

describe('an announcement', () => {
  it('makes an object that is marked, and prolongs its lease without writing', async () => {
    const { objects, register } = registryOf({ goneMs: 60_000 });
    expect(await register()).toMatchObject({ action: 'created', leaseMs: 1000, heartbeatMs: 333 });
    const object = await objects.need('Worker', 'w1');
    expect(object.metadata.labels).toEqual({ 'intransit.dev/registered': 'true' });
    expect(object.spec).toMatchObject({ control: 'unix:/run/intransit/w1.sock', weight: 1, zone: 'default' });
    expect(object.status).toMatchObject({
      registration: { actor: 'user:test', instance: 'one', leaseMs: 1000 },
      load: { utilisation: 0.25, computedPerSecond: 120, memoryFreeBytes: 1e9 },
      capability: { kind: 'worker', accelerator: 'cpu', zone: 'default' },
    });
    expect(object.status.metrics?.map((m) => [m.metric_type, m.level, m.value])).toEqual([
      ['compute_utilization', 0, 25],
      ['service_rate', 0, 120],
      ['compute', 1, 8],
      ['total', 2, 8],
    ]);
    expect(object.status.conditions).toMatchObject([
      { type: 'Registered', status: 'True', reason: 'LeaseHeld' },
    ]);
    for (let i = 0; i < 5; i++) expect((await register()).action).toBe('renewed');
    expect((await objects.need('Worker', 'w1')).metadata.resourceVersion).toBe(
      object.metadata.resourceVersion,
    );
    expect((await register({ spec: { control: 'unix:/run/intransit/other.sock' } })).action).toBe(
      'configured',
    );
  });

  it('is lost with its lease, and gone after a time, with its links', async () => {
    const { objects, register } = registryOf();
    const s1 = { apiVersion: 'intransit.dev/v1alpha1', kind: 'Device', metadata: { name: 's1' } };
    await objects.apply([{ ...s1, spec: { target: 'v1model', address: '127.0.0.1:9559' } }], { actor: 'me' });
    await register({ links: [{ node: 's1', port: 2, latencyUs: 20 }] });
    expect((await objects.need('Link', 's1-2-w1')).spec).toMatchObject({
      from: { node: 's1', port: 2 },
      to: { node: 'w1' },
    });
    await until(async () => {
      const { status } = await objects.need('Worker', 'w1');
      return status.registration?.lostAt !== undefined || undefined;
    });
    expect((await objects.need('Worker', 'w1')).status.conditions).toMatchObject([
      { status: 'False', reason: 'LeaseLost' },
    ]);
    // Back in time it is as before.
    expect((await register({ links: [{ node: 's1', port: 2, latencyUs: 20 }] })).action).toBe('configured');
    expect((await objects.need('Worker', 'w1')).status.registration?.lostAt).toBeUndefined();
    await until(async () => ((await objects.get('Worker', 'w1')) === undefined ? true : undefined));
    expect(await objects.get('Link', 's1-2-w1')).toBeUndefined();
    expect(await objects.get('Device', 's1')).toBeDefined();
    const reasons = (await objects.store.events({ kind: 'Worker', name: 'w1', limit: 100 })).map(
      (e) => e.reason,
    );
    expect(reasons).toEqual([
      ...['Created', 'Registered', 'LeaseLost'],
      ...['Registered', 'LeaseLost', 'Deleted', 'Gone'],
    ]);
  });

  it('stays where others refer to it, and says so', async () => {
    const { objects, register } = registryOf();
    await register();
    const s1 = { apiVersion: 'intransit.dev/v1alpha1', kind: 'Device', metadata: { name: 's1' } };
    const link = { apiVersion: 'intransit.dev/v1alpha1', kind: 'Link', metadata: { name: 'l' } };
    const spec = { from: { node: 's1', port: 1 }, to: { node: 'w1' } };
    await objects.apply(
      [
        { ...s1, spec: { target: 'v1model', address: '127.0.0.1:9559' } },
        { ...link, spec },
      ],
      { actor: 'me' },
    );
    const { status } = await until(async () => {
      const object = await objects.need('Worker', 'w1');
      return object.status.conditions[0]?.reason === 'Gone' ? object : undefined;
    });
    expect(status.conditions[0]!.message).toMatch(/kept: .*Link\/l/);
  });

  it('leaves what an operator has written as it is', async () => {
    const { objects, register, registry } = registryOf();
    const object = { apiVersion: 'intransit.dev/v1alpha1', kind: 'Worker', metadata: { name: 'w1' } };
    await objects.apply([{ ...object, spec: { control: 'unix:/run/mine.sock', weight: 7 } }], {
      actor: 'me',
    });
    await register();
    const found = await objects.need('Worker', 'w1');
    expect([found.spec.control, found.spec.weight, found.metadata.labels]).toEqual([
      'unix:/run/mine.sock',
      7,
      undefined,
    ]);
    expect(found.status.registration?.instance).toBe('one');
    await registry.leave('Worker', 'w1', 'one');
    expect(await objects.get('Worker', 'w1')).toBeDefined();
  });

  it('is refused of a second instance, of another announcer, of a socket elsewhere, and of TLS without certificates', async () => {
    const { register, registry } = registryOf({ goneMs: 60_000 });
    await register();
    expect(await refusal(register({ instance: 'two' }))).toMatch(
      /^Conflict: .*another instance has this name/,
    );
    expect(await refusal(registry.leave('Worker', 'w1', 'two'))).toMatch(/^Conflict/);
    expect(await refusal(register({}, { actor: 'other', isLocal: true }))).toMatch(/announced by user:test/);
    expect(await refusal(register({ name: 'w2' }, { actor: 'other', isLocal: false }))).toMatch(
      /is a socket/,
    );
    const spec = { control: '10.0.0.9:7000', tls: true };
    expect(await refusal(register({ name: 'w3', spec }))).toMatch(/no certificate for doors of nodes/);
  });
});

describe('the API', () => {
  const daemonWith = () =>
    testDaemon(undefined, undefined, () => [
      async (objects) => {
        const registry = new Registry(objects, { isLeading: () => true, sweepMs: 50, goneMs: 500 });
        return { routes: registryRoutes(registry), close: () => registry.close() };
      },
    ]);

  it('tells the place of every fault', async () => {
    const daemon = await daemonWith();
    const post = (body: object) =>
      ask(daemon.address, 'POST', '/api/v1alpha1/register', JSON.stringify(body));
    const bad = await post(worker({ name: 'W 1', leaseMs: 5, spec: { control: 'nowhere' } as never }));
    expect(bad.status).toBe(422);
    const details = bad.json().details as unknown as { path: string[] }[];
    expect(details.map((d) => d.path.join('.')).sort()).toEqual(['leaseMs', 'name', 'spec.control']);
    expect((await post({ kind: 'Toaster' })).status).toBe(422);
    const described = (await ask(daemon.address, 'GET', '/api/v1alpha1/openapi.json')).json();
    expect(Object.keys(described.paths)).toContain('/api/v1alpha1/register');
  });

  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  it('takes on real workers that come without being listed, die, and leave', async () => {
    const daemon = await daemonWith();
    await daemon.cli(
      'apply',
      '-f',
      daemon.file('s.yaml', documents(device('s1', 1), manifest('Model', 'm', '{ id: 4 }'))),
    );
    const start = (name: string) => {
      const socket = `unix:${join(daemon.folder, `${name}.sock`)}`;
      const child = spawn(
        process.execPath,
        cliArguments([
          ...['worker', 'examples/digits-mlp.onnx', '--on', 'reference', '--listen', '127.0.0.1:0'],
          ...['--control', socket, '--controller', daemon.address, '--name', name],
          ...[
            '--attach',
            `s1:${children.length + 1},25`,
            '--lease',
            '1',
            '--model-id',
            '4',
            '--zone',
            'edge',
          ],
        ]),
        { stdio: 'ignore' },
      );
      children.push(child);
      return child;
    };
    const [dies, leaves] = [start('w-dies'), start('w-leaves')];
    const isThere = (name: string) => async () => {
      const found = await daemon.objects.get('Worker', name);
      return found?.status.registration === undefined ? undefined : found;
    };
    const one = await until(isThere('w-dies'));
    await until(isThere('w-leaves'));
    expect(one.spec).toMatchObject({ zone: 'edge', control: `unix:${join(daemon.folder, 'w-dies.sock')}` });
    expect(one.status.capability).toMatchObject({
      kind: 'worker',
      engine: 'reference',
      models: [{ modelId: 4, name: 'digits-mlp', current: 1, versions: [{ version: 1, layers: '0..2' }] }],
      zone: 'edge',
    });
    // What it was busy with before it was announced is no load.
    expect(one.status.metrics?.map((m) => m.metric_type)).toContain('compute_queue');
    expect(one.status.metrics).toContainEqual(expect.objectContaining({ metric_type: 'total', level: 2 }));
    expect((await daemon.cli('get', 'links', '-o', 'name')).out).toContain('Link/s1-1-w-dies');

    leaves.kill('SIGTERM');
    await until(async () =>
      (await daemon.objects.get('Worker', 'w-leaves')) === undefined ? true : undefined,
    );
    const left = await daemon.objects.store.events({ kind: 'Worker', name: 'w-leaves', limit: 10 });
    expect(left.at(-1)).toMatchObject({ reason: 'Left' });
    dies.kill('SIGKILL');
    await until(async () =>
      (await daemon.objects.get('Worker', 'w-dies')) === undefined ? true : undefined,
    );
    const died = await daemon.objects.store.events({ kind: 'Worker', name: 'w-dies', limit: 10 });
    expect(died.map((e) => e.reason)).toEqual(expect.arrayContaining(['LeaseLost', 'Gone']));
    expect((await daemon.cli('get', 'links', '-o', 'name')).out).not.toContain('w-dies');
  }, 90_000);
});

it('many nodes that announce themselves at once are written together, and one that is refused is refused alone', async () => {
  const { objects, register } = registryOf();
  let reads = 0;
  const { store } = objects;
  const read = store.read.bind(store);
  store.read = () => {
    reads++;
    return read();
  };
  const spec = (i: number) => ({ control: `10.0.0.${i % 250}:70${10 + (i % 80)}`, address: undefined });
  const many = Array.from({ length: 200 }, (_, i) => register({ name: `n${i}`, spec: spec(i) }));
  const lost = register({
    name: 'lost',
    spec: spec(3),
    links: [{ node: 'nowhere', port: 1 }] as RegistrationInput['links'],
  });
  expect(await refusal(lost)).toMatch(/nowhere/);
  expect((await Promise.all(many)).every((r) => r.action === 'created')).toBe(true);
  const { objects: all } = await objects.list('Worker');
  expect(all.length).toBe(200);
  expect(all.every((o) => o.status.conditions.some((c) => c.reason === 'LeaseHeld'))).toBe(true);
  // Those that look after leases read too, and the one that is refused is looked for.
  expect(reads).toBeLessThan(100);
});

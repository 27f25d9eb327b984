/** A running job goes from one real worker to another: what waits moves, what still comes is sent on, nothing is lost or answered wrong. */

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkerClient } from '../../src/controller/worker-client.ts';
import { nameRoutes } from '../../src/daemon/index.ts';
import { createSender } from '../../src/ends/edge/index.ts';
import { createWorker, loadWorkerModel, openControl, type Worker } from '../../src/ends/worker/index.ts';
import { importModel } from '../../src/import/index.ts';
import { ask } from '../ends/worker/inference-support.ts';
import { documents, manifest, type TestDaemon, testDaemon } from './api/support.ts';

const rows = readFileSync('examples/digits-mlp.x.bin');
const recorded = readFileSync('examples/digits-mlp.ort.bin');
const JOB = 4242n;

let daemon: TestDaemon;
const workers: Worker[] = [];
const doors: { close(): void }[] = [];
const socketOf = (name: string) => `unix:${join(daemon.folder, `${name}.sock`)}`;

beforeAll(async () => {
  daemon = await testDaemon(undefined, undefined, () => [
    async (objects) => ({ routes: nameRoutes(objects, '0'), close: async () => {} }),
  ]);
  const loaded = await loadWorkerModel('examples/digits-mlp.onnx');
  for (const name of ['a', 'b', 'empty']) {
    const listen = { host: '127.0.0.1', port: 0 };
    const worker = await createWorker({
      listen,
      batch: 1,
      ...(name !== 'empty' && { ...loaded, on: 'reference' }),
    });
    workers.push(worker);
    doors.push(await openControl(worker, { address: socketOf(name) }, 'reference'));
  }
  const file = resolve('examples/digits-mlp.onnx');
  const worker = (name: string, i: number) =>
    manifest('Worker', name, `{ control: "${socketOf(name)}", address: "127.0.0.1:${workers[i]!.port}" }`);
  const text = documents(
    ...['a', 'b', 'empty'].map(worker),
    manifest('Worker', 'nowhere', '{ control: "unix:/run/none.sock" }'),
    manifest('Model', 'digits', '{ id: 1 }'),
    manifest('ModelVersion', 'digits-1', `{ model: digits, version: 1, file: ${file} }`),
    manifest('Service', 'read', '{ model: digits, suspended: true }'),
    manifest('Job', 'shift', `{ services: [read], worker: a, id: "${JOB}" }`),
    manifest('Job', 'loose', '{}'),
  );
  const { code, err } = await daemon.cli('apply', '-f', daemon.file('h.yaml', text));
  expect([code, err]).toEqual([0, '']);
});
afterAll(async () => {
  for (const door of doors) door.close();
  for (const worker of workers) await worker.close();
});

const answeredBy = (worker: Worker) => worker.held()[0]!.versions[0]!.answered;

describe('a job', () => {
  it('is handed over while it runs', async () => {
    const { model } = await importModel('examples/digits-mlp.onnx');
    const to = { host: '127.0.0.1', port: workers[0]!.port };
    const sender = await createSender({ model, to, jobId: JOB, window: 64, timeoutMs: 1000, retries: 8 });
    try {
      const first = await sender.send(rows.subarray(0, 64 * 20));
      expect(first.lost).toEqual([]);
      const before = answeredBy(workers[0]!);
      const running = sender.send(rows);
      const { out, code } = await daemon.cli('handover', 'shift', 'b', '--json');
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject({
        job: 'shift',
        from: 'a',
        to: 'b',
        versions: [{ modelId: 1, version: 1 }],
      });
      const { answers, lost } = await running;
      expect(lost).toEqual([]);
      expect(Buffer.compare(answers, recorded)).toBe(0);
      // The job goes on with the other one, whoever is asked.
      const [a, b] = [answeredBy(workers[0]!), answeredBy(workers[1]!)];
      const again = await sender.send(rows.subarray(0, 64 * 30));
      expect(Buffer.compare(again.answers, recorded.subarray(0, 300))).toBe(0);
      expect(answeredBy(workers[0]!)).toBe(a);
      expect(answeredBy(workers[1]!)).toBeGreaterThanOrEqual(b + 30);
      expect(a - before + b).toBeGreaterThanOrEqual(500);
    } finally {
      sender.close();
    }
    const { status } = await daemon.objects.need('Job', 'shift');
    expect(status).toMatchObject({ worker: 'b', movedFrom: 'a' });
    const events = await daemon.objects.store.events({ kind: 'Job', name: 'shift', limit: 10 });
    expect(events.at(-1)).toMatchObject({ reason: 'HandedOver' });
    const { names } = JSON.parse((await daemon.cli('resolve', 'shift', '--json')).out);
    expect(names[0]).toMatchObject({ worker: 'b', addresses: [{ node: 'Worker/b' }] });
  });

  it('takes what waits along, by the version by which it began', async () => {
    const [a, b] = workers as [Worker, Worker];
    const { model } = await importModel('examples/digits-mlp.onnx');
    const to = { host: '127.0.0.1', port: a.port };
    const sender = await createSender({ model, to, jobId: 77n, window: 256, timeoutMs: 10_000 });
    try {
      const running = sender.send(rows);
      while (a.statistics().queue < 10) await new Promise(setImmediate);
      const before = answeredBy(b);
      const { rows: waiting, versions } = a.release(77n, { address: '127.0.0.1', port: b.port });
      expect([...versions]).toEqual([[1, 1]]);
      expect(waiting.length).toBeGreaterThanOrEqual(10);
      expect(waiting.every(({ header }) => header.modelVersion === 1 && header.jobId === 77n)).toBe(true);
      expect(a.statistics().queue).toBe(0);
      expect(b.accept(77n, waiting, { address: '127.0.0.1', port: a.port })).toBe(waiting.length);
      const { answers, lost, statistics } = await running;
      expect(lost).toEqual([]);
      expect(Buffer.compare(answers, recorded)).toBe(0);
      // Nobody had to ask twice: what waited was answered by the other, and came back by who had been asked.
      expect(statistics.sent).toBe(500);
      expect(answeredBy(b) - before).toBeGreaterThanOrEqual(waiting.length);
      // Back where it was, it is computed there.
      expect(a.accept(77n, [])).toBe(0);
      const there = answeredBy(a);
      await sender.send(rows.subarray(0, 640));
      expect(answeredBy(a) - there).toBeGreaterThanOrEqual(10);
    } finally {
      sender.close();
    }
  });

  it('stays where it is when it cannot go, and says why', async () => {
    for (const [argv, reason] of [
      [['shift', 'b'], /is with Worker\/b already/],
      [['shift', 'empty'], /Worker\/empty does not hold version 1 of model 1/],
      [['shift', 'nowhere'], /Worker\/nowhere has no address of packets/],
      [['shift', 'none'], /none/],
      [['loose', 'b'], /is with no worker/],
      [['nobody', 'b'], /nobody/],
    ] as const) {
      const { code, err } = await daemon.cli('handover', ...argv);
      expect([argv, code]).toEqual([argv, 1]);
      expect(err).toMatch(reason);
    }
    expect((await daemon.objects.need('Job', 'shift')).status.worker).toBe('b');
  });
});

it('the door of a worker refuses documents that are none', async () => {
  const put = (path: string, body: object) => ask(socketOf('a'), 'PUT', path, JSON.stringify(body));
  const document = { format: 'intransit-job', version: 1, jobId: '5', versions: [], rows: [] };
  expect((await put('/v1/jobs/5', document)).json()).toEqual({ accepted: 0, refused: 0 });
  const bad = { header: 'AAAA', tensor: '' };
  expect((await put('/v1/jobs/5', { ...document, rows: [bad] })).json().error).toMatch(
    /rows.0: the header is of no request/,
  );
  expect((await put('/v1/jobs/6', document)).status).toBe(400);
  expect((await put('/v1/jobs/99999999999999999999', document)).status).toBe(400);
  expect((await put('/v1/jobs/5', { ...document, from: 'nowhere' })).status).toBe(400);
  expect((await ask(socketOf('a'), 'POST', '/v1/jobs/5/release', '{"to": "nowhere"}')).status).toBe(400);
});

it('a controller that leads no more cannot take a job away; what it has in hand may be given to a worker', async () => {
  const door = (electionId: bigint) =>
    new WorkerClient({ name: 'a', address: socketOf('a'), electionId }, undefined);
  await door(9n).held(true);
  await expect(door(8n).release(99n, '127.0.0.1:9')).rejects.toThrow(/election id 9 drives it/);
  expect((await door(9n).release(99n, '127.0.0.1:9')).rows).toEqual([]);
  const rows = { format: 'intransit-job' as const, version: 1 as const, jobId: '99', versions: [], rows: [] };
  expect((await door(8n).accept(rows)).accepted).toBe(0);
});

import { copyFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { deploy, Rollout, watch } from '../../src/controller/index.ts';
import { createSender } from '../../src/ends/edge/index.ts';
import { createWorker, openControl, type Worker, type WorkerOptions } from '../../src/ends/worker/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { registerTarget } from '../../src/targets/registry.ts';
import { intransit, testFolder } from '../support/io.ts';
import { WatchEvents } from '../support/watch-events.ts';
import { psaTarget } from '../targets/psa/target.ts';
import { example, exampleModel, retrained, smallModel, writeDeployment, writeModel } from './files.ts';
import { codes, failureOf, type MemoryNode, memoryNode, stepsOf } from './support.ts';

const folder = testFolder();
const model = smallModel();
const v2 = retrained(model, 7);
for (const [i, m] of [model, v2].entries()) writeModel(folder, `v${i + 1}.json`, m);
copyFileSync(example('digits-mlp.onnx'), join(folder, 'digits.onnx'));
const rows = Uint8Array.from({ length: 4 * 40 }, (_, i) => (i * 2654435761) >>> 24);

/** Its programs take no time: the workers are what is tried here. */
beforeAll(() => registerTarget(psaTarget));

interface TestWorker {
  readonly worker: Worker;
  close(): Promise<void>;
}
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const control = join(folder, 'worker.sock');

async function startWorker(options: WorkerOptions = {}): Promise<TestWorker> {
  const listen = { host: '127.0.0.1', port: 0 };
  const worker = await createWorker({ listen, awaitsController: true, ...options });
  const door = await openControl(worker, { address: `unix:${control}` }, 'auto');
  let closed: Promise<void> | undefined;
  const close = () => {
    door.close();
    closed ??= worker.close();
    return closed;
  };
  const started = { worker, close };
  open.push(started);
  return started;
}

async function device(): Promise<MemoryNode> {
  const node = await memoryNode();
  open.push({ close: () => node.server.close() });
  return node;
}

let count = 0;
const fileFor = ({ address }: MemoryNode, model: object, name = `w${count++}.json`) =>
  writeDeployment(
    folder,
    {
      model: { file: 'v1.json', ...model },
      devices: [{ name: 's1', kind: 'psa', address, layers: '0..1' }],
      workers: [{ name: 'w1', address: `unix:${control}` }],
    },
    name,
  );

/** What the worker answers to requests of version 0, and the version that it names. */
async function ask({ worker }: TestWorker, modelVersion = 0, { timeoutMs = 2000, retries = 8 } = {}) {
  const to = { host: '127.0.0.1', port: worker.port };
  const sender = await createSender({ model, to, modelVersion, timeoutMs, retries });
  const result = await sender.send(rows);
  await sender.close();
  return result;
}

describe('a worker in a deployment', () => {
  test('gets the version, the next one, and the one before, without being restarted', async () => {
    const [w, node] = [await startWorker(), await device()];
    const name = `w${count++}.json`;
    const first = await deploy(fileFor(node, {}, name));
    expect([first.outcome, first.workers[0]!.current]).toEqual(['deployed', 1]);
    expect(first.diagnostics.map((d) => d.code)).not.toContain('layers-left');
    expect((await ask(w)).answers).toEqual(interpretRows(model, rows));
    const again = await deploy(join(folder, name));
    expect([again.outcome, again.workers[0]!.steps.map((s) => s.step)]).toEqual(['unchanged', ['connect']]);

    const next = fileFor(node, { file: 'v2.json', version: 2 }, name);
    const dry = await deploy(next, { dryRun: true });
    expect(dry.outcome).toBe('would-change');
    expect(dry.workers[0]!.steps.map((s) => `${s.step} ${s.outcome}`)).toEqual([
      'connect done',
      'weights would',
      'current would',
      'remove would',
    ]);
    expect(w.worker.held()[0]!.versions.map((v) => v.version)).toEqual([1]);
    expect(await deploy(next)).toMatchObject({ outcome: 'replaced', previous: 1 });
    expect((await ask(w)).statistics.versions).toEqual({ 2: 40 });
    expect(w.worker.held()).toMatchObject([{ modelId: 1, current: 2, versions: [{ version: 2 }] }]);
    expect((await deploy(next, { rollback: true })).workers[0]!.current).toBe(1);
    expect((await ask(w)).answers).toEqual(interpretRows(model, rows));
  });

  test('computes with ONNX Runtime where the model has a graph, also after going back', async () => {
    const [w, node] = [await startWorker(), await device()];
    const name = `w${count++}.json`;
    const digits = await exampleModel();
    writeModel(folder, 'digits-2.json', retrained(digits, 7));
    const first = await deploy(fileFor(node, { file: 'digits.onnx' }, name));
    const { engines } = first.workers[0]!.versions[0]!;
    const next = fileFor(node, { file: 'digits-2.json', version: 2 }, name);
    expect((await deploy(next)).workers[0]!.versions[0]!.engines).toEqual(['reference']);
    const back = await deploy(next, { rollback: true });
    expect(back.workers[0]!.versions).toEqual([expect.objectContaining({ version: 1, engines })]);
    const inputs = Uint8Array.from({ length: 64 * 40 }, (_, i) => (i * 2654435761) >>> 24);
    const to = { host: '127.0.0.1', port: w.worker.port };
    const sender = await createSender({ model: digits, to });
    open.push(sender);
    expect((await sender.send(inputs)).answers).toEqual(interpretRows(digits, inputs));
  });

  test('takes part in the flip: both versions side by side, one current', async () => {
    const [w, node] = [await startWorker(), await device()];
    const file = fileFor(node, {});
    await deploy(file);
    const rollout = await Rollout.open(file);
    open.push(rollout);
    await rollout.install({ model: v2, version: 2 });
    expect(rollout.versions).toEqual([1, 2]);
    expect([(await ask(w)).statistics.versions, (await ask(w, 2)).statistics.versions]).toEqual([
      { 1: 40 },
      { 2: 40 },
    ]);
    for (const version of [2, 1, 2]) {
      await rollout.flip(version);
      expect([rollout.current, (await ask(w)).statistics.versions]).toEqual([version, { [version]: 40 }]);
    }
    await expect(rollout.remove(2)).rejects.toThrow('is current on');
    await rollout.flip(1);
    await rollout.remove(2);
    expect(w.worker.held()[0]!.versions.map((v) => v.version)).toEqual([1]);
  });

  test('gives a version back where a device refuses it, and is flipped back with the devices', async () => {
    const [w, node] = [await startWorker(), await device()];
    const file = fileFor(node, {});
    await deploy(file);
    node.device.refuses = ({ type }) => type === 'INSERT';
    const next = fileFor(node, { file: 'v2.json', version: 2 }, file.split('/').at(-1));
    const error = await failureOf(deploy(next));
    expect(codes(error)).toEqual(['device-failed']);
    node.device.refuses = () => false;
    expect(w.worker.held()).toMatchObject([{ current: 1, versions: [{ version: 1 }] }]);
    // The worker ends in the middle of a flip.
    const rollout = await Rollout.open(file);
    open.push(rollout);
    await rollout.install({ model: v2, version: 2 });
    await w.close();
    const failed = await failureOf(rollout.flip(2));
    expect(codes(failed)).toEqual(['worker-unreachable']);
    expect('devices' in failed && stepsOf(failed.devices, 's1')).toContain('current undone');
    expect(rollout.tasks[0]!.currentOf(1)).toBe(1);
  });

  test('refuses other numbers under a version that it holds, and a stranger', async () => {
    const [w, node] = [await startWorker(), await device()];
    await w.worker.load({ model: v2, modelVersion: 1 });
    expect(codes(await failureOf(deploy(fileFor(node, {}))))).toEqual(['version-taken']);
    const held = w.worker.held()[0]!.versions;
    expect(held).toHaveLength(1);
    expect(statSync(control).mode & 0o777).toBe(0o600);
  });

  test('several models, each with a current version of its own', async () => {
    const [w, node] = [await startWorker(), await device()];
    const traffic = await exampleModel('traffic-mlp.onnx');
    await deploy(fileFor(node, {}));
    await w.worker.load({ model: traffic, modelId: 7, modelVersion: 3 });
    w.worker.makeCurrent(7, 3);
    expect((await deploy(fileFor(node, { file: 'v2.json', version: 2 }, `w${count - 1}.json`))).outcome).toBe(
      'replaced',
    );
    const inputs = Uint8Array.from({ length: 16 * 30 }, (_, i) => (i * 40503) >>> 3);
    const to = { host: '127.0.0.1', port: w.worker.port };
    const sender = await createSender({ model: traffic, to, modelId: 7 });
    open.push(sender);
    const result = await sender.send(inputs);
    expect(result.answers).toEqual(interpretRows(traffic, inputs));
    expect((await sender.probe())!).toMatchObject({ modelId: 7, modelVersion: 3, layerCount: 3 });
    expect((await ask(w)).statistics.versions).toEqual({ 2: 40 });
    expect(w.worker.statistics().answeredBy).toEqual({ '1/2': 40, '7/3': 30 });
  });

  test('one that is started anew asks for patience, and is brought back by the watch', async () => {
    const [w, node] = [await startWorker(), await device()];
    const events = new WatchEvents();
    const watcher = await watch(fileFor(node, {}), { onEvent: events.add });
    open.push(watcher);
    await events.next('deployed');
    await w.close();
    await events.next('away');
    const anew = await startWorker();
    // It was told nothing yet, and says that something will come.
    const [answers, restored] = await Promise.all([
      ask(anew, 1, { timeoutMs: 300 }),
      events.next('restored'),
    ]);
    expect(restored.device).toBe('w1');
    expect(answers.lost).toEqual([]);
    expect(answers.answers).toEqual(interpretRows(model, rows));
  });
});

/** Silence is no reason to ask again, however busy the machine is. */
const PATIENT = { timeoutMs: 30_000 };

describe('send', () => {
  test('gives a version up that nobody has, and waits for one that is coming', async () => {
    const w = await startWorker({ model });
    const given = await ask(w, 9, PATIENT);
    expect([given.lost.length, given.lost[0]!.reason]).toEqual([40, 'unknown_version']);
    expect(given.statistics.retried).toBe(0);
  });

  test('waits for one that is coming, as the worker says', async () => {
    const w = await startWorker();
    const late = ask(w, 9, { timeoutMs: 300 });
    while (w.worker.statistics().refused.unknown_model === undefined) await sleep(5);
    await w.worker.load({ model: v2, modelVersion: 9 });
    const { answers, lost, statistics } = await late;
    expect([lost, answers]).toEqual([[], interpretRows(v2, rows)]);
    expect(statistics.retried).toBeGreaterThan(0);
    // From the first flip on there is nothing to wait for.
    w.worker.makeCurrent(1, 9);
    expect((await ask(w, 8, PATIENT)).statistics.retried).toBe(0);
  });
});

describe('intransit worker', () => {
  test('says what it lacks, and keeps strangers from its door', async () => {
    expect(await intransit('worker')).toMatchObject({ code: 2, err: expect.stringContaining('--control') });
    expect(await intransit('worker', '--control', '127.0.0.1:0')).toMatchObject({
      code: 2,
      err: expect.stringContaining('could drive this worker'),
    });
    writeFileSync(join(folder, 'no.sock'), '');
    expect(
      await intransit('worker', '--listen', '127.0.0.1:0', '--control', `unix:${folder}/no.sock`),
    ).toMatchObject({
      code: 1,
      err: expect.stringContaining('something else than a socket'),
    });
  });
});

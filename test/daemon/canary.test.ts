/** Rollouts by shares of jobs: on by steps, back by themselves where the version is worse, and over pauses and restarts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, test } from 'vitest';
import { resolveAll } from '../../src/daemon/names/index.ts';
import type { Resolution } from '../../src/daemon/names/resolve.ts';
import { type Seen, worseThan } from '../../src/daemon/network/canary.ts';
import { measuredBy } from '../../src/daemon/sight/distribution.ts';
import { createSender, isAmong } from '../../src/ends/edge/index.ts';
import type { Model } from '../../src/model/model.ts';
import { smallModel, withVerdict, writeModel } from '../controller/files.ts';
import { psaDevice, type TestNetwork } from './network-support.ts';
import { scenes } from './scene.ts';

const { folder, device, worker, network } = scenes();
const model = withVerdict(smallModel());

describe('a version is worse', () => {
  const seen = (answered: number, failed: number, margin: number, more: Partial<Seen> = {}): Seen => ({
    ...measuredBy('', () => 0),
    ...{ answered, failed, margins: answered, marginSum: answered * margin, sure: 0, unsure: 0 },
    latency: [answered],
    ...more,
  });
  const before = seen(1000, 0, 40);
  const slow = new Array(30).fill(0);

  it.each([
    ['of too few answers nothing is said', seen(50, 49, 0), {}, undefined],
    ['as good as the one before', seen(500, 5, 38), {}, undefined],
    ['without answers', seen(480, 20, 40), {}, /4\.0 % of its requests got no answer, more than 2\.0 %/],
    ['without answers, by a limit', seen(480, 20, 40), { errorRate: 0.1 }, undefined],
    ['by its margins', seen(500, 0, 19), {}, /mean margin is 19\.0, that of the version before 40\.0/],
    ['by its margins, by a limit', seen(500, 0, 36), { marginDrop: 3 }, /falls by more than 3\.0/],
    [
      'late',
      seen(500, 0, 40, { latency: [0, 0, 0, 0, 0, 500] }),
      {},
      /98 % of its answers take up to 119 us/,
    ],
    ['late, but for one answer of a hundred', seen(100, 0, 40, { latency: [99, ...slow, 1] }), {}, undefined],
    [
      'late, by a limit, but for one answer of a hundred',
      seen(100, 0, 40, { latency: [99, ...slow, 1] }),
      { latencyUs: 50 },
      undefined,
    ],
    [
      'late with a fifth of a hundred answers',
      seen(100, 0, 40, { latency: [80, ...slow, 20] }),
      {},
      /90 % of its answers take up to/,
    ],
    ['unsure at devices', seen(0, 0, 0, { sure: 50, unsure: 50 }), {}, /devices are unsure of 50\.0 %/],
  ])('%s', (_, next, limits, reason) => {
    const found = worseThan(next, { ...before, sure: 900, unsure: 100 }, limits);
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(reason);
  });
});

/** The same shape, and answers with hardly any margin. */
const flat: Model = {
  ...model,
  layers: model.layers.map((layer) =>
    layer.kind === 'dense' ? { ...layer, weights: layer.weights.map((w) => Math.trunc(w / 8)) } : layer,
  ),
};
const files = [model, model, flat].map((m, i) => writeModel(folder, `canary${i + 1}.json`, m));

/** A service on one worker, and an edge that asks as the service's name resolves. */
async function canaryScene() {
  const [d, w] = [await device(), await worker()];
  const net = network();
  await net.apply(
    psaDevice('d', d),
    ['Worker', 'w', { control: w.control }],
    ['Link', 'd-w', { from: { node: 'd', port: 1 }, to: { node: 'w' } }],
    ['Model', 'digits', { id: 7 }],
    await net.version('digits', 1, files[0]!),
    [
      'Service',
      's',
      { model: 'digits', version: 1, ingress: 'd', policy: { layers: [{ layers: '0..3', nodes: ['w'] }] } },
    ],
  );
  net.start();
  await net.until('Service', 's', (o) => o.status.version === 1, 60_000);
  const edge = new Edge(net, w.worker.port);
  return { net, w, edge };
}

class Edge {
  readonly versions: Record<string, number> = {};
  lost = 0;
  readonly #net: TestNetwork;
  readonly #port: number;

  constructor(net: TestNetwork, port: number) {
    this.#net = net;
    this.#port = port;
  }

  async resolve(): Promise<Resolution['models'][number]> {
    return resolveAll((await this.#net.objects.list()).objects, { type: 'service' })[0]!.models[0]!;
  }

  /** Jobs of ten rows each, until it is so. */
  async jobsUntil(isSo: () => Promise<boolean>): Promise<void> {
    for (let job = 1n; !(await isSo()); job++) {
      const { canary } = await this.resolve();
      const jobId = job * 0x9e3779b97f4a7c15n;
      const version = canary !== undefined && isAmong(jobId, canary.percent) ? canary.version : 0;
      const sender = await createSender({
        ...{ model, modelId: 7, modelVersion: version, jobId: jobId % 2n ** 64n, timeoutMs: 2000 },
        to: { host: '127.0.0.1', port: this.#port },
      });
      const rows = Uint8Array.from({ length: 40 }, (_, i) => (i * 37 + Number(job) * 11) % 256);
      const { statistics } = await sender.send(rows);
      await sender.close();
      this.lost += statistics.lost;
      for (const [v, n] of Object.entries(statistics.versions))
        this.versions[v] = (this.versions[v] ?? 0) + n;
      await sleep(20);
    }
  }
}

test('goes back by itself where its margins are low, and the version before goes on', async () => {
  const { net, edge } = await canaryScene();
  await net.apply(await net.version('digits', 3, files[2]!), [
    'Rollout',
    'bad',
    {
      ...{ service: 's', version: 3, drainMs: 300, canary: [{ percent: 40, holdMs: 600_000 }] },
      // Late it may be: the machine does other work beside.
      abort: { minimumAnswers: 60, latencyUs: 1_000_000_000 },
    },
  ]);
  const phase = async () => (await net.status('Rollout', 'bad')).phase;
  await edge.jobsUntil(async () => (await phase()) === 'rolled back');
  const events = await net.events({ kind: 'Rollout', name: 'bad' });
  expect(events.map((e) => e.reason)).toEqual([
    ...['Created', 'Installing', 'Canary', 'RollingBack', 'RolledBack'],
  ]);
  expect(events.at(-2)?.message).toMatch(/its mean margin is/);
  expect(edge.versions['3']).toBeGreaterThan(50);
  expect(edge.versions['1']).toBeGreaterThan(edge.versions['3']!);
  expect((await net.status('Service', 's')).version).toBe(1);
  expect((await edge.resolve()).canary).toBeUndefined();
  expect(edge.lost).toBe(0);
});

test('a good one goes on by steps, over a pause and a restart of the daemon', async () => {
  const { net, edge } = await canaryScene();
  // The second share lasts until it is paused, however busy the machine is.
  const rollout = (more: object, holdMs = 100_000) =>
    net.apply([
      'Rollout',
      'good',
      {
        ...{ service: 's', version: 2, drainMs: 300, ...more },
        // A busy machine is late with either version.
        abort: { latencyUs: 1e9 },
        canary: [
          { percent: 10, holdMs: 300 },
          { percent: 50, holdMs },
        ],
      },
    ]);
  await net.apply(await net.version('digits', 2, files[1]!));
  await rollout({});
  const status = () => net.status('Rollout', 'good');
  await edge.jobsUntil(async () => (await status()).percent === 50);
  await rollout({ paused: true });
  await edge.jobsUntil(async () => (await status()).phase === 'paused');
  // Its share stays.
  expect((await edge.resolve()).canary).toEqual({ version: 2, percent: 50 });
  await net.stop();
  net.start();
  await net.until('Service', 's', (o) => o.status.conditions.some((c) => c.reason === 'InSync'), 60_000);
  expect(await status()).toMatchObject({ phase: 'paused', percent: 50, step: 1 });
  await rollout({}, 1000);
  await edge.jobsUntil(async () => (await status()).phase === 'complete');
  expect(await status()).toMatchObject({ percent: 100, previous: 1 });
  const events = (await net.events({ kind: 'Rollout', name: 'good' })).filter(
    (e) => e.actor === 'controller',
  );
  expect(events.map((e) => (e.reason === 'Canary' ? e.message.split(' of jobs')[0] : e.reason))).toEqual([
    ...['Installing', '10 %', '50 %', 'Paused', 'Installing', '50 %'],
    ...['Flipping', 'Draining', 'Removing', 'Complete'],
  ]);
  await net.until('Service', 's', (o) => o.status.version === 2);
  expect(edge.lost).toBe(0);
  expect(edge.versions['2']).toBeGreaterThan(0);
});

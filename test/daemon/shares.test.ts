/** Which worker new jobs go to: even shares by weight, an overloaded one none, and back without swinging. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, test } from 'vitest';
import { resolveAll } from '../../src/daemon/names/index.ts';
import { createSender, isAmong, memberFor } from '../../src/ends/edge/index.ts';
import { importModel } from '../../src/import/index.ts';
import { scenes } from './scene.ts';

const { network, worker, files } = scenes();
const JOBS = Array.from({ length: 20_000 }, (_, i) => BigInt(i) * 0x9e3779b97f4a7c15n);

describe('rendezvous hashing', () => {
  const members = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 2 },
    { name: 'c', weight: 1 },
  ];
  const shareOf = (name: string, of = members) =>
    JOBS.filter((job) => memberFor(job, of)?.name === name).length / JOBS.length;

  it('gives members shares of jobs by their weights', () => {
    // Four standard deviations of 20,000 draws.
    for (const [name, share] of [
      ['a', 0.25],
      ['b', 0.5],
      ['c', 0.25],
    ] as const)
      expect(Math.abs(shareOf(name) - share)).toBeLessThan(
        4 * Math.sqrt((share * (1 - share)) / JOBS.length),
      );
  });

  it('moves only jobs of a member whose weight falls, or that goes', () => {
    const less = members.map((m) => (m.name === 'b' ? { ...m, weight: 0.5 } : m));
    const gone = members.filter((m) => m.name !== 'b');
    for (const job of JOBS) {
      const before = memberFor(job, members)!.name;
      if (before === 'b') continue;
      expect([memberFor(job, less)!.name, memberFor(job, gone)!.name]).toEqual([before, before]);
    }
    expect(memberFor(1n, [])).toBeUndefined();
    expect(
      shareOf(
        'a',
        members.map((m) => ({ ...m, weight: 0 })),
      ),
    ).toBeGreaterThan(0.3);
  });

  it('tells a share of jobs that grows by more of them', () => {
    const [small, large] = [5, 50].map((percent) => JOBS.filter((job) => isAmong(job, percent)));
    expect(Math.abs(small!.length / JOBS.length - 0.05)).toBeLessThan(0.007);
    expect(Math.abs(large!.length / JOBS.length - 0.5)).toBeLessThan(0.015);
    expect(small!.every((job) => isAmong(job, 50))).toBe(true);
    expect([isAmong(7n, 0), isAmong(7n, 100)]).toEqual([false, true]);
  });
});

test('a worker that is overloaded loses new jobs within 2 s, and gets them back step by step', async () => {
  const [a, b] = [await worker(), await worker()];
  const { model } = await importModel(files[0]!);
  // Jobs go to workers that hold their model.
  for (const { worker } of [a, b]) await worker.load({ model, modelId: 7 });
  const net = network();
  const address = (w: typeof a) => `127.0.0.1:${w.worker.port}`;
  await net.apply(
    ['Worker', 'a', { control: a.control, address: address(a) }],
    ['Worker', 'b', { control: b.control, address: address(b) }],
    ['Model', 'small', { id: 7 }],
    await net.version('small', 1, files[0]!),
    ['Service', 's', { model: 'small' }],
  );
  const reconciler = net.start();
  for (const name of ['a', 'b']) await net.until('Worker', name, (o) => o.status.state === 'in sync');
  const weights = async () => {
    const [found] = resolveAll((await net.objects.list()).objects, { type: 'service' }, reconciler.shareOf);
    return Object.fromEntries(found!.addresses.map((m) => [m.node!, m.weight]));
  };
  await expect.poll(weights, { timeout: 60_000 }).toEqual({ 'Worker/a': 1, 'Worker/b': 1 });
  // Its engine takes 80 ms for each batch, and more comes than it computes.
  await a.worker.load({ model, modelId: 9 });
  const version = a.worker
    .loaded()
    .find((m) => m.modelId === 9)!
    .versions.get(1)!;
  const { run } = version;
  version.run = async (...args) => {
    await sleep(80);
    return await run.apply(version, args);
  };
  const flood = await createSender({
    ...{
      model,
      to: { host: '127.0.0.1', port: a.worker.port },
      modelId: 9,
      modelVersion: 1,
      timeoutMs: 5000,
    },
    window: 500,
  });
  const flooding = flood.send(new Uint8Array(4 * 4000));
  await expect.poll(() => a.worker.workload().isOverloaded, { timeout: 60_000, interval: 20 }).toBe(true);
  const began = performance.now();
  await expect.poll(async () => (await weights())['Worker/a'], { timeout: 60_000, interval: 20 }).toBe(0);
  console.log(
    `no new jobs ${Math.round(performance.now() - began)} ms after the worker said that it is overloaded`,
  );
  await flooding;
  await flood.close();
  // Its share never falls again on its way back.
  const seen: number[] = [];
  await expect
    .poll(
      async () => {
        seen.push((await weights())['Worker/a']!);
        return seen.at(-1);
      },
      { timeout: 60_000, interval: 200 },
    )
    .toBe(1);
  expect(seen).toEqual(seen.toSorted((x, y) => x - y));
  expect(new Set(seen).size).toBeGreaterThan(3);
});

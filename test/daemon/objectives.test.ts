/** Objectives of latency as they are measured: missed and met with hysteresis, and a smaller model in place of a late one. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, test } from 'vitest';
import { openApiDoor } from '../../src/daemon/api/server.ts';
import { ControllerClient } from '../../src/daemon/client/index.ts';
import { LateModels, ObjectiveWatch, objectiveQuantile } from '../../src/daemon/network/objectives.ts';
import { countsOf, measuredBy, NOTHING } from '../../src/daemon/sight/distribution.ts';
import type { EdgeReport } from '../../src/daemon/sight/reports.ts';
import { VersionMeasures } from '../../src/doors/measures.ts';
import { psaDevice } from './network-support.ts';
import { scenes } from './scene.ts';

const { network, worker, device, files, folder, open } = scenes();

/** A window of 100 requests. */
function window(us: number, failed = 0) {
  const measures = new VersionMeasures();
  for (let i = 0; i < 100 - failed; i++) measures.answer(us);
  measures.fail(failed);
  const counts = new Map(countsOf('1/1', measures.document()));
  return measuredBy('1/1', (name) => counts.get(name) ?? 0);
}

describe('an objective', () => {
  const objective = { latencyUs: 1000, percentile: 95 };
  const during = (watch: ObjectiveWatch, us: number, from: number, seconds: number) => {
    for (let s = 0; s <= seconds; s++) watch.look(window(us), objective, 1000 * (from + s));
    return watch.state.status;
  };

  it('is missed after seconds above it, and met again only well below it for longer', () => {
    const watch = new ObjectiveWatch();
    expect(watch.state.status).toBe('Unknown');
    expect(during(watch, 500, 0, 0)).toBe('True');
    expect(during(watch, 3000, 1, 2)).toBe('True');
    expect(during(watch, 3000, 4, 1)).toBe('False');
    // Just below it is not enough; nor is a moment.
    expect(during(watch, 1000, 6, 20)).toBe('False');
    expect(during(watch, 300, 27, 9)).toBe('False');
    expect(during(watch, 300, 37, 1)).toBe('True');
    // Of too few nothing is said, at first what was said before.
    expect(watch.look(NOTHING, objective, 40_000)).toBeUndefined();
    expect(watch.look(NOTHING, objective, 100_000)?.reason).toBe('NotMeasured');
  });

  it('counts requests without an answer as late', () => {
    expect(objectiveQuantile(window(100, 4), objective)).toBeLessThan(200);
    expect(objectiveQuantile(window(100, 6), objective)).toBe(Number.POSITIVE_INFINITY);
  });

  it('holds a late model back for longer each time that it is late again soon', () => {
    const late = new LateModels(1000);
    late.missed('s', 'm', 'slow', 0);
    expect([late.why('s', 'm', 999), late.why('s', 'm', 1000), late.why('s', 'o', 0)]).toEqual([
      'slow',
      undefined,
      undefined,
    ]);
    late.missed('s', 'm', 'slow', 1500);
    expect(late.why('s', 'm', 3400)).toBe('slow');
    expect([late.hasEnded(3000, 3400), late.hasEnded(3400, 3500)]).toEqual([false, true]);
    late.missed('s', 'm', 'slow', 100_000);
    expect(late.why('s', 'm', 101_000)).toBeUndefined();
  });
});

test('a model that is measured to be late gives way to a smaller one, and is tried again', async () => {
  const [d, w] = [await device(), await worker()];
  const net = network({ lateHoldMs: 11_000 });
  await net.apply(
    psaDevice('d', d),
    ['Worker', 'w', { control: w.control }],
    ['Link', 'd-w', { from: { node: 'd', port: 1 }, to: { node: 'w' } }],
    ['Model', 'large', { id: 7 }],
    ['Model', 'small', { id: 8 }],
    await net.version('large', 1, files[0]!),
    await net.version('small', 1, files[1]!),
    [
      'Service',
      's',
      {
        models: ['large', 'small'],
        ingress: 'd',
        objective: { latencyUs: 20_000, percentile: 90 },
        policy: { layers: [{ layers: '0..2', nodes: ['w'] }] },
      },
    ],
  );
  const reconciler = net.start();
  const door = await openApiDoor({
    listen: { address: `unix:${join(folder, 'objectives.sock')}` },
    ...{ objects: net.objects, version: 'test', unready: async () => undefined, routes: reconciler.routes },
  });
  open.push({ close: () => door.close(0) });
  const client = new ControllerClient({ url: door.address });
  await net.condition('Service', 's', 'ObjectiveMet', 'NotMeasured');
  const answering = async () => (await net.spec('Placement', 's')).model;
  expect(await answering()).toBe('large');
  const isMet = async () =>
    (await net.status('Service', 's')).conditions.some(
      (c) => c.type === 'ObjectiveMet' && c.status === 'True',
    );
  /** An edge whose answers take so long. */
  const report = async (modelId: number, us: number, until: () => Promise<boolean>) => {
    const measures = new VersionMeasures();
    for (let i = 0; i < 50; i++) measures.answer(us);
    const body: EdgeReport = { versions: [{ modelId, version: 1, measures: measures.document() }] };
    while (!(await until())) {
      await client.send('POST', '/api/v1alpha1/measures', body);
      await sleep(200);
    }
  };
  await report(7, 1000, isMet);
  await report(7, 50_000, async () => (await answering()) === 'small');
  const placement = await net.spec('Placement', 's');
  expect(placement.reason).toMatch(/in place of Model\/large: 90 % of requests .* the objective is 20000/);
  await report(8, 1000, isMet);
  await net.until('Service', 's', ({ status }) => status.latency?.by === 'edge');
  // The preferred one has its turn again, and keeps to the objective now.
  await expect.poll(answering, { timeout: 60_000 }).toBe('large');
  await report(7, 1000, isMet);
  const reasons = (await net.events({ kind: 'Service', name: 's' })).map((e) => e.reason);
  expect(reasons.filter((r) => r === 'ObjectiveMissed' || r === 'Moved')).toEqual([
    ...['ObjectiveMissed', 'Moved', 'Moved'],
  ]);
  await expect(
    client.send('POST', '/api/v1alpha1/measures', { versions: [{ modelId: 0 }] }),
  ).rejects.toMatchObject({ faults: [{ message: expect.stringContaining('versions.0.modelId') }] });
});

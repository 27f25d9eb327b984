import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { deploy, Rollout, watch } from '../../src/controller/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { WatchEvents } from '../support/watch-events.ts';
import { example, exampleModel, retrained, writeDeployment, writeModel } from './files.ts';
import { codes, failureOf, type TestSwitch, testSwitch } from './support.ts';
import { Answers, Traffic } from './traffic.ts';

const folder = testFolder();
const rows = readFileSync(example('digits-mlp.x.bin')).subarray(0, 64 * 200);
const model = await exampleModel();
const v2 = retrained(model, 7);
for (const [i, m] of [model, v2].entries()) writeModel(folder, `v${i + 1}.json`, m);
const answers = new Answers(
  model,
  rows,
  new Map([
    [1, model],
    [2, v2],
  ]),
);

const FLIPS = 20;
const RATE = 2_000;

const switches: TestSwitch[] = [];
afterEach(async () => {
  for (const s of switches.splice(0)) await s.close();
});

async function path(layers: readonly string[]): Promise<string> {
  for (const _ of layers) switches.push(await testSwitch());
  return writeDeployment(
    folder,
    {
      model: { file: 'v1.json', version: 1 },
      devices: layers.map((range, i) => ({
        name: `s${i + 1}`,
        kind: 'v1model',
        address: switches[i]!.address,
        layers: range,
        ports: [{ ingress: 1, egress: 2 }],
      })),
    },
    `path-${layers.length}.json`,
  );
}

/** Twenty flips back and forth under steady traffic. */
async function flipUnderTraffic(file: string) {
  await deploy(file);
  const traffic = new Traffic(
    switches.map((s) => s.dataplane),
    answers,
    RATE,
  );
  await sleep(300);
  const rollout = await Rollout.open(file);
  const slowest = { install: 0, flip: 0 };
  const timed = async (what: keyof typeof slowest, work: Promise<void>) => {
    const begun = performance.now();
    await work;
    slowest[what] = Math.max(slowest[what], performance.now() - begun);
  };
  try {
    await timed('install', rollout.install({ model: v2, version: 2 }));
    for (let i = 0; i < FLIPS; i++) {
      await timed('flip', rollout.flip(2 - (i % 2)));
      await sleep(100);
    }
    await rollout.remove(2);
  } finally {
    await rollout.close();
  }
  await sleep(200);
  const report = await traffic.stop();
  console.log(file.replace(/.*\//, ''), JSON.stringify({ ...report, slowestMs: slowest }));
  return report;
}

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'versions under traffic', () => {
  test('the two trainings are told apart by their answers', () => {
    expect(answers.differing(1, 2)).toBeGreaterThan(150);
    // And a packet of which each switch computed with another version would be neither.
    const mixed = { ...model, layers: [model.layers[0]!, v2.layers[1]!] };
    const out = interpretRows(mixed, rows);
    const same = Array.from({ length: answers.count }, (_, row) => {
      const own = out.subarray(row * answers.outputs, (row + 1) * answers.outputs);
      return [1, 2].some((v) => Buffer.compare(own, answers.of(v, row)!) === 0);
    });
    expect(same.filter(Boolean).length).toBeLessThan(20);
  });

  test('one switch: no packet is lost, none is answered by neither version', async () => {
    const report = await flipUnderTraffic(await path(['0..2']));
    expect(report).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
    expect(Math.min(report.byVersion[1]!, report.byVersion[2]!)).toBeGreaterThan(500);
  });

  test('two switches, a layer each: no answer mixes versions', async () => {
    const report = await flipUnderTraffic(await path(['0..1', '1..2']));
    expect(report).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
    expect(Math.min(report.byVersion[1]!, report.byVersion[2]!)).toBeGreaterThan(500);
  });

  test('a whole deployment of another version, under traffic', async () => {
    await deploy(await path(['0..1', '1..2']));
    const traffic = new Traffic(
      switches.map((s) => s.dataplane),
      answers,
      RATE,
    );
    const file = join(folder, 'path-2.json');
    const next = JSON.parse(readFileSync(file, 'utf8'));
    writeDeployment(folder, { ...next, model: { file: 'v2.json', version: 2 } }, 'path-2.json');
    await sleep(200);
    expect((await deploy(file)).outcome).toBe('replaced');
    await sleep(200);
    expect((await deploy(file, { rollback: true })).outcome).toBe('replaced');
    await sleep(200);
    expect(await traffic.stop()).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
  });

  test('a file that changes while it is watched, under traffic', async () => {
    const file = await path(['0..1', '1..2']);
    const events = new WatchEvents();
    const watcher = await watch(file, { onEvent: events.add });
    await events.next('deployed');
    const traffic = new Traffic(
      switches.map((s) => s.dataplane),
      answers,
      RATE,
    );
    const spec = JSON.parse(readFileSync(file, 'utf8'));
    try {
      for (const version of [2, 1]) {
        writeDeployment(folder, { ...spec, model: { file: `v${version}.json`, version } }, 'path-2.json');
        expect((await events.next('deployed')).report.outcome).toBe('replaced');
        await sleep(200);
      }
    } finally {
      await watcher.close();
    }
    const report = await traffic.stop();
    expect(report).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
    expect(Math.min(report.byVersion[1]!, report.byVersion[2]!)).toBeGreaterThan(200);
  });

  test('a switch that is not what the file says, and one that was restarted', async () => {
    const file = await path(['0..2']);
    const spec = JSON.parse(readFileSync(file, 'utf8'));
    const wrong = writeDeployment(
      folder,
      { ...spec, devices: [{ ...spec.devices[0], deviceId: 7 }] },
      'wrong-id.json',
    );
    expect(codes(await failureOf(deploy(wrong)))).toEqual(['device-id']);
    await deploy(file);
    expect((await deploy(file)).outcome).toBe('unchanged');
    await switches.pop()!.close();
    switches.push(await testSwitch());
    const { address } = switches[0]!;
    const moved = writeDeployment(
      folder,
      { ...spec, devices: [{ ...spec.devices[0], address }] },
      'path-1.json',
    );
    expect((await deploy(moved)).outcome).toBe('deployed');
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { deploy, Rollout } from '../../src/controller/index.ts';
import type { Model } from '../../src/model/model.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload } from '../../src/wire/index.ts';
import { startOn } from '../agent/controller.ts';
import { layNetwork, type Network } from '../agent/network.ts';
import { requestFrame } from '../support/frames.ts';
import { testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { example, exampleModel, retrained, smallModel, writeDeployment, writeModel } from './files.ts';
import type { RawTask } from './raw-traffic.ts';
import { codes, failureOf, switchSpec, testSwitch } from './support.ts';
import { Answers, type PathDevice, Traffic, type TrafficReport } from './traffic.ts';

const folder = testFolder();
const model = await exampleModel();
const v2 = retrained(model, 7);
for (const [i, m] of [model, v2].entries()) writeModel(folder, `v${i + 1}.json`, m);

const FLIPS = 20;
const RATE = 20_000;

class RawTraffic {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(task: RawTask) {
    const script = join(import.meta.dirname, 'raw-traffic.ts');
    const args = ['--import', 'tsx', script, JSON.stringify(task)];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  async ready(): Promise<void> {
    await this.#line();
  }

  async stop(): Promise<TrafficReport> {
    this.#child.stdin!.write('stop\n');
    return JSON.parse(await this.#line());
  }

  async #line(): Promise<string> {
    const ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the traffic ended with ${code}`);
    });
    const [line] = (await Promise.race([once(this.#lines, 'line'), ended])) as [string];
    ended.catch(() => {});
    return line;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

describeWith(loading, 'deploying to agents', () => {
  let network: Network;
  let agent: Agent;
  let traffic: RawTraffic | undefined;
  beforeEach(async () => {
    network = layNetwork(2);
    agent = await startOn(network);
  });
  afterEach(async () => {
    traffic?.kill();
    traffic = undefined;
    await agent?.remove();
    network?.[Symbol.dispose]();
  });

  const file = (version: number, change: object = {}) =>
    writeDeployment(join(folder, network.agentName), {
      model: { file: join('..', `v${version}.json`), version },
      devices: [
        {
          name: 'host',
          kind: 'xdp',
          address: agent.address,
          layers: '0..2',
          zones: [3],
          ports: [{ ingress: 1, egress: 2 }],
          ...change,
        },
      ],
    });
  const task = (): RawTask => ({
    into: [network.ports[0]!.hostNetns, network.ports[0]!.hostName],
    outOf: [network.ports[1]!.hostNetns, network.ports[1]!.hostName],
    rows: example('digits-mlp.x.bin'),
    rowBytes: 64,
    models: { 1: join(folder, 'v1.json'), 2: join(folder, 'v2.json') },
    perSecond: RATE,
  });

  test('all of it at once, nothing the second time, another version, and back', async () => {
    const first = await deploy(file(1));
    expect([first.outcome, first.devices[0]!.current]).toEqual(['deployed', 1]);
    expect((await deploy(file(1))).outcome).toBe('unchanged');
    const second = await deploy(file(2));
    expect([second.outcome, second.previous]).toEqual(['replaced', 1]);
    expect(second.devices[0]!.versions.map((v) => v.version)).toEqual([2]);
    expect((await deploy(file(2), { rollback: true })).devices[0]!.current).toBe(1);
    // The agent that starts again goes on from what it had; the deployment need not know.
    await agent.close();
    agent = await startOn(network);
    expect((await deploy(file(1))).outcome).toBe('unchanged');
    expect(codes(await failureOf(deploy(file(1, { layers: '0..1' }))))).toEqual(['device-program']);
  });

  test('20 flips at 20,000 packets/s: none is lost, none is answered by neither version', async () => {
    await deploy(file(1));
    traffic = new RawTraffic(task());
    await traffic.ready();
    await sleep(300);
    const rollout = await Rollout.open(file(1));
    try {
      await rollout.install({ model: v2, version: 2 });
      for (let i = 0; i < FLIPS; i++) {
        await rollout.flip(2 - (i % 2));
        await sleep(100);
      }
      await rollout.remove(2);
    } finally {
      await rollout.close();
    }
    // And as whole deployments.
    expect((await deploy(file(2))).outcome).toBe('replaced');
    expect((await deploy(file(2), { rollback: true })).outcome).toBe('replaced');
    await sleep(100);
    const report = await traffic.stop();
    console.log('agent', JSON.stringify(report));
    expect(report).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
    expect(Math.min(report.byVersion[1]!, report.byVersion[2]!)).toBeGreaterThan(5_000);
    expect(readFileSync(join(folder, network.agentName, 'deployment.state/state.json'), 'utf8')).toContain(
      '"current": 1',
    );
  });

  test('files of other models and shapes share a host: each comes, changes and goes, and no packet of another is lost', async () => {
    await deploy(file(1));
    // Programs are compiled and proven meanwhile.
    traffic = new RawTraffic({ ...task(), perSecond: RATE / 10 });
    await traffic.ready();
    const others = [2, 3].map((id) => {
      const small = smallModel(id);
      const at = join(folder, network.agentName, `${id}`);
      const write = (version: number, m: Model) => {
        const made = writeDeployment(at, {
          model: { file: `v${version}.json`, id, version },
          devices: [{ name: 'host', kind: 'xdp', address: agent.address, layers: '..' }],
        });
        writeModel(at, `v${version}.json`, m);
        return made;
      };
      return { id, small, write };
    });
    for (const { small, write } of others) {
      expect((await deploy(write(1, small), { dryRun: true })).outcome).toBe('would-change');
      const report = await deploy(write(1, small));
      expect(report.outcome).toBe('deployed');
      expect(report.devices[0]!.steps.find((s) => s.step === 'program')!.detail).toContain('beside others');
    }
    // Each finds its own again, whatever came after it.
    for (const { small, write } of others) expect((await deploy(write(1, small))).outcome).toBe('unchanged');
    expect((await deploy(file(1))).outcome).toBe('unchanged');
    // Another version, and back; then one of a shape of its own: its program comes beside, too.
    const [one] = others;
    expect((await deploy(one!.write(2, retrained(one!.small, 3)))).outcome).toBe('replaced');
    expect((await deploy(one!.write(2, one!.small), { rollback: true })).devices[0]!.current).toBe(1);
    const wide = await deploy(one!.write(3, smallModel(5)));
    expect([wide.outcome, wide.devices[0]!.versions.map((v) => v.version)]).toEqual(['replaced', [3]]);
    expect((await deploy(one!.write(3, smallModel(5)), { rollback: true })).devices[0]!.current).toBe(1);
    // One goes; the program of its shape stands empty, and what comes next has its place.
    expect((await deploy(others[1]!.write(1, others[1]!.small), { remove: true })).outcome).toBe('removed');
    expect((await deploy(file(1))).outcome).toBe('unchanged');
    expect((await deploy(others[1]!.write(1, others[1]!.small))).outcome).toBe('deployed');
    const seen = await traffic.stop();
    console.log('beside others', JSON.stringify(seen));
    expect(seen).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
    // And they compute.
    const [inner, outer] = network.ports;
    outer!.socket.receive();
    for (const { id, small } of others) {
      const row = Uint8Array.of(9, 200, 31, 77 + id);
      inner!.socket.send(requestFrame(planOrRefuse(small, { modelId: id }), row, { modelVersion: 0 }));
      const [frame] = await outer!.socket.until(1);
      expect(decodePacket(framePayload(frame!)!)!.activations).toEqual(Buffer.from(interpret(small, row)));
    }
  }, 400_000);

  describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'and a switch before them', () => {
    test('a path of both kinds is flipped 20 times: no answer mixes versions', async () => {
      const bmv2 = await testSwitch();
      const [inner, outer] = network.ports;
      let timer: NodeJS.Timeout | undefined;
      try {
        const mixed = writeDeployment(join(folder, network.agentName), {
          model: { file: '../v1.json', version: 1 },
          devices: [
            {
              name: 'host',
              kind: 'xdp',
              address: agent.address,
              layers: '1..2',
              ports: [{ ingress: 1, egress: 2 }],
            },
            switchSpec('s1', bmv2.address, '0..1'),
          ],
        });
        const report = await deploy(mixed);
        // The path begins where the layers begin, whatever the order of the file.
        expect(report.devices.map((d) => d.name)).toEqual(['s1', 'host']);
        const host: PathDevice = {
          listen(receive) {
            timer = setInterval(() => {
              for (const packet of outer!.socket.receive()) receive({ packet });
            }, 1);
          },
          send: (_port, frame) => inner!.socket.send(frame),
        };
        const models = new Map([
          [1, model],
          [2, v2],
        ]);
        const rows = readFileSync(example('digits-mlp.x.bin')).subarray(0, 64 * 200);
        const steady = new Traffic([bmv2.dataplane, host], new Answers(model, rows, models), 2_000);
        await sleep(200);
        const rollout = await Rollout.open(mixed);
        try {
          await rollout.install({ model: v2, version: 2 });
          for (let i = 0; i < FLIPS; i++) {
            await rollout.flip(2 - (i % 2));
            await sleep(100);
          }
        } finally {
          await rollout.close();
        }
        const seen = await steady.stop();
        console.log('switch and agent', JSON.stringify(seen));
        expect(seen).toMatchObject({ lost: 0, wrong: 0, untouched: 0 });
        expect(Math.min(seen.byVersion[1]!, seen.byVersion[2]!)).toBeGreaterThan(500);
      } finally {
        clearInterval(timer);
        await bmv2.close();
      }
    });
  });
});

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deploy, Rollout } from '../../src/controller/index.ts';
import { switchCommand } from '../../src/runtime/bmv2/command.ts';
import { startOn } from '../agent/controller.ts';
import { type HostPort, layNetwork, type Network } from '../agent/network.ts';
import { cliArguments, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { example, exampleModel, retrained, writeDeployment, writeModel } from './files.ts';
import type { SplitReport, SplitTask } from './split-traffic.ts';

const folder = testFolder();
const model = await exampleModel();
const v2 = retrained(model, 7);
for (const [i, m] of [model, v2].entries()) writeModel(folder, `v${i + 1}.json`, m);

/** The whole figure, which takes its time: INTRANSIT_FLIPS=20 INTRANSIT_RATE=2000. */
const FLIPS = Number(process.env.INTRANSIT_FLIPS ?? 6);
const RATE = Number(process.env.INTRANSIT_RATE ?? 500);

const ADDRESSES = ['10.11.0.1', '10.11.0.2'] as const;

/** The hosts at both ends know each other, and send whole checksums. */
function address(ports: readonly HostPort[]): void {
  const within = (port: HostPort, ...command: string[]) =>
    execFileSync('ip', ['netns', 'exec', port.hostNetns, ...command], { stdio: 'pipe' });
  for (const [i, port] of ports.entries()) {
    const other = 1 - i;
    within(port, 'ip', 'addr', 'add', `${ADDRESSES[i]!}/24`, 'dev', port.hostName);
    const mac = `02:00:00:00:0${ports[other]!.port}:02`;
    within(port, 'ip', 'neigh', 'replace', ADDRESSES[other]!, 'lladdr', mac, 'dev', port.hostName);
    within(port, 'ethtool', '-K', port.hostName, 'tx', 'off');
  }
}

/** A program in a host, and its first line. */
async function startIn({ hostNetns }: HostPort, args: readonly string[]) {
  const child = spawn('ip', ['netns', 'exec', hostNetns, process.execPath, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! });
  const next = async (): Promise<string> => {
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${args.at(-1)} ended with ${code}`);
    });
    const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
    ended.catch(() => {});
    return line;
  };
  return { child, first: await next(), next };
}

/** A device in the middle of the path, without a program. */
interface Middle {
  readonly kind: 'xdp' | 'v1model';
  readonly address: string;
  remove(): unknown;
}

async function agentOn(network: Network): Promise<Middle> {
  const agent = await startOn(network);
  return { kind: 'xdp', address: agent.address, remove: () => agent.remove() };
}

async function switchOn({ netns, ports }: Network): Promise<Middle> {
  const socket = join(folder, 'switch.sock');
  const interfaces = ports.flatMap(({ port, name }) => ['-i', `${port}@${name}`]);
  const options = ['--no-p4', '--device-id', '1', '-L', 'off', ...interfaces];
  const command = switchCommand(options, ['--grpc-server-addr', `unix:${socket}`]);
  const child = spawn('ip', ['netns', 'exec', netns, ...command], { stdio: 'ignore' });
  const remove = async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return { kind: 'v1model', address: `unix:${socket}`, remove };
}

function splitPath(begin: (network: Network) => Promise<Middle>): void {
  let network: Network;
  let device: Middle;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    network = layNetwork(2);
    address(network.ports);
    device = await begin(network);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await device?.remove();
    network?.[Symbol.dispose]();
  });

  test(`${FLIPS} flips: no row is lost, none is computed by two versions`, async () => {
    const [near, far] = [network.ports[0]!, network.ports[1]!];
    const control = `unix:${join(folder, 'worker.sock')}`;
    const args = cliArguments(['worker', '--json', '--listen', ADDRESSES[1], '--control', control]);
    const worker = await startIn(far, args);
    children.push(worker.child);
    expect(JSON.parse(worker.first)).toMatchObject({ event: 'listening', control });
    const file = writeDeployment(folder, {
      model: { file: 'v1.json', version: 1 },
      devices: [
        {
          name: 'middle',
          kind: device.kind,
          address: device.address,
          layers: '0..1',
          ports: [
            { ingress: 1, egress: 2 },
            { ingress: 2, egress: 1 },
          ],
        },
      ],
      workers: [{ name: 'end', address: control }],
    });
    expect((await deploy(file)).outcome).toBe('deployed');
    const task: SplitTask = {
      to: ADDRESSES[1],
      rows: example('digits-mlp.x.bin'),
      rowBytes: 64,
      models: { 1: join(folder, 'v1.json'), 2: join(folder, 'v2.json') },
      perSecond: RATE,
    };
    const script = join(import.meta.dirname, 'split-traffic.ts');
    const traffic = await startIn(near, ['--import', 'tsx', script, JSON.stringify(task)]);
    children.push(traffic.child);
    await sleep(300);
    const rollout = await Rollout.open(file);
    try {
      for (let i = 0; i < FLIPS; i += 2) {
        // The whole way each time: on the worker and the device, flipped, and taken off again.
        await rollout.install({ model: v2, version: 2 });
        await rollout.flip(2);
        await sleep(150);
        await rollout.flip(1);
        await sleep(150);
        await rollout.remove(2);
      }
    } finally {
      await rollout.close();
    }
    traffic.child.stdin!.write('stop\n');
    const report = JSON.parse(await traffic.next()) as SplitReport;
    console.log('split path', JSON.stringify(report));
    expect(report).toMatchObject({ lost: 0, mixed: 0, reasons: [], network: 0 });
    expect(report.worker).toBe(report.sent);
    expect(Object.keys(report.byVersion).sort()).toEqual(['1', '2']);
  });
}

describeWith(loading, 'a split path of a host and a worker', () => splitPath(agentOn));
describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'a split path of a switch and a worker', () =>
  splitPath(switchOn),
);

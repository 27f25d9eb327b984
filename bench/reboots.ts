/**
 * How long after a reboot a switch is again what it should be: BMv2s that classify flows by a policy are killed one after the other and started
 * without any configuration, and the controller brings program, weights and entries back. Beside it how long BMv2 itself takes until it answers.
 * Needs p4c and BMv2 on the PATH.
 *
 *     npx tsx bench/reboots.ts [SWITCHES, 2 8 16] [REBOOTS OF ALL TOGETHER, 100]
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Reconciler } from '../src/daemon/network/index.ts';
import { Objects } from '../src/daemon/objects/index.ts';
import { openSqlite } from '../src/daemon/store/index.ts';
import { P4Client } from '../src/p4runtime/index.ts';
import { GALLERY_DIR } from '../src/paths.ts';
import { switchCommand } from '../src/runtime/bmv2/command.ts';
import { temporaryFolder } from '../src/temporary.ts';

const numbers = process.argv.slice(2).map(Number);
const [counts, reboots] = numbers.length > 1 ? [numbers.slice(0, -1), numbers.at(-1)!] : [[2, 8, 16], 100];
const LOOK_MS = 5;

class Switch {
  readonly name: string;
  readonly socket: string;
  #child: ChildProcess | undefined;

  constructor(name: string, folder: string) {
    this.name = name;
    this.socket = join(folder, `${name}.sock`);
  }

  get address(): string {
    return `unix:${this.socket}`;
  }

  start(): void {
    rmSync(this.socket, { force: true });
    const options = ['--no-p4', '--device-id', '1', '-L', 'off'];
    const [program, ...args] = switchCommand(options, ['--grpc-server-addr', this.address], true);
    this.#child = spawn(program, args, { stdio: 'ignore' });
  }

  async kill(): Promise<void> {
    const child = this.#child!;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Until it answers, to somebody who only looks. */
  async answers(): Promise<void> {
    const client = new P4Client({
      address: this.address,
      deviceId: 1,
      electionId: 0n,
      takeover: false,
      backoffMs: [5, 20],
    });
    try {
      await client.connect(60_000);
    } finally {
      await client.close();
    }
  }
}

/** The smallest value that so many of them do not exceed. */
const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.ceil(share * values.length) - 1]!;
const told = (values: readonly number[]): string =>
  [0.5, 0.99].map((share) => `${Math.round(quantile(values, share))} ms`).join(', ');

for (const count of counts) {
  using folder = temporaryFolder();
  const switches = Array.from({ length: count }, (_, i) => new Switch(`s${i}`, folder.path));
  const store = openSqlite(join(folder.path, 'store.db'));
  const objects = new Objects(store);
  const manifest = (kind: string, name: string, spec: object) => ({
    ...{ apiVersion: 'intransit.dev/v1alpha1', kind, metadata: { name }, spec },
  });
  for (const one of switches) one.start();
  const digest = await store.blobs.put(readFileSync(join(GALLERY_DIR, 'traffic-16.onnx')));
  const ports = [{ ingress: 1, egress: 2 }];
  await objects.apply(
    [
      ...switches.map(({ name, address }) =>
        manifest('Device', name, { target: 'v1model', address, forwarding: { ports, routes: [] } }),
      ),
      manifest('Model', 'm', { id: 1 }),
      manifest('ModelVersion', 'm-1', {
        model: 'm',
        version: 1,
        source: { name: 'traffic-16.onnx', digest },
      }),
      manifest('FlowPolicy', 'p', {
        ...{ model: 'm', features: 'traffic-16', devices: switches.map((s) => s.name) },
        actions: [{ class: 3, action: 'drop' }],
      }),
    ],
    { actor: 'bench' },
  );
  const reconciler = new Reconciler(objects, { folder: join(folder.path, 'programs') });
  const stateOf = async (name: string) => (await objects.need('Device', name)).status.state;
  const until = async (name: string, isSo: (state: string | undefined) => boolean) => {
    while (!isSo(await stateOf(name))) await sleep(LOOK_MS);
  };
  const inSync = (state: string | undefined): boolean => state === 'in sync';
  for (const { name } of switches) await until(name, inSync);
  const [answering, converged]: [number[], number[]] = [[], []];
  for (let i = 0; i < reboots; i++) {
    const one = switches[i % count]!;
    await one.kill();
    await until(one.name, (state) => !inSync(state));
    const begun = performance.now();
    one.start();
    await Promise.all([
      one.answers().then(() => answering.push(performance.now() - begun)),
      until(one.name, inSync).then(() => converged.push(performance.now() - begun)),
    ]);
  }
  console.log(`${count} switches, ${reboots} reboots, p50 and p99`);
  console.log(`  until BMv2 answers            ${told(answering)}`);
  console.log(`  until it is in sync again     ${told(converged)}`);
  await reconciler.close();
  for (const one of switches) await one.kill();
  await store.close();
}
process.exit();

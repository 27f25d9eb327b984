import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CURRENT, heldVersions } from '../../src/controller/versions.ts';
import { ControllerClient, type ShownObject } from '../../src/daemon/client/index.ts';
import type { StoreEvent } from '../../src/daemon/store/index.ts';
import { createWorker, openControl, type Worker } from '../../src/ends/worker/index.ts';
import { exportJson } from '../../src/import/json/export.ts';
import { type Change, MemoryDevice, P4Client, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { retrained } from '../../test/controller/files.ts';
import { smallModel } from '../../test/controller/small-model.ts';
import { random } from '../../test/support/random.ts';
import { type Attack, MOST_FAULTS, type Outcome } from './attack.ts';
import { FROM_SOURCE } from './kills.ts';

const KILLS = 100;
const MODEL_ID = 7;
const END_MS = 120_000;
const API = '/api/v1alpha1';
const LEGAL = ['Created', 'Installing', 'Flipping', 'Draining', 'Removing', 'Complete'];

/** A device that remembers when it was changed, and can have its controller killed at a change. */
class WatchedDevice extends MemoryDevice {
  readonly times: number[] = [];
  onChange: () => void = () => {};

  override apply(change: Change): void {
    this.times.push(Date.now());
    super.apply(change);
    this.onChange();
  }
}

interface Node {
  readonly device: WatchedDevice;
  readonly server: P4RuntimeServer;
  readonly address: string;
}

async function node(): Promise<Node> {
  const device = new WatchedDevice();
  const server = new P4RuntimeServer();
  server.addDevice(device, { deviceId: 1n });
  return { device, server, address: await server.listen({ address: '127.0.0.1:0' }) };
}

/** Which version is current, and which are held. */
async function versionsOf({ address }: Node) {
  const client = new P4Client({ address, deviceId: 1n, electionId: 0n, takeover: false });
  try {
    await client.connect();
    if ((await client.pipeline.get()) === undefined) return { current: undefined, held: [] };
    const held = heldVersions(await client.readAll([{ tableEntry: {} }]), MODEL_ID);
    const numbers = [...held.keys()].filter((v) => v !== CURRENT);
    return { current: held.get(CURRENT)?.version, held: numbers.sort() };
  } finally {
    client.close();
  }
}

/** Two devices with a layer each, a worker behind them, and a controller in a process of its own that is killed. */
class Network {
  readonly faults: string[] = [];
  readonly #folder: string;
  readonly #command: readonly string[];
  readonly #devices: readonly Node[];
  readonly #worker: Worker;
  readonly #door: { close(): void };
  readonly #starts: number[] = [];
  #process: ChildProcess | undefined;

  private constructor(
    folder: string,
    command: readonly string[],
    devices: readonly Node[],
    worker: Worker,
    door: { close(): void },
  ) {
    this.#folder = folder;
    this.#command = command;
    this.#devices = devices;
    this.#worker = worker;
    this.#door = door;
  }

  static async open(command: readonly string[]): Promise<Network> {
    const folder = mkdtempSync(join(tmpdir(), 'itattack-'));
    const worker = await createWorker({ listen: { host: '127.0.0.1', port: 0 }, awaitsController: true });
    const door = await openControl(worker, { address: `unix:${join(folder, 'w.sock')}` }, 'auto');
    return new Network(folder, command, [await node(), await node()], worker, door);
  }

  get changes(): number {
    return this.#devices.reduce((sum, { device }) => sum + device.applied.length, 0);
  }

  get client(): ControllerClient {
    return new ControllerClient({ url: `unix:${join(this.#folder, 'c.sock')}` });
  }

  async start(): Promise<void> {
    const { pid, ...at } = { pid: process.pid, listen: `unix:${join(this.#folder, 'c.sock')}` };
    const [program, ...words] = this.#command;
    const options = ['--store', `sqlite:${join(this.#folder, 'store.db')}`, '--listen', at.listen, '--json'];
    this.#starts.push(Date.now());
    const child = spawn(program!, [...words, 'controller', ...options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    const line = once(createInterface({ input: child.stdout }), 'line');
    const ended = once(child, 'exit').then(() => undefined);
    if ((await Promise.race([line, ended])) === undefined) throw new Error(`${pid}: it ended: ${said}`);
  }

  /** The controller is gone from one instruction to the next. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Kills at so many changes of devices from now. @returns what tells whether it was */
  killAt(count: number): () => boolean {
    let left = count;
    let wasKilled = false;
    for (const { device } of this.#devices)
      device.onChange = () => {
        if (--left !== 0) return;
        wasKilled = true;
        this.#process?.kill('SIGKILL');
      };
    return () => wasKilled;
  }

  async begin(): Promise<void> {
    const v1 = smallModel();
    const documents: object[] = [
      ...this.#devices.map(({ address }, i) => manifest('Device', `d${i + 1}`, { target: 'xdp', address })),
      manifest('Worker', 'w', { control: `unix:${join(this.#folder, 'w.sock')}` }),
      manifest('Link', 'a', { from: { node: 'd1', port: 2 }, to: { node: 'd2', port: 1 } }),
      manifest('Link', 'b', { from: { node: 'd2', port: 2 }, to: { node: 'w' } }),
      manifest('Model', 'm', { id: MODEL_ID }),
    ];
    for (const [i, model] of [v1, retrained(v1, 7)].entries()) {
      const name = `v${i + 1}.json`;
      writeFileSync(join(this.#folder, name), JSON.stringify(exportJson(model)));
      const digest = await this.client.sendFile(readFileSync(join(this.#folder, name)));
      const source = { name, digest };
      documents.push(manifest('ModelVersion', `m-${i + 1}`, { model: 'm', version: i + 1, source }));
    }
    const layers = [
      { layers: '0..1', nodes: ['d1'] },
      { layers: '1..2', nodes: ['d2'] },
    ];
    const spec = { model: 'm', version: 1, ingress: 'd1', policy: { layers } };
    await this.apply([...documents, manifest('Service', 's', spec)]);
    await this.until('Service', 's', ({ status }) => status.version === 1);
  }

  async apply(documents: readonly object[]): Promise<void> {
    await this.client.send('POST', `${API}/apply`, { documents });
  }

  async until(
    kind: 'Service' | 'Rollout' | 'Device',
    name: string,
    isSo: (object: { readonly status: Readonly<Record<string, unknown>> }) => boolean,
  ): Promise<void> {
    const end = performance.now() + END_MS;
    for (;;) {
      const object = await this.client.get<ShownObject>(`${API}/${kind.toLowerCase()}s/${name}`);
      if (isSo(object as never)) return;
      if (performance.now() > end) throw new Error(`${kind}/${name} stays ${JSON.stringify(object.status)}`);
      await sleep(50);
    }
  }

  /** What the first device makes current, all others hold: no packet finds another version on its way. */
  async noMix(label: string): Promise<void> {
    const [first, second] = await Promise.all(this.#devices.map(versionsOf));
    const { current } = first!;
    if (current === undefined) return;
    const onWorker = this.#worker.held().find((m) => m.modelId === MODEL_ID)?.versions ?? [];
    if (!second!.held.includes(current)) this.#fault(`${label}: d2 does not hold ${current}`);
    if (!onWorker.some((v) => v.version === current)) this.#fault(`${label}: w does not hold ${current}`);
  }

  /** One version everywhere, and nothing of the other. */
  async whole(version: number, label: string): Promise<void> {
    for (const [i, found] of (await Promise.all(this.#devices.map(versionsOf))).entries())
      if (found.current !== version || found.held.join() !== `${version}`)
        this.#fault(`${label}: d${i + 1} has ${found.current} of ${found.held.join()}, not ${version}`);
    const held = this.#worker.held().find((m) => m.modelId === MODEL_ID);
    const versions = held?.versions.map((v) => v.version).join();
    if (held?.current !== version || versions !== `${version}`)
      this.#fault(`${label}: w has ${held?.current} of ${versions}, not ${version}`);
  }

  /** The log: in order, every phase once, and every change of a device announced in the life that made it. */
  async log(rollouts: number): Promise<void> {
    const { items } = await this.client.get<{ readonly items: readonly StoreEvent[] }>(
      `${API}/events?limit=10000`,
    );
    for (const [i, event] of items.entries()) {
      // Times are of when it happened; what others did may be told between.
      const before = items.slice(0, i).findLast((e) => e.actor === event.actor);
      if (before !== undefined && before.time > event.time)
        this.#fault(
          `log: ${before.id} ${before.reason} is of ${before.time}, and ${event.id} of ${event.time}`,
        );
    }
    for (let i = 1; i <= rollouts; i++) {
      const own = items.filter((e) => e.object.kind === 'Rollout' && e.object.name === `r${i}`);
      const reasons = own.map((e) => e.reason).join();
      if (reasons !== LEGAL.join()) this.#fault(`log: r${i} went ${reasons}`);
    }
    for (const [i, { device }] of this.#devices.entries()) {
      const told = items
        .filter((e) => e.object.name === `d${i + 1}` && e.reason === 'Changing')
        .map((e) => Date.parse(e.time));
      const untold = device.times.filter((time) => {
        const life = this.#starts.filter((at) => at <= time).at(-1) ?? 0;
        return !told.some((at) => life <= at && at <= time);
      });
      if (untold.length > 0) this.#fault(`log: ${untold.length} changes of d${i + 1} were not announced`);
    }
  }

  async close(): Promise<void> {
    await this.kill();
    this.#door.close();
    await this.#worker.close();
    for (const { server } of this.#devices) await server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #fault(text: string): void {
    if (this.faults.length < MOST_FAULTS) this.faults.push(text);
  }
}

const manifest = (kind: string, name: string, spec: object) => ({
  apiVersion: 'intransit.dev/v1alpha1',
  kind,
  metadata: { name },
  spec,
});

/** Kills a controller in rollout after rollout, each time at another change of a device or another moment. */
export async function killController(
  kills: number,
  seed: number,
  command: readonly string[],
): Promise<Outcome> {
  const r = random(seed);
  const network = await Network.open(command);
  const figures = { kills: 0, atChanges: 0, rollouts: 0 };
  const rollout = async () => {
    const version = (figures.rollouts++ % 2 === 0 ? 2 : 1) as number;
    const name = `r${figures.rollouts}`;
    await network.apply([manifest('Rollout', name, { service: 's', version, drainMs: 100 })]);
    return { name, version };
  };
  const complete = async ({ name, version }: Awaited<ReturnType<typeof rollout>>) => {
    await network.until('Rollout', name, ({ status }) => status.phase === 'complete');
    await network.whole(version, name);
  };
  try {
    await network.start();
    await network.begin();
    // What a rollout takes, undisturbed.
    const [begun, changed] = [performance.now(), network.changes];
    await complete(await rollout());
    const [ms, changes] = [performance.now() - begun, network.changes - changed];
    while (figures.kills < kills) {
      const byChange = r.chance(0.7);
      const wasKilled = network.killAt(byChange ? r.int(1, changes) : Number.POSITIVE_INFINITY);
      const current = await rollout();
      const patience = byChange ? 3 * ms + 2000 : r.int(0, Math.ceil(ms));
      const end = performance.now() + patience;
      while (!wasKilled() && performance.now() < end) await sleep(5);
      if (wasKilled()) figures.atChanges++;
      await network.kill();
      figures.kills++;
      await network.noMix(`${current.name}, killed`);
      await network.start();
      await complete(current);
    }
    await network.log(figures.rollouts);
    return { figures, faults: network.faults };
  } finally {
    await network.close();
  }
}

export const controllerKills: Attack = {
  name: 'kills in rollouts, controller',
  what: 'a path with two versions, a rollout that is acknowledged and lost, a change that the log does not tell',
  run: ({ seed, scale }) => killController(Math.max(1, Math.round(KILLS * scale)), seed, FROM_SOURCE),
};

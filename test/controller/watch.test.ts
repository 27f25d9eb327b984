import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { models, ports } from '../../src/backends/common/table-model.ts';
import { deploy, type Watcher, type WatchOptions, watch } from '../../src/controller/index.ts';
import { P4Client, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { switchCommand } from '../../src/runtime/bmv2/command.ts';
import { Dataplane } from '../../src/runtime/bmv2/dataplane.ts';
import { encodeFrame, framePayload } from '../../src/wire/index.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { spawnWatch, WatchEvents } from '../support/watch-events.ts';
import { deployScenes, devicesOf } from './deploy-scene.ts';
import { example, exampleModel, writeDeployment, writeModel } from './files.ts';
import { codes, FaultyDevice, failureOf, type MemoryNode, switchSpec } from './support.ts';
import { ADDRESSES, Answers } from './traffic.ts';

const root = testFolder();
const scenes = deployScenes();

/** Another device behind the same address, as one that was restarted and has lost everything. */
async function restarted(node: MemoryNode): Promise<{ device: FaultyDevice; server: P4RuntimeServer }> {
  await node.server.close();
  return await started(node.address);
}

async function started(address: string): Promise<{ device: FaultyDevice; server: P4RuntimeServer }> {
  const device = new FaultyDevice();
  const server = new P4RuntimeServer();
  await server.addDevice(device, { deviceId: 1n });
  await server.listen({ address });
  servers.push(server);
  return { device, server };
}

const servers: P4RuntimeServer[] = [];
const watchers: Watcher[] = [];
afterEach(async () => {
  for (const watcher of watchers.splice(0)) await watcher.close();
  for (const server of servers.splice(0)) await server.close();
});

async function watching(file: string, options: WatchOptions = {}): Promise<WatchEvents> {
  const events = new WatchEvents();
  const quick = { pollMs: 20, retryMs: [50, 200], ...options } as const;
  watchers.push(await watch(file, { ...quick, onEvent: events.add }));
  return events;
}

async function scene() {
  const { folder, s1, s2, file } = await scenes.scene();
  const devices = devicesOf({ s1, s2 });
  return {
    ...{ folder, s1, s2 },
    file: (version: number, layers: readonly string[] = ['0..1', '1..']) =>
      file(version, {
        devices: devices.map((d, i) => ({ ...d, layers: layers[i]!, ports: [{ ingress: 1, egress: 2 }] })),
      }),
  };
}

const clientOf = (node: MemoryNode, electionId: bigint) =>
  new P4Client({ address: node.address, deviceId: 1, electionId });

describeWithTools(['p4c-bm2-ss'], 'deploy --watch', () => {
  beforeAll(async () => {
    const { folder, file } = await scene();
    await deploy(file(1));
    cpSync(join(folder, 'deployment.state/programs'), scenes.programs, { recursive: true });
  });

  test('a device that comes back with nothing gets it all, and the other is left alone', async () => {
    const { s1, s2, file } = await scene();
    const events = await watching(file(1));
    const { report, without } = await events.next('deployed');
    expect([report.outcome, without]).toEqual(['deployed', []]);
    s1.writes();
    await restarted(s2);
    expect((await events.next('away', 's2')).diagnostics.map((d) => d.code)).toEqual(['device-unreachable']);
    const back = await events.next('restored', 's2');
    expect(back.report.devices.map((d) => [d.name, d.current])).toEqual([['s2', 1]]);
    expect(s1.writes()).toBe(0);
  });

  test('a device that has kept everything is not written to', async () => {
    const { s1, file } = await scene();
    const events = await watching(file(1));
    await events.next('deployed');
    s1.writes();
    // The stream alone breaks: a controller with a higher id comes and goes.
    const other = clientOf(s1, 100n);
    await other.connect();
    expect(await events.next('backup', 's1')).toMatchObject({ electionId: 1n, highest: 100n });
    await sleep(300);
    other.close();
    // Whoever follows needs an id above the highest that there was.
    expect(await events.next('primary', 's1')).toMatchObject({ electionId: 101n });
    expect((await events.next('restored', 's1')).report.outcome).toBe('unchanged');
    expect(s1.writes()).toBe(0);
  });

  test('an election id that somebody else uses is waited for', async () => {
    const { s1, file } = await scene();
    const other = clientOf(s1, 1n);
    await other.connect();
    const events = await watching(file(1));
    expect((await events.next('away', 's1')).diagnostics.map((d) => d.code)).toEqual(['device-not-primary']);
    expect((await events.next('deployed')).without).toEqual(['s1']);
    other.close();
    await events.next('restored', 's1');
  });

  test('what another controller has changed is mended once it has gone', async () => {
    const { s1, file } = await scene();
    const events = await watching(file(1));
    await events.next('deployed');
    const other = clientOf(s1, 100n);
    await other.connect();
    const entries = await other.readAll([{ tableEntry: { tableId: models.id } }]);
    await other.delete(entries);
    await events.next('backup', 's1');
    other.close();
    expect((await events.next('restored', 's1')).report.devices[0]).toMatchObject({ current: 1 });
  });

  test('the others are deployed, and a device that cannot be had yet is waited for', async () => {
    const { s1, s2, file } = await scene();
    await s2.server.close();
    const events = await watching(file(1));
    await events.next('away', 's2');
    const { report, without } = await events.next('deployed');
    expect([report.devices.map((d) => d.name), without]).toEqual([['s1'], ['s2']]);
    s1.writes();
    const { device } = await started(s2.address);
    await events.next('restored', 's2');
    expect(device.applied.at(-1)!.entity.tableEntry?.tableId).toBe(ports.id);
    expect(s1.writes()).toBe(0);
  });

  test('nobody is there: all are waited for', async () => {
    const { s1, s2, file } = await scene();
    for (const { server } of [s1, s2]) await server.close();
    const events = await watching(file(1));
    for (const name of ['s1', 's2']) await events.next('away', name);
    await started(s2.address);
    await events.next('restored', 's2');
    await started(s1.address);
    expect((await events.next('restored', 's1')).report.devices[0]).toMatchObject({ current: 1 });
  });

  test('a file that changes is deployed anew; a broken one is told, and changes nothing', async () => {
    const { s1, s2, file } = await scene();
    const path = file(1);
    const events = await watching(path);
    await events.next('deployed');
    file(2);
    await events.next('changed');
    const { report } = await events.next('deployed');
    expect([report.outcome, report.previous, report.devices.map((d) => d.current)]).toEqual([
      'replaced',
      1,
      [2, 2],
    ]);
    expect([s1.device.commits, s2.device.commits]).toEqual([1, 1]);
    writeFileSync(path, '{ "format": ');
    const failed = await events.next('failed');
    expect([failed.device, failed.diagnostics[0]!.code]).toEqual([undefined, 'json-syntax']);
    // And a device that comes back meanwhile gets what was deployed last.
    s1.writes();
    const { device } = await restarted(s2);
    expect((await events.next('restored', 's2')).report.devices[0]).toMatchObject({ current: 2 });
    // With the program that it had: it was made for version 1.
    expect([device.commits, s1.writes()]).toEqual([1, 0]);
    // One that is gone is told too, and what runs stays; what is wrong with the one before may be told again until then.
    rmSync(path);
    let gone = await events.next('failed');
    while (gone.diagnostics[0]!.code === 'json-syntax') gone = await events.next('failed');
    expect([gone.device, gone.diagnostics[0]!.code]).toEqual([undefined, 'file-unreadable']);
    expect(s1.writes()).toBe(0);
    file(1);
    expect((await events.next('deployed')).report.previous).toBe(2);
  });

  test('a file that cannot be deployed leaves what was, until it can', async () => {
    const { s1, file } = await scene();
    const events = await watching(file(1));
    await events.next('deployed');
    s1.writes();
    const path = file(1, ['..', '1..']);
    expect((await events.next('failed')).diagnostics.map((d) => d.code)).toEqual(['device-program']);
    // It is tried again, and says so.
    await events.next('failed');
    expect(s1.writes()).toBe(0);
    writeFileSync(path, readFileSync(file(2)));
    expect((await events.next('deployed')).report).toMatchObject({ outcome: 'replaced', previous: 1 });
  });

  test('a device that refuses is tried again, later and later', async () => {
    const { s1, s2, file } = await scene();
    const events = await watching(file(1));
    await events.next('deployed');
    await s2.server.close();
    await events.next('away', 's2');
    const device = new FaultyDevice();
    device.refuses = () => true;
    const server = new P4RuntimeServer();
    await server.addDevice(device, { deviceId: 1n });
    await server.listen({ address: s2.address });
    servers.push(server);
    s1.writes();
    const delays = [];
    for (let i = 0; i < 4; i++) delays.push((await events.next('failed', 's2')).retryMs);
    expect(delays).toEqual([50, 100, 200, 200]);
    device.refuses = () => false;
    await events.next('restored', 's2');
    expect(s1.writes()).toBe(0);
  });

  test('a device that is gone in the middle of another version: the others have it, then it too', async () => {
    const { s2, file } = await scene();
    const events = await watching(file(1), { timeoutMs: 500 });
    await events.next('deployed');
    let gone: Promise<void> | undefined;
    s2.device.refuses = () => {
      gone ??= s2.server.close();
      return true;
    };
    file(2);
    expect((await events.next('failed')).retryMs).toBeGreaterThan(0);
    const { report, without } = await events.next('deployed');
    expect([report.devices.map((d) => [d.name, d.current]), without]).toEqual([[['s1', 2]], ['s2']]);
    await gone;
    await started(s2.address);
    expect((await events.next('restored', 's2')).report.devices[0]).toMatchObject({ current: 2 });
  });

  test('a device that does not take its forwarding: the version is current all the same, and the rest follows', async () => {
    const { s1, s2, file } = await scene();
    s2.device.refuses = ({ entity }) => entity.tableEntry?.tableId === ports.id;
    const events = await watching(file(1));
    expect(await events.next('failed')).toMatchObject({ retryMs: 0 });
    await events.next('failed', 's2');
    s1.writes();
    s2.device.refuses = () => false;
    expect((await events.next('restored', 's2')).report.devices[0]).toMatchObject({ current: 1 });
    expect(s1.writes()).toBe(0);
  });

  test('a device that falls silent is given up, and had again', async () => {
    const { folder, s1 } = await scene();
    const wire = await Wire.to(s1.address);
    const spec = { name: 's1', kind: 'v1model' as const, address: wire.address, layers: '0..1' };
    const path = writeDeployment(folder, { model: { file: 'v1.json' }, devices: [spec] });
    const events = await watching(path, { probeMs: 50, timeoutMs: 300 });
    await events.next('deployed');
    wire.cut();
    await events.next('away', 's1');
    await restarted(s1);
    wire.mend();
    expect((await events.next('restored', 's1')).report.outcome).toBe('deployed');
    await watchers.pop()!.close();
    wire.close();
  });

  test('what is wrong to begin with is refused; one process at a time', async () => {
    const { folder, file } = await scene();
    const path = file(1);
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{');
    expect(codes(await failureOf(watch(broken)))).toEqual(['json-syntax']);
    const events = await watching(path);
    await events.next('deployed');
    expect(codes(await failureOf(deploy(path)))).toEqual(['deploy-locked']);
    await watchers.pop()!.close();
    expect((await deploy(path)).outcome).toBe('unchanged');
  });

  test('the command: a document a line, ended by a signal with code 0', async () => {
    const { folder, s1, file } = await scene();
    const path = file(1);
    expect((await intransit('deploy', path, '--watch', '--dry-run')).code).toBe(2);
    const { events, stop } = spawnWatch(path);
    expect(await events.next('deployed')).toMatchObject({ format: 'intransit-watch', version: 1 });
    await restarted(s1);
    await events.next('restored', 's1');
    file(2);
    expect((await events.next('deployed')).report.outcome).toBe('replaced');
    const { code, err } = await stop();
    expect([code, err]).toEqual([0, expect.stringContaining('s1: weights done')]);
    expect(existsSync(join(folder, 'deployment.state/lock'))).toBe(false);
  });
});

/** A wire that may be cut without either end hearing of it. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut = false;
  address = '';

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (bytes) => {
          if (!this.#cut) to.write(bytes);
        });
        from.on('error', () => {});
        from.on('close', () => {
          this.#sockets.delete(from);
          if (!this.#cut) to.destroy();
        });
      }
    });
  }

  static async to(address: string): Promise<Wire> {
    const wire = new Wire(Number(address.split(':').at(-1)));
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    wire.address = `127.0.0.1:${(wire.#server.address() as AddressInfo).port}`;
    return wire;
  }

  cut(): void {
    this.#cut = true;
  }

  mend(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#cut = false;
  }

  close(): void {
    this.mend();
    this.#server.close();
  }
}

const rows = readFileSync(example('digits-mlp.x.bin')).subarray(0, 64 * 200);

/** BMv2 at addresses that stay when it is killed and started again. */
class Bmv2 {
  readonly address = `unix:${join(root, 'p4runtime.sock')}`;
  readonly #packets = `unix:${join(root, 'packets.sock')}`;
  #child: ChildProcess | undefined;

  start(): void {
    for (const name of ['p4runtime.sock', 'packets.sock']) rmSync(join(root, name), { force: true });
    const options = ['--no-p4', '--device-id', '1', '-L', 'off'];
    const addresses = ['--grpc-server-addr', this.address, '--dp-grpc-server-addr', this.#packets];
    const [program, ...args] = switchCommand(options, addresses, true);
    this.#child = spawn(program, args, { stdio: 'ignore' });
  }

  async kill(): Promise<void> {
    const child = this.#child!;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  dataplane(): Dataplane {
    return new Dataplane(this.#packets, 1);
  }
}

/** Requests every 5 ms over a stream that is made anew whenever it breaks. */
class Requests {
  readonly #device: Bmv2;
  readonly #answers: Answers;
  readonly #timer: NodeJS.Timeout;
  #stream: Dataplane | undefined;
  #sent = 0;
  #heard = (): void => {};
  computed = 0;
  wrong = 0;

  constructor(device: Bmv2, answers: Answers) {
    this.#device = device;
    this.#answers = answers;
    this.#timer = setInterval(() => this.#send(), 5);
  }

  #send(): void {
    this.#stream ??= this.#open();
    const sequence = this.#sent++;
    const payload = this.#answers.payload(sequence % this.#answers.count, sequence);
    this.#stream.send(1, encodeFrame(ADDRESSES, payload));
  }

  #open(): Dataplane {
    const stream = this.#device.dataplane();
    const again = () => {
      stream.close();
      if (this.#stream === stream) this.#stream = undefined;
    };
    stream.listen(({ packet }) => {
      const { right, computed } = this.#answers.judge(framePayload(packet)!);
      if (computed) this.computed++;
      if (!computed || !right) this.wrong++;
      this.#heard();
    }, again);
    return stream;
  }

  /** Until that many more are computed. @returns when the first of them was */
  async until(more: number): Promise<number> {
    const goal = this.computed + more;
    let first: number | undefined;
    while (this.computed < goal)
      await new Promise<void>((resolve) => {
        this.#heard = () => {
          first ??= performance.now();
          resolve();
        };
      });
    return first!;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stream?.close();
  }
}

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'deploy --watch of BMv2', () => {
  test('killed under traffic and started again, five times: its layers are back', async () => {
    const model = await exampleModel();
    writeModel(root, 'digits.json', model);
    const device = new Bmv2();
    device.start();
    const file = writeDeployment(root, {
      model: { file: 'digits.json' },
      devices: [switchSpec('s1', device.address, '..')],
    });
    const { events, child, stop } = spawnWatch(file);
    const requests = new Requests(device, new Answers(model, rows, new Map([[1, model]])));
    try {
      await requests.until(100);
      const figures: { readonly restored: number; readonly computed: number }[] = [];
      for (let round = 0; round < 5; round++) {
        await device.kill();
        await sleep(round * 400);
        const begun = performance.now();
        device.start();
        const computed = (await requests.until(1)) - begun;
        const { ms } = await events.next('restored', 's1');
        figures.push({ restored: Math.round(ms), computed: Math.round(computed) });
        await requests.until(100);
      }
      console.log('from the start of the process to the first computed packet, ms:', JSON.stringify(figures));
      expect(requests.wrong).toBe(0);
      expect(Math.max(...figures.map((f) => f.computed))).toBeLessThan(5_000);
      expect(await stop()).toMatchObject({ code: 0 });
      await requests.until(100);
    } finally {
      requests.stop();
      child.kill('SIGKILL');
      await device.kill();
    }
  });
});

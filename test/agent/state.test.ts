/** What an agent keeps on disk: damaged, on a full disk, on one that fails. */
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import type { P4Client, PipelineConfig } from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { requestFrame } from '../support/frames.ts';
import { intransit } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { connect, type Entities, example, pipelineOf, startOn } from './controller.ts';
import { everything, install as installPlan, leave } from './installed.ts';
import { layNetwork, type Network } from './network.ts';

const { model } = await importModel(example('traffic-mlp.onnx'));
const plan = planOrRefuse(model, {});
const WIDTH = 16;
const row = new Uint8Array(WIDTH).map((_, i) => 7 * i);
let compiled: Promise<PipelineConfig> | undefined;
const pipeline = () => {
  compiled ??= pipelineOf(plan);
  return compiled;
};

let network: Network | undefined;
let disk: string | undefined;
afterEach(() => {
  if (disk !== undefined) spawnSync('umount', ['-l', disk]);
  disk = undefined;
  network?.[Symbol.dispose]();
  network = undefined;
});

const lay = (): Network => {
  network = layNetwork(2);
  return network;
};

const install = async (client: P4Client): Promise<Entities> =>
  installPlan(client, plan, (e) => [e.zone(3), e.program.digest('refused_request')], await pipeline());

/** Where an agent keeps the program that runs. */
const generationOf = (folder: string): string =>
  readdirSync(folder).find((name) => /^[0-9a-f]{8}$/.test(name))!;

/** The next agent on what the last has left, and what it says. */
async function restart(net: Network) {
  const said: string[] = [];
  return { next: await startOn(net, { log: (text) => said.push(text) }), said };
}

/** The data plane computes, and rightly. */
async function expectAnswer(net: Network): Promise<void> {
  net.ports[0]!.socket.send(requestFrame(plan, row, { modelVersion: 0 }));
  const [frame] = await net.ports[1]!.socket.until(1);
  const { header, activations } = decodePacket(framePayload(frame!)!)!;
  expect(header.kind).toBe(packetKinds.result);
  expect([...activations]).toEqual([...interpret(model, row)]);
}

const flip = (file: string, at: number) => {
  const bytes = readFileSync(file);
  const place = Math.floor(bytes.length * at);
  bytes[place] = bytes[place]! ^ 0x10;
  writeFileSync(file, bytes);
};

/** The listing of a process's own files has one that is gone when it is looked at: that of the listing. */
function readIfLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

describeWith(loading, 'the state of an agent', () => {
  it('is mended wherever it is damaged, from its other copy or from the kernel', async () => {
    const net = lay();
    const before = await leave(net, async (client) => {
      const e = await install(client);
      await client.insert([e.zone(9)]);
      return everything(client);
    });
    const good = `${net.stateFolder}-good`;
    cpSync(net.stateFolder, good, { recursive: true });
    const generation = generationOf(good);
    const index = join(net.stateFolder, 'agent.json');
    const inside = (name: string) => join(net.stateFolder, generation, name);
    const log = inside('writes.log');
    const end = readFileSync(log).findLastIndex((byte) => byte !== 0);
    const damages: Readonly<Record<string, () => void>> = {
      'no top file': () => rmSync(index),
      'a damaged top file': () => flip(index, 0.5),
      'an empty top file': () => truncateSync(index),
      'a flipped bit of the program': () => flip(inside('pipeline.bin'), 0.7),
      'one copy of the program gone': () => rmSync(inside('pipeline-copy.bin')),
      'a flipped bit in weights': () => flip(log, 0.05),
      'a flipped bit at the end': () => flip(log, (end - 3) / statSync(log).size),
      'an emptied log': () => truncateSync(log),
      'no log': () => rmSync(log),
      'a log cut in the middle of a record': () => truncateSync(log, end - 20),
      'a log without the zeros at its end': () => truncateSync(log, end + 1),
    };
    const names = Object.keys(damages);
    // And some at once: the top file with each of the others.
    const pairs = names.slice(3).map((name) => ['no top file', name]);
    for (const what of [...names.map((name) => [name]), ...pairs]) {
      rmSync(net.stateFolder, { recursive: true });
      cpSync(good, net.stateFolder, { recursive: true });
      for (const name of what) damages[name]!();
      const { next, said } = await restart(net);
      const label = `${what.join(' and ')}: ${said.join('; ')}`;
      expect(next.restored, label).toBe(true);
      expect(said.join('\n'), label).toMatch(/on disk: .*(missing|damaged|not whole)/);
      expect(said.join('\n'), label).toContain('on disk: mended');
      expect(said.join('\n'), label).toMatch(/data plane found running$/m);
      const again = await connect(next.address);
      expect(await everything(again), label).toEqual(before);
      again.close();
      await expectAnswer(net);
      await next.close();
      // It is whole again.
      const silent: string[] = [];
      await (await startOn(net, { log: (text) => silent.push(text) })).close();
      expect(silent, label).toEqual(['data plane found running']);
    }
  });

  it('says why a file of it cannot be read, and takes the other copy', async () => {
    const net = lay();
    await leave(net, install);
    const generation = generationOf(net.stateFolder);
    const file = join(net.stateFolder, generation, 'pipeline.bin');
    rmSync(file);
    mkdirSync(file);
    const { next, said } = await restart(net);
    expect([next.restored, said.join()]).toEqual([
      true,
      expect.stringMatching(
        /pipeline\.bin cannot be read \(EISDIR.*not mended: EISDIR.*data plane found running/,
      ),
    ]);
    await expectAnswer(net);
    await next.close();
  });

  it('leaves the data plane alone where nobody can say what runs, and is pushed anew', async () => {
    const net = lay();
    await leave(net, install);
    const generation = generationOf(net.stateFolder);
    for (const name of ['pipeline.bin', 'pipeline-copy.bin'])
      flip(join(net.stateFolder, generation, name), 0.5);
    const { next, said } = await restart(net);
    expect([next.restored, said.join()]).toEqual([false, expect.stringContaining('left alone')]);
    expect(said.join()).not.toContain('--fresh');
    await expectAnswer(net);
    const again = await connect(next.address);
    await install(again);
    again.close();
    await expectAnswer(net);
    await next.close();
  });

  it('without a running data plane, says what is lost and invents nothing', async () => {
    const net = lay();
    const agent = await startOn(net);
    const client = await connect(agent.address);
    await install(client);
    client.close();
    await agent.remove();
    const generation = generationOf(net.stateFolder);
    flip(join(net.stateFolder, generation, 'writes.log'), 0.05);
    const { next, said } = await restart(net);
    expect(said.join()).toContain('the entries are lost');
    const again = await connect(next.address);
    expect((await everything(again)).entities).toEqual([]);
    expect((await again.pipeline.get())?.p4DeviceConfig.length).toBeGreaterThan(0);
    again.close();
    await next.close();
  });

  it('on a full disk, refuses what it cannot keep and does nothing of it', async () => {
    const net = lay();
    disk = net.stateFolder;
    mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]).status).toBe(0);
    const agent = await startOn(net);
    let client = await connect(agent.address);
    const e = await install(client);
    const filler = join(disk, 'filler');
    const fill = () => {
      for (const size of [65_536, 4_096, 1])
        try {
          for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' });
        } catch {
          // It is full for pieces of this size.
        }
    };
    fill();
    // A push needs room for a program: refused, and the old one goes on with its entries.
    const before = await everything(client);
    const { p4info, deviceConfig } = await pipeline();
    await expect(client.pipeline.commit({ p4info, deviceConfig, cookie: 99n })).rejects.toThrow(
      /cannot be kept on disk, so it is not done.*ENOSPC/,
    );
    expect(await everything(client)).toEqual(before);
    await expectAnswer(net);
    // Entries find the room that is ahead of the log, until that is full too.
    const steering = (port: number) =>
      Array.from({ length: 50 }, (_, i) =>
        e.program.tableEntry({
          table: 'steer',
          match: { model_id: 7, next_layer: i },
          action: { name: 'cross', params: { port } },
        }),
      );
    await client.insert(steering(1));
    let acknowledged = await everything(client);
    let refused = 0;
    for (let n = 0; n < 200 && refused < 3; n++) {
      fill();
      try {
        await client.modify(steering((n % 2) + 1));
        if (refused > 0) throw new Error('done after a refusal, though there is no more room');
        acknowledged = await everything(client);
      } catch (error) {
        expect(String(error)).toMatch(/RESOURCE_EXHAUSTED|cannot be kept on disk/);
        refused++;
        expect(await everything(client)).toEqual(acknowledged);
      }
    }
    expect(refused).toBe(3);
    client.close();
    await agent.close();

    const { next, said } = await restart(net);
    expect(said).toEqual(['data plane found running']);
    client = await connect(next.address);
    expect(await everything(client)).toEqual(acknowledged);
    await expectAnswer(net);
    await expect(client.modify(steering(2))).rejects.toThrow(/cannot be kept on disk/);
    // With room all goes on.
    rmSync(filler);
    await client.insert([e.zone(201)]);
    await client.pipeline.commit({ p4info, deviceConfig, cookie: 99n });
    client.close();
    await next.close();
    const last = await startOn(net);
    client = await connect(last.address);
    expect((await client.pipeline.get('COOKIE_ONLY'))?.cookie?.cookie).toBe(99n);
    client.close();
    await last.close();
  });

  it('is held open by one file, however often a program is pushed', async () => {
    const net = lay();
    await leave(net, async (client) => {
      for (let pushes = 0; pushes < 3; pushes++) await install(client);
      const held = readdirSync('/proc/self/fd')
        .map((fd) => readIfLink(join('/proc/self/fd', fd)))
        .filter((path) => path.startsWith(net.stateFolder));
      expect(held).toHaveLength(1);
    });
  });

  it('is nobody else’s to read, and is not where it cannot be', async () => {
    const net = lay();
    await leave(net, install);
    const modes = (folder: string): number[] => [
      statSync(folder).mode & 0o077,
      ...readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? modes(path) : [statSync(path).mode & 0o077];
      }),
    ];
    expect(new Set(modes(net.stateFolder))).toEqual(new Set([0]));
    // What is not ours stays when the agent is removed.
    writeFileSync(join(net.stateFolder, 'mine'), '');
    const removed = await intransit('agent', '--remove', net.agentName, '--state', net.stateFolder);
    expect([removed.code, readdirSync(net.stateFolder)]).toEqual([0, ['mine']]);
    for (const path of [
      '/proc/intransit/x',
      join(net.stateFolder, 'mine'),
      join(net.stateFolder, 'mine/x'),
    ]) {
      const other = await startOn(net, { stateFolder: path });
      const pusher = await connect(other.address);
      await expect(install(pusher)).rejects.toThrow(/cannot be kept on disk, so it is not done/);
      pusher.close();
      await other.remove();
    }
    expect(existsSync(join(net.stateFolder, 'mine'))).toBe(true);
  });
});

describeWithTools(['strace'], 'a disk that fails', () => {
  it('a Write or a push that cannot be written is refused, and all is as before', async () => {
    const net = lay();
    const agent = await startOn(net);
    let client = await connect(agent.address);
    const e = await install(client);
    const before = await everything(client);
    // The calls of this process, in which the agent runs.
    const inject = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO'];
    const strace = spawn('strace', ['-f', '-p', `${process.pid}`, ...inject], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise((resolve) => strace.once('exit', resolve));
    try {
      await new Promise<void>((resolve) => {
        strace.stderr!.on('data', (text) => `${text}`.includes('attached') && resolve());
      });
      await expect(client.insert([e.zone(40)])).rejects.toThrow(/so it is not done: EIO/);
      await expect(client.insert([e.zone(41)])).rejects.toThrow(/so it is not done: EIO/);
      const { p4info, deviceConfig } = await pipeline();
      await expect(client.pipeline.commit({ p4info, deviceConfig, cookie: 5n })).rejects.toThrow(/EIO/);
      expect(await everything(client)).toEqual(before);
      await expectAnswer(net);
    } finally {
      strace.kill('SIGINT');
      await ended;
    }
    await client.insert([e.zone(42)]);
    const after = await everything(client);
    expect(after.entities.length).toBe(before.entities.length + 1);
    client.close();
    await agent.close();
    const { next, said } = await restart(net);
    expect(said).toEqual(['data plane found running']);
    client = await connect(next.address);
    expect(await everything(client)).toEqual(after);
    client.close();
    await next.close();
    // strace stops each thread at each call that is none of those.
  }, 400_000);
});

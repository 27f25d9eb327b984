import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { removeAgent } from '../../src/agent/index.ts';
import { planReplacement } from '../../src/backends/xdp/replacement.ts';
import { isHeld } from '../../src/controller/versions.ts';
import { importModel } from '../../src/import/index.ts';
import { entityKey, type Init, type P4Client, removal } from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { requestFrame } from '../support/frames.ts';
import { intransit, spawnIntransit } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { connect, counters, Entities, example, pipelineOf, startOn } from './controller.ts';
import { everything, install as installPlan, leave } from './installed.ts';
import { layNetwork, type Network } from './network.ts';
import { agentArguments, during, killAgents, spawnAgent } from './process.ts';

const { model } = await importModel(example('digits-mlp.onnx'));
const plan = planOrRefuse(model, {});
const rows = readFileSync(example('digits-mlp.x.bin'));
const WIDTH = 64;
const rowOf = (n: number) => rows.subarray((n % 500) * WIDTH, ((n % 500) + 1) * WIDTH);
const frameOf = (n: number) => requestFrame(plan, rowOf(n), { sequence: n, modelVersion: n % 2 });

describeWith(loading, 'an agent that ends', () => {
  let network: Network | undefined;
  afterEach(async () => {
    killAgents();
    await new Promise((resolve) => setTimeout(resolve, 20));
    network?.[Symbol.dispose]();
    network = undefined;
  });

  const lay = (): Network => {
    network = layNetwork(2);
    return network;
  };

  const install = (client: P4Client): Promise<Entities> =>
    installPlan(client, plan, (e) => [
      e.zone(3),
      e.program.digest('refused_request', { maxTimeoutNs: 5n, maxListSize: 3 }),
    ]);

  function expectAnswers(frames: readonly Buffer[], count: number): void {
    expect(frames.length).toBe(count);
    const wrong = frames.filter((frame) => {
      const { header, activations } = decodePacket(framePayload(frame)!)!;
      return (
        header.kind !== packetKinds.result ||
        Buffer.compare(activations, interpret(model, rowOf(header.sequence))) !== 0
      );
    });
    expect(wrong.length).toBe(0);
    expect(new Set(frames.map((f) => decodePacket(framePayload(f)!)!.header.sequence)).size).toBe(count);
  }

  it('goes on forwarding when it is killed, twice, and the next finds all as it was', async () => {
    const net = lay();
    const [a, b] = net.ports.map(({ socket }) => socket);
    let agent = await spawnAgent(net);
    expect(agent.ready.restored).toBe(false);
    let client = await connect(agent.ready.address);
    await install(client);
    const before = await everything(client);
    expect(before.entities.length).toBe(9);
    let total = 0;
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const traffic = await during(
        (async () => {
          await new Promise((resolve) => setTimeout(resolve, 100));
          expect(await agent.kill(signal)).toBe(signal === 'SIGTERM' ? 0 : signal);
          client.close();
          await new Promise((resolve) => setTimeout(resolve, 100));
          agent = await spawnAgent(net);
          client = await connect(agent.ready.address);
        })(),
        a!,
        b!,
        frameOf,
      );
      total += traffic.sent;
      expectAnswers(traffic.received, traffic.sent);
      expect(agent.ready.restored).toBe(true);
      expect(agent.errors()).toContain('data plane found running');
      expect(await everything(client)).toEqual(before);
      expect(await counters(client)).toMatchObject({ computed: total });
      expect((await counters(client)).failed).toBeUndefined();
    }
    // It is a device like before: entries change, another version comes.
    const e = new Entities(plan, (await pipelineOf(plan)).p4info);
    const second = planReplacement(plan, model, 2);
    await client.insert([...e.weights(second, 1), e.version(2, 2, 1)]);
    await client.modify([e.version(0, 2, 1)]);
    a!.send(requestFrame(plan, rowOf(3), { modelVersion: 0 }));
    const [frame] = await b!.until(1);
    expect(decodePacket(framePayload(frame!)!)!.header.modelVersion).toBe(2);
    // And forgets nothing of that.
    const changed = await everything(client);
    client.close();
    await agent.kill('SIGKILL');
    agent = await spawnAgent(net);
    client = await connect(agent.ready.address);
    expect(await everything(client)).toEqual(changed);
    client.close();
    await agent.kill('SIGTERM');
    expect(agent.errors()).toContain('the data plane goes on forwarding');
  });

  it('is as before when the machine was restarted: pins are gone, the state is there', async () => {
    const net = lay();
    const agent = await startOn(net);
    const client = await connect(agent.address);
    await install(client);
    const before = await everything(client);
    client.close();
    await agent.remove();
    expect(readdirSync('/sys/fs/bpf/intransit')).not.toContain(net.agentName);
    net.ports[0]!.socket.send(frameOf(0));
    expect(await net.ports[1]!.socket.until(1, 100)).toEqual([]);

    const next = await startOn(net);
    expect(next.restored).toBe(true);
    const again = await connect(next.address);
    expect(await everything(again)).toEqual(before);
    net.ports[0]!.socket.send(frameOf(0));
    expectAnswers(await net.ports[1]!.socket.until(1), 1);
    again.close();
    await next.close();
  });

  it('mends what was changed meanwhile, and leaves the rest alone', async () => {
    const net = lay();
    await leave(net, install);
    // An interface was made again: its link has gone, its number is another.
    net.renew(1);
    const lost = net.ports[0]!.socket;
    lost.send(frameOf(1));
    expect(await net.ports[1]!.socket.until(1, 100)).toEqual([]);
    const next = await startOn(net);
    lost.send(frameOf(1));
    expectAnswers(await net.ports[1]!.socket.until(1), 1);
    // And once more while the agent runs.
    net.renew(2);
    await expect
      .poll(
        async () => {
          lost.send(frameOf(2));
          return (await net.ports[1]!.socket.until(1, 50)).length;
        },
        { timeout: 60_000 },
      )
      .toBe(1);
    net.ports[1]!.socket.send(frameOf(3));
    expectAnswers(await lost.until(1), 1);
    await next.close();
    // Less interfaces than before: the link of the other goes.
    const one = await startOn(net, { ports: [{ name: 'eth1', port: 1 }] });
    expect(readdirSync(`/sys/fs/bpf/intransit/${net.agentName}/links`)).toEqual(['port_1']);
    await one.close();
  });

  it('begins with nothing if told to, and is gone when removed', async () => {
    const net = lay();
    await leave(net, install);
    const fresh = await startOn(net, { fresh: true });
    expect(fresh.restored).toBe(false);
    const again = await connect(fresh.address);
    expect((await again.pipeline.get())?.p4DeviceConfig.length ?? 0).toBe(0);
    await install(again);
    again.close();
    // Not while it runs.
    expect(() => removeAgent(net.agentName, net.stateFolder)).toThrow(/runs already/);
    await fresh.close();
    const removed = await intransit('agent', '--remove', net.agentName, '--state', net.stateFolder);
    expect([removed.code, removed.out]).toEqual([0, `${net.agentName}: removed\n`]);
    expect(readdirSync('/sys/fs/bpf/intransit')).not.toContain(net.agentName);
    net.ports[0]!.socket.send(frameOf(0));
    expect(await net.ports[1]!.socket.until(1, 100)).toEqual([]);
    expect((await intransit('agent', '--remove', net.agentName, '--state', net.stateFolder)).out).toContain(
      'nothing',
    );
  });

  it('leaves a data plane alone of which nothing is known on disk, until another is pushed', async () => {
    const net = lay();
    await leave(net, install);
    rmSync(net.stateFolder, { recursive: true });
    const log: string[] = [];
    const next = await startOn(net, { log: (text) => log.push(text) });
    expect(next.restored).toBe(false);
    expect(log.join()).toContain('it is left alone until a controller pushes a pipeline');
    net.ports[0]!.socket.send(frameOf(0));
    expectAnswers(await net.ports[1]!.socket.until(1), 1);
    const again = await connect(next.address);
    expect((await again.pipeline.get())?.p4DeviceConfig.length ?? 0).toBe(0);
    await install(again);
    again.close();
    net.ports[0]!.socket.send(frameOf(0));
    expectAnswers(await net.ports[1]!.socket.until(1), 1);
    expect(readdirSync(`/sys/fs/bpf/intransit/${net.agentName}`)).toHaveLength(2);
    await next.close();
  });

  it('is one of its name, at an address of its own', async () => {
    const net = lay();
    const agent = await spawnAgent(net);
    const second = spawnIntransit(agentArguments(net));
    expect([second.status, second.stderr]).toEqual([
      1,
      expect.stringMatching(/runs already \(process \d+\)/),
    ]);
    const other = spawnIntransit(
      agentArguments(net, '--name', `${net.agentName}-b`, '--listen', agent.ready.address),
    );
    expect([other.status, other.stderr]).toEqual([1, expect.stringContaining('another agent listens there')]);
    expect(await agent.kill('SIGTERM')).toBe(0);
  });

  it('detaches at its end if told to', async () => {
    const net = lay();
    const agent = await spawnAgent(net, '--detach-on-exit');
    const client = await connect(agent.ready.address);
    await install(client);
    client.close();
    expect(await agent.kill('SIGTERM')).toBe(0);
    net.ports[0]!.socket.send(frameOf(0));
    expect(await net.ports[1]!.socket.until(1, 100)).toEqual([]);
  });

  it('holds nothing half-written, wherever it is killed', async () => {
    const net = lay();
    let agent = await spawnAgent(net);
    let client = await connect(agent.ready.address);
    const e = await install(client);
    const second = planReplacement(plan, model, 2);
    const steps: Init<'Update'>[] = [];
    const update = (type: 'INSERT' | 'MODIFY', ...entities: Init<'Entity'>[]) =>
      steps.push(...entities.map((entity) => ({ type, entity })));
    update('MODIFY', ...e.weights(second, 1));
    update('INSERT', e.version(2, 2, 1));
    update('MODIFY', e.version(0, 2, 1), e.version(0, 1, 0));
    steps.push(...[e.version(2, 2, 1), ...e.weights(second, 1)].map(removal));
    for (let round = 0; round < 6; round++) {
      const writer = client;
      let stop = false;
      const writing = (async () => {
        for (let i = 0; !stop; i++) await writer.write([steps[i % steps.length]!]).catch(() => {});
      })();
      await new Promise((resolve) => setTimeout(resolve, 60 + 35 * round));
      const killed = agent.kill('SIGKILL');
      stop = true;
      await killed;
      writer.close();
      await writing;
      agent = await spawnAgent(net);
      client = await connect(agent.ready.address);
      // What is read back is what happens: version 1 always, 2 where its weights are there.
      const found = await client.readAll([{ tableEntry: {} }, { tableEntry: { isDefaultAction: true } }]);
      const keys = new Set(found.filter(isHeld).map((f) => entityKey(f)));
      const has = (entity: Init<'Entity'>) => keys.has(entityKey(entity));
      const complete = has(e.version(2, 2, 1)) && e.weights(second, 1).every(has);
      for (const version of [1, 2]) {
        net.ports[0]!.socket.send(
          requestFrame(plan, rowOf(round), { modelVersion: version, sequence: round }),
        );
        const [frame] = await net.ports[1]!.socket.until(1);
        const { header, activations } = decodePacket(framePayload(frame!)!)!;
        const computed = version === 1 || complete;
        expect(header.kind).toBe(computed ? packetKinds.result : packetKinds.request);
        if (computed) expect([...activations]).toEqual([...interpret(model, rowOf(round))]);
      }
      // Bring it back to where the steps begin.
      const undo = [e.version(2, 2, 1), ...e.weights(second, 1)].filter(has);
      await client.write([{ type: 'MODIFY', entity: e.version(0, 1, 0) }, ...undo.map(removal)]);
    }
    client.close();
    await agent.kill('SIGTERM');
  });
});

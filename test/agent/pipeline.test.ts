import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { planReplacement } from '../../src/backends/xdp/replacement.ts';
import { importModel } from '../../src/import/index.ts';
import type { Model } from '../../src/model/model.ts';
import {
  type Init,
  type P4Client,
  P4RuntimeError,
  type PipelineConfig,
  removal,
} from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { failureOf } from '../support/failure.ts';
import { requestFrame } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { configOf, connect, counters, Entities, example, pipelineOf } from './controller.ts';
import { openHost } from './installed.ts';
import { layNetwork, type Network } from './network.ts';
import { during, killAgents, spawnAgent } from './process.ts';

type Entity = Init<'Entity'>;

const { model } = await importModel(example('digits-mlp.onnx'));
const plan = planOrRefuse(model, {});
const rows = readFileSync(example('digits-mlp.x.bin'));
const WIDTH = 64;
const rowOf = (n: number) => rows.subarray((n % 500) * WIDTH, ((n % 500) + 1) * WIDTH);

/** The same network with its classes the other way round: other weights of the same needs. */
const mirrored: Model = {
  ...model,
  layers: model.layers.map((layer, i) => {
    if (layer.kind !== 'dense' || i < model.layers.length - 1) return layer;
    const taps = layer.weights.length / layer.bias.length;
    const order = Array.from(layer.bias, (_, o) => layer.bias.length - 1 - o);
    const { requantiser: r } = layer;
    const turn = (list: readonly number[]) => (list.length === 1 ? list : order.map((o) => list[o]!));
    return {
      ...layer,
      weights: layer.weights.map((_, w) => layer.weights[order[Math.floor(w / taps)]! * taps + (w % taps)]!),
      bias: layer.bias.map((_, o) => layer.bias[order[o]!]!),
      requantiser: { ...r, multiplier: turn(r.multiplier), offset: turn(r.offset) },
    };
  }),
};

/** Code and message with which a call ends. */
async function refusal(call: Promise<unknown>): Promise<[number, string]> {
  const error = await failureOf(call, P4RuntimeError);
  const [update] = error.updates;
  return update === undefined ? [error.code, error.message] : [update.code, update.message];
}

describeWith(loading, 'a pipeline of an agent', () => {
  let network: Network;
  let agent: Agent;
  let client: P4Client;
  let pipeline: PipelineConfig;
  let e: Entities;
  beforeAll(async () => {
    ({ network, agent, client } = await openHost(2));
    pipeline = await pipelineOf(plan);
    e = new Entities(plan, pipeline.p4info);
  });
  afterAll(async () => {
    client?.close();
    await agent?.close();
    killAgents();
    network?.[Symbol.dispose]();
  });
  afterEach(() => {
    for (const { socket } of network.ports) socket.receive();
  });

  /** What comes out of port 2 for one row. */
  async function ask(n: number, modelVersion = 0) {
    network.ports[0]!.socket.send(requestFrame(plan, rowOf(n), { modelVersion }));
    const [frame] = await network.ports[1]!.socket.until(1, 300);
    return frame === undefined ? undefined : decodePacket(framePayload(frame)!)!;
  }
  const isComputed = async (modelVersion = 0): Promise<boolean> =>
    (await ask(0, modelVersion))?.header.kind === packetKinds.result;

  it('is asked for first', async () => {
    const [code] = await refusal(client.insert([e.port(1, 2)]));
    expect(code).toBe(status.FAILED_PRECONDITION);
    expect(agent.ports().map((p) => p.mode)).toEqual([undefined, undefined]);
  });

  it('answers every row as the reference does', async () => {
    await client.pipeline.commit(pipeline);
    await client.insert([...e.installation(), e.port(1, 2), e.port(2, 1)]);
    const count = 500;
    for (let n = 0; n < count; n++)
      network.ports[0]!.socket.send(requestFrame(plan, rowOf(n), { sequence: n }));
    const frames = await network.ports[1]!.socket.until(count);
    expect(frames.length).toBe(count);
    for (const frame of frames) {
      const { header, activations } = decodePacket(framePayload(frame)!)!;
      expect([...activations]).toEqual([...interpret(model, rowOf(header.sequence))]);
    }
    expect(await counters(client)).toEqual({ computed: count });
  });

  it('refuses a config that is none, and goes on with the one that it has', async () => {
    const { p4info, deviceConfig } = pipeline;
    const json = (
      change: (config: {
        format: string;
        programs: [{ manifest: Record<string, unknown>; program: string }];
      }) => void,
    ) => {
      const config = JSON.parse(Buffer.from(deviceConfig).toString());
      change(config);
      return Buffer.from(JSON.stringify(config));
    };
    const other = planOrRefuse(model, { to: 1 });
    const cases: readonly [Partial<PipelineConfig>, RegExp][] = [
      [{ deviceConfig: Buffer.from('no JSON') }, /no JSON of the format/],
      [{ deviceConfig: Buffer.from('{}') }, /wrong at format/],
      [
        { deviceConfig: json((c) => (c.programs[0].manifest.target = 'v1model')) },
        /wrong at programs\.0\.manifest\.target/,
      ],
      [{ deviceConfig: json((c) => (c.programs[0].program = 'AAAA')) }, /no 64-bit little-endian ELF file/],
      [
        { deviceConfig: json((c) => (c.programs[0].manifest.weights = { mode: 'static' })) },
        /the P4Info is not that of the program: the program has no table weights_0/,
      ],
      [{ p4info: (await pipelineOf(other)).p4info }, /it lacks table weights_1/],
      [
        { p4info: { ...p4info, tables: p4info.tables?.map((t) => ({ ...t, size: 7 })) ?? [] } },
        /its table models is another/,
      ],
      [{ p4info: { ...p4info, digests: [] } }, /it lacks digest refused_request/],
    ];
    for (const [change, message] of cases)
      for (const call of ['verify', 'commit'] as const) {
        const [code, text] = await refusal(client.pipeline[call]({ ...pipeline, ...change }));
        expect([code, text]).toEqual([status.INVALID_ARGUMENT, expect.stringMatching(message)]);
      }
    expect(await isComputed()).toBe(true);
    // To verify changes nothing either.
    await client.pipeline.verify(pipeline);
    expect(await isComputed()).toBe(true);
  });

  it('says why the verifier refuses a program', async () => {
    const elf = Buffer.from(
      JSON.parse(Buffer.from(pipeline.deviceConfig).toString()).programs[0].program,
      'base64',
    );
    // The first access to the packet without its comparison: an unconditional jump over it.
    const broken = Buffer.from(elf);
    const at = broken.indexOf(Buffer.from([0x61])) & ~7;
    broken.fill(0xff, at, at + 8);
    const [code, text] = await refusal(
      client.pipeline.commit({ ...pipeline, deviceConfig: configOf(plan, broken) }),
    );
    expect([code, text]).toEqual([status.INVALID_ARGUMENT, expect.stringMatching(/\w/)]);
    expect(await isComputed()).toBe(true);
  });

  it('has sixteen slots, and versions of them by number beside the current one', async () => {
    const full = (entity: Entity) => refusal(client.insert([entity]));
    expect(await full(e.weights(plan, 16)[0]!)).toEqual([
      status.INVALID_ARGUMENT,
      expect.stringContaining('there is no table'),
    ]);
    expect(await full(e.version(3, 3, 16))).toEqual([
      status.INVALID_ARGUMENT,
      expect.stringContaining('slot 16 is of program 1, which is not here'),
    ]);
    expect((await full(e.version(3, 4, 0)))[1]).toContain('answers as itself');
    await client.insert([e.version(2, 2, 0)]);
    await client.delete([e.version(0, 1, 0)]);
    expect([await isComputed(0), await isComputed(1), await isComputed(2)]).toEqual([false, true, true]);
    await client.insert([e.version(0, 1, 0)]);
    await client.delete([e.version(2, 2, 0)]);
    expect([await isComputed(0), await isComputed(1), await isComputed(2)]).toEqual([true, true, false]);
    expect((await client.readAll([e.program.allEntries('models')])).length).toBe(2);
  });

  it('stops computing while a layer has no weights', async () => {
    const [first, ...others] = e.weights(plan, 0);
    await client.delete([first!]);
    expect(await isComputed()).toBe(false);
    expect(await counters(client)).toMatchObject({ failed: 1 });
    await client.insert([first!]);
    expect(await isComputed()).toBe(true);
    // Weights of a slot in use may be replaced; what is computed is computed by all of them.
    const replaced = e.weights(planReplacement(plan, mirrored, 1), 0);
    await client.modify(replaced);
    expect([...(await ask(5))!.activations]).toEqual([...interpret(mirrored, rowOf(5))]);
    await client.modify([first!, ...others]);
    expect([...(await ask(5))!.activations]).toEqual([...interpret(model, rowOf(5))]);
  });

  it('takes a batch back as a whole', async () => {
    const everything = [e.program.allEntries(), { tableEntry: { isDefaultAction: true } }];
    const before = await client.readAll(everything);
    const { rpc, identity, timeoutMs } = {
      ...client.session,
      rpc: client.session.rpc(),
      identity: client.session.identity,
      timeoutMs: client.session.timeoutMs,
    };
    const updates = [
      removal(e.weights(plan, 0)[0]!),
      { type: 'MODIFY', entity: e.version(0, 9, 0) },
      { type: 'INSERT', entity: e.version(3, 4, 0) },
    ] as const;
    await expect(
      rpc.write({ ...identity, updates, atomicity: 'ROLLBACK_ON_ERROR' }, timeoutMs),
    ).rejects.toThrow();
    expect(await client.readAll(everything)).toEqual(before);
    expect((await ask(1))!.header).toMatchObject({ kind: packetKinds.result, modelVersion: 1 });
  });

  it('is replaced without a gap, with its entries and counts', async () => {
    await client.pipeline.commit(pipeline);
    await client.insert([...e.installation(), e.port(1, 2), e.zone(4)]);
    const [a, b] = network.ports.map(({ socket }) => socket);
    const traffic = await during(
      (async () => {
        for (let i = 0; i < 5; i++) await client.pipeline.reconcile({ ...pipeline, cookie: BigInt(i + 1) });
      })(),
      a!,
      b!,
      (n) => requestFrame(plan, rowOf(n), { sequence: n }),
    );
    expect(traffic.received.length).toBe(traffic.sent);
    const passed = traffic.received.filter(
      (f) => decodePacket(framePayload(f)!)!.header.kind !== packetKinds.result,
    );
    expect(passed.length).toBe(0);
    expect(await counters(client)).toEqual({ computed: traffic.sent });
    expect((await client.pipeline.get('COOKIE_ONLY'))?.cookie?.cookie).toBe(5n);
    // Other weights do not stay.
    const narrow = await pipelineOf(planOrRefuse(model, { lanes: 'off' }));
    const [code, text] = await refusal(client.pipeline.reconcile(narrow));
    expect(code).toBe(status.INVALID_ARGUMENT);
    expect(text).toMatch(/laid out otherwise|does not fit/);
    expect(await isComputed()).toBe(true);
  });

  it('is saved, written to, and begins with all of that', async () => {
    await client.pipeline.save({ ...pipeline, cookie: 88n });
    await client.insert([...e.installation(), e.port(1, 2)]);
    const [a, b] = network.ports.map(({ socket }) => socket);
    const traffic = await during(client.pipeline.commitSaved(), a!, b!, (n) =>
      requestFrame(plan, rowOf(n), { sequence: n }),
    );
    expect(traffic.received.length).toBe(traffic.sent);
    const kinds = traffic.received.map((f) => decodePacket(framePayload(f)!)!.header.kind);
    expect(new Set(kinds)).toEqual(new Set([packetKinds.result]));
  });

  it('may have its weights in its code', async () => {
    const constant = planOrRefuse(model, { weights: 'static' });
    const own = await pipelineOf(constant);
    await client.pipeline.commit(own);
    const entities = new Entities(constant, own.p4info);
    await client.insert([...entities.installation(5), entities.port(1, 2)]);
    expect([...(await ask(7))!.activations]).toEqual([...interpret(model, rowOf(7))]);
  });

  it('flips between versions under traffic: nothing is lost, nothing is wrong', async () => {
    const net = layNetwork(2);
    const own = await spawnAgent(net);
    const controller = await connect(own.ready.address);
    await controller.pipeline.commit(pipeline);
    await controller.insert([...e.installation(), e.port(1, 2)]);
    // Odd versions are the one model, even versions the other.
    const modelOf = (version: number) => (version % 2 === 1 ? model : mirrored);
    const plans = [plan, planReplacement(plan, mirrored, 2)];
    const flips = (async () => {
      for (let version = 2; version <= 21; version++) {
        const slot = (version + 1) % 2;
        const before = version - 2;
        if (before > 0) await controller.delete([e.version(before, before, slot)]);
        const weights = e.weights(plans[slot]!, slot);
        await (before > 0 ? controller.modify(weights) : controller.insert(weights));
        await controller.insert([e.version(version, version, slot)]);
        await controller.modify([e.version(0, version, slot)]);
      }
    })();
    const [a, b] = net.ports.map(({ socket }) => socket);
    const traffic = await during(flips, a!, b!, (n) =>
      requestFrame(plan, rowOf(n), { sequence: n, modelVersion: 0 }),
    );
    expect(traffic.received.length).toBe(traffic.sent);
    const seen = new Set<number>();
    const wrong = traffic.received.filter((frame) => {
      const { header, activations } = decodePacket(framePayload(frame)!)!;
      seen.add(header.modelVersion);
      const expected = interpret(modelOf(header.modelVersion), rowOf(header.sequence));
      return header.kind !== packetKinds.result || Buffer.compare(activations, expected) !== 0;
    });
    expect(wrong.length).toBe(0);
    expect(seen.size).toBeGreaterThan(10);
    controller.close();
    await own.kill('SIGKILL');
    net[Symbol.dispose]();
  });
});

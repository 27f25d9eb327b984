import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { refusedRequests } from '../../src/backends/common/table-model.ts';
import { attachXdp, openObject } from '../../src/bpf/index.ts';
import { SHARDS, shardOf } from '../../src/dataplane/abi.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { type Init, ipv4Prefix, type P4Client } from '../../src/p4runtime/index.ts';
import { toBigInt } from '../../src/p4runtime/values.ts';
import { EBPF_DIR } from '../../src/paths.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { compileBpf } from '../../src/toolchain/clang.ts';
import {
  decodePacket,
  framePayload,
  outcomeIndex,
  packetKinds,
  packetOutcomes,
} from '../../src/wire/index.ts';
import { checksums, requestFrame, withBytes, withField, withUdpSum } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf, randomLinear } from '../support/models.ts';
import { random, randomRows } from '../support/random.ts';
import { connect, counters, Entities, pipelineOf, startOn } from './controller.ts';
import { openHost } from './installed.ts';
import { layNetwork, type Network } from './network.ts';
import { RawSocket } from './raw-socket.ts';

type Entity = Init<'Entity'>;

const grid = { element: 'int8', scale: 0.05, zeroPoint: 3 } as const;
const uint8 = { element: 'uint8', scale: 0.05, zeroPoint: 0 } as const;
const dense = (seed: number, inputs: number, outputs: number) => ({
  kind: 'dense' as const,
  ...randomLinear(random(seed), inputs, outputs, grid),
  output: grid,
  rounding: 'onnx' as const,
});

/** Layers 0..2 of 3: what goes on is a request still. */
const split = planOrRefuse(
  modelOf({ ...grid, shape: [12] }, [dense(1, 12, 9), dense(3, 9, 8), dense(2, 8, 4)]),
  { to: 2, modelId: 9, modelVersion: 4 },
);
const verdict = planOrRefuse(
  modelOf({ ...uint8, shape: [6] }, [
    {
      kind: 'dense',
      weights: Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 : 0)),
      weightScale: 1,
      output: uint8,
    },
    { kind: 'argmax' },
  ]),
  { modelId: 5, modelVersion: 2 },
);

const DESTINATION = [203, 0, 113, 200] as const;
const MAC_A = 0x02_00_00_00_00_aan;
const MAC_B = 0x02_00_00_00_00_bbn;
const TTL = 22;

describeWith(loading, 'the data plane of an agent', () => {
  let network: Network;
  let agent: Agent;
  let client: P4Client;
  beforeAll(async () => {
    ({ network, agent, client } = await openHost(3));
  });
  afterAll(async () => {
    client?.close();
    await agent?.close();
    network?.[Symbol.dispose]();
  });
  beforeEach(() => {
    for (const { socket } of network.ports) socket.receive();
  });

  /** Begins anew with a program and these entries. */
  async function begin(plan: typeof split, more: (e: Entities) => Entity[] = () => []): Promise<Entities> {
    const pipeline = await pipelineOf(plan);
    await client.pipeline.commit(pipeline);
    const entities = new Entities(plan, pipeline.p4info);
    await client.insert([...entities.installation(), ...more(entities)]);
    return entities;
  }

  /** Sends frames into port 1 and gives what comes out, by port; `host` is the device's own stack. */
  async function through(...frames: Uint8Array[]): Promise<Record<'1' | '2' | '3' | 'host', Buffer[]>> {
    using host = new RawSocket(network.netns, 'eth1');
    for (const frame of frames) network.ports[0]!.socket.send(frame);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const [one, two, three] = network.ports.map(({ socket }) => socket.receive());
    return { '1': one!, '2': two!, '3': three!, host: host.receive() };
  }

  const route = (e: Entities, prefix: string, port: number): Entity =>
    e.program.tableEntry({
      table: 'ipv4_lpm',
      match: { destination: ipv4Prefix(prefix) },
      action: { name: 'route', params: { source_mac: MAC_A, destination_mac: MAC_B, port } },
    });
  const steerTo = (e: Entities, modelId: number, nextLayer: number, port: number): Entity =>
    e.program.tableEntry({
      table: 'steer',
      match: { model_id: modelId, next_layer: nextLayer },
      action: { name: 'cross', params: { port } },
    });
  const row = randomRows(random(4), 1, 12);
  const arp = Uint8Array.from({ length: 60 }, (_, i) =>
    i < 6 ? 0xff : i === 12 ? 0x08 : i === 13 ? 0x06 : i,
  );

  it('computes between two ports; all else crosses as it is', async () => {
    await begin(split, (e) => [e.port(1, 2), e.port(2, 1)]);
    const r = random(11);
    for (let i = 0; i < 50; i++) {
      const inputs = randomRows(r, 1, 12);
      const out = await through(requestFrame(split, inputs));
      expect([out[1].length, out[2].length, out[3].length, out.host.length]).toEqual([0, 1, 0, 0]);
      expect(checksums(out[2][0]!)).toEqual({ ip: 0, udp: 0 });
      const { header, activations } = decodePacket(framePayload(out[2][0]!)!)!;
      expect(header).toMatchObject({ kind: packetKinds.request, nextLayer: 2, modelVersion: 4 });
      expect([...activations]).toEqual([...interpret(split.model, inputs, 0, 2)]);
    }
    const crossed = await through(arp, withField(requestFrame(split, row), 'modelId', 77));
    expect(crossed[2].map((f) => Buffer.compare(f, arp) === 0)).toEqual([true, false]);
    expect(await counters(client)).toEqual({ computed: 50, foreign: 1, unknown_model: 1 });
  });

  it('leaves to the host what no table has a way for', async () => {
    const e = await begin(split);
    const out = await through(arp, requestFrame(split, row));
    expect([out[1].length, out[2].length, out[3].length, out.host.length]).toEqual([0, 0, 0, 2]);
    await client.insert([e.port(1, 'drop')]);
    expect((await through(arp)).host).toEqual([]);
    await client.modify([e.port(1, 3)]);
    expect((await through(arp))[3].length).toBe(1);
    // A port without an interface loses the packet, as on a switch.
    await client.modify([e.port(1, 77)]);
    expect(Object.values(await through(arp)).flat()).toEqual([]);
    await client.delete([e.port(1, 77)]);
    expect((await through(arp)).host.length).toBe(1);
  });

  it('routes by the longest prefix, before the port', async () => {
    const e = await begin(split, (e) => [
      e.port(1, 2),
      route(e, '203.0.113.0/24', 3),
      route(e, '0.0.0.0/0', 2),
    ]);
    const frame = requestFrame(split, row);
    const [routed] = (await through(frame))[3];
    expect(checksums(routed!)).toEqual({ ip: 0, udp: 0 });
    expect(routed!.toString('hex', 0, 12)).toBe('0200000000bb0200000000aa');
    expect(routed![TTL]).toBe(frame[TTL]! - 1);
    expect(decodePacket(framePayload(routed!)!)!.header.nextLayer).toBe(2);
    expect((await through(arp))[2].length).toBe(1);

    await client.insert([
      e.program.tableEntry({
        table: 'ipv4_lpm',
        match: { destination: ipv4Prefix('203.0.113.200/32') },
        action: { name: 'drop', params: {} },
      }),
    ]);
    expect(Object.values(await through(frame)).flat()).toEqual([]);
    await client.delete([route(e, '203.0.113.200/32', 0)]);
    // Every time to live but the last two, with options in the header too.
    for (const ttl of [255, 64, 2, 1, 0]) {
      const sent = withBytes(frame, TTL, ttl);
      new DataView(sent.buffer).setUint16(24, 0);
      new DataView(sent.buffer).setUint16(24, checksums(sent).ip);
      const out = (await through(sent))[3];
      expect(out.map((f) => [f[TTL], checksums(f).ip])).toEqual(ttl > 1 ? [[ttl - 1, 0]] : []);
    }
    await client.delete([route(e, '203.0.113.0/24', 0)]);
    expect((await through(frame))[2].length).toBe(1);
  });

  it('steers requests by their next layer, before the destination', async () => {
    await begin(split, (e) => [
      e.port(1, 2),
      route(e, '203.0.0.0/16', 2),
      steerTo(e, 9, 2, 3),
      steerTo(e, 9, 0, 1),
    ]);
    const frame = requestFrame(split, row);
    // The cursor counts as it is behind the computing.
    expect((await through(frame))[3].length).toBe(1);
    const [back] = (await through(withField(frame, 'elementType', 1)))[1];
    expect(decodePacket(framePayload(back!)!)!.header.nextLayer).toBe(0);
    expect((await through(withField(frame, 'kind', packetKinds.result)))[2].length).toBe(1);
    expect((await through(withField(frame, 'nextLayer', 1)))[2].length).toBe(1);
  });

  it('spreads the jobs of requests and proofs over the shards of a group, and leaves the others alone', async () => {
    const balanced = (e: Entities, nextLayer: number, group: number) =>
      e.program.tableEntry({
        table: 'steer',
        match: { model_id: 9, next_layer: nextLayer },
        action: { name: 'balance', params: { group } },
      });
    const shardTo = (e: Entities, shard: number, port: number) =>
      e.program.tableEntry({
        table: 'shards',
        match: { model_id: 9, group: 200, shard },
        action: { name: 'cross', params: { port } },
      });
    // One in eight is in no entry, and goes as if nothing steered it.
    const portOf = (shard: number) => (shard % 8 === 0 ? 1 : 2 + (shard % 2));
    const all = Array.from({ length: SHARDS }, (_, shard) => shard);
    const e = await begin(split, (e) => [
      e.port(1, 1),
      balanced(e, 2, 200),
      ...all.filter((s) => portOf(s) !== 1).map((s) => shardTo(e, s, portOf(s))),
    ]);
    const r = random(21);
    const jobs = Array.from({ length: 400 }, (_, i) =>
      i < 200 ? BigInt(i) : (BigInt(r.int(0, 0xffff_ffff)) << 32n) | BigInt(r.int(0, 0xffff_ffff)),
    );
    const jobsOn = async (frames: readonly Uint8Array[]) => {
      const out = await through(...frames);
      return [1, 2, 3].map((port) =>
        out[`${port as 1 | 2 | 3}`].map((f) => decodePacket(framePayload(f)!)!.header.jobId).sort(),
      );
    };
    const expected = [1, 2, 3].map((port) => jobs.filter((job) => portOf(shardOf(job)) === port).sort());
    const frames = jobs.map((jobId) => requestFrame(split, row, { jobId }));
    expect(await jobsOn(frames)).toEqual(expected);
    // What a worker asks of a sender goes to that worker; what it answers to nobody else.
    const behind = frames.map((frame) => withField(frame, 'nextLayer', 2));
    expect(await jobsOn(behind.map((f) => withField(f, 'kind', packetKinds.proof)))).toEqual(expected);
    const answers = behind.map((f) => withField(f, 'kind', packetKinds.result));
    expect((await jobsOn(answers)).map((on) => on.length)).toEqual([400, 0, 0]);

    // One entry moves one shard, and no other.
    const moved = shardOf(jobs.find((job) => portOf(shardOf(job)) === 2)!);
    await client.modify([shardTo(e, moved, 3)]);
    const [, two, three] = await jobsOn(frames);
    expect(two).toEqual(expected[1]!.filter((job) => shardOf(job) !== moved));
    expect(three).toHaveLength(expected[2]!.length + expected[1]!.length - two!.length);
    const read = await client.readAll([{ tableEntry: { tableId: shardTo(e, 1, 3).tableEntry!.tableId! } }]);
    expect(read).toHaveLength(SHARDS - SHARDS / 8);
  });

  it('leaves packetOutcomes below the threshold to a larger model', async () => {
    const e = await begin(verdict, (e) => [e.port(1, 2)]);
    const r = random(77);
    const answered = async (frame: Uint8Array) => decodePacket(framePayload((await through(frame))[2][0]!)!)!;
    for (const threshold of [0, 1, 17, 90, 255])
      for (let i = 0; i < 6; i++) {
        await client.modify([e.version(2, 2, 0, threshold), e.version(0, 2, 0, threshold)]);
        const inputs = randomRows(r, 1, 6);
        const [label, margin] = interpret(verdict.model, inputs);
        const request = requestFrame(verdict, inputs, { modelVersion: i % 2 === 0 ? 2 : 0 });
        const before = await counters(client);
        const sure = margin! >= threshold;
        const frame = (await through(request))[2][0]!;
        expect(checksums(frame)).toEqual({ ip: 0, udp: 0 });
        const { header, activations } = decodePacket(framePayload(frame)!)!;
        expect(header).toMatchObject(
          sure
            ? { kind: packetKinds.result, flags: 0 }
            : { kind: packetKinds.request, flags: 2, nextLayer: 0 },
        );
        expect([...activations]).toEqual(sure ? [label, margin] : [...inputs]);
        const after = await counters(client);
        expect(sure ? after.computed! - (before.computed ?? 0) : after.unsure! - (before.unsure ?? 0)).toBe(
          1,
        );
      }
    // The flag is set already: not computed, whatever the threshold.
    await client.modify([e.version(2, 2, 0, 0)]);
    const again = requestFrame(verdict, new Uint8Array(6), { unsure: true });
    const [same] = (await through(again))[2];
    expect(Buffer.compare(same!, again)).toBe(0);
    // Without a checksum there is none to change, and one that comes to zero is sent as its other form.
    await client.modify([e.version(2, 2, 0, 255)]);
    const bare = withBytes(requestFrame(verdict, new Uint8Array(6)), 40, 0, 0);
    expect(checksums((await through(bare))[2][0]!).udp).toBeUndefined();
    expect((await answered(bare)).header.flags).toBe(2);
    // The reserved word takes what the checksum 2 leaves of the sum.
    const two = withBytes(requestFrame(verdict, new Uint8Array(6)), 40, 0, 2);
    const zero = withField(two, 'reserved', checksums(two).udp!);
    expect(checksums(zero).udp).toBe(0);
    expect((await through(zero))[2][0]!.readUInt16BE(40)).toBe(0xffff);
    // Whoever finishes the sum of the pseudo-header adds up the flag as well.
    const partial = withUdpSum(requestFrame(verdict, new Uint8Array(6)), 'partial');
    expect((await through(partial))[2][0]!).toEqual(Buffer.from(withField(partial, 'flags', 2)));
  });

  it('turns answers round to the port that they came from', async () => {
    const e = await begin(verdict, (e) => [e.port(1, 2), route(e, '0.0.0.0/0', 3)]);
    const frame = requestFrame(verdict, new Uint8Array(6), { turnRound: true });
    const out = await through(frame);
    expect([out[1].length, out[2].length, out[3].length]).toEqual([1, 0, 0]);
    expect(out[1][0]!.toString('hex', 26, 34)).toBe(
      Buffer.from(frame).toString('hex', 30, 34) + Buffer.from(frame).toString('hex', 26, 30),
    );
    expect(out[1][0]![TTL]).toBe(frame[TTL]);
    // What was left unsure is no answer.
    await client.modify([e.version(2, 2, 0, 255)]);
    expect((await through(frame))[3].length).toBe(1);
  });

  it('tells of requests that it refused, if asked to', async () => {
    const e = await begin(split, (e) => [e.port(1, 2)]);
    const told: number[][] = [];
    const off = client.on('digest', (list) => {
      expect(list.digestId).toBe(refusedRequests.id);
      for (const item of list.data)
        told.push((item.struct?.members ?? []).map((m) => Number(toBigInt(m.bitstring!))));
      client.acknowledge(list);
    });
    const frame = requestFrame(split, row);
    const refused = {
      bad_magic: withField(frame, 'magic', 1),
      unknown_version: withField(frame, 'modelVersion', 3),
      bad_shape: withField(frame, 'elementCount', 13),
      truncated: withBytes(frame, 38, 0, 50),
      oversized: withBytes(frame, 38, 0, 200),
      zone_refused: withField(frame, 'trustZone', 8),
    };
    const silent = [
      withField(frame, 'kind', 2),
      withField(frame, 'modelId', 3),
      withField(frame, 'nextLayer', 2),
      withField(frame, 'flags', 2),
      withField(frame, 'fragmentCount', 2),
      frame.slice(0, 60),
      arp,
    ];
    await through(...Object.values(refused));
    const digest = e.program.digest('refused_request', { maxTimeoutNs: 0n, maxListSize: 1 });
    await client.insert([digest]);
    await through(...Object.values(refused), ...silent);
    await expect.poll(() => told.length).toBe(6);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const source = 0xc6_33_64_07;
    expect(told).toEqual([
      [outcomeIndex('bad_magic'), 9, 4, 0, 0, source],
      [outcomeIndex('unknown_version'), 9, 3, 0, 0, source],
      [outcomeIndex('bad_shape'), 9, 4, 0, 0, source],
      [outcomeIndex('truncated'), 9, 4, 0, 0, source],
      [outcomeIndex('oversized'), 9, 4, 0, 0, source],
      [outcomeIndex('zone_refused'), 9, 4, 0, 8, source],
    ]);
    // An entry for other layers is a refusal; weights that are missing are not.
    await client.modify([e.version(4, 4, 0, 0, [0, 1, 3])]);
    await through(frame);
    await expect.poll(() => told.length).toBe(7);
    expect(told[6]![0]).toBe(outcomeIndex('failed'));
    await client.modify([e.version(4, 4, 1)]);
    await through(frame);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(told.length).toBe(7);
    expect((await counters(client)).failed).toBe(2);
    await client.delete([digest]);
    await through(...Object.values(refused));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(told.length).toBe(7);
    off();
  });

  it('drops what the controller does not take in time, and no packet', async () => {
    const e = await begin(split, (e) => [e.port(1, 2)]);
    await client.insert([
      e.program.digest('refused_request', { maxTimeoutNs: 1_000_000_000n, maxListSize: 0 }),
    ]);
    const frames = Array.from({ length: 6_000 }, () => withField(requestFrame(split, row), 'magic', 1));
    const out = await through(...frames);
    expect(out[2].length).toBe(frames.length);
  });

  it('permits zones, and counts from what it is told to', async () => {
    const e = await begin(split, (e) => [e.port(1, 2), e.zone(8)]);
    await through(requestFrame(split, row, { trustZone: 8 }), requestFrame(split, row));
    expect(await counters(client)).toEqual({ computed: 2 });
    await client.delete([e.zone(8)]);
    await through(requestFrame(split, row, { trustZone: 8 }));
    expect(await counters(client)).toEqual({ computed: 2, zone_refused: 1 });
    await client.modify([
      e.program.counter('outcomes', outcomeIndex('computed'), { packets: 40n, bytes: 0n }),
    ]);
    await through(requestFrame(split, row));
    expect(await counters(client)).toEqual({ computed: 41, zone_refused: 1 });
    expect(packetOutcomes.length).toBe(18);
  });

  it.each(['generic', 'native'] as const)('makes room for longer answers, in %s mode', async (mode) => {
    const net = layNetwork(2);
    using folder = temporaryFolder();
    await compileBpf(join(EBPF_DIR, 'pass.c'), join(folder.path, 'pass.o'));
    using pass = await openObject(join(folder.path, 'pass.o'));
    // A veth takes what a native program sends only if it has one itself.
    const links = net.ports.map(({ hostNetns, hostName }) =>
      attachXdp(pass.program('pass'), { interface: hostName, netns: hostNetns, mode: 'native' }),
    );
    const own = await startOn(net, { mode });
    const controller = await connect(own.address);
    const lengths = new Map<number, number>();
    for (const outputs of [11, 40, 128, 200, 210]) {
      const plan = planOrRefuse(modelOf({ ...grid, shape: [10] }, [dense(outputs, 10, outputs)]), {});
      const pipeline = await pipelineOf(plan);
      await controller.pipeline.commit(pipeline);
      const e = new Entities(plan, pipeline.p4info);
      await controller.insert([...e.installation(), e.port(1, 2), e.port(2, 1)]);
      expect(own.ports().map((p) => p.mode)).toEqual([mode, mode]);
      const inputs = randomRows(random(outputs), 1, 10);
      net.ports[0]!.socket.send(requestFrame(plan, inputs));
      const [frame] = await net.ports[1]!.socket.until(1);
      expect(checksums(frame!)).toEqual({ ip: 0, udp: 0 });
      const { activations } = decodePacket(framePayload(frame!)!)!;
      if (activations.length === elementCount(plan.output.shape))
        expect([...activations]).toEqual([...interpret(plan.model, inputs)]);
      lengths.set(outputs, activations.length);
    }
    controller.close();
    await own.remove();
    for (const link of links) link.close();
    net[Symbol.dispose]();
    expect([...lengths].filter(([outputs, length]) => outputs <= 200 && length !== outputs)).toEqual([]);
  });

  it('has frames of the destination that the tests think', () => {
    expect([...requestFrame(split, row).subarray(30, 34)]).toEqual([...DESTINATION]);
  });
});

import { createSocket } from 'node:dgram';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { insertion } from '../../src/backends/common/entries.ts';
import { flowEvents, flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import { ask, escalation, flowCounter } from '../../src/backends/common/flow/tables.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import type { Frame } from '../../src/capture/index.ts';
import type { Worker } from '../../src/ends/worker/index.ts';
import { type FeatureDefinition, parseFeatures } from '../../src/features/index.ts';
import { createReferenceFlowEngine, type FlowEngine, type Verdict } from '../../src/flow/engine.ts';
import { escalationUpdates } from '../../src/flow/larger-updates.ts';
import { flowPipelines } from '../../src/flow/targets.ts';
import { createXdpFlowEngine, loadXdpFlow } from '../../src/flow/xdp.ts';
import type { Init } from '../../src/p4runtime/index.ts';
import { type ClassAction, classEntry } from '../../src/runtime/xdp/flow-actions.ts';
import { LargerModel } from '../../src/runtime/xdp/larger-model.ts';
import { planFlowOrRefuse } from '../../src/targets/xdp/flows.ts';
import { encodeFrame, framePayload } from '../../src/wire/frame.ts';
import { decodePacket } from '../../src/wire/index.ts';
import { frameOf, udp4 } from '../features/packets.ts';
import { internetChecksum } from '../support/frames.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { type ActingDevice, agentDevice, switchDevice, toldOf } from './acting-device.ts';
import { deviceDefinitions, endDefinition } from './definitions.ts';
import { randomFrame } from './frames.ts';
import { byPort, FEATURES, LARGE, modelId, SMALL, startWorker } from './larger.ts';
import { networkOf } from './networks.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const FRAMES = 2500;

/** Random frames of few flows, as a capture has them. */
function randomFrames(seed: number): Frame[] {
  const r = random(seed);
  let timeNs = 1_700_000_000_000_000_000n;
  return Array.from({ length: FRAMES }, () => {
    timeNs += BigInt(r.int(1, r.chance(0.01) ? 50_000_000 : 400_000));
    return { ...randomFrame(r), link: 'ethernet', timeNs };
  });
}

/** Says another class than the small model would, by the features; of some it says nothing. */
const larger = async (features: Uint8Array): Promise<Verdict | undefined> => {
  const sum = features.reduce((a, b) => (a * 31 + b) % 1009, 7);
  return sum % 5 === 0 ? undefined : { class: sum % 5, margin: 255 - (sum % 100) };
};

async function decisionsOf(engine: FlowEngine, frames: readonly Frame[]) {
  const all: unknown[] = [];
  let answers = 0;
  await engine.capture(frames, ({ rows, answer, flow }) => {
    if (answer !== undefined) answers++;
    all.push([
      flow?.number,
      rows.map((row) => [row.flow.number, row.class, row.margin]),
      answer && [answer.flow.number, answer.class, answer.margin],
    ]);
  });
  await engine.close();
  return { all, answers };
}

describeWith(loading, 'a larger model is asked about flows of low margin', () => {
  const all: Readonly<Record<string, FeatureDefinition>> = {
    everything: deviceDefinitions.everything!,
    long: deviceDefinitions.long!,
    narrow: deviceDefinitions.narrow!,
    end: endDefinition('{ idle: 20ms, active: 90ms }'),
  };
  for (const [name, definition] of Object.entries(all))
    it(`${name}: the kernel asks and keeps answers as the reference does`, async () => {
      const [model, frames] = [networkOf(definition), randomFrames(11)];
      const how = { below: 60, ask: larger };
      const expected = await decisionsOf(createReferenceFlowEngine(definition, model, how), frames);
      const engine = await createXdpFlowEngine(definition, model, how);
      const found = await decisionsOf(engine, frames);
      expect(engine.equality?.()).toMatchObject({ mismatches: 0, examples: [] });
      expect(found.all).toEqual(expected.all);
      expect(found.answers).toBeGreaterThan(5);
    });

  it('asks about each flow once, within its budget; an answer is for the flow that was asked about alone', async () => {
    const definition = parse('idle: 1s', '{ n: { count: true } }', '{ n: log8(n), rest: "7" }');
    const model = networkOf(definition);
    using device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true, asks: true });
    const flow = (sourcePort: number) => frameOf(udp4({ sourcePort, payload: [1] })).data;
    device.ask({ below: 256, rate: 3 });
    let now = 1_000_000_000n;
    const run = (sourcePort: number) => device.run(flow(sourcePort), now++ * 1000n);
    for (const port of [1, 1, 2, 2]) run(port);
    const [first, second, ...more] = device.questions();
    expect(more).toEqual([]);
    expect([first!.clientPort, second!.clientPort]).toEqual([1, 2]);
    expect(device.answer(first!, { class: 4, margin: 9 })).toBe(true);
    expect(run(1)).toMatchObject({ outcome: 'cached', verdict: { class: 4, margin: 9 } });
    expect(run(2).outcome).toBe('classified');
    // A second answer, and one for a flow whose key has a new flow by now.
    expect(device.answer(first!, { class: 3, margin: 9 })).toBe(false);
    now += 10_000_000n;
    expect(run(2).outcome).toBe('classified');
    expect(device.answer(second!, { class: 4, margin: 9 })).toBe(false);
    expect(run(2).outcome).toBe('classified');
    // The new flow was asked about by itself; three questions are the budget of the first second.
    const [third] = device.questions();
    expect(third!.clientPort).toBe(2);
    expect(device.answer(third!, { class: 4, margin: 8 })).toBe(true);
    run(3);
    expect(device.questions()).toEqual([]);
    expect(device.counts()).toMatchObject({ asked: 3n, answered: 2n, overdue: 2n, shed: 1n, failed: 0n });
    // A margin that is not below is not asked about.
    device.ask({ below: 0, rate: 1000 });
    run(4);
    expect(device.questions()).toEqual([]);
  });
});

function parse(timeouts: string, state: string, features: string): FeatureDefinition {
  return parseFeatures(
    `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: test }
spec: { timeouts: { ${timeouts} }, state: ${state}, features: ${features} }
`,
    'test.yaml',
  );
}

const definition = parseFeatures(FEATURES, 'by-port.yaml');
const everySecond = parseFeatures(
  `${FEATURES}  classify: { packets: [2, 3] }\n  state: { n: { count: true } }\n`,
  'by-port.yaml',
);
const [RED, GREEN, BLUE] = [0, 1, 2];
const plain: ClassAction = { way: 'none', port: 0, dscp: undefined, session: 0, tell: false };

describeWith(loading, 'a host with an agent asks a worker', () => {
  let device: ActingDevice;
  let worker: Worker;
  let told: Init<'P4Data'>[];
  beforeAll(async () => {
    worker = await startWorker();
    device = await agentDevice();
    const { config, updates } = await flowPipelines.xdp!(definition, byPort(SMALL));
    await device.client.pipeline.commit(config);
    await device.client.write([
      ...updates,
      insertion({ table: ports, keys: [1], action: cross, parameters: [2] }),
      insertion(classEntry(RED, { ...plain, tell: true })),
      insertion(classEntry(BLUE, { ...plain, way: 'cross', port: 3, tell: true })),
    ]);
    told = await toldOf(device.client);
  });
  afterAll(async () => {
    await device?.close();
    await worker?.close();
  });

  const asks = (below: number, port: number, rate = 1000) =>
    device.client.write([
      insertion({
        table: escalation,
        keys: [],
        action: ask,
        parameters: [below, 0x7f000001, port, modelId, rate],
      }),
    ]);
  const count = async (name: (typeof flowEvents)[number]): Promise<number> => {
    const index = BigInt(flowOutcomes.length + flowEvents.indexOf(name));
    const [entity] = await device.client.readAll([
      { counterEntry: { counterId: flowCounter.id, index: { index } } },
    ]);
    return Number(entity?.counterEntry?.data?.packetCount ?? 0n);
  };
  const counts = async () => ({
    asked: await count('asked'),
    answered: await count('answered'),
    shed: await count('shed'),
  });
  const frame = (sourcePort: number, destinationPort: number) =>
    udp4({ sourcePort, destinationPort, payload: [1, 2, 3] });
  const out = async (sourcePort: number, destinationPort: number): Promise<number[]> => {
    const frames = await device.through([frame(sourcePort, destinationPort)], 1);
    return [frames[2].length, frames[3].length];
  };
  const classOf = (data: Init<'P4Data'>): number =>
    Buffer.from(data.struct?.members?.[0]?.bitstring ?? []).at(-1) ?? 0;

  it('asks nobody before it is told to', async () => {
    expect(await out(1, 1000)).toEqual([1, 0]);
    expect(await counts()).toEqual({ asked: 0, answered: 0, shed: 0 });
  });

  it('takes the action of the answer from then on, and tells it', async () => {
    await asks(10, worker.port);
    told.length = 0;
    // The first packet has the verdict of the host's own model; what the worker says holds for those behind it.
    expect(await out(2, 1000)).toEqual([1, 0]);
    await vi.waitFor(async () => expect((await counts()).answered).toBe(1), { timeout: 20_000 });
    expect(await out(2, 1000)).toEqual([0, 1]);
    expect(await out(2, 1000)).toEqual([0, 1]);
    await vi.waitFor(() => expect(told.map(classOf)).toEqual([RED, BLUE]), { timeout: 20_000 });
    // One that it is sure of.
    expect(await out(3, 1001)).toEqual([1, 0]);
    expect(await counts()).toEqual({ asked: 1, answered: 1, shed: 0 });
    expect(Object.values(worker.statistics().answered).reduce((a, b) => a + b, 0)).toBe(1);
  });

  it('goes on after the agent is started anew', async () => {
    await device.restart();
    expect(await out(2, 1000)).toEqual([0, 1]);
    expect(await out(4, 1000)).toEqual([1, 0]);
    await vi.waitFor(async () => expect((await counts()).answered).toBe(2), { timeout: 20_000 });
    expect(await out(4, 1000)).toEqual([0, 1]);
  });

  it('keeps its own verdict where no answer comes, and asks no more than its budget', async () => {
    const gone = await startWorker();
    await gone.close();
    await asks(10, gone.port, 2);
    for (const port of [11, 12, 13, 14]) expect(await out(port, 1000)).toEqual([1, 0]);
    const { asked, answered, shed } = await counts();
    expect([asked + shed, answered]).toEqual([6, 2]);
    expect(asked).toBeGreaterThanOrEqual(4);
    await asks(0, worker.port);
    expect(await out(15, 1000)).toEqual([1, 0]);
    expect((await counts()).asked).toBe(asked);
  });

  it('gives the entry back as it was written', async () => {
    await asks(9, 1234, 77);
    const [entity] = await device.client.readAll([
      { tableEntry: { tableId: escalation.id, isDefaultAction: true } },
    ]);
    const params = entity?.tableEntry?.action?.action?.params ?? [];
    expect(params.map((p) => Number(BigInt(`0x${Buffer.from(p.value!).toString('hex')}`)))).toEqual([
      9,
      0x7f000001,
      1234,
      modelId,
      77,
    ]);
  });
});

describe('a worker that is asked', () => {
  it('is no help if its model is another, ends in no verdict, or is gone', async () => {
    const worker = await startWorker();
    const place = { address: '127.0.0.1', port: worker.port };
    const said = async (model: LargerModel, features: readonly number[]) =>
      new Promise((resolve) => model.ask(Uint8Array.from(features), resolve));
    try {
      using right = new LargerModel({ ...place, modelId });
      expect(await right.isThere(10_000)).toBe(true);
      expect(await said(right, [3, 0, 0])).toEqual({ class: BLUE, margin: 30 });
      expect(right.trouble).toBeUndefined();
      expect(await said(right, [3, 0])).toBeUndefined();
      expect(right.trouble).toContain('bad_shape');
      // It finds its way back.
      expect(await said(right, [0, 100, 0])).toEqual({ class: GREEN, margin: 100 });
      using other = new LargerModel({ ...place, modelId: 6 });
      expect(await said(other, [3, 0, 0])).toBeUndefined();
      expect(other.trouble).toContain('no model 6');
    } finally {
      await worker.close();
    }
    using gone = new LargerModel({ ...place, modelId });
    expect(await said(gone, [3, 0, 0])).toBeUndefined();
    expect(gone.trouble).toContain('does not answer');
  });
});

/** A switch whose requests go to a worker over this process: its port 3 is the cable. */
describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'a switch asks a worker', () => {
  let device: ActingDevice;
  let worker: Worker;
  const path = { port: 3, address: '10.9.0.1', mac: '02:00:00:00:09:01', nextMac: '02:00:00:00:09:02' };
  const place = { address: '10.9.0.2', port: 18858, modelId };
  beforeAll(async () => {
    worker = await startWorker();
    device = await switchDevice();
    const { config, updates } = await flowPipelines.bmv2!(everySecond, byPort(SMALL), true);
    await device.client.pipeline.commit(config);
    const layerCount = byPort(LARGE).layers.length;
    await device.client.write([
      ...updates,
      insertion({ table: ports, keys: [1], action: cross, parameters: [2] }),
      insertion({ table: ports, keys: [3], action: cross, parameters: [2] }),
      insertion(classEntry(BLUE, { ...plain, way: 'drop' })),
      ...escalationUpdates({ ...place, below: 10, rate: 1000, path: { ...path, layerCount } }, 3),
    ]);
  });
  afterAll(async () => {
    await device?.close();
    await worker?.close();
  });

  const count = async (index: number): Promise<number> => {
    const [entity] = await device.client.readAll([
      { counterEntry: { counterId: flowCounter.id, index: { index: BigInt(index) } } },
    ]);
    return Number(entity?.counterEntry?.data?.packetCount ?? 0n);
  };
  const event = (name: (typeof flowEvents)[number]) => count(flowOutcomes.length + flowEvents.indexOf(name));
  const frame = (sourcePort: number, destinationPort: number) =>
    udp4({ sourcePort, destinationPort, payload: Array.from({ length: 200 }, (_, i) => i) });
  /** What the worker says to a request of the switch, as a frame to the switch. */
  const answerTo = (request: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const socket = createSocket('udp4');
      socket.on('message', (payload) => {
        socket.close();
        resolve(
          Buffer.from(
            encodeFrame(
              {
                sourceMac: request.subarray(0, 6),
                destinationMac: request.subarray(6, 12),
                sourceIp: request.subarray(30, 34),
                destinationIp: request.subarray(26, 30),
                sourcePort: request.readUInt16BE(36),
                destinationPort: request.readUInt16BE(34),
              },
              payload,
            ),
          ),
        );
      });
      socket.send(request.subarray(42), worker.port, '127.0.0.1');
    });

  it('clones a packet to a whole request, and keeps the answer', async () => {
    // The class of a flow is known with its second packet, which is asked about.
    expect((await device.through([frame(1, 1000)], 1))[2].length).toBe(1);
    const { 2: passed, 3: requests } = await device.through([frame(1, 1000)], 2);
    expect([passed.length, requests.length]).toEqual([1, 1]);
    expect(passed[0]!.equals(Buffer.from(frame(1, 1000)))).toBe(true);
    const request = requests[0]!;
    expect(internetChecksum(request.subarray(14, 34))).toBe(0);
    expect(request.readUInt16BE(16)).toBe(request.length - 14);
    const packet = decodePacket(framePayload(request)!)!;
    expect([...packet.activations]).toEqual([3, 0, 0]);
    const answer = await answerTo(request);
    expect(decodePacket(framePayload(answer)!)!.activations).toEqual(Buffer.from([BLUE, 30]));
    // Somebody else's: another job, another sender, another kind.
    const [job, sender, kind] = [42 + 16, 26, 42 + 3].map((at) => {
      const other = Buffer.from(answer);
      other[at]! ^= 0x55;
      return other;
    }) as [Buffer, Buffer, Buffer];
    await device.through([job, sender, kind], 3);
    expect(await event('answered')).toBe(0);
    expect((await device.through([frame(1, 1000)], 1))[2].length).toBe(1);
    // The answer goes no further, and stands: packets of the flow are dropped as its class is, and it is not asked about again.
    const after = await device.through([answer], 0);
    expect([after[2].length, after[3].length]).toEqual([0, 0]);
    const late = await device.through([frame(1, 1000), frame(1, 1000)], 0);
    expect([late[2].length, late[3].length]).toEqual([0, 0]);
    // The two of others that look alike are a flow, which was asked about too.
    expect([await event('asked'), await event('answered'), await event('overdue')]).toEqual([2, 1, 0]);
    // It comes twice.
    await device.through([answer], 0);
    expect([await event('answered'), await event('overdue')]).toEqual([1, 1]);
    // One that it is sure of.
    const sure = await device.through([frame(2, 1001), frame(2, 1001)], 2);
    expect([sure[2].length, sure[3].length]).toEqual([2, 0]);
  });

  it('accounts for every packet', async () => {
    let sum = 0;
    for (let i = 0; i < flowOutcomes.length; i++) sum += await count(i);
    // Two and one of the flow, three of others, an answer, two of the flow, the answer again, two that it is sure of.
    expect(sum).toBe(2 + 3 + 1 + 1 + 2 + 1 + 2);
  });
});

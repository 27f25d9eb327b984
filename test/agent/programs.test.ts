import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { slotCounter } from '../../src/backends/common/table-model.ts';
import { encodeDeviceConfig, type ProgramPart } from '../../src/backends/xdp/device-config.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { programLayout, xdpP4InfoOf } from '../../src/backends/xdp/p4info.ts';
import type { XdpPlan } from '../../src/backends/xdp/plan.ts';
import { planReplacement } from '../../src/backends/xdp/replacement.ts';
import { PROGRAM_SLOTS, slotOutcomes } from '../../src/dataplane/abi.ts';
import type { Model } from '../../src/model/model.ts';
import { type P4Client, P4RuntimeError, type PipelineConfig } from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { buildXdp, planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { requestFrame } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { random, randomRows } from '../support/random.ts';
import { connect, counters, Entities, startOn } from './controller.ts';
import { layNetwork, type Network } from './network.ts';
import { during } from './process.ts';

const SHAPES = 4;
const MODELS_A_SHAPE = 4;
const INPUTS = 8;
/** Changes while packets flow: one model comes and one goes each time. `INTRANSIT_CHURN=60` is the full minute. */
const CHANGES = Number(process.env.INTRANSIT_CHURN ?? 6);
/** A change takes several seconds beside other work. */
const CHURN_MS = 300_000 + 10_000 * CHANGES;
const PAUSE_MS = process.env.INTRANSIT_CHURN === undefined ? 50 : 900;

const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;

/** Shapes differ by their width; models of one by their weights. */
function modelFor(shape: number, seed: number): Model {
  const r = random(100 * shape + seed);
  const [hidden, outs] = [4 + shape, 2 + shape];
  const weights = (count: number) => Array.from({ length: count }, () => r.int(-7, 7));
  return modelOf(
    { ...grid, shape: [INPUTS] },
    [
      { kind: 'dense', weights: weights(INPUTS * hidden), weightScale: 0.237, output: grid },
      { kind: 'dense', weights: weights(hidden * outs), weightScale: 0.237, output: grid },
    ],
    `m${shape}-${seed}`,
  );
}

/** A model that is here: its weights stand in a slot of the program of its shape. */
interface Placed {
  readonly id: number;
  readonly shape: number;
  readonly slot: number;
  readonly model: Model;
  readonly plan: XdpPlan;
}

describeWith(loading, 'several programs of an agent', () => {
  const bases = Array.from({ length: SHAPES }, (_, shape) => planOrRefuse(modelFor(shape, 0), {}));
  const rows = randomRows(random(4), 64, INPUTS);
  const rowOf = (n: number) => rows.subarray((n % 64) * INPUTS, ((n % 64) + 1) * INPUTS);
  let parts: readonly ProgramPart[];
  let network: Network;
  let agent: Agent;
  let client: P4Client;

  beforeAll(async () => {
    using folder = temporaryFolder();
    const built: ProgramPart[] = [];
    for (const [index, plan] of bases.entries()) {
      const elf = readFileSync(await buildXdp(emitXdp(plan), folder.path));
      built.push({ index, source: `shape ${index}`, manifest: plan, elf });
    }
    parts = built;
    network = layNetwork(2);
    agent = await startOn(network);
    client = await connect(agent.address, { timeoutMs: 60_000 });
  }, 120_000);
  afterAll(async () => {
    client?.close();
    await agent?.close();
    network?.[Symbol.dispose]();
  });

  const pipeline = (...shapes: number[]): PipelineConfig => ({
    p4info: xdpP4InfoOf(shapes.map((i) => programLayout(bases[i]!, i))),
    deviceConfig: encodeDeviceConfig(shapes.map((i) => parts[i]!)),
  });

  const place = (shape: number, at: number, seed: number, id: number): Placed => {
    const model = modelFor(shape, seed);
    return { id, shape, slot: PROGRAM_SLOTS * shape + at, model, plan: planOrRefuse(model, { modelId: id }) };
  };
  const entitiesOf = ({ plan }: Placed) => new Entities(plan, pipeline(0, 1, 2, 3).p4info);
  const weightsOf = (p: Placed) =>
    entitiesOf(p).weights(planReplacement(bases[p.shape]!, p.model, 1), p.slot);

  async function install(p: Placed): Promise<void> {
    const e = entitiesOf(p);
    await client.modify(weightsOf(p));
    await client.insert([e.version(1, 1, p.slot), e.version(0, 1, p.slot), e.modelId]);
  }
  async function remove(p: Placed): Promise<void> {
    const e = entitiesOf(p);
    await client.delete([e.version(0, 1, p.slot), e.version(1, 1, p.slot), e.modelId]);
    await client.delete(weightsOf(p));
  }
  const frameFor = (p: Placed, n: number) => requestFrame(p.plan, rowOf(n), { sequence: n, modelVersion: 0 });

  /** How many were not computed, or not by the model that they asked for, by id. */
  const faultsOf = (frames: readonly Buffer[], asked: (n: number) => Placed) => {
    const faults: Record<number, number> = {};
    for (const frame of frames) {
      const { header, activations } = decodePacket(framePayload(frame)!)!;
      const { id, model } = asked(header.sequence);
      if (
        header.kind !== packetKinds.result ||
        header.modelId !== id ||
        Buffer.compare(activations, interpret(model, rowOf(header.sequence))) !== 0
      )
        faults[id] = (faults[id] ?? 0) + 1;
    }
    return faults;
  };

  /** Of all slots together. */
  async function bySlot(): Promise<Record<string, number>> {
    const cells = await client.readAll([{ counterEntry: { counterId: slotCounter.id } }]);
    const sums: Record<string, number> = {};
    for (const [i, cell] of cells.entries()) {
      const name = slotOutcomes[i % slotOutcomes.length]!;
      sums[name] = (sums[name] ?? 0) + Number(cell.counterEntry?.data?.packetCount ?? 0n);
    }
    return sums;
  }

  const staying: Placed[] = [];

  it('compute sixteen models of four shapes', async () => {
    await client.pipeline.commit(pipeline(0, 1, 2, 3));
    await client.insert([entitiesOf(place(0, 0, 0, 1)).port(1, 2)]);
    for (let shape = 0; shape < SHAPES; shape++)
      for (let at = 0; at < MODELS_A_SHAPE; at++) {
        const p = place(shape, at, at, 1 + MODELS_A_SHAPE * shape + at);
        staying.push(p);
        await install(p);
      }
    const count = 320;
    const asked = (n: number) => staying[n % staying.length]!;
    for (let n = 0; n < count; n++) network.ports[0]!.socket.send(frameFor(asked(n), n));
    const frames = await network.ports[1]!.socket.until(count);
    expect(await counters(client)).toEqual({ computed: count });
    expect(frames.length).toBe(count);
    expect(faultsOf(frames, asked)).toEqual({});
    expect(await bySlot()).toEqual({ computed: count, unsure: 0, shed: 0, refused: 0 });
    const cell = await client.readAll([
      { counterEntry: { counterId: slotCounter.id, index: { index: PROGRAM_SLOTS * slotOutcomes.length } } },
    ]);
    expect(cell[0]?.counterEntry?.data?.packetCount).toBe(20n);
  });

  it('say which program or slot is not here', async () => {
    const p = place(1, 3, 9, 99);
    const e = entitiesOf(p);
    const refused = await client.insert([e.version(1, 1, 200)]).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(P4RuntimeError);
    const [update] = (refused as P4RuntimeError).updates;
    expect([update?.code, update?.message]).toEqual([
      status.INVALID_ARGUMENT,
      expect.stringContaining('slot 200 is of program 12, which is not here'),
    ]);
  });

  it('come and go, shapes too, and no packet of the others is lost or wrong', {
    timeout: CHURN_MS,
  }, async () => {
    const before = (await counters(client)).computed!;
    const sumsBefore = await bySlot();
    const changes = (async () => {
      for (let i = 0; i < CHANGES; i++) {
        // The last shape goes with its models and comes back: its program is loaded while the others compute.
        const last = SHAPES - 1;
        const own = staying.filter((p) => p.shape === last);
        if (i % 3 === 2) {
          for (const p of own) await remove(p);
          await client.pipeline.reconcile(pipeline(0, 1, 2));
          await client.pipeline.reconcile(pipeline(0, 1, 2, 3));
          for (const p of own) await install(p);
        }
        const p = place(i % last, MODELS_A_SHAPE + (i % 8), 50 + i, 100 + i);
        await install(p);
        await sleep(PAUSE_MS);
        await remove(p);
      }
    })();
    // The models of the shapes that stay.
    const always = staying.filter((p) => p.shape < SHAPES - 1);
    const asked = (n: number) => always[n % always.length]!;
    const [a, b] = network.ports.map(({ socket }) => socket);
    const traffic = await during(changes, a!, b!, (n) => frameFor(asked(n), n));
    expect(traffic.sent).toBeGreaterThan(100);
    expect(traffic.received.length).toBe(traffic.sent);
    expect(faultsOf(traffic.received, asked)).toEqual({});
    expect((await counters(client)).computed).toBe(before + traffic.sent);
    expect((await bySlot()).computed).toBe(sumsBefore.computed! + traffic.sent);
    console.log('sixteen models on an agent', JSON.stringify({ sent: traffic.sent, changes: CHANGES }));
    // And the one that came back computes as before.
    const back = staying.filter((p) => p.shape === SHAPES - 1);
    for (const [n, p] of back.entries()) network.ports[0]!.socket.send(frameFor(p, n));
    const frames = await network.ports[1]!.socket.until(back.length);
    expect(faultsOf(frames, (n) => back[n]!)).toEqual({});
    expect(frames.length).toBe(back.length);
  });

  it('go on over a restart of the agent', async () => {
    client.close();
    await agent.close();
    agent = await startOn(network);
    expect(agent.restored).toBe(true);
    client = await connect(agent.address, { timeoutMs: 60_000 });
    const asked = (n: number) => staying[n % staying.length]!;
    for (let n = 0; n < 32; n++) network.ports[0]!.socket.send(frameFor(asked(n), n));
    const frames = await network.ports[1]!.socket.until(32);
    expect(faultsOf(frames, asked)).toEqual({});
    expect(frames.length).toBe(32);
  });
});

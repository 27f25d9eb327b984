import { createSocket, type Socket } from 'node:dgram';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSender, createWireSender, type WireShape, wireShape } from '../../../src/ends/edge/index.ts';
import type { Worker } from '../../../src/ends/worker/index.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import {
  decodePacket,
  encodePacket,
  flagTurnRound,
  flagWorker,
  type InferencePacket,
  type PacketOutcome,
  packetKinds,
  packetOutcomes,
  requestPacket,
} from '../../../src/wire/index.ts';
import { random } from '../../support/random.ts';
import { between, example, kept, LOCAL, sender, worker } from '../edge/loopback.ts';
import { lossy } from '../edge/relay.ts';

/** A plain socket that keeps what comes in. */
async function client() {
  const socket: Socket = createSocket('udp4');
  const packets: InferencePacket[] = [];
  let wake = () => {};
  socket.on('message', (payload) => {
    packets.push(decodePacket(payload)!);
    wake();
  });
  await new Promise<void>((done) => socket.bind(0, LOCAL, done));
  return kept({
    packets,
    port: socket.address().port,
    send: ({ port }: Worker, payload: Uint8Array) =>
      new Promise<void>((done, fail) => socket.send(payload, port, LOCAL, (e) => (e ? fail(e) : done()))),
    async received(count: number) {
      while (packets.length < count)
        await new Promise<void>((done) => {
          wake = done;
        });
      return packets;
    },
    close: () => new Promise<void>((done) => socket.close(done)),
  });
}

describe('a worker', () => {
  let mlp: Awaited<ReturnType<typeof example>>;
  let shape: WireShape;
  beforeAll(async () => {
    mlp = await example('traffic-mlp', { rows: 200 });
    shape = wireShape(mlp.model);
  });
  const held = () => worker({ ...mlp, on: 'reference', modelId: 5, modelVersion: 3, zones: [2, 9] });
  const row = () => mlp.rows.subarray(0, 16);
  const request = (change: Partial<InferencePacket['header']> = {}, activations: Uint8Array = row()) => {
    const options = { modelId: 5, modelVersion: 3, layerCount: 3, element: 'uint8' } as const;
    const { header } = requestPacket(activations, { ...options, jobId: 0xfedcba9876543210n, sequence: 77 });
    return encodePacket({ header: { ...header, ...change }, activations });
  };

  it.each<[title: string, args: Parameters<typeof request>, reason: PacketOutcome]>([
    ['another model', [{ modelId: 6 }], 'unknown_model'],
    ['another version', [{ modelVersion: 2 }], 'unknown_version'],
    ['a cursor behind the end', [{ nextLayer: 3 }], 'cursor_elsewhere'],
    ['another number of layers', [{ layerCount: 4 }], 'bad_shape'],
    ['another element type', [{ elementType: 2 }], 'bad_shape'],
    ['too few elements', [{ elementCount: 15 }, new Uint8Array(15)], 'bad_shape'],
    ['no elements', [{ elementCount: 0 }, new Uint8Array(0)], 'bad_shape'],
    ['a fragment beyond the last', [{ fragmentIndex: 1 }], 'bad_shape'],
    ['no fragments', [{ fragmentCount: 0 }], 'bad_shape'],
    ['a piece of the wrong size', [{ fragmentCount: 2 }], 'bad_shape'],
    ['a zone that it is not in', [{ trustZone: 3 }], 'zone_refused'],
  ])('refuses %s by name', async (_, args, reason) => {
    const w = await held();
    const c = await client();
    await c.send(w, request(...args));
    const [{ header, activations } = c.packets[0]!] = await c.received(1);
    expect(header).toMatchObject({ ...args[0], kind: packetKinds.error, elementCount: 1, sequence: 77 });
    expect(header.jobId).toBe(0xfedcba9876543210n);
    expect(packetOutcomes[activations[0]!]!.name).toBe(reason);
    expect(w.statistics().refused).toEqual({ [reason]: 1 });
  });

  it('answers its own version, the current one, and its zones', async () => {
    const w = await held();
    for (const more of [{ modelVersion: 3 }, { modelVersion: 0 }, { zone: 9 }]) {
      const s = await sender(w.port, { model: mlp.model, modelId: 5, ...more });
      const { answers, statistics } = await s.send(mlp.rows);
      expect(Buffer.compare(answers, mlp.expected)).toBe(0);
      expect(statistics.versions).toEqual({ 3: 200 });
    }
  });

  it('counts garbage, and goes on', async () => {
    const w = await held();
    const c = await client();
    const r = random(7);
    const good = request();
    await c.send(w, new Uint8Array(0));
    await c.send(w, good.subarray(0, 20));
    await c.send(w, good.subarray(0, good.length - 1));
    await c.send(w, Uint8Array.of(...good, 0));
    for (let i = 0; i < 100; i++)
      await c.send(
        w,
        Uint8Array.from({ length: r.int(32, 1400) }, () => r.int(0, 255)),
      );
    // Any single field broken: an answer, an error or silence, but never the end.
    for (let i = 0; i < 500; i++) {
      const broken = Uint8Array.from(good);
      broken[r.int(0, 31)] = r.int(0, 255);
      await c.send(w, broken);
    }
    const s = await sender(w.port, { model: mlp.model, modelId: 5 });
    expect((await s.send(mlp.rows)).lost).toEqual([]);
    const { malformed, received } = w.statistics();
    expect(malformed.bad_magic).toBeGreaterThanOrEqual(100);
    expect(malformed.truncated).toBeGreaterThanOrEqual(3);
    expect(malformed.oversized).toBeGreaterThanOrEqual(1);
    expect(received).toBeGreaterThanOrEqual(804);
  });

  it('sends on what the network has finished, once', async () => {
    const w = await held();
    const c = await client();
    const result = { kind: packetKinds.result, nextLayer: 3, elementType: 2, elementCount: 7 };
    await c.send(w, request(result, Uint8Array.of(1, 2, 3, 4, 5, 6, 7)));
    const [relayed] = await c.received(1);
    expect(relayed!.header).toMatchObject({ ...result, flags: flagTurnRound });
    expect(Array.from(relayed!.activations)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    // Turned round already: two workers would pass it to and fro for ever.
    await c.send(w, encodePacket(relayed!));
    await c.send(w, request());
    await c.received(2);
    expect(w.statistics()).toMatchObject({ relayed: 1, ignored: 1, answered: { 0: 1 } });
  });

  it('brings answers of the network to senders that want them by way of it', async () => {
    const w = await worker({ ...mlp, on: 'reference' });
    // A device that does not turn round: it computes every other packet to its end, and sends it on.
    let turn = 0;
    const path = await between(w, {
      forward(payload) {
        const { header, activations } = decodePacket(payload)!;
        expect(header.flags & flagTurnRound).toBe(0);
        if (turn++ % 2 === 0) return [payload];
        const result = { kind: packetKinds.result, nextLayer: 3, elementType: 2, elementCount: 7 };
        const computed = { header: { ...header, ...result }, activations: interpret(mlp.model, activations) };
        return [encodePacket(computed)];
      },
    });
    const s = await sender(path.port, { model: mlp.model, turnRound: false });
    const { answers, statistics } = await s.send(mlp.rows);
    expect(Buffer.compare(answers, mlp.expected)).toBe(0);
    expect(statistics.by).toEqual({ network: 100, worker: 100, large: 0 });
    expect(w.statistics()).toMatchObject({ relayed: 100, answered: { 0: 100 } });
  });

  it('answers a probe by what it holds, and no reply to one', async () => {
    const w = await held();
    const s = await sender(w.port, { model: mlp.model, modelId: 99 });
    expect(await s.probe()).toEqual({ modelId: 5, modelVersion: 3, layerCount: 3, queue: 0 });
    const c = await client();
    await c.send(w, request({ kind: packetKinds.probe, elementCount: 0 }, new Uint8Array(0)));
    const [reply] = await c.received(1);
    expect(reply!.header.flags).toBe(flagTurnRound | flagWorker);
    await c.send(w, encodePacket(reply!));
    await c.send(w, request({ kind: packetKinds.error, elementCount: 1 }, Uint8Array.of(8)));
    await c.send(w, request());
    await c.received(2);
    expect(w.statistics()).toMatchObject({ probes: 2, ignored: 2 });
  });

  it('keeps senders of one job id apart, and a job id can be used again', async () => {
    const cnn = await example('digits-cnn', { rows: 60 });
    const w = await worker({ ...cnn, on: 'onnxruntime' });
    const jobId = 42n;
    const other = await example('digits-cnn', { rows: 120 });
    const [rows, expected] = [other.rows.subarray(60 * 64), other.expected.subarray(600)];
    const make = () => sender(w.port, { model: cnn.model, layers: 1, mtu: 120, jobId });
    const [a, b] = [await make(), await make()];
    const [first, second] = await Promise.all([a.send(cnn.rows), b.send(rows)]);
    expect(Buffer.compare(first.answers, cnn.expected)).toBe(0);
    expect(Buffer.compare(second.answers, expected)).toBe(0);
    // The same job and the same sequence numbers, once more; and another set of rows under it.
    const again = await (await make()).send(rows);
    expect(Buffer.compare(again.answers, expected)).toBe(0);
    expect(Buffer.compare((await a.send(rows)).answers, expected)).toBe(0);
  });

  it('a path that loses, doubles and reorders costs time, not answers', async () => {
    const w = await worker({ ...mlp, on: 'reference' });
    const path = await between(w, lossy(random(11)));
    const s = await sender(path.port, { model: mlp.model, timeoutMs: 100, retries: 30, window: 20 });
    const { answers, lost, statistics } = await s.send(mlp.rows);
    expect(lost).toEqual([]);
    expect(Buffer.compare(answers, mlp.expected)).toBe(0);
    expect(statistics.retried).toBeGreaterThan(0);
    expect(statistics.duplicates).toBeGreaterThan(0);
    expect(statistics.differing).toBe(0);
  });

  it('so it is with fragments of requests and results', async () => {
    const cnn = await example('digits-cnn', { rows: 60 });
    const w = await worker({ ...cnn, on: 'onnxruntime', mtu: 65 });
    const path = await between(w, lossy(random(12)));
    const options = { layers: 1, mtu: 160, timeoutMs: 150, retries: 60, window: 10 };
    const s = await sender(path.port, { model: cnn.model, ...options });
    const { answers, lost, statistics } = await s.send(cnn.rows);
    expect(lost).toEqual([]);
    expect(Buffer.compare(answers, cnn.expected)).toBe(0);
    expect(statistics.sent).toBeGreaterThan(60 * 6);
    expect(w.statistics().fragments.duplicates).toBeGreaterThan(0);
  });

  it('tells the sender why, once, and the sender does not ask again', async () => {
    const w = await held();
    const s = await sender(w.port, { model: mlp.model, modelId: 5, modelVersion: 8, window: 10 });
    const { lost, statistics } = await s.send(mlp.rows);
    expect(lost).toHaveLength(200);
    expect(lost[3]).toEqual({ row: 3, reason: 'unknown_version' });
    expect(statistics).toMatchObject({ answered: 0, sent: 200, errors: { unknown_version: 200 } });
  });

  it('a sender of tensors alone needs no model', async () => {
    const w = await worker({ ...mlp, on: 'reference' });
    const s = kept(await createWireSender(shape, { to: { host: LOCAL, port: w.port }, timeoutMs: 2000 }));
    expect(Buffer.compare((await s.send(mlp.rows)).answers, mlp.expected)).toBe(0);
  });

  it('refuses an address that is taken, and gives it back when it closes', async () => {
    const w = await worker({ ...mlp, on: 'reference' });
    const taken = { ...mlp, on: 'reference', listen: { host: LOCAL, port: w.port } } as const;
    await expect(worker(taken)).rejects.toThrow(/cannot listen on 127.0.0.1:\d+.*EADDRINUSE/);
    await w.close();
    const next = await worker(taken);
    const s = await createSender({ model: mlp.model, to: { host: LOCAL, port: next.port } });
    expect((await s.send(row())).lost).toEqual([]);
    await s.close();
  });
});

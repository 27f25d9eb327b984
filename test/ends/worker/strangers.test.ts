import { createSocket, type Socket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWireSender } from '../../../src/ends/edge/index.ts';
import { Cookies } from '../../../src/ends/worker/cookies.ts';
import { Holdings } from '../../../src/ends/worker/holdings.ts';
import { loadWorkerModel } from '../../../src/ends/worker/index.ts';
import { Listeners } from '../../../src/ends/worker/listeners.ts';
import { LoadedVersion } from '../../../src/ends/worker/loaded-version.ts';
import { type Job, JobQueue } from '../../../src/ends/worker/queue.ts';
import { defaultLimits } from '../../../src/ends/worker/reassembly.ts';
import { Service } from '../../../src/ends/worker/service.ts';
import { SourceRates } from '../../../src/ends/worker/source-rates.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import {
  decodePacket,
  encodePacket,
  HEADER_BYTES,
  type InferencePacket,
  packetKinds,
  requestPacket,
  TOKEN_BYTES,
} from '../../../src/wire/index.ts';
import { testFolder } from '../../support/io.ts';
import { example, kept, LOCAL, sender, worker } from '../edge/loopback.ts';

const folder = testFolder();

/** A model of one input and very many outputs, as somebody would make it who wants long answers. */
async function amplifier(outputs: number) {
  const file = join(folder, `amplifier-${outputs}.json`);
  const weights = Array.from({ length: outputs }, (_, i) => (i % 255) - 127);
  const layer = { kind: 'dense', weights, weightScale: 0.02, output: { element: 'int8', scale: 0.5 } };
  const input = { element: 'uint8', shape: [1], scale: 0.1 };
  writeFileSync(file, JSON.stringify({ format: 'intransit-model', version: 1, input, layers: [layer] }));
  return loadWorkerModel(file);
}

/** A socket at one of the addresses of loopback, and what it hears. */
async function stranger(address: string) {
  const socket: Socket = createSocket('udp4');
  const heard: { payload: Buffer; packet: InferencePacket }[] = [];
  socket.on('message', (payload) => heard.push({ payload, packet: decodePacket(payload)! }));
  await new Promise<void>((done) => socket.bind(0, address, done));
  return kept({
    heard,
    bytes: () => heard.reduce((sum, { payload }) => sum + payload.length, 0),
    send: (port: number, packet: InferencePacket) =>
      new Promise<void>((done) => socket.send(encodePacket(packet), port, LOCAL, () => done())),
    close: () => new Promise<void>((done) => socket.close(done)),
  });
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((done) => setTimeout(done, 5));
};

const request = (tensor: Uint8Array, layerCount: number, sequence = 0) =>
  requestPacket(tensor, { modelId: 1, modelVersion: 0, layerCount, element: 'uint8', sequence });

const proofOf = ({ header, activations }: InferencePacket): InferencePacket => ({
  header: { ...header, kind: packetKinds.proof, elementCount: activations.length },
  activations,
});

/** A model of one layer that leaves its one byte as it is. */
const element = { element: 'uint8', shape: [1], scale: 1 };
writeFileSync(
  join(folder, 'same.json'),
  JSON.stringify({
    format: 'intransit-model',
    version: 1,
    input: element,
    layers: [{ kind: 'transpose', axes: [0] }],
  }),
);

/** The service of a worker around an engine of ours. */
async function served(run: (rows: Uint8Array) => Promise<Uint8Array>, batch = 1) {
  const socket = createSocket('udp4');
  await new Promise<void>((done) => socket.bind(0, LOCAL, done));
  const told: string[] = [];
  const holdings = new Holdings();
  const { model } = await loadWorkerModel(join(folder, 'same.json'));
  const finisher = { on: 'reference', run, close: async () => {} } as const;
  holdings.add(
    new LoadedVersion({ model }, 1, new Map([[0, finisher]]), { large: undefined, upstream: undefined }),
  );
  holdings.setCurrent(1, 1);
  const service = new Service(socket, {
    holdings,
    zones: new Set(),
    sourceRate: undefined,
    onEngineError: (reason, rows) => told.push(`${reason}: ${rows}`),
    batch,
    overloadMs: 50,
    reassembly: defaultLimits,
  });
  socket.on('message', (payload, from) => service.receive(payload, from));
  kept({
    async close() {
      await service.stop(0);
      await new Promise<void>((done) => socket.close(done));
    },
  });
  return { service, told, port: socket.address().port };
}

describe('an address that may be made up', () => {
  it('gets at most three times what it sent, and all once it has shown that it listens', async () => {
    const loaded = await amplifier(3000);
    const w = await worker({ ...loaded, on: 'reference' });
    const [a, b] = [await stranger('127.7.0.1'), await stranger('127.7.0.2')];
    const ask = request(Uint8Array.of(9), 1);
    const asked = HEADER_BYTES + 1;
    for (let i = 0; i < 20; i++) await a.send(w.port, ask);
    await until(() => a.heard.length === 20);
    expect(a.bytes()).toBeLessThanOrEqual(3 * 20 * asked);
    const challenge = a.heard[0]!.packet;
    expect(challenge.header).toMatchObject({ kind: packetKinds.challenge, elementCount: TOKEN_BYTES });
    expect(w.statistics()).toMatchObject({ challenged: 20, answered: {}, proven: 0 });
    // Somebody else's token, a damaged one and none prove nothing.
    const damaged = Uint8Array.from(challenge.activations, (v, i) => (i === 7 ? v ^ 1 : v));
    await b.send(w.port, proofOf(challenge));
    await a.send(w.port, proofOf({ ...challenge, activations: damaged }));
    await a.send(w.port, proofOf({ ...challenge, activations: new Uint8Array(0) }));
    await until(() => w.statistics().badProofs === 3);
    expect([a.heard.length, b.heard.length]).toEqual([20, 0]);
    await a.send(w.port, proofOf(challenge));
    await until(() => w.statistics().proven === 1);
    await a.send(w.port, ask);
    await until(() => w.statistics().answered['0'] === 1);
    await until(() => a.heard.length === 20 + 3);
    const answer = Buffer.concat(a.heard.slice(20).map(({ packet }) => packet.activations));
    expect(Buffer.compare(answer, interpretRows(loaded.model, Uint8Array.of(9)))).toBe(0);
  });

  it('is asked by a sender of the library without anybody noticing but by a count', async () => {
    const loaded = await amplifier(3000);
    const w = await worker({ ...loaded, on: 'reference' });
    const rows = Uint8Array.from({ length: 150 }, (_, i) => i);
    const s = await sender(w.port, { model: loaded.model });
    const { answers, lost, statistics } = await s.send(rows);
    expect(lost).toEqual([]);
    expect(Buffer.compare(answers, interpretRows(loaded.model, rows))).toBe(0);
    expect(statistics.challenged).toBeGreaterThan(0);
    expect(statistics.challenged).toBeLessThanOrEqual(150);
    expect(statistics.retried).toBe(0);
    // It is known now.
    expect((await s.send(rows)).statistics.challenged).toBe(0);
  });

  it('is not asked where answers are short', async () => {
    const mlp = await example('traffic-mlp', { rows: 20 });
    const w = await worker({ ...mlp, on: 'reference' });
    const s = await sender(w.port, { model: mlp.model });
    expect((await s.send(mlp.rows)).statistics).toMatchObject({ challenged: 0, answered: 20 });
  });

  it('takes no fragments into memory that it may not be answered for', async () => {
    const loaded = await amplifier(3000);
    const w = await worker({ ...loaded, on: 'reference' });
    const a = await stranger('127.7.0.3');
    const { header, activations } = request(Uint8Array.of(1), 1);
    for (let i = 0; i < 50; i++)
      await a.send(w.port, { header: { ...header, sequence: i, fragmentCount: 1 }, activations });
    await until(() => a.heard.length === 50);
    expect(w.statistics().fragments.pending).toBe(0);
  });
});

describe('a flood', () => {
  it('from addresses that do not listen costs an honest sender next to nothing', async () => {
    // 8 rows in 5 ms at most: the flood alone is twice as much as it can compute.
    const { service, port } = await served(
      (rows) => new Promise((done) => setTimeout(done, 5, Uint8Array.from(rows))),
      8,
    );
    const flooders = await Promise.all(Array.from({ length: 40 }, (_, i) => stranger(`127.8.0.${i + 1}`)));
    const ask = request(Uint8Array.of(1), 1);
    // None of them ever brings a token back.
    const flood = setInterval(() => {
      for (const f of flooders) void f.send(port, ask);
    }, 12);
    try {
      await until(() => service.statistics().challenged > 100);
      const wire = { element: 'uint8', count: 1 } as const;
      const shape = { layerCount: 1, nextLayer: 0, input: wire, output: wire };
      const to = { host: LOCAL, port };
      const s = kept(await createWireSender(shape, { to, timeoutMs: 2000, window: 32 }));
      const rows = Uint8Array.from({ length: 300 }, (_, i) => i);
      const { answers, statistics } = await s.send(rows);
      expect(statistics.answered).toBeGreaterThanOrEqual(297);
      expect(Buffer.compare(answers, rows)).toBe(0);
      expect(statistics.challenged).toBeGreaterThan(0);
      expect(service.statistics().proven).toBe(1);
    } finally {
      clearInterval(flood);
    }
  });

  it('of one host that listens leaves every other its share', () => {
    const queue = new JobQueue(1000, 1e6);
    const job = (address: string, port: number) =>
      ({ header: {}, tensor: new Uint8Array(10), from: { address, port } }) as unknown as Job;
    let taken = 0;
    for (let i = 0; i < 5000; i++) if (queue.add(0, job('10.0.0.66', i))) taken++;
    expect(taken).toBe(1000);
    // Full: but as soon as a batch is gone, there is room for the others, and for them alone.
    queue.take(64);
    for (let i = 0; i < 50; i++) expect(queue.add(0, job('10.0.0.1', i))).toBe(true);
    expect(queue.add(0, job('10.0.0.66', 1))).toBe(false);
    expect(queue.add(3, job('10.0.0.2', 0))).toBe(true);
    const hosts = (most: number) => queue.take(most)!.jobs.map((j) => j.from.address);
    // Turn by turn: half of the batch is the small one's, though it came last.
    expect(hosts(40).filter((host) => host === '10.0.0.1')).toHaveLength(20);
    const computations = [queue.take(8)!.computation, queue.take(8)!.computation, queue.take(8)!.computation];
    expect(computations).toContain(3);
    let left = 0;
    while (queue.take(100) !== undefined) left++;
    expect([queue.length, left > 0]).toEqual([0, true]);
  });

  it('of one host can be limited by its rate', async () => {
    const rates = new SourceRates(100);
    const granted = (host: string, n: number, now: number) =>
      Array.from({ length: n }, () => rates.take(host, now)).filter(Boolean).length;
    expect([granted('a', 500, 0), granted('b', 50, 0)]).toEqual([100, 50]);
    expect([granted('a', 500, 250), granted('b', 500, 250)]).toEqual([25, 75]);
    expect(granted('a', 500, 1e9)).toBe(100);
    const mlp = await example('traffic-mlp', { rows: 20 });
    const w = await worker({ ...mlp, on: 'reference', sourceRate: 5 });
    const s = await sender(w.port, { model: mlp.model, timeoutMs: 300, retries: 20 });
    expect((await s.send(mlp.rows)).lost).toEqual([]);
    expect(w.statistics().limited).toBeGreaterThan(0);
  });
});

describe('what is remembered of addresses', () => {
  const at = (port: number, address = '10.0.0.1') => ({ address, port });

  it('a token is good for its address, its port and two periods', () => {
    const cookies = new Cookies();
    const token = cookies.make(at(5), 1000);
    expect(token.length).toBe(TOKEN_BYTES);
    expect(cookies.isGood(token, at(5), 2000)).toBe(true);
    expect(cookies.isGood(token, at(6), 2000)).toBe(false);
    expect(cookies.isGood(token, at(5, '10.0.0.2'), 2000)).toBe(false);
    expect(cookies.isGood(token, at(5), 31_000)).toBe(true);
    expect(cookies.isGood(token, at(5), 61_000)).toBe(false);
    expect(new Cookies().isGood(token, at(5), 2000)).toBe(false);
    for (let byte = 0; byte < TOKEN_BYTES; byte++)
      expect(
        cookies.isGood(
          Uint8Array.from(token, (v, i) => v ^ Number(i === byte)),
          at(5),
          31_500,
        ),
      ).toBe(false);
  });

  it('is bounded, a host at a time and in all, and ends', () => {
    const listeners = new Listeners();
    const prove = (port: number, address?: string) =>
      listeners.prove(listeners.challenge(at(port, address), 0), at(port, address), 0);
    for (let port = 1; port <= 3000; port++) expect(prove(port)).toBe(true);
    expect(listeners.length).toBe(1024);
    expect([listeners.has(at(3000), 1), listeners.has(at(1), 1)]).toEqual([true, false]);
    for (let i = 0; i < 17_000; i++) prove(1, `10.1.${i >> 8}.${i & 255}`);
    expect(listeners.length).toBe(16_384);
    expect(listeners.has(at(1, '10.1.66.103'), 299_000)).toBe(true);
    expect(listeners.has(at(1, '10.1.66.103'), 300_000)).toBe(false);
  });
});

describe('the end of a worker', () => {
  it('comes within its grace time, whatever the engine does, and what waits is refused by then', async () => {
    const { service, port } = await served(() => new Promise(() => {}));
    const a = await stranger('127.7.0.9');
    for (let i = 0; i < 100; i++) await a.send(port, request(Uint8Array.of(1), 1, i));
    await until(() => service.statistics().received === 100);
    expect(await service.stop(20)).toBe(true);
    await until(() => a.heard.length === 99);
    expect(new Set(a.heard.map(({ packet }) => packet.header.kind))).toEqual(new Set([packetKinds.error]));
    expect(service.statistics()).toMatchObject({ abandoned: 99, queue: 0 });
  });

  it('does not wait for its time where nothing waits', async () => {
    const { service, port } = await served(async () => Uint8Array.of(7));
    const a = await stranger('127.7.0.10');
    await a.send(port, request(Uint8Array.of(1), 1));
    await until(() => a.heard.length === 1);
    expect(await service.stop(3_600_000)).toBe(false);
  });
});

describe('an engine that fails', () => {
  it('is told once by its message, and counted', async () => {
    let runs = 0;
    const { service, told, port } = await served(() =>
      Promise.reject(new Error(`out of memory\nat 0x${++runs > 2 ? '9' : '0'}`)),
    );
    const a = await stranger('127.7.0.11');
    for (let i = 0; i < 5; i++) await a.send(port, request(Uint8Array.of(1), 1, i));
    await until(() => a.heard.length === 5);
    expect(told).toEqual(['out of memory: 1']);
    expect(service.statistics()).toMatchObject({
      engineErrors: { 'out of memory': 5 },
      refused: { failed: 5 },
    });
  });
});

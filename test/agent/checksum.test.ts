/** UDP checksums of requests at an agent's data plane, beside the kernel's own opinion of them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import type { P4Client } from '../../src/p4runtime/index.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import {
  encodePacket,
  framePayload,
  HEADER_BYTES,
  OUTER_BYTES,
  requestPacket,
} from '../../src/wire/index.ts';
import { checksums, requestFrame, withBytes, withField, withUdpSum } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf, randomLinear } from '../support/models.ts';
import { random, randomRows } from '../support/random.ts';
import { connect, counters, startOn } from './controller.ts';
import { install } from './installed.ts';
import { layNetwork, type Network } from './network.ts';

const grid = { element: 'uint8', scale: 0.05, zeroPoint: 3 } as const;
/** An odd number of activations, so that the last word of the sum is half a one. */
const plan = planOrRefuse(
  modelOf({ ...grid, shape: [13] }, [
    { kind: 'dense', ...randomLinear(random(5), 13, 8, grid), output: grid, rounding: 'onnx' },
    { kind: 'dense', ...randomLinear(random(6), 8, 3, grid), output: grid, rounding: 'onnx' },
  ]),
  { to: 1, modelId: 9, modelVersion: 4 },
);

/** A socket of the host behind port 2: says the sequence number of each datagram that the kernel hands to it. */
const RECEIVER = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (m) => console.log(m.readUInt32BE(24)));
socket.bind(${plan.options.port}, () => console.log('ready'));`;

/** A socket of the host behind port 1 sends what it is given, from an interface that is to finish the sums. */
const SENDER = `
const socket = require('node:dgram').createSocket('udp4');
socket.send(Buffer.from(process.argv[1], 'hex'), ${plan.options.port}, '10.77.0.2', () => socket.close());`;

const FRAMES = 400;

describeWith(loading, 'UDP checksums at an agent', () => {
  let network: Network;
  let agent: Agent;
  let client: P4Client;
  let receiver: ChildProcess;
  const heard: number[] = [];
  beforeAll(async () => {
    network = layNetwork(2);
    for (const { hostNetns, port } of network.ports)
      execFileSync('ip', ['-n', hostNetns, 'address', 'add', `10.77.0.${port}/24`, 'dev', 'h0']);
    const peer = ['neighbour', 'add', '10.77.0.2', 'lladdr', '02:00:00:00:02:02', 'dev', 'h0'];
    execFileSync('ip', ['-n', network.ports[0]!.hostNetns, ...peer]);
    agent = await startOn(network);
    client = await connect(agent.address);
    await install(client, plan);
    receiver = spawn('ip', ['netns', 'exec', network.ports[1]!.hostNetns, process.execPath, '-e', RECEIVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: receiver.stdout! });
    await once(lines, 'line');
    lines.on('line', (line) => heard.push(Number(line)));
  });
  afterAll(async () => {
    receiver?.kill();
    client?.close();
    await agent?.close();
    network?.[Symbol.dispose]();
  });

  /** A request to the receiver, whose checksum is right, or left out, or anything else. */
  function frameOf(r: ReturnType<typeof random>, sequence: number): Uint8Array {
    let frame = requestFrame(plan, randomRows(r, 1, 13), { sequence });
    frame.set([2, 0, 0, 0, 2, 2], 0);
    frame.set([10, 77, 0, 1, 10, 77, 0, 2], 26);
    frame = withBytes(frame, 24, 0, 0);
    const { ip } = checksums(frame);
    frame = withBytes(frame, 24, ip >> 8, ip & 0xff);
    switch (r.pick(['right', 'absent', 'damaged', 'any', 'ones', 'complement'] as const)) {
      case 'right':
        return withUdpSum(frame, 'right');
      case 'absent':
        return withUdpSum(frame, 'absent');
      case 'damaged': {
        // The reserved word, or an activation.
        const at = r.int(OUTER_BYTES + HEADER_BYTES - 2, frame.length - 1);
        return withBytes(withUdpSum(frame, 'right'), at, frame[at]! ^ (1 << r.int(0, 7)));
      }
      case 'any':
        return withBytes(frame, 40, r.int(0, 255), r.int(1, 255));
      // 0xffff, the other form of 0: right, as the reserved word takes what is left.
      case 'ones': {
        const ones = withBytes(frame, 40, 0xff, 0xff);
        return withField(ones, 'reserved', checksums(ones).udp!);
      }
      case 'complement': {
        const right = withUdpSum(frame, 'right');
        return withBytes(right, 40, ~right[40]! & 0xff, ~right[41]! & 0xff);
      }
    }
  }

  it('computes the requests that the kernel would hand to a socket, and no other', async () => {
    const before = await counters(client);
    const counted = async (name: 'computed' | 'bad_checksum') =>
      ((await counters(client))[name] ?? 0) - (before[name] ?? 0);
    heard.length = 0;
    const r = random(20_261_127);
    for (let i = 0; i < FRAMES; i++) network.ports[0]!.socket.send(frameOf(r, i));
    await expect
      .poll(async () => (await counted('computed')) + (await counted('bad_checksum')), { timeout: 60_000 })
      .toBe(FRAMES);
    const [computed, wrong] = [await counted('computed'), await counted('bad_checksum')];
    expect(Math.min(computed, wrong)).toBeGreaterThan(FRAMES / 4);
    await expect.poll(() => heard.length, { timeout: 60_000 }).toBe(computed);
    const passed = network.ports[1]!.socket.receive().map((frame) => Buffer.from(framePayload(frame)!));
    const answered = passed.filter((p) => p.readUInt8(10) === 1).map((p) => p.readUInt32BE(24));
    expect([...heard].sort((a, b) => a - b)).toEqual(answered.sort((a, b) => a - b));
  });

  it('computes what a socket behind a veth sends, whose sum the kernel leaves to the interface', async () => {
    const before = await counters(client);
    heard.length = 0;
    const payload = encodePacket(
      requestPacket(randomRows(random(8), 1, 13), {
        modelId: 9,
        modelVersion: 4,
        layerCount: 2,
        nextLayer: 0,
        element: 'uint8',
        sequence: 4711,
      }),
    );
    network.ports[1]!.socket.receive();
    execFileSync('ip', [
      'netns',
      'exec',
      network.ports[0]!.hostNetns,
      process.execPath,
      '-e',
      SENDER,
      Buffer.from(payload).toString('hex'),
    ]);
    await expect.poll(() => heard.length, { timeout: 60_000 }).toBe(1);
    expect(heard).toEqual([4711]);
    expect((await counters(client)).computed).toBe((before.computed ?? 0) + 1);
    const [answer] = network.ports[1]!.socket.receive();
    expect(checksums(answer!)).toEqual({ ip: 0, udp: 0 });
  });
});

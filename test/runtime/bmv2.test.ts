import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { insertion } from '../../src/backends/common/entries.ts';
import { outcomeCounter, permit, zones } from '../../src/backends/common/table-model.ts';
import type { V1modelPlan } from '../../src/backends/v1model/plan.ts';
import { v1modelReplacement } from '../../src/backends/v1model/replacement.ts';
import { ownerMark, privateBase } from '../../src/durable/index.ts';
import type { Model } from '../../src/model/model.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { createBmv2Engine, planV1modelOrRefuse, requestFrame } from '../../src/runtime/bmv2/engine.ts';
import { exchange } from '../../src/runtime/bmv2/exchange.ts';
import { type Bmv2Session, openBmv2 } from '../../src/runtime/bmv2/session.ts';
import { clearLeftovers } from '../../src/runtime/bmv2/workspace.ts';
import { summariseP4c } from '../../src/toolchain/p4c.ts';
import {
  decodePacket,
  fieldOffset,
  flagTurnRound,
  framePayload,
  type HeaderFieldName,
  OUTER_BYTES,
  onesComplementSum,
  outcomeIndex,
  type PacketOutcome,
  packetKinds,
  udpChecksum,
} from '../../src/wire/index.ts';
import { exampleModel, exampleRows } from '../backends/v1model/examples.ts';
import { randomModels } from '../backends/v1model/random-models.ts';
import { bmv2Mismatches, describeWith, P4C, SWITCH } from '../backends/v1model/tools.ts';
import { withBytes, withUdpSum } from '../support/frames.ts';
import { randomMlp } from '../support/models.ts';
import { random, randomRows } from '../support/random.ts';

/** Folders of switches that this process has started; others may be at work beside it. */
const ownFolders = (): string[] =>
  readdirSync(privateBase()!).filter((name) => name.startsWith(`bmv2-${ownerMark()}-`));

describeWith([P4C, SWITCH], 'models on BMv2', () => {
  test.each([
    ['digits-mlp', 500],
    ['traffic-mlp', 500],
    ['digits-cnn', 60],
  ] as const)('%s: %d rows without a mismatch', async (name, count) => {
    const model = await exampleModel(name);
    expect(await bmv2Mismatches(model, exampleRows(name, model, count))).toBe(0);
  });

  test('without lanes, and with static weights', async () => {
    const model = await exampleModel('traffic-mlp');
    const rows = exampleRows('traffic-mlp', model, 50);
    expect(await bmv2Mismatches(model, rows, { weights: 'static' })).toBe(0);
    const last = { ...model, input: model.layers[1]!.output, layers: [{ ...model.layers[2]!, inputs: [0] }] };
    const activations = randomRows(random(3), 20, 16);
    expect(await bmv2Mismatches(last, activations, { lanes: 'off' })).toBe(0);
  });

  test('random dense networks', async () => {
    let done = 0;
    for (const { seed, model } of randomModels(randomMlp, 100)) {
      const plan = planV1modelOrRefuse(model, {});
      if (plan.lowered.layouts.reduce((sum, l) => sum + l.products, 0) > 80) continue;
      expect(await bmv2Mismatches(model, randomRows(random(seed), 30, plan.inputs)), `seed ${seed}`).toBe(0);
      if (++done === 5) break;
    }
    expect(done).toBe(5);
  });

  test('progress is told, and nothing stays behind', async () => {
    const model = await exampleModel('traffic-mlp');
    const told: number[] = [];
    const engine = await createBmv2Engine(model, { onProgress: (rows) => told.push(rows) });
    await engine.run(exampleRows('traffic-mlp', model, 130));
    expect(await engine.run(new Uint8Array(0))).toHaveLength(0);
    await engine.close();
    expect(told).toEqual([64, 128, 130]);
    expect(ownFolders()).toEqual([]);
  });
});

describeWith([P4C, SWITCH], 'packets on BMv2', () => {
  let model: Model;
  let plan: V1modelPlan;
  let session: Bmv2Session;
  let row: Uint8Array;

  beforeAll(async () => {
    model = await exampleModel('traffic-mlp');
    plan = planV1modelOrRefuse(model, {});
    row = exampleRows('traffic-mlp', model, 1);
    const zone = { table: zones, keys: [7], action: permit, parameters: [] };
    session = await openBmv2(plan, [insertion(zone)]);
  });
  afterAll(() => session.close());

  async function send(frame: Uint8Array): Promise<{ port: number; packet: Uint8Array }> {
    let got: { port: number; packet: Uint8Array } | undefined;
    await exchange(session, {
      count: 1,
      file: 'test',
      frame: () => frame,
      receive: ({ port, packet }) => {
        got = { port, packet: Uint8Array.from(packet) };
      },
    });
    return got!;
  }

  async function counts(): Promise<Record<string, number>> {
    const cells = await session.device.client.readAll([{ counterEntry: { counterId: outcomeCounter.id } }]);
    return Object.fromEntries(
      cells.map(({ counterEntry: c }) => [`${c!.index!.index}`, Number(c!.data!.packetCount)]),
    );
  }

  /** A good request with one thing changed. */
  const spoilt = (change: (frame: Uint8Array) => Uint8Array | undefined): Uint8Array => {
    const frame = requestFrame(plan, row, 1);
    return change(frame) ?? frame;
  };
  const at = (field: HeaderFieldName) => OUTER_BYTES + fieldOffset(field);
  const set = (field: HeaderFieldName, value: number, offset = 0) =>
    spoilt((f) => {
      f[at(field) + offset] = value;
      return undefined;
    });
  /** The same, with a checksum that fits. */
  const setWhole = (field: HeaderFieldName, value: number, offset = 0) =>
    withUdpSum(set(field, value, offset), 'right');
  const setOuter = (offset: number, ...bytes: number[]) =>
    spoilt((f) => {
      f.set(bytes, offset);
      return undefined;
    });

  const foreign = (length: number) => Uint8Array.from({ length }, (_, i) => i * 7);

  test.each<[PacketOutcome, string, () => Uint8Array]>([
    ['foreign', 'ARP', () => setOuter(12, 0x08, 0x06)],
    ['foreign', 'TCP', () => setOuter(23, 6)],
    ['foreign', 'IPv6 in the version', () => setOuter(14, 0x65)],
    ['foreign', 'another port', () => setOuter(36, 0, 53)],
    ['foreign', 'noise', () => foreign(60)],
    ['foreign', 'a frame shorter than Ethernet', () => foreign(9)],
    ['foreign', 'an IPv4 header that is cut off', () => requestFrame(plan, row, 1).subarray(0, 30)],
    ['ip_fragment', 'more fragments', () => setOuter(20, 0x20, 0)],
    ['ip_fragment', 'an offset', () => setOuter(20, 0, 9)],
    ['ip_options', 'six words', () => setOuter(14, 0x46)],
    ['truncated', 'four words', () => setOuter(14, 0x44)],
    ['truncated', 'within our header', () => requestFrame(plan, row, 1).subarray(0, 60)],
    ['truncated', 'within the activations', () => requestFrame(plan, row, 1).subarray(0, 80)],
    ['truncated', 'a UDP length below the header', () => setOuter(38, 0, 30)],
    ['truncated', 'a UDP length below the activations', () => setOuter(38, 0, 50)],
    ['truncated', 'an IPv4 length below the UDP length', () => setOuter(16, 0, 70)],
    ['oversized', 'a UDP length beyond the activations', () => setOuter(38, 0, 60)],
    ['oversized', 'an IPv4 length beyond the UDP length', () => setOuter(16, 0, 90)],
    ['bad_magic', 'magic', () => set('magic', 0)],
    ['bad_magic', 'header version', () => set('headerVersion', 2)],
    ['not_request', 'a result', () => set('kind', packetKinds.result)],
    ['unknown_model', 'model', () => set('modelId', 9, 1)],
    ['unknown_version', 'version', () => set('modelVersion', 9, 1)],
    ['cursor_elsewhere', 'cursor', () => set('nextLayer', 1)],
    ['bad_shape', 'layer count', () => set('layerCount', 9)],
    ['bad_shape', 'element type', () => set('elementType', 2)],
    ['bad_shape', 'element count', () => set('elementCount', 15, 1)],
    ['tensor_fragment', 'count', () => set('fragmentCount', 2)],
    ['tensor_fragment', 'index', () => set('fragmentIndex', 1)],
    ['zone_refused', 'a zone that is not ours', () => set('trustZone', 8)],
    ['bad_checksum', 'another activation', () => spoilt((f) => f.fill(f.at(-1)! ^ 1, f.length - 1))],
    ['bad_checksum', 'another job', () => set('jobId', 4)],
    ['bad_checksum', 'another source', () => setOuter(29, 99)],
    ['bad_checksum', 'another sum', () => setOuter(40, 0x12, 0x34)],
    [
      'bad_checksum',
      "another source's partial sum",
      () => spoilt((f) => withBytes(withUdpSum(f, 'partial'), 29, 99)),
    ],
  ])('%s (%s): passed on byte for byte, and counted', async (outcome, _, make) => {
    const frame = make();
    const before = await counts();
    const { packet, port } = await send(frame);
    expect(Buffer.from(packet).toString('hex')).toBe(Buffer.from(frame).toString('hex'));
    expect(port).toBe(2);
    const after = await counts();
    const grown = Object.keys(after).filter((i) => after[i] !== before[i]);
    expect(grown).toEqual([`${outcomeIndex(outcome)}`]);
    expect(after[outcomeIndex(outcome)]).toBe(before[outcomeIndex(outcome)]! + 1);
  });

  /** The answer's header, and that both checksums of the frame are right. */
  function checked(frame: Uint8Array) {
    expect(onesComplementSum(frame.subarray(14, 34))).toBe(0xffff);
    const view = new DataView(frame.buffer, frame.byteOffset);
    expect(view.getUint16(16)).toBe(frame.length - 14);
    const checksum = view.getUint16(40);
    if (checksum !== 0) {
      const datagram = Uint8Array.from(frame.subarray(34));
      datagram.fill(0, 6, 8);
      expect(checksum).toBe(udpChecksum(frame.subarray(26, 30), frame.subarray(30, 34), datagram));
    }
    const packet = decodePacket(framePayload(frame)!)!;
    expect(Buffer.from(packet.activations)).toEqual(Buffer.from(interpret(model, row)));
    return { ...packet.header, checksum };
  }

  test('an answer: header, lengths and checksums', async () => {
    const { packet, port } = await send(requestFrame(plan, row, 77));
    expect(port).toBe(2);
    expect(checked(packet)).toMatchObject({
      kind: packetKinds.result,
      nextLayer: 3,
      layerCount: 3,
      elementType: 2,
      elementCount: 7,
      modelVersion: 1,
      sequence: 77,
    });
  });

  test('a UDP checksum of 0 stays 0', async () => {
    const { packet } = await send(setOuter(40, 0, 0));
    expect(checked(packet).checksum).toBe(0);
  });

  test('of a partial sum comes a whole one', async () => {
    const { packet } = await send(withUdpSum(requestFrame(plan, row, 1), 'partial'));
    expect(checked(packet).checksum).not.toBe(0);
  });

  test('an IPv4 checksum that was wrong stays wrong', async () => {
    const { packet } = await send(setOuter(24, 1, 2));
    expect(onesComplementSum(packet.subarray(14, 34))).not.toBe(0xffff);
  });

  test('padding is cut off', async () => {
    const padded = spoilt((f) => Uint8Array.from([...f, 0, 0, 0, 0, 0]));
    checked((await send(padded)).packet);
  });

  test('a zone that is ours, and version 0 for the current one', async () => {
    expect(checked((await send(setWhole('trustZone', 7))).packet).trustZone).toBe(7);
    expect(checked((await send(setWhole('modelVersion', 0, 1))).packet).modelVersion).toBe(1);
  });

  test('turn-round: back out of the port that it came from, addresses swapped', async () => {
    const request = setWhole('flags', flagTurnRound, 1);
    const { packet, port } = await send(request);
    expect(port).toBe(1);
    checked(packet);
    const part = (f: Uint8Array, from: number, to: number) => Buffer.from(f.subarray(from, to));
    expect(part(packet, 0, 6)).toEqual(part(request, 6, 12));
    expect(part(packet, 26, 30)).toEqual(part(request, 30, 34));
    expect(part(packet, 34, 36)).toEqual(part(request, 36, 38));
  });

  test('two versions side by side, one write flips the current one', async () => {
    const other: Model = {
      ...model,
      layers: model.layers.map((l) =>
        l.kind === 'dense' ? { ...l, weights: l.weights.map((w) => -w), name: `${l.name}` } : l,
      ),
    };
    const { install, makeCurrent } = v1modelReplacement(plan, other, { modelVersion: 2, slot: 1 });
    await session.device.client.write(install);
    const answer = async (version: number) => {
      const { packet } = await send(setWhole('modelVersion', version, 1));
      return Buffer.from(decodePacket(framePayload(packet)!)!.activations);
    };
    const [first, second] = [interpret(model, row), interpret(other, row)].map((b) => Buffer.from(b));
    expect(first).not.toEqual(second);
    expect([await answer(1), await answer(2), await answer(0)]).toEqual([first, second, first]);
    await session.device.client.write([makeCurrent]);
    expect([await answer(1), await answer(2), await answer(0)]).toEqual([first, second, second]);
  });
});

describeWith([P4C, SWITCH], 'checksums of answers', () => {
  /** One piece of ten bytes; an odd number of bytes; pieces of one byte each. */
  test.each([
    ['digits-mlp', 0, 2],
    ['traffic-mlp', 1, 3],
    ['digits-cnn', 3, 4],
  ] as const)('%s, layers %d..%d', async (name, from, to) => {
    const plan = planV1modelOrRefuse(await exampleModel(name), { from, to });
    const session = await openBmv2(plan);
    const rows = randomRows(random(5), 40, plan.inputs);
    let right = 0;
    try {
      await exchange(session, {
        count: 40,
        file: name,
        frame: (i) => requestFrame(plan, rows.subarray(i * plan.inputs, (i + 1) * plan.inputs), i),
        receive({ packet }) {
          const datagram = Uint8Array.from(packet.subarray(34));
          const checksum = new DataView(datagram.buffer).getUint16(6);
          datagram.fill(0, 6, 8);
          if (checksum === udpChecksum(packet.subarray(26, 30), packet.subarray(30, 34), datagram)) right++;
        },
      });
    } finally {
      await session.close();
    }
    expect(right).toBe(40);
  });
});

describeWith([P4C, SWITCH], 'when things go wrong', () => {
  test('a switch that dies is told of, with its end, and leaves nothing', async () => {
    const model = await exampleModel('traffic-mlp');
    const session = await openBmv2(planV1modelOrRefuse(model, {}));
    process.kill(session.device.pid, 'SIGKILL');
    const silent = exchange(session, {
      count: 1,
      file: 'traffic-mlp.onnx',
      frame: () => new Uint8Array(60),
      receive: () => {},
    });
    await expect(silent).rejects.toThrow(
      /the switch failed: (was ended by SIGKILL|14 UNAVAILABLE|.*cancel)/i,
    );
    await session.close();
  });

  test('silence ends in a message', async () => {
    const session = await openBmv2(planV1modelOrRefuse(await exampleModel('traffic-mlp'), {}));
    try {
      const lost = exchange(session, {
        count: 2,
        file: 'traffic-mlp.onnx',
        timeoutMs: 300,
        frame: (i) => new Uint8Array(i === 0 ? 60 : 0),
        receive: () => {},
      });
      await expect(lost).rejects.toThrow('1 of 2 packets came back, then none for 0.3 s');
    } finally {
      await session.close();
    }
  });

  test("two at once are in nobody's way, and open no door to a network", async () => {
    const plan = planV1modelOrRefuse(await exampleModel('traffic-mlp'), {});
    const sessions = await Promise.all([openBmv2(plan), openBmv2(plan)]);
    try {
      const doors = execFileSync('ss', ['--listening', '--tcp', '--numeric', '--processes'], {
        encoding: 'utf8',
      });
      for (const { device } of sessions) expect(doors).not.toContain(`pid=${device.pid},`);
    } finally {
      for (const session of sessions) await session.close();
    }
  });

  test('what a killed run left behind is cleared by the next one, switch and all', async () => {
    // A process that opens a switch and is killed: nothing of its own can clear up.
    const script = new URL('./bmv2-orphan.ts', import.meta.url).pathname;
    const run = spawn(process.execPath, ['--import', 'tsx', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [directory, pid] = await new Promise<string[]>((resolve) => {
      run.stdout.once('data', (text: Buffer) => resolve(text.toString().trim().split(' ')));
    });
    // A zombie, which nobody may be there to reap, has no command line.
    const alive = () => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
    run.kill('SIGKILL');
    await new Promise((resolve) => run.once('exit', resolve));
    expect([existsSync(directory!), alive()]).toEqual([true, true]);
    clearLeftovers();
    expect(existsSync(directory!)).toBe(false);
    await vi.waitFor(() => expect(alive()).toBe(false));
  });
});

describe('missing tools', () => {
  const empty = mkdtempSync(join(tmpdir(), 'intransit-path-'));
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => rmSync(empty, { recursive: true }));

  test('p4c and the switch are named, with where to get them', async () => {
    vi.stubEnv('PATH', empty);
    const model = await exampleModel('traffic-mlp');
    await expect(createBmv2Engine(model)).rejects.toThrow(
      /p4c-bm2-ss is not on the PATH \[missing-tool\]\n {2}help: .*p4lang/,
    );
  });
});

test('the first complaint of p4c is the summary', () => {
  const log = [
    '/tmp/x/program.p4(12): [--Werror=type-error] error: width of left operand of shift needs to be specified',
    '    a = b << 3;',
    '[--Werror=overlimit] error: 1 errors encountered, aborting compilation',
  ].join('\n');
  expect(summariseP4c(log)).toBe(
    '[--Werror=type-error] error: width of left operand of shift needs to be specified (and 1 more)',
  );
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertion, modification } from '../../src/backends/common/entries.ts';
import {
  cross,
  drop,
  ipv4Lpm,
  outcomeCounter,
  refusedRequests,
  route,
  steer,
} from '../../src/backends/common/table-model.ts';
import { v1modelP4Info } from '../../src/backends/v1model/emit.ts';
import type { V1modelPlan } from '../../src/backends/v1model/plan.ts';
import { currentEntry } from '../../src/backends/v1model/tables.ts';
import { type DecodedDigest, decodeDigest, P4Program } from '../../src/p4runtime/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planV1modelOrRefuse, requestFrame } from '../../src/runtime/bmv2/engine.ts';
import { exchange } from '../../src/runtime/bmv2/exchange.ts';
import { type Bmv2Session, openBmv2 } from '../../src/runtime/bmv2/session.ts';
import {
  decodePacket,
  fieldOffset,
  flagUnsure,
  framePayload,
  OUTER_BYTES,
  onesComplementSum,
  outcomeIndex,
  packetKinds,
  udpChecksum,
} from '../../src/wire/index.ts';
import { describeWith, P4C, SWITCH } from '../backends/v1model/tools.ts';
import { random, randomRows } from '../support/random.ts';
import { marginClassifier as model } from '../support/small-models.ts';

const MARGIN = 10;

describeWith([P4C, SWITCH], 'tables and digests on BMv2', () => {
  let plan: V1modelPlan;
  let session: Bmv2Session;
  let rows: Uint8Array[];

  beforeAll(async () => {
    plan = planV1modelOrRefuse(model, {});
    session = await openBmv2(plan);
    const all = randomRows(random(3), 200, plan.inputs);
    rows = Array.from({ length: 200 }, (_, i) => all.subarray(i * plan.inputs, (i + 1) * plan.inputs));
  });
  afterAll(() => session?.close());

  async function sendAll(frames: readonly Uint8Array[]): Promise<{ port: number; packet: Uint8Array }[]> {
    const got: { port: number; packet: Uint8Array }[] = [];
    await exchange(session, {
      count: frames.length,
      file: 'test',
      frame: (i) => frames[i]!,
      receive: ({ port, packet }) => {
        got.push({ port, packet: Uint8Array.from(packet) });
      },
    });
    return got;
  }

  const checksumIsRight = (frame: Uint8Array): boolean => {
    const datagram = Uint8Array.from(frame.subarray(34));
    const checksum = new DataView(datagram.buffer).getUint16(6);
    datagram.fill(0, 6, 8);
    return checksum === udpChecksum(frame.subarray(26, 30), frame.subarray(30, 34), datagram);
  };

  const setThreshold = (threshold: number) => {
    const { modelId, modelVersion, from, to } = plan.options;
    const version = { modelId, modelVersion, from, to, slot: 0, layerCount: 2, threshold };
    return session.device.client.write([modification(currentEntry(version))]);
  };

  /** Requests that ask for the current version, whose entry has the threshold. */
  const current = () =>
    rows.map((row, i) => {
      const frame = requestFrame(plan, row, i);
      frame.fill(0, OUTER_BYTES + fieldOffset('modelVersion'), OUTER_BYTES + fieldOffset('modelVersion') + 2);
      const datagram = Uint8Array.from(frame.subarray(34));
      datagram.fill(0, 6, 8);
      const sum = udpChecksum(frame.subarray(26, 30), frame.subarray(30, 34), datagram);
      frame.set([sum >> 8, sum & 0xff], 40);
      return frame;
    });

  describe('early exit', () => {
    test('verdicts below the threshold go on as they came but for the flag; it is set at run time', async () => {
      for (const threshold of [0, MARGIN, 255]) {
        await setThreshold(threshold);
        let unsure = 0;
        for (const { packet } of await sendAll(current())) {
          const { header, activations } = decodePacket(framePayload(packet)!)!;
          const row = rows[header.sequence]!;
          const verdict = interpret(model, row);
          const sure = verdict[1]! >= threshold;
          if (!sure) unsure++;
          expect(header).toMatchObject(
            sure
              ? { kind: packetKinds.result, nextLayer: 2, flags: 0, modelVersion: 1 }
              : { kind: packetKinds.request, nextLayer: 0, flags: flagUnsure, modelVersion: 0 },
          );
          expect([...activations]).toEqual([...(sure ? verdict : row)]);
          expect(checksumIsRight(packet)).toBe(true);
          expect(onesComplementSum(packet.subarray(14, 34))).toBe(0xffff);
        }
        const expected = rows.filter((row) => interpret(model, row)[1]! < threshold).length;
        expect(unsure).toBe(expected);
        if (threshold === MARGIN) expect(expected).toBeGreaterThan(10);
      }
      await setThreshold(0);
    });

    test('an unsure request is not computed again, and counted', async () => {
      const frames = current().slice(0, 5);
      for (const frame of frames) {
        frame[OUTER_BYTES + fieldOffset('flags') + 1]! |= flagUnsure;
        frame.fill(0, 40, 42);
      }
      const back = (await sendAll(frames)).map(({ packet }) => Buffer.from(packet).toString('hex')).sort();
      expect(back).toEqual(frames.map((f) => Buffer.from(f).toString('hex')).sort());
      const counter = {
        counterEntry: { counterId: outcomeCounter.id, index: { index: outcomeIndex('unsure') } },
      };
      const [cell] = await session.device.client.readAll([counter]);
      expect(Number(cell!.counterEntry!.data!.packetCount)).toBeGreaterThanOrEqual(5);
    });
  });

  test('requests are steered by model and layer before their destination counts; answers are not', async () => {
    const mac = (last: number) => 0x02_00_00_00_00_00 + last;
    const entries = [
      insertion({ table: steer, keys: [9, 0], action: cross, parameters: [5] }),
      insertion({ table: steer, keys: [8, 0], action: drop, parameters: [] }),
      insertion({ table: steer, keys: [7, 1], action: route, parameters: [mac(0x51), mac(0x52), 6] }),
      insertion({
        table: ipv4Lpm,
        keys: [{ value: 0xc0000202, prefix: 32 }],
        action: cross,
        parameters: [4],
      }),
    ];
    await session.device.client.write(entries);
    const request = (modelId: number, nextLayer = 0) => {
      const frame = requestFrame(plan, rows[0]!, 1);
      frame[OUTER_BYTES + fieldOffset('modelId') + 1] = modelId;
      frame[OUTER_BYTES + fieldOffset('nextLayer')] = nextLayer;
      return frame;
    };
    const port = async (frame: Uint8Array) => (await sendAll([frame]))[0]!.port;
    expect(await port(request(9))).toBe(5);
    expect(await port(request(9, 1))).toBe(4);
    expect(await port(request(1))).toBe(4);
    await expect(sendAllQuickly(request(8))).resolves.toBe('dropped');
    const [routed] = await sendAll([request(7, 1)]);
    expect(routed!.port).toBe(6);
    expect([...routed!.packet.subarray(0, 12)]).toEqual([2, 0, 0, 0, 0, 0x52, 2, 0, 0, 0, 0, 0x51]);
    expect(routed!.packet[22]).toBe(63);
    expect(onesComplementSum(routed!.packet.subarray(14, 34))).toBe(0xffff);
    await session.device.client.delete(entries.map(({ entity }) => entity!));
  });

  /** A dropped packet is told by the one behind it. */
  async function sendAllQuickly(frame: Uint8Array): Promise<string> {
    const behind = requestFrame(plan, rows[1]!, 4711);
    session.dataplane.send(1, frame);
    const [first] = await sendAll([behind]);
    const { header } = decodePacket(framePayload(first!.packet)!)!;
    return header.sequence === 4711 ? 'dropped' : 'forwarded';
  }

  test('refused requests are told of, where the controller asks for it', async () => {
    const program = new P4Program(v1modelP4Info(plan));
    const { client } = session.device;
    const config = { maxTimeoutNs: 0n, maxListSize: 1, ackTimeoutNs: 0n };
    await client.insert([program.digest('refused_request', config)]);
    const told = new Promise<DecodedDigest>((resolve) => {
      client.on('digest', (list) => {
        resolve(decodeDigest(program.index, list));
        client.acknowledge(list);
      });
    });
    const frame = requestFrame(plan, rows[0]!, 1);
    frame[OUTER_BYTES + fieldOffset('modelVersion') + 1] = 77;
    await sendAll([frame]);
    const item = {
      outcome: BigInt(outcomeIndex('unknown_version')),
      model_id: 1n,
      model_version: 77n,
      next_layer: 0n,
      trust_zone: 0n,
      source: 0xc0000201n,
    };
    expect(await told).toEqual({ name: refusedRequests.name, items: [item] });
  });
});

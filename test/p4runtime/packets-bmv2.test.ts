import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeDigest, decodePacketIn } from '../../src/p4runtime/decode-stream.ts';
import { P4Client } from '../../src/p4runtime/p4-client.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import type { Message } from '../../src/p4runtime/proto/messages.ts';
import { Dataplane, type PortPacket } from '../../src/runtime/bmv2/dataplane.ts';
import { type Switch, startSwitch } from './support/bmv2.ts';
import { bmv2Reason, compileFixture, conformanceP4Info, freePort, haveBmv2 } from './support/tools.ts';

const program = new P4Program(conformanceP4Info);
const CPU_PORT = 510;

/** What the program does with frames of each type. */
const [TO_CONTROLLER, TO_DIGEST, TO_PORT] = [0x9001, 0x9002, 0x9003];

const frame = (type: number, source = 1): Uint8Array => {
  const bytes = new Uint8Array(60);
  bytes.set([2, 0, 0, 0, 0, source], 6);
  bytes.set([type >> 8, type & 0xff], 12);
  return bytes;
};

/** Packets in and out of the switch's ports, seen from both ends: the cases that a server alone cannot show. */
describe.skipIf(!haveBmv2)(`packets and digests through BMv2's data plane${bmv2Reason}`, () => {
  let bmv2: Switch;
  let client: P4Client;
  let backup: P4Client;
  let dataplane: Dataplane;
  const left: PortPacket[] = [];
  const received: Message<'PacketIn'>[] = [];
  const seenByBackup: Message<'PacketIn'>[] = [];
  const lists: Message<'DigestList'>[] = [];

  beforeAll(async () => {
    const packets = `127.0.0.1:${await freePort()}`;
    bmv2 = await startSwitch({ target: ['--dp-grpc-server-addr', packets, '--cpu-port', `${CPU_PORT}`] });
    await bmv2.ready();
    const connect = async (electionId: bigint) => {
      const made = new P4Client({ address: bmv2.address, deviceId: bmv2.deviceId, electionId });
      await made.connect();
      return made;
    };
    client = await connect(10n);
    backup = await connect(5n);
    const { deviceConfig } = compileFixture('conformance.p4');
    await client.pipeline.commit({ p4info: conformanceP4Info, deviceConfig });
    const entry = (type: number, action: { name: string; params?: Record<string, number> }) =>
      program.tableEntry({ table: 'exact16', match: { 'h.ethernet.ethertype': type }, action });
    await client.insert([
      entry(TO_CONTROLLER, { name: 'to_controller', params: { tag: 0x77 } }),
      entry(TO_DIGEST, { name: 'report' }),
      entry(TO_PORT, { name: 'forward', params: { port: 3 } }),
    ]);
    client.on('packetIn', (packet) => received.push(packet));
    backup.on('packetIn', (packet) => seenByBackup.push(packet));
    client.on('digest', (list) => lists.push(list));
    dataplane = new Dataplane(packets, bmv2.deviceId);
    dataplane.listen(
      (packet) => left.push(packet),
      () => {},
    );
    // The stream of packets is up once a frame has come through.
    await vi.waitFor(() => {
      dataplane.send(1, frame(TO_PORT));
      expect(left.length).toBeGreaterThan(0);
    });
  });

  afterAll(async () => {
    dataplane?.close();
    backup?.close();
    client?.close();
    await bmv2?.kill();
  });

  test('a packet-out leaves by the port that its metadata names; a backup sends none', async () => {
    const out = (tag: number) => program.packetOut(frame(0x9999, tag), { egress_port: 7, tag });
    expect(() => backup.packetOut(out(1))).toThrow(/the session is backup/);
    client.packetOut(out(2));
    const sent = await vi.waitFor(() => {
      const found = left.find(({ port }) => port === 7);
      expect(found).toBeDefined();
      return found!;
    });
    expect([...sent.packet]).toEqual([...frame(0x9999, 2)]);
  });

  test('a packet-in comes to the primary with its metadata by name', async () => {
    dataplane.send(4, frame(TO_CONTROLLER));
    await vi.waitFor(() => expect(received).toHaveLength(1));
    const { payload, metadata } = decodePacketIn(program.index, received[0]!);
    expect([...payload]).toEqual([...frame(TO_CONTROLLER)]);
    expect(metadata).toMatchObject({ ingress_port: 4n, tag: 0x77n });
    expect(seenByBackup).toEqual([]);
  });

  test('a digest goes out when its list is full, and what is not acknowledged is not sent again', async () => {
    const config = { maxTimeoutNs: 0n, maxListSize: 2, ackTimeoutNs: 10_000_000_000n };
    await client.insert([program.digest('seen_t', config)]);
    dataplane.send(1, frame(TO_DIGEST, 1));
    dataplane.send(1, frame(TO_DIGEST, 2));
    await vi.waitFor(() => expect(lists).toHaveLength(1));
    expect(decodeDigest(program.index, lists[0]!)).toEqual({
      name: 'seen_t',
      items: [1n, 2n].map((n) => ({ source: (2n << 40n) + n, ethertype: BigInt(TO_DIGEST) })),
    });
    // The first two again are held back; they make no list with the third.
    for (const source of [1, 2, 3, 4]) dataplane.send(1, frame(TO_DIGEST, source));
    await vi.waitFor(() => expect(lists).toHaveLength(2));
    const { items } = decodeDigest(program.index, lists[1]!);
    expect(items).toEqual([3n, 4n].map((n) => ({ source: (2n << 40n) + n, ethertype: BigInt(TO_DIGEST) })));
    for (const list of lists) client.acknowledge(list);
  });
});

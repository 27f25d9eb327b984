import { expect } from 'vitest';
import { clone, digest, digestId, hex, multicast, replica } from './build.ts';
import type { Case } from './case.ts';
import { AE, IA, NF, OK, PD, type Target, UN } from './target.ts';

const item = (source: string) => ({
  struct: { members: [{ bitstring: hex(source) }, { bitstring: hex('0800') }] },
});
const oneEach = { maxListSize: 1, maxTimeoutNs: 0n };

/** The metadata of a packet of the test program. */
const metadata = (port: string) => [
  { metadataId: 1, value: hex(port) },
  { metadataId: 2, value: hex('00') },
  { metadataId: 3, value: hex('05') },
];

async function packetError(
  t: Target,
  send: { payload: Uint8Array; metadata: readonly { metadataId: number; value: Uint8Array }[] },
) {
  const stream = await t.ready();
  stream.send({ packet: send });
  return (await stream.next()).error;
}

/** Replication: 100-104. */
export const replicationCases: readonly Case[] = [
  {
    id: 100,
    title: 'group or session 0',
    async primary(t) {
      expect(await t.insert(multicast(0), clone(0))).toEqual([IA, IA]);
    },
  },
  {
    id: 101,
    title: 'a port and instance twice; one port with two instances is fine',
    async primary(t) {
      expect(
        await t.insert(
          multicast(3, [replica('01', 1), replica('01', 1)]),
          multicast(3, [replica('01', 1), replica('01', 2)]),
        ),
      ).toEqual([IA, OK]);
      await t.delete(multicast(3));
    },
  },
  {
    id: 102,
    title: 'ports as bytes or as a number; the metadata of a group',
    bmv2: 'the metadata is lost',
    async primary(t) {
      const numbered = { instance: 1, egressPort: 2 };
      expect(
        await t.insert(multicast(3, [replica('01')], { metadata: hex('07') }), multicast(4, [numbered])),
      ).toEqual([OK, OK]);
      const { entities } = await t.read([multicast(3, [])]);
      const found = entities[0]?.packetReplicationEngineEntry?.multicastGroupEntry;
      expect(Buffer.from(found!.metadata).toString('hex')).toBe(t.known('07', ''));
      await t.delete(multicast(3), multicast(4));
    },
  },
  {
    id: 103,
    title: 'backup replicas: kept in order; the port that they stand in for, or a pair twice, is refused',
    bmv2: 'ignored',
    async primary(t) {
      const backed = (...ports: readonly string[]) =>
        replica('01', 1, { backupReplicas: ports.map((port) => ({ port: hex(port), instance: 1 })) });
      expect(
        await t.insert(
          multicast(3, [backed('03', '02')]),
          multicast(4, [backed('02', '01')]),
          multicast(5, [backed('02', '02')]),
        ),
      ).toEqual([OK, t.known(IA, OK), t.known(IA, OK)]);
      const [group] = (await t.read([multicast(3)])).entities;
      const backups = group?.packetReplicationEngineEntry?.multicastGroupEntry?.replicas[0]?.backupReplicas;
      expect(backups?.map(({ port }) => Buffer.from(port).toString('hex'))).toEqual(
        t.known(['03', '02'], []),
      );
      for (const id of [3, 4, 5]) await t.delete(multicast(id));
    },
  },
  {
    id: 104,
    title: 'class_of_service out of range; packet_length_bytes 0 is the whole packet',
    bmv2: 'a class is UNIMPLEMENTED',
    async primary(t) {
      expect(await t.insert(clone(3, { classOfService: 99 }), clone(3, { packetLengthBytes: 0 }))).toEqual([
        t.known(IA, UN),
        OK,
      ]);
      await t.delete(clone(3));
    },
  },
];

/** Digests, packet I/O, stream errors: 105-112. */
export const streamCases: readonly Case[] = [
  {
    id: 105,
    title: 'a digest is on between INSERT and DELETE',
    async primary(t, stream) {
      t.device?.injectDigest(digestId, item('01'));
      expect(await t.modify(digest(oneEach))).toEqual([NF]);
      expect(await t.insert(digest(oneEach), digest(oneEach))).toEqual([OK, AE]);
      expect(await stream.silent()).toBe(true);
      expect(await t.delete(digest(), digest())).toEqual([OK, NF]);
      t.device?.injectDigest(digestId, item('01'));
      expect(await stream.silent()).toBe(true);
    },
  },
  {
    id: 106,
    title: 'a list goes out at its size, or when its time is over',
    notOnBmv2: 'needs packets: in packets-bmv2.test.ts',
    async primary(t, stream) {
      await t.insert(digest({ maxListSize: 2, maxTimeoutNs: 60_000_000_000n }));
      t.device?.injectDigest(digestId, item('01'));
      t.device?.injectDigest(digestId, item('01'));
      expect(await stream.silent()).toBe(true);
      t.device?.injectDigest(digestId, item('02'));
      expect((await stream.next()).digest?.data.length).toBe(2);
      await t.modify(digest({ maxListSize: 0, maxTimeoutNs: 20_000_000n }));
      t.device?.injectDigest(digestId, item('03'));
      expect((await stream.next()).digest?.data.length).toBe(1);
      await t.modify(digest(oneEach));
      t.device?.injectDigest(digestId, item('04'));
      const { digest: list } = await stream.next();
      const sources = list?.data.map((d) => d.struct?.members[0]?.bitstring?.[0]);
      expect(sources).toEqual([4]);
    },
  },
  {
    id: 107,
    title: 'what is not acknowledged is not sent again',
    notOnBmv2: 'needs packets: in packets-bmv2.test.ts',
    async primary(t, stream) {
      await t.insert(digest({ ...oneEach, ackTimeoutNs: 60_000_000_000n }));
      t.device?.injectDigest(digestId, item('01'));
      const { listId } = (await stream.next()).digest!;
      t.device?.injectDigest(digestId, item('01'));
      expect(await stream.silent()).toBe(true);
      stream.send({ digestAck: { digestId, listId } });
      expect(await stream.silent()).toBe(true);
      t.device?.injectDigest(digestId, item('01'));
      expect((await stream.next()).digest?.data.length).toBe(1);
    },
  },
  {
    id: 108,
    title: 'digests go to the primary only; an acknowledgement of an unknown one',
    bmv2: 'it is ignored',
    async primary(t, stream) {
      const backup = await t.backup();
      stream.send({ digestAck: { digestId: 12345, listId: 1n } });
      if (t.bmv2) {
        expect(await stream.silent()).toBe(true);
        return;
      }
      expect((await stream.next()).error).toMatchObject({ canonicalCode: IA, digestListAck: {} });
      await t.insert(digest(oneEach));
      t.device?.injectDigest(digestId, item('01'));
      expect((await stream.next()).digest?.digestId).toBe(digestId);
      expect(await backup.silent()).toBe(true);
    },
  },
  {
    id: 109,
    title: 'a packet-out with a field that is missing, unknown or too wide is dropped',
    notOnBmv2: 'missing is 0 there, and stream errors are off by default',
    async server(t) {
      const payload = new Uint8Array(60);
      expect((await packetError(t, { payload, metadata: metadata('01').slice(1) }))?.canonicalCode).toBe(IA);
      expect(t.device?.packets).toEqual([]);
    },
  },
  {
    id: 110,
    title: 'packet-outs of a backup are dropped; packet-ins go to the primary, each field once',
    notOnBmv2: 'needs packets: in packets-bmv2.test.ts; a backup’s are dropped without a word',
    async primary(t, stream) {
      const backup = await t.backup();
      backup.send({ packet: { payload: new Uint8Array(60), metadata: metadata('01') } });
      expect((await backup.next()).error?.canonicalCode).toBe(PD);
      stream.send({ packet: { payload: new Uint8Array(60), metadata: metadata('01') } });
      await expect.poll(() => t.device?.packets.length).toBe(1);
      t.device?.injectPacketIn({ payload: hex('0102'), metadata: metadata('02') });
      const { packet } = await stream.next();
      expect([packet?.payload.length, packet?.metadata.map((m) => m.metadataId)]).toEqual([2, [1, 2, 3]]);
      expect(await backup.silent()).toBe(true);
    },
  },
  {
    id: 111,
    title: 'without a controller header a packet has no metadata',
    notOnBmv2: 'one program serves all cases, and it has the header',
    async primary(t, stream) {
      const p4info = { ...t.config.p4info, controllerPacketMetadata: [] };
      await t.setPipeline('VERIFY_AND_COMMIT', { ...t.config, p4info });
      stream.send({ packet: { payload: new Uint8Array(60) } });
      await expect.poll(() => t.device?.packets.length).toBe(1);
      stream.send({ packet: { payload: new Uint8Array(60), metadata: metadata('01') } });
      expect((await stream.next()).error?.canonicalCode).toBe(IA);
    },
  },
  {
    id: 112,
    title: 'a stream error names its kind, and the stream stays open',
    notOnBmv2: 'stream errors are off by default',
    async primary(t, stream) {
      stream.send({ packet: { payload: new Uint8Array(1) } });
      expect((await stream.next()).error?.packetOut?.packetOut?.payload.length).toBe(1);
      stream.send({});
      expect((await stream.next()).error?.canonicalCode).toBe(IA);
      expect((await stream.become({ id: t.base })).code).toBe(OK);
    },
    async client() {
      const { v1Codec } = await import('../../../src/p4runtime/proto/registry.ts');
      // Member 99 of the oneof, of one byte.
      const message = v1Codec('StreamMessageResponse').decode(Buffer.from([0x9a, 0x06, 1, 7]));
      expect(Object.keys(message)).toEqual([]);
    },
  },
];

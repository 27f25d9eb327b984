import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { insertion, tableEntry } from '../../src/backends/common/entries.ts';
import { flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import {
  classCounter,
  classes,
  decide,
  flowCounter,
  flowModel,
  limitedCounter,
} from '../../src/backends/common/flow/tables.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import { parseFeatures } from '../../src/features/index.ts';
import { flowPipelines } from '../../src/flow/targets.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import type { Init } from '../../src/p4runtime/index.ts';
import { type ClassAction, classEntry, rateEntity } from '../../src/runtime/xdp/flow-actions.ts';
import { ipv6, tcp4, udp4 } from '../features/packets.ts';
import { internetChecksum } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { type ActingDevice, actingDevices, toldOf } from './acting-device.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

/** The class is said by the port that the flow goes to: 1000, 1001, ...; from its second packet on. */
const CLASSES = 6;
const definition = parseFeatures(
  [
    'apiVersion: intransit.dev/v1alpha1',
    'kind: Features',
    'metadata: { name: by-port }',
    'spec:',
    '  state: { n: { count: true } }',
    '  features:',
    ...Array.from({ length: CLASSES }, (_, i) => `    f${i}: "port.server == ${1000 + i} ? 200 : 0"`),
    '  classify: { packets: [2] }',
  ].join('\n'),
  'by-port.yaml',
);
const grid = { element: 'uint8', zeroPoint: 0, scale: 1 } as const;
const model = withVerdict(
  modelOf({ ...grid, shape: [CLASSES] }, [
    {
      kind: 'dense',
      weights: Array.from({ length: CLASSES }, (_, o) =>
        Array.from({ length: CLASSES }, (_, i) => (i === o ? 1 : 0)),
      ),
      weightScale: 1,
      output: grid,
    },
  ]),
);

const plain: ClassAction = { way: 'none', port: 0, dscp: undefined, session: 0, tell: false };
const SESSION = 7;
const [MARKED, REDIRECTED, DROPPED, COPIED, LIMITED, UNTREATED] = [0, 1, 2, 3, 4, 5] as const;
const DSCP = 46;
const actions: readonly [number, ClassAction][] = [
  [MARKED, { ...plain, dscp: DSCP }],
  [REDIRECTED, { ...plain, way: 'cross', port: 3, dscp: 10 }],
  [DROPPED, { ...plain, way: 'drop', tell: true }],
  [COPIED, { ...plain, session: SESSION, dscp: 8, tell: true }],
  [LIMITED, plain],
];

const portOf = (c: number): number => 1000 + c;
const u16 = (v: number): number[] => [v >> 8, v & 255];

/** The frame with a right checksum of its IPv4 header, or one that is off by so much. */
function summed(frame: Uint8Array, at = 14, off = 0): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy.set([0, 0], at + 10);
  copy.set(u16((internetChecksum(copy.subarray(at, at + (copy[at]! & 15) * 4)) + off) & 0xffff), at + 10);
  return copy;
}

/** What the frame should be with another DSCP, its checksum as wrong as it was. */
function marked(frame: Uint8Array, dscp: number, at = 14): Buffer {
  const copy = Buffer.from(frame);
  if (copy[at]! >> 4 === 6) {
    copy[at] = 0x60 | (dscp >> 2);
    copy[at + 1] = (copy[at + 1]! & 0x3f) | ((dscp & 3) << 6);
    return copy;
  }
  copy[at + 1] = (dscp << 2) | (copy[at + 1]! & 3);
  const header = copy.subarray(at, at + (copy[at]! & 15) * 4);
  const wrong = internetChecksum(Uint8Array.from(frame).subarray(at, at + header.length));
  copy.writeUInt16BE(0, at + 10);
  // The sum over the header stays what it was: 0 where it was right.
  const sum = (0xffff - internetChecksum(header) + wrong) % 0xffff;
  copy.writeUInt16BE(0xffff - sum, at + 10);
  return copy;
}

/** Frames of one flow to each kind of network layer. */
function flowsOf(c: number): { readonly frame: Uint8Array; readonly at: number }[] {
  const destinationPort = portOf(c);
  const payload = [1, 2, 3, c];
  return [
    { frame: summed(tcp4({ destinationPort, payload })), at: 14 },
    { frame: summed(udp4({ destinationPort, payload, options: 8 })), at: 14 },
    { frame: summed(udp4({ destinationPort, sourcePort: 9, payload }), 14, 5), at: 14 },
    { frame: summed(tcp4({ destinationPort, sourcePort: 10, tags: [5, 6] }), 22), at: 22 },
    { frame: ipv6(17, [...u16(4000), ...u16(destinationPort), ...u16(12), 0, 0, ...payload]), at: 14 },
  ];
}

for (const [title, kind, start, isThere] of actingDevices) {
  if (!isThere) console.warn(`actions of classes on ${title} [SKIPPED: no p4c or BMv2 on the PATH]`);
  (isThere ? describeWith : describeNone)(loading, `actions of classes on ${title}`, () => {
    let device: ActingDevice;
    let told: readonly Init<'P4Data'>[];
    beforeAll(async () => {
      device = await start();
      const { config, updates } = await flowPipelines[kind]!(definition, model);
      await device.client.pipeline.commit(config);
      await device.client.write([...updates]);
      const session = {
        sessionId: SESSION,
        replicas: [{ egressPort: 3, instance: 1 }],
        packetLengthBytes: 0,
      };
      await device.client.write([
        ...[
          { table: ports, keys: [1], action: cross, parameters: [2] },
          ...actions.map(([c, action]) => classEntry(c, action)),
        ].map(insertion),
        {
          type: 'INSERT',
          entity: { packetReplicationEngineEntry: { cloneSessionEntry: session } },
        },
      ]);
      told = await toldOf(device.client);
    });
    afterAll(async () => {
      await device?.close();
    });

    const cell = async (counterId: number, index: number): Promise<[number, number]> => {
      const [entity] = await device.client.readAll([
        { counterEntry: { counterId, index: { index: BigInt(index) } } },
      ]);
      const data = entity?.counterEntry?.data;
      return [Number(data?.packetCount ?? 0n), Number(data?.byteCount ?? 0n)];
    };
    const outcome = async (name: string): Promise<number> =>
      (
        await cell(
          flowCounter.id,
          flowOutcomes.findIndex((o) => o.name === name),
        )
      )[0];
    const hex = (frames: readonly Uint8Array[]): string[] =>
      frames.map((f) => Buffer.from(f).toString('hex'));

    it('marks, redirects, drops and copies from the verdict on, every bit as it should be', async () => {
      const [early, later] = [[] as Uint8Array[], [] as Uint8Array[]];
      const [two, three] = [[] as Buffer[], [] as Buffer[]];
      for (let c = 0; c < CLASSES; c++)
        for (const { frame, at } of flowsOf(c)) {
          early.push(frame);
          // The verdict's own packet, and one of the cached verdict.
          later.push(frame, frame);
          const passed =
            c === MARKED ? marked(frame, DSCP, at) : c === COPIED ? marked(frame, 8, at) : Buffer.from(frame);
          if (c === REDIRECTED) three.push(marked(frame, 10, at), marked(frame, 10, at));
          else if (c !== DROPPED) two.push(passed, passed);
          if (c === COPIED) three.push(Buffer.from(frame), Buffer.from(frame));
        }
      const first = await device.through(early, early.length);
      expect(hex(first[2])).toEqual(hex(early.map(device.received)));
      expect([first[1], first[3]]).toEqual([[], []]);
      const out = await device.through(later, two.length + three.length);
      expect(out[1]).toEqual([]);
      expect(hex(out[2])).toEqual(hex(two.map(device.received)));
      // Copies take a way of their own, so they may come in between.
      expect(hex(out[3]).sort()).toEqual(hex(three.map(device.received)).sort());
      for (let c = 0; c < CLASSES; c++) {
        const bytes = flowsOf(c).reduce((sum, { frame }) => sum + 2 * frame.length, 0);
        expect([c, await cell(classCounter.id, c)]).toEqual([c, [10, bytes]]);
        expect(await cell(limitedCounter.id, c)).toEqual([0, 0]);
      }
      expect([await outcome('early'), await outcome('classified'), await outcome('cached')]).toEqual([
        30, 30, 30,
      ]);
    });

    it('tells of flows that became a class whose entry asks for it', async () => {
      await vi.waitFor(() => expect(told.length).toBe(10), { timeout: 60_000, interval: 20 });
      const rows = told.map((data) =>
        (data.struct?.members ?? []).map((m) => BigInt(`0x0${Buffer.from(m.bitstring!).toString('hex')}`)),
      );
      const first = rows.find(
        (r) => Number(r[0]) === DROPPED && Number(r[3]) === 6 && Number(r[5]) === 40_000,
      )!;
      expect(first.map(String)).toEqual(
        [
          DROPPED,
          200,
          4,
          6,
          0xc0000201,
          40_000,
          0xc6336402,
          portOf(DROPPED),
          200n << BigInt(8 * (CLASSES - 1 - DROPPED)),
        ].map(String),
      );
      expect(rows.map((r) => Number(r[0])).sort()).toEqual([
        ...Array(5).fill(DROPPED),
        ...Array(5).fill(COPIED),
      ]);
      const six = rows.find((r) => Number(r[0]) === COPIED && Number(r[2]) === 6)!;
      expect(six[4]).toBe(0x20010db8000000000000000000000001n);
    });

    it('lets a class have no more than its rate', async () => {
      const frame = summed(
        udp4({ destinationPort: portOf(LIMITED), sourcePort: 77, payload: Array(58).fill(9) }),
      );
      expect(frame.length).toBe(100);
      await device.client.write([
        { type: 'MODIFY', entity: rateEntity(LIMITED, { bytesPerSecond: 1n, burstBytes: 350n }) },
      ]);
      // The first packet is early, and three are within the burst.
      const out = await device.through(Array(10).fill(frame), 4);
      expect(out[2].length).toBe(4);
      expect(await cell(limitedCounter.id, LIMITED)).toEqual([6, 600]);
      const [before] = await cell(classCounter.id, LIMITED);
      expect(before).toBe(10 + 9);
      // Without a rate all pass again.
      await device.client.write([
        {
          type: 'MODIFY',
          entity: {
            meterEntry: {
              meterId: rateEntity(0, { bytesPerSecond: 1n, burstBytes: 1n }).meterEntry!.meterId!,
              index: { index: BigInt(LIMITED) },
            },
          },
        },
      ]);
      expect((await device.through(Array(5).fill(frame), 5))[2].length).toBe(5);
    });

    it('changes what is done with flows that have their verdict', async () => {
      const { frame } = flowsOf(MARKED)[0]!;
      await device.client.modify([
        { tableEntry: tableEntry(classEntry(MARKED, { ...plain, way: 'cross', port: 3 })) },
      ]);
      expect(hex((await device.through([frame], 1))[3])).toEqual(hex([frame]));
      const entry = { tableEntry: tableEntry(classEntry(MARKED, plain)) };
      await device.client.delete([entry]);
      expect(hex((await device.through([frame], 1))[2])).toEqual(hex([frame]));
    });

    it('classifies by the weights of another slot after one write', async () => {
      // The other slot has none yet: verdicts of new flows fail, and their packets pass.
      await device.client.modify([
        { tableEntry: tableEntry({ table: flowModel, keys: [], action: decide, parameters: [1] }) },
      ]);
      const frame = summed(udp4({ destinationPort: portOf(DROPPED), sourcePort: 200 }));
      expect((await device.through([frame, frame], 2))[2].length).toBe(2);
      expect(await outcome('failed')).toBe(1);
      await device.client.modify([
        { tableEntry: tableEntry({ table: flowModel, keys: [], action: decide, parameters: [0] }) },
      ]);
      const other = summed(udp4({ destinationPort: portOf(DROPPED), sourcePort: 201 }));
      expect((await device.through([other, other, other], 1))[2].length).toBe(1);
    });

    if (kind === 'xdp')
      it('goes on where the agent stopped: flows, actions, rates, sessions', async () => {
        await device.client.write([
          { type: 'MODIFY', entity: rateEntity(UNTREATED, { bytesPerSecond: 1000n, burstBytes: 1000n }) },
        ]);
        const said = await device.restart();
        expect(said.filter((line) => line.includes('data plane found running'))).toEqual([
          'data plane found running',
        ]);
        const { frame } = flowsOf(COPIED)[0]!;
        const out = await device.through([frame], 2);
        expect(out).toEqual({ 1: [], 2: [marked(frame, 8)], 3: [Buffer.from(frame)] });
        expect(await device.client.readAll([{ tableEntry: { tableId: classes.id } }])).toHaveLength(4);
      });
  });
}

function describeNone(_needs: unknown, title: string, _body: () => void): void {
  it.skip(`${title} [SKIPPED]`, () => {});
}

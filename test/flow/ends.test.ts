import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { insertion } from '../../src/backends/common/entries.ts';
import { type FlowEventName, flowEvents, flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import { FLOW_DIGEST_ID, flowCounter } from '../../src/backends/common/flow/tables.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import { type FeatureDefinition, parseFeatures } from '../../src/features/index.ts';
import { flowPipelines } from '../../src/flow/targets.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import type { Init } from '../../src/p4runtime/index.ts';
import { classEntry } from '../../src/runtime/xdp/flow-actions.ts';
import { tcp4, udp4 } from '../features/packets.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { random } from '../support/random.ts';
import { type ActingDevice, actingDevices } from './acting-device.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

/** The class is said by the port that the flow went to: 1000 or 1001. Few places, so that flows make room. */
const define = (idle: string): FeatureDefinition =>
  parseFeatures(
    [
      'apiVersion: intransit.dev/v1alpha1',
      'kind: Features',
      'metadata: { name: ends }',
      'spec:',
      `  timeouts: { ${idle} }`,
      '  table: { flows: 64, keep: 1s }',
      '  state: { n: { count: true }, port: { first: port.server } }',
      '  features: { a: "port == 1000 ? 200 : 0", b: "port == 1001 ? 200 : 0", n: "min(n, 100)" }',
      '  classify: end',
    ].join('\n'),
    'ends.yaml',
  );
const grid = { element: 'uint8', zeroPoint: 0, scale: 1 } as const;
const model = withVerdict(
  modelOf({ ...grid, shape: [3] }, [
    {
      kind: 'dense',
      weights: [
        [1, 0, 0],
        [0, 1, 0],
      ],
      weightScale: 1,
      output: grid,
    },
  ]),
);
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];
const plain = { way: 'none', port: 0, dscp: undefined, session: 0, tell: true } as const;

for (const [title, kind, start, isThere] of actingDevices) {
  if (!isThere) console.warn(`ends of flows on ${title} [SKIPPED: no p4c or BMv2 on the PATH]`);
  (isThere ? describeWith : describeNone)(loading, `ends of flows on ${title}`, () => {
    let device: ActingDevice;
    const told: bigint[][] = [];
    const push = async (definition: FeatureDefinition) => {
      const { config, updates } = await flowPipelines[kind]!(definition, model);
      await device.client.pipeline.commit(config);
      await device.client.write([
        ...updates,
        ...[
          { table: ports, keys: [1], action: cross, parameters: [2] },
          classEntry(0, plain),
          classEntry(1, { ...plain, way: 'drop' }),
        ].map(insertion),
      ]);
      await device.client.insert([
        { digestEntry: { digestId: FLOW_DIGEST_ID, config: { maxTimeoutNs: 1_000_000n, maxListSize: 1 } } },
      ]);
    };
    beforeAll(async () => {
      device = await start();
      device.client.on('digest', (list) => {
        told.push(...list.data.map(numbers));
        device.client.acknowledge(list);
      });
      await push(define(''));
    });
    afterAll(async () => {
      await device?.close();
    });

    const cell = async (name: string): Promise<number> => {
      const outcome = flowOutcomes.findIndex((o) => o.name === name);
      const index = outcome >= 0 ? outcome : flowOutcomes.length + flowEvents.indexOf(name as FlowEventName);
      const [entity] = await device.client.readAll([
        { counterEntry: { counterId: flowCounter.id, index: { index: BigInt(index) } } },
      ]);
      return Number(entity?.counterEntry?.data?.packetCount ?? 0n);
    };
    const news = (count: number) =>
      vi.waitFor(() => expect(told.length).toBe(count), { timeout: 60_000, interval: 20 });

    it('classifies with the packet that closes a connection, and what is late goes as its class does', async () => {
      const there = (flags: number, destinationPort = 1001) => tcp4({ flags, destinationPort });
      const back = (flags: number) =>
        tcp4({
          flags,
          source: '198.51.100.2',
          destination: '192.0.2.1',
          sourcePort: 1001,
          destinationPort: 40_000,
        });
      const first = await device.through([there(SYN), back(SYN | ACK), there(FIN | ACK), back(ACK)], 4);
      expect(first[2].length).toBe(4);
      expect(told).toEqual([]);
      // The other FIN ends the flow; its class is dropped. What comes after it is late, until a connection begins.
      const second = await device.through([back(FIN | ACK), there(ACK), there(SYN)], 1);
      expect(second[2].length).toBe(1);
      await news(1);
      // Class, margin, version, protocol; the client is who sent the first packet; five packets.
      expect(told[0]!.map(String)).toEqual(
        [1, 200, 4, 6, 0xc0000201, 40_000, 0xc6336402, 1001, (200n << 8n) | 5n].map(String),
      );
      const third = await device.through([there(RST, 1000), there(ACK, 1000)], 2);
      expect(third[2].length).toBe(2);
      await news(2);
      expect(told[1]![8]).toBe((200n << 16n) | 1n);
      expect([await cell('classified'), await cell('early'), await cell('late')]).toEqual([2, 5, 2]);
      expect([await cell('begun'), await cell('ended')]).toEqual([3, 0]);
    });

    it('tells of flows that made room for others', async () => {
      told.length = 0;
      // Ports in a row may share few buckets of a switch, by chance over its secret factor.
      const r = random(3);
      const ports = [...new Set(Array.from({ length: 160 }, () => r.int(2000, 60_000)))].slice(0, 150);
      const frames = (source: string) =>
        ports.map((sourcePort) => udp4({ source, sourcePort, destinationPort: 1000 }));
      await device.through(frames('192.0.2.7'), 150);
      expect(await cell('collided')).toBeGreaterThan(0);
      expect([await cell('evicted'), await cell('ended')]).toEqual([0, 0]);
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const out = await device.through(frames('192.0.2.8'), 150);
      // Every packet passes, though some went through the switch twice, and once each.
      expect(out[2].length).toBe(150);
      const evicted = await cell('evicted');
      expect(evicted).toBeGreaterThan(40);
      const ended = await cell('ended');
      // A switch may lose what it tells, under load.
      const least = kind === 'xdp' ? ended : Math.floor(0.9 * ended);
      await vi.waitFor(() => expect(told.length).toBeGreaterThanOrEqual(least), { timeout: 60_000 });
      expect(told.length).toBeLessThanOrEqual(ended);
      const left = told.filter((t) => t[3] === 17n);
      expect(left.length).toBeGreaterThan(40);
      for (const t of left) {
        const [client, port, server, to] = t.slice(4, 8).map(Number) as [number, number, number, number];
        expect([client, server, to]).toEqual([0xc0000207, 0xc6336402, 1000]);
        expect(ports).toContain(port);
        expect(t[8]).toBe((200n << 16n) | 1n);
      }
      // Each flow once.
      expect(new Set(left.map((t) => t[5])).size).toBe(left.length);
    });

    if (kind === 'xdp')
      it('tells of flows that no packet comes to any more, by sweeps of the agent', async () => {
        await push(define('idle: 300ms'));
        told.length = 0;
        await device.through([udp4({ destinationPort: 1000 }), udp4({ destinationPort: 1001 })], 2);
        await news(2);
        expect(told.map((t) => Number(t[0])).sort()).toEqual([0, 1]);
        for (const t of told)
          expect(t.slice(2, 7).map(Number)).toEqual([4, 17, 0xc0000201, 40_000, 0xc6336402]);
      });
  });
}

const numbers = (data: Init<'P4Data'>): bigint[] =>
  (data.struct?.members ?? []).map((m) => BigInt(`0x0${Buffer.from(m.bitstring!).toString('hex')}`));

function describeNone(_needs: unknown, title: string, _body: () => void): void {
  it.skip(`${title} [SKIPPED]`, () => {});
}

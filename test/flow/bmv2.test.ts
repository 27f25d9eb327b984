import { crc32 } from 'node:zlib';
import { expect, it, vi } from 'vitest';
import { planV1modelFlow } from '../../src/backends/v1model/flow/plan.ts';
import { readFeatures } from '../../src/features/index.ts';
import { createBmv2FlowEngine } from '../../src/flow/bmv2.ts';
import type { FlowEngine } from '../../src/flow/engine.ts';
import { importModel } from '../../src/import/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import { Approximator } from '../../src/targets/approximation.ts';
import { encodeFrame } from '../../src/wire/frame.ts';
import { encodePacket, packetKinds, requestPacket } from '../../src/wire/index.ts';
import { forestOnnx } from '../support/forests.ts';
import { describeWithTools } from '../support/machine.ts';
import { type Random, random, randomRows } from '../support/random.ts';
import { chosenOnSwitch, deviceDefinitions, endDefinition } from './definitions.ts';
import { exampleFrames, randomFrame } from './frames.ts';
import { networkOf } from './networks.ts';

vi.setConfig({ testTimeout: 240_000 });

const FRAMES = 3000;

async function using(engine: FlowEngine, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } finally {
    await engine.close();
  }
}

/** What a worker answers, to whomever; some are cut, or longer than they say. */
function resultFrame(r: Random) {
  const { header } = requestPacket(new Uint8Array(0), {
    ...{ modelId: 1, modelVersion: 1, layerCount: 3, element: 'uint8', jobId: BigInt(r.int(0, 1000)) },
  });
  const activations = Uint8Array.of(r.int(0, 255), r.int(0, 255));
  const whole = encodeFrame(
    {
      ...{ sourceMac: new Uint8Array(6), destinationMac: new Uint8Array(6) },
      sourceIp: Uint8Array.of(10, 0, 0, r.int(1, 3)),
      destinationIp: Uint8Array.of(10, 0, 0, r.int(1, 3)),
      ...{ sourcePort: 18858, destinationPort: 18858 },
    },
    encodePacket({ header: { ...header, kind: packetKinds.result, elementCount: 2 }, activations }),
  );
  const data = r.chance(0.3)
    ? whole.subarray(0, r.int(30, whole.length))
    : Buffer.concat([whole, new Uint8Array(r.int(0, 9))]);
  return { data, length: data.length };
}

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'flows on a switch', () => {
  it('classifies the example captures as the reference does, given the times that it saw', async () => {
    const model = withVerdict((await importModel('examples/traffic-mlp.onnx')).model);
    const engine = await createBmv2FlowEngine(readFeatures('traffic-16'), model);
    await using(engine, async () => {
      let verdicts = 0;
      const frames = exampleFrames();
      await engine.capture(frames, ({ rows }) => {
        verdicts += rows.length;
      });
      expect(engine.equality?.()).toEqual({ packets: 2260, mismatches: 0, examples: [] });
      expect(verdicts).toBe(2108);
      // Another capture has flows of its own.
      await engine.capture(frames.slice(0, 100), () => {});
      expect(engine.equality?.()).toEqual({ packets: 2360, mismatches: 0, examples: [] });
    });
  });

  for (const asks of [false, true])
    it(`decides as the reference does, whatever the frame${asks ? ', if it may ask a larger model' : ''}`, async () => {
      const definition = deviceDefinitions.everything!;
      const engine = await createBmv2FlowEngine(definition, networkOf(definition), { asks });
      await using(engine, async () => {
        const r = random(11);
        const frames = Array.from({ length: FRAMES }, (_, i) => {
          const { data, length } = i % 20 === 0 ? resultFrame(r) : randomFrame(r);
          return { data, length, link: 'ethernet' as const, timeNs: 0n };
        });
        const seen = new Map<string, number>();
        await engine.capture(frames, ({ outcome }) => {
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        });
        expect(engine.equality?.()).toEqual({ packets: FRAMES, mismatches: 0, examples: [] });
        for (const outcome of ['classified', 'foreign', 'damaged', 'fragment', 'tunnel'])
          expect(seen.get(outcome)).toBeGreaterThan(20);
      });
    });

  it.each(['exact', 'of fewer levels'])(
    'decides as the reference of its tables does: features into look-ups, %s',
    async (kind) => {
      const definition = deviceDefinitions.everything!;
      const model = networkOf(definition);
      const width = definition.features.length;
      const range = { from: 0, to: model.layers.length, target: 'test', bits: 32 };
      const rows = randomRows(random(5), 300, width);
      const tables =
        kind === 'exact' ? undefined : new Approximator(model, range, { rows }).uniform(8).program!;
      const engine = await createBmv2FlowEngine(definition, model, {
        lowering: 'tables',
        ...(tables && { tables }),
      });
      await using(engine, async () => {
        const r = random(14);
        const frames = Array.from({ length: FRAMES }, () => {
          const { data, length } = randomFrame(r);
          return { data, length, link: 'ethernet' as const, timeNs: 0n };
        });
        const classes = new Set<number>();
        await engine.capture(frames, ({ rows: found }) => {
          for (const row of found) classes.add(row.class);
        });
        expect(engine.equality?.()).toEqual({ packets: FRAMES, mismatches: 0, examples: [] });
        expect(classes.size).toBeGreaterThan(1);
      });
    },
  );

  it('classifies the example captures by a forest of tables, as the reference does', async () => {
    const definition = readFeatures('traffic-16');
    const bytes = forestOnnx(random(6), { features: 16, trees: 8, depth: 6, scores: 4, leaves: 'all' });
    const { model } = importOnnx(bytes, 'forest.onnx');
    const engine = await createBmv2FlowEngine(definition, model, { lowering: 'tables' });
    await using(engine, async () => {
      await engine.capture(exampleFrames(), () => {});
      expect(engine.equality?.()).toEqual({ packets: 2260, mismatches: 0, examples: [] });
    });
  });

  it('has a place for flows that CRC32 would bring to one', async () => {
    const definition = chosenOnSwitch;
    const engine = await createBmv2FlowEngine(definition, networkOf(definition));
    await using(engine, async () => {
      const { udp4 } = await import('../features/packets.ts');
      // The polynomial, the lowest bit of a byte first, at another place: a multiple of it, so the sum is the same.
      const POLYNOMIAL = 0x104c11db7n;
      const chosen = Array.from({ length: 40 }, (_, number) => {
        const ends = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2]);
        for (let k = 0; k < 6; k++)
          for (let j = 0; ((number >> k) & 1) === 1 && j <= 32; j++)
            if ((POLYNOMIAL >> BigInt(32 - j)) & 1n) ends[(k + 8 + j) >> 3]! ^= 1 << ((k + 8 + j) & 7);
        return ends;
      });
      expect(new Set(chosen.map((ends) => crc32(ends))).size).toBe(1);
      expect(new Set(chosen.map(String)).size).toBe(40);
      const frames = chosen.map((ends) => {
        const [source, destination] = [ends.subarray(0, 4), ends.subarray(4)].map((a) => a.join('.'));
        const data = udp4({ source: source!, destination: destination! });
        return { data, length: data.length, link: 'ethernet' as const, timeNs: 0n };
      });
      const outcomes: string[] = [];
      await engine.capture(frames, ({ outcome }) => outcomes.push(outcome));
      // Of 40 flows in 65,536 buckets of two places three meet by a chance of one in a million.
      expect(outcomes).toEqual(new Array(40).fill('classified'));
    });
  });

  it('classifies flows at their ends: closed, over by a timeout, and what comes after', async () => {
    const definition = endDefinition('{ idle: 150ms, active: 2s }');
    const engine = await createBmv2FlowEngine(definition, networkOf(definition));
    await using(engine, async () => {
      const r = random(12);
      // Each twice: what comes after a reset is late.
      const frames = Array.from({ length: FRAMES / 2 }, () => {
        const { data, length } = randomFrame(r);
        const frame = { data, length, link: 'ethernet' as const, timeNs: 0n };
        return [frame, frame];
      }).flat();
      const seen = new Map<string, number>();
      let over = 0;
      await engine.capture(frames, ({ outcome, rows, flow }) => {
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        over += rows.filter((row) => row.flow.number !== flow?.number).length;
      });
      expect(engine.equality?.()).toEqual({ packets: FRAMES, mismatches: 0, examples: [] });
      for (const outcome of ['classified', 'early', 'late', 'foreign'])
        expect([outcome, (seen.get(outcome) ?? 0) > 10]).toEqual([outcome, true]);
      expect(over).toBeGreaterThan(10);
    });
  });

  it('says what a switch cannot do', () => {
    const { plan, diagnostics } = planV1modelFlow(
      deviceDefinitions.long!,
      networkOf(deviceDefinitions.long!),
    );
    expect(plan).toBeUndefined();
    expect(diagnostics.map((d) => d.message)).toEqual([
      'clock: ns cannot run on v1model: a BMv2 switch counts microseconds',
      'payload bytes cannot run on v1model: a switch parses headers alone',
    ]);
  });
});

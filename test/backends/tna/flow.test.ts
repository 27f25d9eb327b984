import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chips } from '../../../src/backends/tna/chips.ts';
import { tnaFlowFiles } from '../../../src/backends/tna/flow/artifact.ts';
import { planFront } from '../../../src/backends/tna/flow/plan.ts';
import { planTna } from '../../../src/backends/tna/plan.ts';
import { newNotes, readCapture } from '../../../src/capture/index.ts';
import { FeatureExecutor, parseFeatures, parsePacket, readFeatures } from '../../../src/features/index.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { Approximator } from '../../../src/targets/approximation.ts';
import { forestOnnx } from '../../support/forests.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { random, randomRows } from '../../support/random.ts';
import { SimulatedFront } from './flow-chip.ts';
import { classOf } from './forest-chip.ts';

const CAPTURES = 'examples/captures';
const captures = readdirSync(CAPTURES)
  .filter((f) => f.endsWith('.pcap'))
  .map((f) => join(CAPTURES, f));

const definitionOf = (spec: string) =>
  parseFeatures(
    `apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: own }\nspec:\n${spec
      .trim()
      .split('\n')
      .map((line) => `  ${line.trim()}`)
      .join('\n')}\n`,
    'own.yaml',
  );

/** All kinds of state that a stateful ALU keeps, some with conditions, read before and with the packet. */
const ALL_KINDS = definitionOf(`
  clock: ns
  accept: { ip: [4], protocols: [tcp, udp] }
  table: { flows: 4096 }
  state: { small: { count: ip.length < 100 }, few: { count: true, bits: 8 }, tcp: { count: is.tcp, bits: 16 }, volume: { sum: ip.length, when: tcp.flags & 16 }, logs: { sum: log8(ip.length), bits: 16 }, low: { min: ip.length, when: tcp.flags & 8 }, high: { max: tcp.window }, flags: { or: tcp.flags, when: ip.length > 60 }, ttl: { first: ip.ttl }, size: { last: ip.length }, seen: { last: time }, lengths: { sequence: ip.length, length: 3 }, sizes: { histogram: ip.length, thresholds: [64, 256, 1024], bits: 16 } }
  features: { small: log8(small), few: few, tcp: log8(tcp), volume: log8(volume), logs: log8(logs), low: log8(low), high: log8(high), flags: flags, ttl: ttl, size: log8(old.size), gap: "min(ms(time - old.seen), 255)", gap2: "log8(min(us(time - old.seen), 4000000))", l0: "log8(lengths[0])", l2: "log8(lengths[2])", s0: "log8(sizes[0])", s3: "log8(sizes[3])", is: "is.udp ? 200 : 3", dscp: ip.dscp, port: "max(port.source, port.destination) >> 8", odd: ip.ttl & 7, five: 5 }
  classify: every-packet`);

const ONE_WAY = definitionOf(`
  accept: { ip: [4], protocols: [udp, tcp] }
  key: { fields: [ip.source, port.destination], bothWays: false }
  state: { packets: { count: true, bits: 16 }, bytes: { sum: ip.length, bits: 16 } }
  table: { flows: 1024 }
  features: { packets: log8(packets), bytes: log8(bytes), direction: "direction ? 9 : 4", server: port.server >> 8 }
  classify: every-packet`);

describe('features on Tofino', () => {
  it.each([
    ['tofino-8', readFeatures('tofino-8')],
    ['all kinds of state', ALL_KINDS],
    ['one way', ONE_WAY],
  ])('are those of the reference, packet by packet: %s', (_, definition) => {
    const { flows, diagnostics } = planFront(definition);
    expect(diagnostics).toEqual([]);
    let rows = 0;
    for (const file of captures) {
      const chip = new SimulatedFront(flows!);
      const executor = new FeatureExecutor(definition);
      for (const frame of readCapture(readFileSync(file), newNotes())) {
        const packet = parsePacket(frame);
        const { rows: due } = executor.frame(frame);
        if (typeof packet === 'string' || due.length === 0) continue;
        expect([...chip.packet(packet, frame.timeNs)]).toEqual([...due[0]!.features]);
        rows++;
      }
    }
    expect(rows).toBeGreaterThan(1500);
  });

  it.each([
    ['an average', 'state: { a: { ewma: ip.length, shift: 3 } }', 'log8(a)', 'an average (ewma)'],
    ['a count of 12 bits', 'state: { a: { count: true, bits: 12 } }', 'log8(a)', 'say bits: 32'],
    ['a sum of 40 bits', 'state: { a: { sum: ip.length, bits: 40 } }', 'log8(a)', 'say bits: 32'],
    [
      'a number before and with the packet',
      'state: { a: { count: true } }',
      'min(log8(a), log8(old.a))',
      'two names',
    ],
    [
      'two numbers in one function',
      'state: { a: { count: true } }',
      'log8(a + ip.length)',
      'matches one number',
    ],
    ['who began the flow', 'state: { a: { count: direction } }', 'log8(a)', 'five-tuple-one-way'],
    ['long times', 'state: { a: { first: time } }', 'log8(us(time - a))', '4.29 s'],
    ['a function that turns', 'state: { a: { count: true } }', 'a & 255', 'rises or falls'],
    ['a table that is too large', 'state: { a: { count: true } }', 'ip.length & 255', '65'],
    ['payload', 'state: { a: { payload: 2 } }', 'a[0]', 'payload'],
  ])('refuses %s by its name', (_, state, feature, text) => {
    const definition = definitionOf(`
      clock: ns
      accept: { ip: [4], protocols: [tcp, udp] }
      table: { flows: 4096 }
      ${state}
      features: { f: "${feature}" }
      classify: every-packet`);
    const { flows, diagnostics } = planFront(definition);
    expect(flows).toBeUndefined();
    expect(diagnostics.map((d) => d.message).join('\n')).toContain(text);
  });

  it('refuses what no Tofino does of traffic-16, all at once', async () => {
    const given = [
      '--features',
      'traffic-16',
      '--target',
      'tna',
      '--calibrate',
      'examples/traffic-mlp.x.bin',
    ];
    const outcome = await intransit(
      'compile',
      'examples/traffic-mlp.onnx',
      '-o',
      join(testFolder(), 'out'),
      ...given,
    );
    expect(outcome.code).toBe(1);
    for (const text of ['state replies', 'feature gap', 'feature age', 'clock: us', 'table.flows: 131072'])
      expect(outcome.err).toContain(text);
  });
});

describe('a forest behind the features of flows', () => {
  const flows = planFront(readFeatures('tofino-8')).flows!;
  const plannedForest = (trees: number, depth: number) => {
    const bytes = forestOnnx(random(depth), { features: 8, trees, depth, scores: 6, leaves: 'all' });
    const { model } = importOnnx(bytes, 'forest.onnx');
    const range = { from: 0, to: model.layers.length, modelId: 1, modelVersion: 1, port: 18858 };
    const rows = randomRows(random(3), 100, 8);
    const { program } = new Approximator(model, { ...range, target: 'tofino2', bits: 32 }, { rows }).uniform(
      3,
    );
    const { plan, diagnostics } = planTna(model, chips.tofino2, program!, { ...range, front: flows.front });
    expect(diagnostics).toEqual([]);
    return { model, plan };
  };

  it('has the class of the reference, packet by packet', () => {
    const { model, plan } = plannedForest(10, 4);
    const told = new Set<number>();
    for (const file of captures) {
      const chip = new SimulatedFront(flows);
      for (const frame of readCapture(readFileSync(file), newNotes())) {
        const packet = parsePacket(frame);
        if (typeof packet === 'string') continue;
        const row = chip.packet(packet, frame.timeNs);
        const [expected] = interpretRows(model, row);
        expect(classOf(plan, row)).toEqual([expected]);
        told.add(expected!);
      }
    }
    expect(told.size).toBeGreaterThan(1);
  });

  it('sets the class that no feature changes, and treats by it', () => {
    const { model, plan } = plannedForest(3, 0);
    const text = `${tnaFlowFiles(plan, flows).get('program.p4')}`;
    expect(text).toContain(`meta.class = ${interpretRows(model, new Uint8Array(8))[0]};`);
    expect(text).not.toContain('hdr.result.');
    expect(plan.schedule.placed.filter((s) => s.name === 'treatments')).toMatchObject([{ gress: 'egress' }]);
  });
});

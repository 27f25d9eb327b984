import { expect, it } from 'vitest';
import { FeatureExecutor } from '../../src/features/index.ts';
import { Comparison } from '../../src/flow/compare.ts';
import { verdicts } from '../../src/flow/engine.ts';
import { createXdpFlowEngine, loadXdpFlow } from '../../src/flow/xdp.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import type { FlowPlace } from '../../src/runtime/xdp/flow-device.ts';
import { planFlowOrRefuse } from '../../src/targets/xdp/flows.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { chosenDefinition, deviceDefinitions, smallDefinition } from './definitions.ts';
import { exampleFrames, randomFrame } from './frames.ts';
import { networkOf } from './networks.ts';

/** Frames of each definition; bench/flow-frames.ts tries a million. */
const FRAMES = 6000;

describeWith(loading, 'flows in the kernel', () => {
  for (const [name, definition] of Object.entries(deviceDefinitions))
    it(`${name}: decides as the reference does, whatever the frame`, async () => {
      const model = networkOf(definition);
      using device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true });
      const executor = new FeatureExecutor(definition);
      const comparison = new Comparison([{ definition, verdictOf: verdicts(model) }]);
      const r = random(7);
      const seen = new Map<string, number>();
      const atEnd = definition.occasion.kind === 'end';
      const places = new Map<number, FlowPlace>();
      let ended = 0;
      let before = randomFrame(r);
      let timeNs = 1_700_000_000_000_000_000n;
      for (let i = 0; i < FRAMES; i++) {
        // What comes again after a reset is late.
        const frame = atEnd && i % 2 === 1 ? before : randomFrame(r);
        before = frame;
        // Now and then the clock stands still, or steps back a little.
        timeNs += BigInt(r.chance(0.05) ? r.int(-2000, 0) : r.int(1, r.chance(0.01) ? 50_000_000 : 400_000));
        const expected = executor.frame({ ...frame, link: 'ethernet', timeNs });
        const result = device.run(frame.data, timeNs, frame.length);
        const features = result.outcome === 'classified' ? device.features() : undefined;
        const gone = atEnd && expected.flow !== undefined ? device.gone() : undefined;
        if (atEnd && expected.flow !== undefined) places.set(expected.flow.number, device.place());
        if (gone !== undefined) ended++;
        comparison.packet(expected, { ...result, features, gone });
        seen.set(result.outcome, (seen.get(result.outcome) ?? 0) + 1);
        // Nothing is dropped or changed.
        expect(result.action).toBe(2);
        expect(Buffer.compare(device.frame, frame.data)).toBe(0);
      }
      expect(comparison.equality()).toMatchObject({ packets: FRAMES, mismatches: 0, examples: [] });
      for (const outcome of ['classified', 'foreign', 'damaged', 'fragment', 'tunnel'])
        expect(seen.get(outcome)).toBeGreaterThan(5);
      const counts = device.counts();
      const counted = Object.entries(counts).filter(([, count]) => count > 0n);
      expect(Object.fromEntries(counted)).toEqual({
        ...Object.fromEntries([...seen].map(([outcome, count]) => [outcome, BigInt(count)])),
        begun: BigInt(executor.flows),
        ...(ended > 0 && { ended: BigInt(ended) }),
      });
      if (!atEnd) return;
      // Flows that timed out, that closed, and whose packets came after that; those that live end by a sweep.
      for (const outcome of ['early', 'late']) expect(seen.get(outcome)).toBeGreaterThan(50);
      expect(ended).toBeGreaterThan(50);
      const left = executor.end();
      expect(left.length).toBeGreaterThan(5);
      for (const row of left) comparison.ended(row, device.endPlace(places.get(row.flow.number)!));
      expect(comparison.equality()).toMatchObject({ mismatches: 0, examples: [] });
      expect(device.counts().ended).toBe(BigInt(ended + left.length));
      // All places are free.
      await device.sweep(true);
      expect(device.counts().ended).toBe(BigInt(ended + left.length));
    });

  it('ends flows by a sweep when their time is over, and no others', async () => {
    const definition = deviceDefinitions.end!;
    using device = await loadXdpFlow(planFlowOrRefuse(definition, networkOf(definition)), { test: true });
    const { udp4 } = await import('../features/packets.ts');
    const ms = 1_000_000n;
    const flows = Array.from({ length: 200 }, (_, i) => udp4({ sourcePort: 5000 + i }));
    for (const [i, frame] of flows.entries()) device.run(frame, 10n * ms + BigInt(i) * 20_000n);
    // Times of a test run are given: the sweep has that of the last packet, and 20 ms idle are over for the first 50.
    device.run(flows[199]!, 30n * ms + 50n * 20_000n);
    await device.sweep();
    expect(device.counts()).toMatchObject({ early: 201n, begun: 200n, ended: 50n, evicted: 0n });
    // They begin anew, without another end.
    expect(device.run(flows[0]!, 31n * ms).outcome).toBe('early');
    expect(device.gone()).toBeUndefined();
    expect(device.counts()).toMatchObject({ begun: 201n, ended: 50n });
  });

  it('classifies the example captures as the reference does', async () => {
    const { importModel } = await import('../../src/import/index.ts');
    const { readFeatures } = await import('../../src/features/index.ts');
    const model = withVerdict((await importModel('examples/traffic-mlp.onnx')).model);
    const engine = await createXdpFlowEngine(readFeatures('traffic-16'), model);
    try {
      let verdictCount = 0;
      await engine.capture(exampleFrames(), ({ rows }) => {
        verdictCount += rows.length;
      });
      expect(engine.equality?.()).toEqual({ packets: 2260, mismatches: 0, examples: [] });
      expect(verdictCount).toBe(2108);
    } finally {
      await engine.close();
    }
  });

  it('has a place for flows whose addresses were chosen to collide', async () => {
    const model = networkOf(chosenDefinition);
    using device = await loadXdpFlow(planFlowOrRefuse(chosenDefinition, model), { test: true });
    const { ipv6 } = await import('../features/packets.ts');
    const frame = ipv6(17, [0, 9, 0, 53, 0, 8, 0, 0]);
    // A multiplication carries the highest bit of a word nowhere: xor and multiply alone, whatever they begin with, would give a
    // flow that differs there in one word the hash of one that differs in bits 63 and 31 of the next.
    const [SOURCE, WORD] = [14 + 8, 8];
    const outcomes = Array.from({ length: 8 }, (_, chosen) => {
      const other = Uint8Array.from(frame);
      for (let word = 0; word < 3; word++) {
        if (((chosen >> word) & 1) === 0) continue;
        other[SOURCE + WORD * word]! ^= 0x80;
        other[SOURCE + WORD * (word + 1)]! ^= 0x80;
        other[SOURCE + WORD * (word + 1) + 4]! ^= 0x80;
      }
      return device.run(other, 1_000_000_000n).outcome;
    });
    expect(outcomes).toEqual(new Array(8).fill('classified'));
  });

  it('keeps young flows where places run out, and lets old ones go', async () => {
    const definition = smallDefinition;
    const model = networkOf(definition);
    using device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true });
    const { ipv6 } = await import('../features/packets.ts');
    const frame = (flow: number) => ipv6(17, [flow >> 8, flow & 255, 0, 53, 0, 8, 0, 0]);
    const second = 1_000_000_000n;
    const outcomes = (at: bigint, count: number) =>
      Array.from({ length: count }, (_, flow) => device.run(frame(flow), at).outcome);
    const first = outcomes(10n * second, 200);
    const kept = first.filter((o) => o === 'classified').length;
    expect(kept).toBeLessThanOrEqual(64);
    expect(kept).toBeGreaterThan(40);
    expect(device.counts()).toMatchObject({ begun: BigInt(kept), evicted: 0n, collided: BigInt(200 - kept) });
    // The same have their places still, and their own counts.
    expect(outcomes(11n * second, 200)).toEqual(first);
    first.forEach((outcome, flow) => {
      if (outcome !== 'classified') return;
      device.run(frame(flow), 11n * second + 1n);
      expect(device.features()[0]).toBe(3);
    });
    expect(device.counts()).toMatchObject({ begun: BigInt(kept), evicted: 0n });
    // More than a second later others take them.
    const collided = first.indexOf('collided');
    expect(device.run(frame(collided), 13n * second).outcome).toBe('classified');
    expect([...device.features()]).toEqual([1, 2]);
    expect(device.counts()).toMatchObject({ begun: BigInt(kept + 1), evicted: 1n });
  });
});

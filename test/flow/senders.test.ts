import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { keyCode } from '../../src/backends/xdp/flow/key.ts';
import { FLOW_PLACES, placeBytes } from '../../src/backends/xdp/flow/plan.ts';
import { FeatureExecutor, parseFeatures } from '../../src/features/index.ts';
import { type Verdict, verdicts } from '../../src/flow/engine.ts';
import { loadXdpFlow } from '../../src/flow/xdp.ts';
import { planFlowOrRefuse } from '../../src/targets/xdp/flows.ts';
import { frameOf, udp4 } from '../features/packets.ts';
import { testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { networkOf } from './networks.ts';

vi.setConfig({ testTimeout: 1_200_000 });

/** INTRANSIT_SWEEP=1: a million flows through the table of a definition as it comes. */
const isSweep = process.env.INTRANSIT_SWEEP === '1';
const [FLOWS, PLACES] = isSweep ? [1_000_000, 131_072] : [24_000, 8192];
const [SENDERS, PACKETS] = [4, 3];
const [LEAST, KINDS] = [28, 64];

const definition = parseFeatures(
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: senders }
spec:
  accept: { ip: [4], protocols: [udp] }
  table: { flows: ${PLACES}, keep: 1s }
  state:
    n: { count: true }
    bytes: { sum: ip.length }
    least: { min: ip.length }
    most: { max: ip.length }
  features: { n: log8(n), bytes: log8(bytes), least: log8(least), most: log8(most) }
  classify: { packets: [2] }
`,
  'senders.yaml',
);

/** What the reference says of flow f from its second packet on: it depends on its length alone. */
function expectedVerdicts(model: ReturnType<typeof networkOf>): readonly Verdict[] {
  const verdictOf = verdicts(model);
  return Array.from({ length: KINDS }, (_, kind) => {
    const executor = new FeatureExecutor(definition);
    const frame = frameOf(udp4({ payload: new Array<number>(kind).fill(0) }));
    executor.frame(frame);
    return verdictOf(executor.frame(frame).rows[0]!.features);
  });
}

describeWith(loading, 'several senders at once', () => {
  it(`${FLOWS} flows through ${PLACES} places: no state is mixed, every packet is counted`, async () => {
    const sender = join(testFolder(), 'senders');
    execFileSync('clang', ['-O2', '-pthread', '-o', sender, join(import.meta.dirname, 'senders.c')]);
    const model = networkOf(definition);
    const plan = planFlowOrRefuse(definition, model);
    using device = await loadXdpFlow(plan, { test: false });
    await send(sender, device.program.fd);

    const { begun, evicted, ended: _, ...outcomes } = device.counts();
    const accounted = Object.values(outcomes).reduce((sum, count) => sum + count, 0n);
    expect(accounted).toBe(BigInt(FLOWS * PACKETS * SENDERS));
    expect(outcomes).toMatchObject({ foreign: 0n, damaged: 0n, failed: 0n });

    const key = keyCode(definition);
    const size = placeBytes(plan, key.words);
    const expected = expectedVerdicts(model);
    const table = device.map('flows');
    const seen = new Set<number>();
    let whole = 0;
    for (let index = 0; index < table.info.maxEntries; index++) {
      const bucket = table.lookup(index)!;
      for (let i = 0; i < FLOW_PLACES; i++) {
        if (bucket.readUInt32LE(BUCKET.tags + 4 * i) === 0) continue;
        const at = BUCKET.places + i * size;
        // The lower end of the key is the sender's: 10.0.0.0 and the flow.
        const flow = bucket.readUInt32LE(at) & 0xffffff;
        const [verdict, packets] = [0, 1].map((w) => bucket.readBigUInt64LE(at + 8 * (key.words + w))) as [
          bigint,
          bigint,
        ];
        const state = at + 8 * (key.words + 2);
        const length = LEAST + (flow % KINDS);
        const n = Number(packets);
        const found = {
          n: bucket.readUInt32LE(state),
          bytes: bucket.readUInt32LE(state + 4),
          least: bucket.readUInt32LE(state + 8),
          most: bucket.readUInt32LE(state + 12),
        };
        expect([flow, found]).toEqual([flow, { n, bytes: n * length, least: length, most: length }]);
        expect(n).toBeLessThanOrEqual(PACKETS * SENDERS);
        const isKnown = ((verdict >> 16n) & 1n) === 1n;
        expect([flow, n, isKnown]).toEqual([flow, n, n >= 2]);
        if (isKnown) {
          const { class: c, margin } = expected[flow % KINDS]!;
          expect([flow, Number(verdict & 0xffn), Number((verdict >> 8n) & 0xffn)]).toEqual([flow, c, margin]);
        }
        expect(seen.has(flow)).toBe(false);
        seen.add(flow);
        if (n === PACKETS * SENDERS) whole++;
      }
    }
    // Who began and did not make room is there still.
    expect(begun - evicted).toBe(BigInt(seen.size));
    expect(seen.size).toBeGreaterThan(PLACES / 2);
    expect(outcomes.collided + evicted).toBeGreaterThan(0n);
    if (evicted === 0n) expect(whole).toBe(seen.size);
    console.log(
      `${accounted} packets: ${seen.size} flows stay, ${begun} began, ${evicted} made room, ${outcomes.collided} collided`,
    );
  });
});

/** Bytes of a bucket before its tags, and before its places. */
const BUCKET = { tags: 8, places: 64 } as const;

/** @param program its descriptor, which the senders get as their third */
function send(sender: string, program: number): Promise<void> {
  const child = spawn(sender, [SENDERS, FLOWS, PACKETS].map(String), {
    stdio: ['ignore', 'ignore', 'pipe', program],
  });
  let said = '';
  child.stderr!.on('data', (text) => {
    said += text;
  });
  return new Promise((resolve, reject) =>
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`senders: ${code} ${said}`)))),
  );
}

import { expect, it, vi } from 'vitest';
import type { Frame } from '../../src/capture/index.ts';
import type { FeatureDefinition } from '../../src/features/index.ts';
import { createBmv2FlowEngine } from '../../src/flow/bmv2.ts';
import type { FlowEngine } from '../../src/flow/engine.ts';
import { createXdpFlowEngine } from '../../src/flow/xdp.ts';
import { ipv4 } from '../features/packets.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { type Random, random } from '../support/random.ts';
import { define, endDefinition } from './definitions.ts';
import { networkOf } from './networks.ts';

/**
 * More flows than places: some find none, some make room and come again. A device says which, the reference follows it, and both have
 * the same numbers for what begins anew.
 */

vi.setConfig({ testTimeout: 240_000 });

const TABLE = '{ flows: 64, keep: 1s }';
const byPacket = define(`
  accept: { ip: [4], protocols: [udp, tcp] }
  table: ${TABLE}
  state: { n: { count: true }, bytes: { sum: ip.length }, seen: { last: time } }
  features: { n: log8(n), bytes: log8(bytes), gap: log8(us(time - old.seen)) }
  classify: every-packet`);

const atEnd = endDefinition('{ idle: 3s, active: 60s }', TABLE);

/** A segment of one of so many connections; one in ten closes its own, or opens it. */
function segment(r: Random, flows: number): Uint8Array {
  const port = 1000 + r.int(0, flows - 1);
  const flags = r.chance(0.1) ? (r.chance(0.5) ? 4 : 2) : 16;
  return ipv4(6, [port >> 8, port & 255, 0, 53, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 9, 0, 0, 0, 0]);
}

async function outcomesOf(engine: FlowEngine, frames: readonly Frame[]): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  try {
    await engine.capture(frames, ({ outcome }) => seen.set(outcome, (seen.get(outcome) ?? 0) + 1));
    expect(engine.equality?.()).toEqual({ packets: frames.length, mismatches: 0, examples: [] });
    return seen;
  } finally {
    await engine.close();
  }
}

function framesOf(count: number, flows: number, gapNs: number): Frame[] {
  const r = random(31);
  let timeNs = 1_700_000_000_000_000_000n;
  return Array.from({ length: count }, () => {
    const data = segment(r, flows);
    timeNs += BigInt(r.int(0, 2 * gapNs));
    return { data, length: data.length, link: 'ethernet' as const, timeNs };
  });
}

const cases: readonly (readonly [string, FeatureDefinition])[] = [
  ['packet by packet', byPacket],
  ['at their ends', atEnd],
];

/** @param least so many packets find no place, and so many are classified */
function areClassified(
  createEngine: (definition: FeatureDefinition) => Promise<FlowEngine>,
  frames: readonly Frame[],
  least: number,
): void {
  for (const [name, definition] of cases)
    it(`are classified ${name} as by the reference`, async () => {
      const seen = await outcomesOf(await createEngine(definition), frames);
      expect(seen.get('collided')).toBeGreaterThan(least);
      expect(seen.get('classified')).toBeGreaterThan(least);
    });
}

describeWith(loading, 'more flows than the kernel has places for', () => {
  // 6,000 packets a minute, 100 flows: places are often all taken, and often by flows that were not seen for a second.
  areClassified((d) => createXdpFlowEngine(d, networkOf(d)), framesOf(6000, 100, 10_000_000), 100);
});

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'more flows than a switch has places for', () => {
  // The switch sees them when they come: a slow one gives more places to others, thus more flows than the kernel's and a low bound.
  areClassified((d) => createBmv2FlowEngine(d, networkOf(d)), framesOf(12_000, 150, 0), 50);
});

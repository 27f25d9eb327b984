import { expect, it, vi } from 'vitest';
import { createBmv2SetEngine } from '../../src/flow/bmv2.ts';
import type { PacketDecision } from '../../src/flow/engine.ts';
import type { FlowSet } from '../../src/flow/set.ts';
import { startServer } from '../p4runtime/support/server.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { deviceDefinitions, smallDefinition } from './definitions.ts';
import { randomFrame } from './frames.ts';
import { fourModels, member, modelFiles, onlyTcp, setOf, shortFlows, TWO_MODELS, when } from './sets.ts';

vi.setConfig({ testTimeout: 240_000 });

const FRAMES = 3000;
const captures = ['--pcap', 'examples/captures/dns_doh.pcap', 'examples/captures/viber.pcap'];
const models = modelFiles(testFolder());

/** What the switch and the reference make of frames. @returns decisions of the switch */
async function onSwitch(set: FlowSet, frames: readonly { data: Uint8Array; length: number }[]) {
  const engine = await createBmv2SetEngine(set);
  const decisions: PacketDecision[] = [];
  try {
    const all = frames.map((f) => ({ ...f, link: 'ethernet' as const, timeNs: 0n }));
    await engine.capture(all, (decision) => decisions.push(decision));
    expect(engine.equality?.()).toEqual({ packets: frames.length, mismatches: 0, examples: [] });
  } finally {
    await engine.close();
  }
  return decisions;
}

describeWithTools(['p4c-bm2-ss', 'simple_switch_grpc'], 'several models on a switch', () => {
  it('gives each packet to the first model that takes it, and decides as the reference does', async () => {
    const set = fourModels(deviceDefinitions.everything!, '{ idle: 150ms, active: 2s }', {
      name: 'c',
      when: when({ protocols: ['udp', 'icmp'], prefixes: ['0.0.0.0/0', '2001:db8::/64'] }),
      ...member(deviceDefinitions.narrow!, 10),
    });
    const r = random(5);
    // Each twice: what comes after a reset is late.
    const frames = Array.from({ length: FRAMES / 2 }, () => randomFrame(r)).flatMap((f) => [f, f]);
    const decisions = await onSwitch(set, frames);
    const models = new Set(decisions.flatMap(({ rows }) => rows.map((row) => Math.floor(row.class / 5))));
    expect([...models].sort()).toEqual([0, 1, 2, 3]);
    const outcomes = new Set(decisions.map(({ outcome }) => outcome));
    for (const outcome of ['classified', 'early', 'late', 'foreign', 'damaged', 'fragment', 'tunnel'])
      expect(outcomes).toContain(outcome);
  });

  it('classifies packets by themselves whose flow finds no place', async () => {
    const decisions = await onSwitch(
      setOf(
        [
          { name: 'a', when: when({ protocols: ['tcp'] }), ...member(smallDefinition, 0) },
          { name: 'b', when: undefined, ...member(smallDefinition, 5) },
        ],
        member(onlyTcp, 10),
      ),
      shortFlows(300),
    );
    const outcomes = decisions.map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(['classified', 'collided']));
    // Of the model for them those of TCP have a verdict, and the others none.
    const [tcp, udp] = [0, 1].map((rest) =>
      outcomes.filter((o, i) => o === 'collided' && Math.sign(i % 3) === rest),
    );
    expect(tcp!.length).toBeGreaterThan(20);
    expect(udp!.length).toBeGreaterThan(20);
  });

  it('takes a file of models, for captures and for a device', async () => {
    const argv = ['classify', models(TWO_MODELS), '--on', 'bmv2', '--json'];
    const { code, out } = await intransit(...argv, ...captures);
    expect(code).toBe(0);
    const onSwitch = JSON.parse(out);
    const reference = JSON.parse(
      (await intransit('classify', models(TWO_MODELS), ...captures, '--json')).out,
    );
    expect(onSwitch.equality).toMatchObject({ mismatches: 0 });
    const named = (flows: readonly { client: string; server: string; name: string }[]) =>
      flows.map(({ client, server, name }) => [client, server, name]);
    expect(named(onSwitch.flows)).toEqual(named(reference.flows));
    const running = await startServer({});
    try {
      const device = ['--device', running.address, '--seconds', '0.1'];
      const pushed = await intransit(...argv, ...device);
      expect([pushed.code, JSON.parse(pushed.out)]).toEqual([
        0,
        expect.objectContaining({
          model: 'two',
          models: [
            { name: 'names', outcomes: expect.objectContaining({ classified: 0, begun: 0 }) },
            { name: 'rest', outcomes: expect.objectContaining({ classified: 0, begun: 0 }) },
          ],
        }),
      ]);
      expect(JSON.parse(pushed.out).classes.map((c: { name: string }) => c.name)).toEqual([
        'short',
        'lasting',
        'brief',
      ]);
    } finally {
      await running.close();
    }
  });
});

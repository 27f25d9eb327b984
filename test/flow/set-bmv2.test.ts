import { expect, it, vi } from 'vitest';
import { insertion, tableEntry } from '../../src/backends/common/entries.ts';
import { flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import { flowCounterOf, flowModelOf } from '../../src/backends/common/flow/tables.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import { classEntry } from '../../src/devices/flow-actions.ts';
import { parseFeatures } from '../../src/features/index.ts';
import { createBmv2SetEngine } from '../../src/flow/bmv2.ts';
import { switchPipeline, switchSetProgram } from '../../src/flow/bmv2-program.ts';
import type { PacketDecision } from '../../src/flow/engine.ts';
import type { FlowSet } from '../../src/flow/set.ts';
import { verdictsIn } from '../../src/flow/set-reference.ts';
import { ipv6, tcp4 } from '../features/packets.ts';
import { startServer } from '../p4runtime/support/server.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { switchDevice } from './acting-device.ts';
import { deviceDefinitions, endDefinition, smallDefinition } from './definitions.ts';
import { randomFrame } from './frames.ts';
import { headers, member, modelFiles, onlyTcp, setOf, TWO_MODELS, when } from './sets.ts';

vi.setConfig({ testTimeout: 240_000 });

const FRAMES = 3000;
const captures = ['--pcap', 'examples/captures/dns_doh.pcap', 'examples/captures/viber.pcap'];
const models = modelFiles(testFolder());

/** The class is said by the port. */
const byPort = parseFeatures(
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: by-port }
spec:
  state: { n: { count: true } }
  features: { a: "port.server == 1000 ? 200 : 0", b: "port.server == 1001 ? 200 : 0" }
`,
  'by-port.yaml',
);

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
    const set = setOf(
      [
        {
          name: 'a',
          when: when({ prefixes: ['10.0.0.1/32', '2001:db8::2/127'], ports: ['0-60', 879] }),
          ...member(deviceDefinitions.everything!, 0),
        },
        {
          name: 'b',
          when: when({ vlans: [0], dscp: Array.from({ length: 20 }, (_, i) => 3 * i) }),
          ...member(endDefinition('{ idle: 150ms, active: 2s }'), 5),
        },
        {
          name: 'c',
          when: when({ protocols: ['udp', 'icmp'], prefixes: ['0.0.0.0/0', '2001:db8::/64'] }),
          ...member(deviceDefinitions.narrow!, 10),
        },
        { name: 'd', when: undefined, ...member(deviceDefinitions.oneWay!, 15) },
      ],
      member(headers, 20),
    );
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
    const frames = Array.from({ length: 300 }, (_, flow) => {
      const ports = [flow >> 8, flow & 255, 0, 53];
      const isTcp = flow % 3 === 0;
      const data = isTcp
        ? ipv6(6, [...ports, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 2, 0, 9, 0, 0, 0, 0])
        : ipv6(17, [...ports, 0, 8, 0, 0]);
      return { data, length: data.length };
    });
    const decisions = await onSwitch(
      setOf(
        [
          { name: 'a', when: when({ protocols: ['tcp'] }), ...member(smallDefinition, 0) },
          { name: 'b', when: undefined, ...member(smallDefinition, 5) },
        ],
        member(onlyTcp, 10),
      ),
      frames,
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

  it('is driven over P4Runtime by model: weights, slots, counts, and what is done with classes of all', async () => {
    const set = setOf([
      { name: 'a', when: when({ ports: [1000] }), ...member(byPort, 0) },
      { name: 'b', when: undefined, ...member(byPort, 5) },
    ]);
    const [first, second] = set.members.map(verdictsIn);
    const program = switchSetProgram(set);
    const { config, updates } = await switchPipeline(program);
    const device = await switchDevice();
    try {
      await device.client.pipeline.commit(config);
      await device.client.write([
        ...updates,
        insertion({ table: ports, keys: [1], action: cross, parameters: [2] }),
      ]);
      // What is there is what was written, by model.
      const names = (config.p4info.tables ?? []).map((t) => t.preamble?.name);
      for (const name of ['flow_model', 'flow_model_of_1', 'flow_secret_of_1', 'weights_0_1', 'weights_0_17'])
        expect(names).toContain(name);
      const frames = [tcp4({ destinationPort: 1000 }), tcp4({ destinationPort: 1001 })];
      const own = [first!(Uint8Array.of(200, 0)), second!(Uint8Array.of(0, 200))];
      expect(own[0]!.class).toBeLessThan(5);
      expect(own[1]!.class).toBeGreaterThanOrEqual(5);
      expect((await device.through(frames, 2))[2].length).toBe(2);
      // Packets of the second model's class are dropped, those of the first go on.
      const drop = { way: 'drop', port: 0, dscp: undefined, session: 0, tell: false } as const;
      await device.client.insert([{ tableEntry: tableEntry(classEntry(own[1]!.class, drop)) }]);
      expect((await device.through(frames, 1))[2].map(String)).toEqual([Buffer.from(frames[0]!).toString()]);
      const counts = async (model: number) =>
        (await device.client.readAll([{ counterEntry: { counterId: flowCounterOf(model).id } }])).map((e) =>
          Number(e.counterEntry?.data?.packetCount ?? 0),
        );
      const [classified, begun] = [0, flowOutcomes.length];
      for (const model of [0, 1]) {
        const found = await counts(model);
        expect([found[classified], found[begun]]).toEqual([2, 1]);
      }
      // A slot without weights: that model says nothing, the other goes on.
      const { id, actions } = flowModelOf(1);
      const slot = { table: flowModelOf(1), keys: [], action: actions[0]!, parameters: [17] };
      await device.client.modify([{ tableEntry: tableEntry(slot) }]);
      const read = await device.client.readAll([{ tableEntry: { tableId: id, isDefaultAction: true } }]);
      expect(read).toEqual([
        expect.objectContaining({ tableEntry: expect.objectContaining({ tableId: id }) }),
      ]);
      await device.through(frames, 2);
      const failed = flowOutcomes.findIndex((o) => o.name === 'failed');
      expect([(await counts(0))[failed], (await counts(1))[failed]]).toEqual([0, 1]);
    } finally {
      await device.close();
    }
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

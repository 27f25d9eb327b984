import { spawnSync } from 'node:child_process';
import { expect, it, vi } from 'vitest';
import { insertion, tableEntry } from '../../src/backends/common/entries.ts';
import { flowEvents, flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import { flowCounterOf, flowModelOf } from '../../src/backends/common/flow/tables.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import { parseFeatures } from '../../src/features/index.ts';
import { verdictsIn } from '../../src/flow/set-reference.ts';
import { setPipelines } from '../../src/flow/targets.ts';
import { classEntry } from '../../src/runtime/xdp/flow-actions.ts';
import { tcp4 } from '../features/packets.ts';
import { describeWith, loading } from '../support/machine.ts';
import { type ActingDevice, agentDevice, switchDevice } from './acting-device.ts';
import { endDefinition } from './definitions.ts';
import { member, onlyTcp, setOf, when } from './sets.ts';

vi.setConfig({ testTimeout: 240_000 });

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

const ends = endDefinition('{ idle: 150ms, active: 2s }');

const isThere = (tool: string) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
const devices: Readonly<Record<string, readonly [kind: string, () => Promise<ActingDevice>, boolean]>> = {
  'a host with an agent': ['xdp', agentDevice, true],
  'a switch': ['bmv2', switchDevice, ['p4c-bm2-ss', 'simple_switch_grpc'].every(isThere)],
};

for (const [title, [kind, start, here]] of Object.entries(devices)) {
  if (!here) {
    console.warn(`several models on ${title} [SKIPPED: no p4c or BMv2 on the PATH]`);
    continue;
  }
  describeWith(loading, `several models on ${title}`, () => {
    it('is driven by model: weights, slots, counts, and what is done with classes of all', async () => {
      // On a host also one whose flows are classified at their ends, and one of packets.
      const isHost = kind === 'xdp';
      const set = setOf(
        [
          { name: 'a', when: when({ ports: [1000] }), ...member(byPort, 0) },
          { name: 'b', when: when({ ports: [1001] }), ...member(byPort, 5) },
          ...(isHost ? [{ name: 'c', when: when({ ports: [2000] }), ...member(ends, 10) }] : []),
        ],
        isHost ? member(onlyTcp, 15) : undefined,
      );
      const [first, second] = set.members.map(verdictsIn);
      const { config, updates } = await setPipelines[kind]!(set);
      const device = await start();
      try {
        await device.client.pipeline.commit(config);
        await device.client.write([
          ...updates,
          insertion({ table: ports, keys: [1], action: cross, parameters: [2] }),
        ]);
        // What is there is what was written, by model.
        const names = (config.p4info.tables ?? []).map((t) => t.preamble?.name);
        for (const name of ['flow_model', 'flow_model_of_1', 'weights_0_1', 'weights_0_17'])
          expect(names).toContain(name);
        const frames = [tcp4({ destinationPort: 1000 }), tcp4({ destinationPort: 1001 })];
        const own = [first!(Uint8Array.of(200, 0)), second!(Uint8Array.of(0, 200))];
        expect(own[0]!.class).toBeLessThan(5);
        expect(own[1]!.class).toBeGreaterThanOrEqual(5);
        expect((await device.through(frames, 2))[2].length).toBe(2);
        // Packets of the second model's class are dropped, those of the first go on.
        const drop = { way: 'drop', port: 0, dscp: undefined, session: 0, tell: true } as const;
        await device.client.insert([{ tableEntry: tableEntry(classEntry(own[1]!.class, drop)) }]);
        expect((await device.through(frames, 1))[2].map(String)).toEqual([
          Buffer.from(frames[0]!).toString(),
        ]);
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
        // What no model is for is counted with the last.
        await device.through([tcp4({ destinationPort: 3000 })], 1);
        const foreign = flowOutcomes.findIndex((o) => o.name === 'foreign');
        expect((await counts(set.members.length - 1))[foreign]).toBe(1);
        if (!isHost) return;
        // Another agent goes on with all of it.
        const all = async () => [await counts(0), await counts(1), await counts(2)];
        const before = await all();
        const said = (await device.restart()).join('\n');
        expect(said).not.toMatch(/elements|weights of slot/);
        expect(await all()).toEqual(before);
        const again = await device.client.readAll([{ tableEntry: { tableId: id, isDefaultAction: true } }]);
        expect(again).toEqual(read);
        await device.client.modify([{ tableEntry: tableEntry({ ...slot, parameters: [16] }) }]);
        await device.through(frames, 1);
        expect((await counts(1))[classified]).toBe(before[1]![classified]! + 1);
        // A sweep finds a flow over, and the model that it is of classifies it.
        await device.through([tcp4({ destinationPort: 2000 })], 1);
        const ended = flowOutcomes.length + flowEvents.indexOf('ended');
        const isOver = async () => expect((await counts(2))[ended]).toBe(1);
        await vi.waitFor(isOver, { timeout: 20_000, interval: 100 });
        // A model has no slots of another.
        const wrong = device.client.modify([{ tableEntry: tableEntry({ ...slot, parameters: [0] }) }]);
        await expect(wrong).rejects.toThrow(/slots 16 and 17/);
      } finally {
        await device.close();
      }
    });
  });
}

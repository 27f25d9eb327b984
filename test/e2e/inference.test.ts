import { beforeAll, expect, test } from 'vitest';
import { testFolder } from '../support/io.ts';
import { Deployment, type Example, example, expectExact, type Placement, send, tell } from './path.ts';
import { describeTestbed, hasBmv2 } from './suite.ts';
import type { SwitchKind, Topology } from './testbed.ts';
import { expectPing, expectTcp } from './traffic.ts';

const folder = testFolder();

/** digits-mlp has two layers, traffic-mlp three. A switch that nothing is left for only forwards. */
const splits: Readonly<Record<Topology, Readonly<Record<string, Readonly<Record<string, Placement>>>>>> = {
  single: {
    'digits-mlp': { s1: { layers: '0..2' } },
    'traffic-mlp': { s1: { layers: '0..3' } },
  },
  chain: {
    'digits-mlp': { s1: { layers: '0..1' }, s2: { layers: '1..2' }, s3: {} },
    'traffic-mlp': { s1: { layers: '0..1' }, s2: { layers: '1..2' }, s3: { layers: '2..3' } },
  },
  // The shortest way is by s2 for all; requests that want layer 1 are steered by s3.
  diamond: {
    'digits-mlp': {
      s1: { layers: '0..1', steer: { 1: 's3' } },
      s2: {},
      s3: { layers: '1..2' },
      s4: {},
    },
    'traffic-mlp': {
      s1: { layers: '0..1', steer: { 1: 's3' } },
      s2: {},
      s3: { layers: '1..2' },
      s4: { layers: '2..3' },
    },
  },
};

/** Without BMv2 agents take its places. */
const bmv2: SwitchKind = hasBmv2 ? 'bmv2' : 'xdp';
const networks: readonly (readonly [Topology, readonly SwitchKind[]])[] = [
  ['single', ['bmv2']],
  ['single', ['xdp']],
  ['chain', [bmv2, 'xdp', bmv2]],
  ['diamond', [bmv2, bmv2, 'xdp', bmv2]],
];

for (const [topology, kinds] of networks)
  describeTestbed('models in the path', topology, kinds, (testbed) => {
    const examples = new Map<string, Example>();
    beforeAll(async () => {
      for (const name of ['digits-mlp', 'traffic-mlp']) examples.set(name, await example(name));
    });

    test.each(['digits-mlp', 'traffic-mlp'])('%s, every row at 1,000 a second', async (name) => {
      const placements = splits[topology][name]!;
      await new Deployment(testbed(), folder, name, placements).apply();
      const wanted = examples.get(name)!;
      const answers = await send(testbed(), folder, wanted);
      tell(testbed(), `${topology}, ${name}`, answers.statistics);
      expectExact(answers, wanted);
      if (topology !== 'diamond') return;
      // Steering: all of them by s3, none by s2.
      expect(await testbed().outcomes('s2')).toMatchObject({ computed: 0, not_request: 0 });
      expect((await testbed().outcomes('s3')).computed).toBeGreaterThanOrEqual(wanted.rows);
    });

    test('ordinary traffic passes: ping and TCP, both ways', async () => {
      await expectPing(testbed(), 'h1', 'h2');
      await expectPing(testbed(), 'w1', 'h1');
      await expectTcp(testbed(), 'h1', 'h2');
      await expectTcp(testbed(), 'h2', 'h1');
      if (topology === 'diamond') {
        const { foreign } = await testbed().outcomes('s2');
        expect(foreign).toBeGreaterThan(100);
      }
    });
  });

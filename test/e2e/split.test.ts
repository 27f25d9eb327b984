import { beforeAll, expect, test } from 'vitest';
import { testFolder } from '../support/io.ts';
import { Deployment, type Example, example, expectExact, send } from './path.ts';
import { describeTestbed, hasBmv2 } from './suite.ts';
import type { SwitchKind } from './testbed.ts';
import { startWorker } from './worker.ts';

const folder = testFolder();
const NAME = 'digits-cnn';

/** Edge 0..a, s1 a..b, s2 b..c, worker c..n; every device has a layer at least, edge and worker may have none. */
function cuts(layers: number): [edge: number, s1: number, s2: number][] {
  const found: [number, number, number][] = [];
  for (let a = 0; a <= layers; a++)
    for (let b = a + 1; b <= layers; b++) for (let c = b + 1; c <= layers; c++) found.push([a, b, c]);
  return found;
}

let wanted: Example;
beforeAll(async () => {
  wanted = await example(NAME);
});

const pairs: readonly (readonly [SwitchKind, SwitchKind])[] = [
  ['xdp', 'xdp'],
  ...(hasBmv2
    ? ([
        ['bmv2', 'xdp'],
        ['xdp', 'bmv2'],
      ] as const)
    : []),
];

/** p4c takes up to half a minute for each piece with a convolution (16 slots each); each is compiled once. */
const TIMEOUT_MS = 900_000;

for (const [i, pair] of pairs.entries()) {
  // Every split over one pair; over the others each piece in the second place, behind a piece of one layer.
  const all = i === pairs.length - 1;
  describeTestbed('digits-cnn in four pieces', 'chain', [...pair, 'xdp'], (testbed) => {
    test(
      `${all ? 'every split' : 'each second piece of a split'} over edge, two devices and a worker gives the answers of the whole`,
      async () => {
        const places = cuts(wanted.model.layers.length).filter(([a, b]) => all || b === a + 1);
        expect(places).toHaveLength(all ? 20 : 10);
        const stop = await startWorker(testbed(), 'h2', NAME);
        try {
          for (const [a, b, c] of places) {
            // The third holds what has been computed when packets reach it, and so computes nothing.
            const placements = {
              s1: { layers: `${a}..${b}` },
              s2: { layers: `${b}..${c}` },
              s3: { layers: `${a}..${b}` },
            };
            await new Deployment(testbed(), folder, NAME, placements).apply();
            const computed = async (name: string) => (await testbed().outcomes(name)).computed;
            const before = [await computed('s1'), await computed('s2')] as const;
            const answers = await send(testbed(), folder, wanted, a === 0 ? [] : ['--layers', `0..${a}`]);
            expectExact(answers, wanted);
            const { by } = answers.statistics;
            const place = `edge 0..${a}, s1 ${a}..${b}, s2 ${b}..${c}`;
            expect(c === wanted.model.layers.length ? by.network : by.worker, place).toBe(wanted.rows);
            expect((await computed('s1')) - before[0], place).toBeGreaterThanOrEqual(wanted.rows);
            expect((await computed('s2')) - before[1], place).toBeGreaterThanOrEqual(wanted.rows);
          }
        } finally {
          await stop();
        }
      },
      TIMEOUT_MS,
    );
  });
}

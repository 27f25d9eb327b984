import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { needDiagnostics } from '../../../src/backends/common/need.ts';
import { xdpNeeds } from '../../../src/backends/xdp/needs.ts';
import { planXdp } from '../../../src/backends/xdp/plan.ts';
import { importJson } from '../../../src/import/json/index.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { randomShapes } from '../../support/shapes.ts';
import { compareXdp, inParallel } from '../../support/xdp.ts';

/** Kernels of many rows, of which clang kept each tap's place on the stack; `bench/xdp-shapes.ts` tries more. */
const LONG_KERNELS = [46, 90, 101, 110];

describeWith(loading, 'layers of any kernel size that the needs accept', () => {
  it('compile, load and give the integers of the reference', async () => {
    const seeds = [...LONG_KERNELS, ...Array.from({ length: 14 }, (_, i) => 500 + i)];
    const results = await inParallel(seeds, 2, async (seed) => {
      const { model, options, title } = randomShapes(seed, 3400);
      const { plan } = planXdp(model, options);
      // An image may have grown beyond what a packet carries.
      if (needDiagnostics(xdpNeeds(plan!), 'xdp', model.file).length > 0) return undefined;
      const { mismatches, foretold, verified } = await compareXdp(
        model,
        options,
        rowsOf(random(seed), model, 2),
      );
      return { title, mismatches, within: verified <= foretold };
    });
    const computed = results.filter((r) => r !== undefined);
    expect(computed.filter((r) => r.mismatches > 0 || !r.within)).toEqual([]);
    expect(computed.length).toBeGreaterThanOrEqual(10);
  }, 300_000);

  it('a convolution of 9 x 8 over 8 channels, its rows in a loop', async () => {
    const file = new URL('../fixtures/conv-9x8.json', import.meta.url);
    const { model } = importJson(readFileSync(file, 'utf8'), 'conv-9x8.json');
    expect(await compareXdp(model, {}, rowsOf(random(1), model, 20))).toMatchObject({ mismatches: 0 });
  });
});

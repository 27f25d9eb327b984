import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { planXdp } from '../../../src/backends/xdp/plan.ts';
import { importModel } from '../../../src/import/index.ts';
import { createXdpEngine, loadXdp } from '../../../src/runtime/xdp/engine.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { foretold } from '../../support/xdp.ts';

/** MLPerf Tiny's anomaly detection network. Its licence keeps it beside the project, not in it. */
const folder = '../shared/models/mlperf-tiny';
const present = existsSync(`${folder}/ad01_int8.tflite`);
if (!present) console.warn(`SKIPPED: ${folder}/ad01_int8.tflite is absent, it does not run in the kernel`);

/** What the verifier may walk for a whole network in one program; it is what loading takes its time for. */
const MOST_INSTRUCTIONS = 150_000;

describeWith(loading, 'ad01 (640-128x4-8-128x4-640) in one XDP program', () => {
  const model = async () => (await importModel(`${folder}/ad01_int8.tflite`)).model;

  it.skipIf(!present).each([{}, { weights: 'static' }, { lanes: 'off' }] as const)(
    '%o gives the recorded integers of the TFLite kernels',
    async (options) => {
      const engine = await createXdpEngine(await model(), options);
      const outputs = await engine.run(readFileSync(`${folder}/ad01.x.bin`));
      await engine.close();
      const expected = readFileSync(`${folder}/ad01.expected.bin`);
      expect(outputs).toHaveLength(expected.length);
      expect(expected.reduce((count, byte, i) => count + (byte === outputs[i] ? 0 : 1), 0)).toBe(0);
    },
  );

  it.skipIf(!present)('is foretold, and walked within limits', async () => {
    const plan = planXdp(await model()).plan!;
    using device = await loadXdp(plan);
    const verified = device.program.verifiedInstructions!;
    expect(verified).toBeLessThanOrEqual(MOST_INSTRUCTIONS);
    expect(foretold(plan)).toBeGreaterThanOrEqual(verified);
    expect(foretold(plan)).toBeLessThan(3 * verified);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';

/** MLPerf Tiny's anomaly detection network. Its licence keeps it beside the project, not in it. */
const folder = '../shared/models/mlperf-tiny';
const present = existsSync(`${folder}/ad01_int8.tflite`);
if (!present)
  console.warn(`SKIPPED: ${folder}/ad01_int8.tflite is absent, the 64 recorded rows are not compared`);

describe.skipIf(!present)('ad01 (640-128x4-8-128x4-640, 264 k weights)', () => {
  it('gives the recorded integers of the TFLite kernels: 64 rows, 0 mismatches', async () => {
    const { model, diagnostics } = await importModel(`${folder}/ad01_int8.tflite`);
    expect(diagnostics).toEqual([]);
    const outputs = interpretRows(model, readFileSync(`${folder}/ad01.x.bin`));
    const expected = readFileSync(`${folder}/ad01.expected.bin`);
    expect(expected.length).toBe(64 * 640);
    const mismatches = expected.reduce((count, byte, i) => count + (byte === outputs[i] ? 0 : 1), 0);
    expect(mismatches).toBe(0);
    expect(outputs).toHaveLength(expected.length);
  });

  it('is exact at every accumulator, with one multiplier a layer, and a second line in the last layer alone', async () => {
    const { model } = await importModel(`${folder}/ad01_int8.tflite`);
    expect(model.layers.map(({ kind }) => kind)).toEqual(new Array(10).fill('dense'));
    for (const [i, layer] of model.layers.entries()) {
      if (layer.kind !== 'dense') continue;
      expect(layer.requantiser.exactness.accumulators).toBe(0);
      expect(new Set(layer.requantiser.multiplier).size).toBe(1);
      // ReLU cuts off the negative side elsewhere.
      expect(layer.requantiser.below !== undefined).toBe(i === 9);
    }
  });
});

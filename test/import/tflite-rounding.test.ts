import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { intransit } from '../support/io.ts';

const MODEL = 'test/import/fixtures/tflite-mlp.tflite';
const recorded = JSON.parse(readFileSync('test/import/fixtures/tflite-mlp.rows.json', 'utf8'));
const bytes = (name: 'x' | 'double' | 'single') => Buffer.from(recorded[name], 'base64');

describe('a network of TensorFlow 2.21, 300 rows by an interpreter of the published kernels', () => {
  it('rounds twice or once, as asked; the two differ in some values', async () => {
    for (const kind of ['double', 'single'] as const) {
      const { model, diagnostics, rounding } = await importModel(MODEL, { tfliteRounding: kind });
      expect(Buffer.compare(interpretRows(model, bytes('x')), bytes(kind))).toBe(0);
      expect(diagnostics).toEqual([]);
      expect(rounding).toEqual({ kind, because: 'by --tflite-rounding' });
    }
    const differ = bytes('double').filter((byte, i) => byte !== bytes('single')[i]).length;
    expect(differ).toBe(5);
  });

  it('is read for one rounding, as its converter suggests, and inspect says so', async () => {
    const { model, rounding } = await importModel(MODEL);
    expect(rounding).toEqual({ kind: 'single', because: 'as TensorFlow 2.21.0 converted the file' });
    expect(Buffer.compare(interpretRows(model, bytes('x')), bytes('single'))).toBe(0);
    const { out } = await intransit('inspect', MODEL);
    expect(out).toContain(
      'rounding: single, of TensorFlow from 2.20 on, as TensorFlow 2.21.0 converted the file',
    );
    const json = JSON.parse((await intransit('inspect', MODEL, '--json', '--tflite-rounding', 'double')).out);
    expect(json.rounding).toMatchObject({
      kind: 'double',
      runtime: 'TFLite Micro and TensorFlow before 2.20',
    });
  });

  it('takes no other word', async () => {
    expect((await intransit('inspect', MODEL, '--tflite-rounding', 'triple')).code).toBe(2);
  });
});

/** MLPerf Tiny's anomaly detection network, beside the project. */
const AD01 = '../shared/models/mlperf-tiny/ad01_int8.tflite';

describe.skipIf(!existsSync(AD01))('ad01', () => {
  it('is of a converter that does not tell, so it rounds twice; once, a quarter of the values differs', async () => {
    const { rounding } = await importModel(AD01);
    expect(rounding).toEqual({ kind: 'double', because: 'as the file does not name its converter' });
    const { model } = await importModel(AD01, { tfliteRounding: 'single' });
    for (const layer of model.layers)
      if ('requantiser' in layer)
        expect([layer.requantiser.below, layer.requantiser.exactness.accumulators]).toEqual([undefined, 0]);
    const rows = readFileSync('../shared/models/mlperf-tiny/ad01.x.bin').subarray(0, 16 * 640);
    const twice = readFileSync('../shared/models/mlperf-tiny/ad01.expected.bin').subarray(0, 16 * 640);
    const once = interpretRows(model, rows);
    const off = twice.filter((byte, i) => byte !== once[i]).length;
    // As many as between both roundings of bench/tflite_reference.py.
    expect(off).toBe(2561);
  });
});

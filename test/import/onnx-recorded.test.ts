import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';

interface Recorded {
  readonly seed: number;
  readonly model: string;
  readonly x: string;
  readonly y: string;
}

const folder = 'test/import/fixtures';
const forms = readdirSync(folder).filter((file) => file.endsWith('.json') && !file.endsWith('.rows.json'));
const cases = forms.flatMap((file) => {
  // Written by the recorder in this form.
  const recorded = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Recorded[];
  return recorded.map((r) => ({ form: file.replace('.json', ''), ...r }));
});

/** Forms that ONNX Runtime computes in float32: its sums round in an order of its own. */
const floatForms = new Set(['bn', 'matmulInteger', 'convInteger', 'maxBeforeQ']);

const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'));

describe.each(cases)('$form, seed $seed', ({ form, model: encoded, x, y }) => {
  const { model } = importOnnx(bytes(encoded), `${form}.onnx`);

  it('gives the outputs of ONNX Runtime', () => {
    const outputs = interpretRows(model, bytes(x));
    const recorded = bytes(y);
    if (!floatForms.has(form)) {
      expect(outputs).toEqual(recorded);
      return;
    }
    const steps = outputs.map((q, i) => Math.min((q - recorded[i]!) & 0xff, (recorded[i]! - q) & 0xff));
    expect(Math.max(...steps)).toBeLessThanOrEqual(1);
    expect(steps.filter((d) => d > 0).length).toBeLessThanOrEqual(1);
  });

  it('verifies, and goes to JSON and back unchanged', () => {
    expect(verifyModel(model)).toEqual([]);
    const again = importJson(JSON.stringify(exportJson(model)), `${form}.json`).model;
    expect(dumpModel(again)).toBe(dumpModel(model));
  });
});

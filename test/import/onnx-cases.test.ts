import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';

/** Small networks, each of which stands for a kind of fault; the integers of ONNX Runtime with nothing fused are the right ones. */

const folder = 'test/import/fixtures/cases';

async function read(name: string) {
  const file = `${folder}/${name}.onnx`;
  const bytes = readFileSync(file);
  return { bytes, imported: await importBytes(bytes, file) };
}

const repeated = (count: number, value: number) => new Array<number>(count).fill(value);

/** Outputs of one row. */
const rows: Record<string, readonly [input: readonly number[], output: readonly number[]]> = {
  // The reals of 128 and 255 are beyond int8: they saturate.
  'w1-output-dtype-int8': [
    [10, 127, 127, 127],
    [5, 64, 64, 64],
  ],
  'w2-matmul-add-quantised-bias': [repeated(4, 128), [129, 129, 130, 130]],
  'w3-batchnorm-of-quantised': [repeated(12, 128), repeated(4, 130)],
  'w4-averagepool-same-scale': [
    [1, 0, 3, 0, 0, 1, 0, 3, 5, 2, 7, 0, 2, 1, 0, 3],
    [0, 2, 2, 2],
  ],
  'w5-power-of-two-scales': [
    [1, 2, 3, 4, 5, 6, 7, 10],
    [0, 0, 1, 1, 1, 2, 2, 2],
  ],
};

/** Codes of the refusals of the others. */
const refused: Record<string, string> = {
  'h-average-pool-2999x2999-hangs': 'too-much-work',
  'm-bias-nan': 'bad-quantisation',
  'm-strides-of-one-axis': 'onnx-attribute',
  'r-onnx-float-logits': 'onnx-float-end',
};

/** Those of which a softmax at the end leaves a verdict. */
const verdicts = ['r-onnx-softmax-end'];

const names = readdirSync(folder).map((file) => file.replace('.onnx', ''));

describe('one row', () => {
  it.each(Object.entries(rows))('%s', async (name, [input, output]) => {
    const { imported } = await read(name);
    const made = interpretRows(imported.model, Uint8Array.from(input));
    expect(Array.from(made.subarray(0, output.length))).toEqual(output);
  });
});

describe('random rows: the integers of ONNX Runtime, or a warning and one step', () => {
  const imported = names.filter((name) => !(name in refused) && !verdicts.includes(name));

  it.each(imported)('%s', async (name) => {
    const { bytes, imported } = await read(name);
    const inputs = randomRows(random(5), 200, tensorBytes(imported.model.input));
    const { elements, mismatches, furthest } = await compareWithRuntime(bytes, imported, inputs);
    const codes = imported.diagnostics
      .filter(({ severity }) => severity === 'warning')
      .map(({ code }) => code);
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches / elements).toBeLessThan(0.05);
    if (mismatches > 0) expect(codes.join()).toMatch(/float-sums|rounding-differs/);
  });

  it.each(['w2-matmul-add-quantised-bias', 'w3-batchnorm-of-quantised', 'w5-power-of-two-scales'])(
    '%s is exact',
    async (name) => {
      const { bytes, imported } = await read(name);
      const inputs = randomRows(random(7), 300, tensorBytes(imported.model.input));
      expect(await compareWithRuntime(bytes, imported, inputs)).toMatchObject({ mismatches: 0 });
    },
  );
});

it.each(verdicts)('%s ends in a class and a margin', async (name) => {
  const { model } = (await read(name)).imported;
  expect(model.layers.at(-1)?.kind).toBe('argmax');
});

it.each(Object.entries(refused))('%s is refused at once: %s', async (name, code) => {
  const error = await read(name).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DiagnosticError);
  expect((error as DiagnosticError).diagnostics.map((d) => d.code)).toEqual([code]);
});

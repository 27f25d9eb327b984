import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { outputType } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpret, interpretRows } from '../../src/reference/interpreter.ts';

const read = (name: string) => readFileSync(`examples/${name}`);

describe.each([
  ['digits-mlp', 0.974],
  ['digits-cnn', 0.978],
  ['traffic-mlp', 0.758],
])('%s', (name, ortAccuracy) => {
  it('gives the recorded outputs of ONNX Runtime', async () => {
    const { model } = await importModel(`examples/${name}.onnx`);
    const outputs = new Int8Array(interpretRows(model, read(`${name}.x.bin`)).buffer);
    const recorded = Int8Array.from(read(`${name}.ort.bin`), (byte) => (byte << 24) >> 24);
    // The contract is 99.9 % and one step; these three are equal in every element.
    expect(outputs).toEqual(recorded);

    const classes = read(`${name}.y.bin`);
    const size = elementCount(outputType(model).shape);
    const right = classes.filter(
      (label, row) => argmax(outputs.subarray(row * size, (row + 1) * size)) === label,
    );
    expect(right.length / classes.length).toBeCloseTo(ortAccuracy, 3);
  });
});

const argmax = (values: Int8Array): number => values.indexOf(Math.max(...values));

it('digits-cnn: pools between convolutions, flattened without a layer', async () => {
  const { model } = await importModel('examples/digits-cnn.onnx');
  expect(model.layers.map(({ kind }) => kind)).toEqual(['conv2d', 'maxPool', 'conv2d', 'maxPool', 'dense']);
  expect(model.layers.map(({ output }) => output.shape)).toEqual([
    [8, 8, 8],
    [8, 4, 4],
    [16, 4, 4],
    [16, 2, 2],
    [10],
  ]);
});

it('parity.json counts bits', async () => {
  const { model } = await importModel('examples/parity.json');
  for (let bits = 0; bits < 16; bits++) {
    const row = Uint8Array.from({ length: 4 }, (_, i) => (bits >> i) & 1);
    const odd = row.reduce((a, b) => a + b, 0) % 2;
    expect(interpret(model, row)).toEqual(Uint8Array.of(odd, 1));
  }
});

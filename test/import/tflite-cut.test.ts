import { describe, expect, it } from 'vitest';
import { importTflite } from '../../src/import/tflite/index.ts';
import { activation, run } from './tflite-blocks.ts';
import { type TfliteSpec, writeTflite } from './tflite-writer.ts';

/** A file with two inputs and two outputs, of which a command names one each. */

const grid = { kind: 'int8', scale: 0.5, zero: 0 } as const;
const spec: TfliteSpec = {
  tensors: [
    { name: 'image', shape: [1, 4], ...grid },
    { name: 'context', shape: [1, 4], ...grid },
    { name: 'hidden;fused', shape: [1, 4], ...grid },
    { name: 'scores', shape: [1, 4], ...grid },
    { name: 'both', shape: [1, 8], ...grid },
    { name: 'unknown', shape: [1, 4], ...grid },
  ],
  operators: [
    { op: 'RELU', in: [0], out: [2] },
    { op: 'RELU6', in: [2], out: [3] },
    { op: 'SVDF', in: [1], out: [5] },
    { op: 'CONCATENATION', in: [3, 5], out: [4], options: [[0, 'int32', 1]] },
  ],
  inputs: [0, 1],
  outputs: [3, 4],
};
const bytes = writeTflite(spec);
const model = (options: { inputTensor?: string; outputTensor?: string }) =>
  importTflite(bytes, 'm.tflite', options).model;

describe('one output is named', () => {
  it('and the input is the one on which it depends; operators beside are not looked at', () => {
    expect(run(model({ outputTensor: 'scores' }), [-5, 3, 12, 100])).toEqual([0, 3, 12, 12]);
  });

  it('by the name before the converter joined others to it', () => {
    expect(run(model({ outputTensor: 'hidden' }), [-5, 3, 12, 100])).toEqual([0, 3, 12, 100]);
  });

  it('and the input is a tensor within', () => {
    const { layers } = model({ inputTensor: 'hidden', outputTensor: 'scores' });
    expect(layers.map(({ name }) => name)).toEqual(['scores']);
  });
});

it.each([
  [{}, /has 2 outputs \(scores, both\).*--output-tensor/s],
  [{ outputTensor: 'both' }, /has 2 inputs \(image, context\).*--input-tensor/s],
  [{ outputTensor: 'score' }, /--output-tensor score: nothing in the graph.*scores/s],
])('%j is refused', (options, message) => {
  expect(() => model(options)).toThrow(message);
});

describe('names of which several tensors have the same beginning', () => {
  const alike = writeTflite({
    tensors: ['x', 'a;first', 'a;second'].map((name) =>
      activation(name, { shape: [1, 2], scale: 0.5, zero: 0 }),
    ),
    operators: [
      { op: 'RELU', in: [0], out: [1] },
      { op: 'RELU6', in: [0], out: [2] },
    ],
    inputs: [0],
    outputs: [1, 2],
  });
  const named = (outputTensor?: string) =>
    importTflite(alike, 'm.tflite', outputTensor === undefined ? {} : { outputTensor }).model;

  it.each([undefined, 'a'])('%s is told with the whole of them', (name) => {
    expect(() => named(name)).toThrow(/has 2 outputs \(a;first, a;second\)/);
  });

  it('the whole one is taken', () => {
    expect(run(named('a;second'), [-4, 100])).toEqual([0, 12]);
    expect(run(named('a;first'), [-4, 100])).toEqual([0, 100]);
  });
});

import { describe, expect, it } from 'vitest';
import { importTflite } from '../../src/import/tflite/index.ts';
import { run } from './tflite-blocks.ts';
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

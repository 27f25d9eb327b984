import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { operators as onnx } from '../../src/import/onnx/operators/index.ts';
import { operators as tflite } from '../../src/import/tflite/operators/index.ts';

/** The lists in docs/ are written by hand; none of the operators may be missing from them. */

it.each([
  ['docs/onnx.md', [...onnx.keys()].map((name) => name.split('.').at(-1)!)],
  ['docs/tflite.md', [...tflite.keys()]],
])('%s names every operator that is read', (file, names) => {
  const words = new Set(readFileSync(file, 'utf8').match(/\w+/g));
  expect(names.filter((name) => !words.has(name))).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** Operators that choose among elements, or sum them up, against ONNX Runtime with nothing fused. */

const u8: Grid = { type: 'uint8', scale: 0.0513, zero: 100 };
const s8: Grid = { type: 'int8', scale: 0.0437, zero: -5 };

async function differences(make: (b: GraphBuilder, x: string) => string, to = s8, opset = 17) {
  const b = new GraphBuilder();
  const y = b.quantize(make(b, b.dequantize('x', u8)), to);
  const bytes = writeOnnx(b.graph({ type: 'uint8', dims: [1, 3, 4, 5] }, y, to.type, opset));
  const imported = await importBytes(bytes, 'm.onnx');
  const rows = randomRows(random(5), 20, elementCount(imported.model.input.shape));
  return compareWithRuntime(bytes, imported, rows);
}

const exact = { mismatches: 0, furthest: 0 };

describe('the integers of ONNX Runtime', () => {
  it.each<[string, (b: GraphBuilder, x: string) => string, Grid?]>([
    ['Max of two values', (b, x) => b.node('Max', [x, b.node('Tanh', [x])])],
    ['ReduceMin', (b, x) => b.node('ReduceMin', [x], { axes: [1, 3], keepdims: 0 })],
    [
      'ReduceSum',
      (b, x) => b.node('ReduceSum', [x, b.constant('i', tensor('int64', [1], [2]))]),
      { ...s8, scale: 0.2213 },
    ],
    [
      'Where of a value and a number',
      (b, x) => {
        const mask = b.constant(
          'm',
          tensor('bool', [3, 1, 5], [1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0]),
        );
        return b.node('Where', [mask, x, b.constant('f', scalar('float', -1.37))]);
      },
    ],
    [
      'Where of two values',
      (b, x) => {
        const mask = b.constant('m', tensor('bool', [4, 1], [1, 0, 0, 1]));
        return b.node('Where', [mask, b.node('Tanh', [x]), x]);
      },
    ],
  ])('%s', async (_, make, to) => {
    expect(await differences(make, to)).toMatchObject(exact);
  });
});

it('a LogSoftmax at the end becomes a verdict, brought to a grid or not', async () => {
  const b = new GraphBuilder();
  const log = b.node('LogSoftmax', [b.dequantize('x', u8)], { axis: -1 });
  const real = b.dequantize(b.quantize(log, s8), s8);
  for (const output of [log, real]) {
    const bytes = writeOnnx(b.graph({ type: 'uint8', dims: [1, 7] }, output, 'float'));
    const { model, diagnostics } = await importBytes(bytes, 'm.onnx');
    expect(model.layers.map(({ kind }) => kind)).toEqual(['argmax']);
    expect(diagnostics.map(({ code }) => code)).toEqual(['softmax-as-argmax']);
  }
});

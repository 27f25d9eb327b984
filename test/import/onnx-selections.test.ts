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

describe('values that are left in float32 between operators', () => {
  it.each<[string, (b: GraphBuilder, x: string) => string, Grid?]>([
    ['a function of what is moved', (b, x) => b.node('Tanh', [moved(b, b.node('Abs', [x]))])],
    [
      'a clamp of what is moved, and a function of that',
      (b, x) =>
        b.node('Exp', [
          b.node('Clip', [
            moved(b, x),
            b.constant('f', scalar('float', -0.77)),
            b.constant('f', scalar('float', 0.3)),
          ]),
        ]),
    ],
    ['ReduceMin of a sum', (b, x) => b.node('ReduceMin', [b.node('Add', [x, x])], { axes: [2] })],
    ['Min of two values', (b, x) => b.node('Min', [b.node('Add', [x, x]), b.node('Neg', [x])])],
    [
      'constants beside an average',
      (b, x) =>
        b.node('Add', [
          b.node('Mul', [b.node('GlobalAveragePool', [x]), float(b, [3, 1, 1], [-1.3, 0.7, 2.1])]),
          float(b, [1], [0.31]),
        ]),
    ],
  ])('%s is exact', async (_, make, to) => {
    expect(await differences(make, to)).toMatchObject(exact);
  });

  it('is rounded to a grid of its own where nothing folds, with a warning', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const mean = b.node('GlobalAveragePool', [b.node('Sub', [x, b.node('Tanh', [x])])]);
    const y = b.quantize(mean, s8);
    const bytes = writeOnnx(b.graph({ type: 'uint8', dims: [1, 3, 4, 5] }, y, 'int8'));
    const imported = await importBytes(bytes, 'm.onnx');
    expect(imported.diagnostics.map(({ code }) => code)).toContain('onnx-inner-grid');
    const rows = randomRows(random(5), 20, 60);
    expect((await compareWithRuntime(bytes, imported, rows)).furthest).toBeLessThanOrEqual(1);
  });

  it.each<[string, (b: GraphBuilder, x: string) => string]>([
    ['a sum', (b, x) => b.node('Relu', [b.node('Add', [x, b.node('Tanh', [x])])])],
    ['an average', (b, x) => b.node('GlobalAveragePool', [x])],
    ['a product', (b, x) => b.node('Mul', [x, b.node('Tanh', [x])])],
    ['maxima of functions', (b, x) => b.node('ReduceMax', [b.node('Elu', [x])], { axes: [1] })],
  ])('%s at the end is given on a grid that holds all of it', async (_, make) => {
    const b = new GraphBuilder();
    const y = make(b, b.dequantize('x', u8));
    const bytes = writeOnnx(b.graph({ type: 'uint8', dims: [1, 3, 4, 5] }, y, 'float'));
    const imported = await importBytes(bytes, 'm.onnx');
    expect(imported.diagnostics.map(({ code }) => code)).toContain('onnx-end-grid');
    const rows = randomRows(random(5), 20, 60);
    expect((await compareWithRuntime(bytes, imported, rows)).furthest).toBeLessThanOrEqual(1);
  });
});

const moved = (b: GraphBuilder, x: string) => b.node('Transpose', [x], { perm: [0, 2, 3, 1] });
const float = (b: GraphBuilder, dims: readonly number[], values: readonly number[]) =>
  b.constant('f', tensor('float', dims, values));

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

import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { rowType } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** What exporters write as several nodes, against ONNX Runtime with nothing fused. */

/** Scales of powers of two: sums of float32 are exact. */
const u8: Grid = { type: 'uint8', scale: 1 / 16, zero: 100 };
const s8: Grid = { type: 'int8', scale: 0.043, zero: -5 };
/** Products of 8-bit weights. */
const wide: Grid = { type: 'int8', scale: 2, zero: 3 };

type Make = (b: GraphBuilder, x: string) => string;

const real = (b: GraphBuilder, ...values: number[]) =>
  b.constant(
    'f',
    values.length === 1 ? scalar('float', values[0]!) : tensor('float', [values.length], values),
  );
const whole = (b: GraphBuilder, ...values: number[]) =>
  b.constant('i', tensor('int64', [values.length], values));
const ramp = (count: number) => Array.from({ length: count }, (_, i) => ((i * 37) % 101) - 50);
const weights = (b: GraphBuilder, dims: readonly number[]) =>
  b.weights(
    {
      ...tensor('int8', dims, ramp(dims.reduce((n, d) => n * d, 1))),
      type: 'int8',
    },
    [1 / 16],
    [0],
  );

const between = (make: Make, dims: readonly number[], to: Grid, opset = 17): GraphSpec => {
  const b = new GraphBuilder();
  const out = b.quantize(make(b, b.dequantize('x', u8)), to);
  return b.graph({ type: 'uint8', dims: ['N', ...dims] }, out, to.type, opset);
};

async function differences(graph: GraphSpec) {
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'm.onnx');
  const rows = randomRows(random(7), 12, elementCount(imported.model.input.shape));
  const { mismatches } = await compareWithRuntime(bytes, imported, rows);
  return { mismatches, model: imported.model, warned: imported.diagnostics.map(({ code }) => code) };
}

describe('functions of one value, joined in float32, are one table', () => {
  const joined: Record<string, Make> = {
    'x * sigmoid(x)': (b, x) => b.node('Mul', [x, b.node('Sigmoid', [x])]),
    'hard swish in four nodes': (b, x) =>
      b.node('Div', [
        b.node('Mul', [x, b.node('Clip', [b.node('Add', [x, real(b, 3)]), real(b, 0), real(b, 6)])]),
        real(b, 6),
      ]),
    'gelu by erf': (b, x) =>
      b.node('Mul', [
        b.node('Mul', [
          x,
          b.node('Add', [b.node('Erf', [b.node('Div', [x, real(b, Math.SQRT2)])]), real(b, 1)]),
        ]),
        real(b, 0.5),
      ]),
    'mish in three nodes': (b, x) => b.node('Mul', [x, b.node('Tanh', [b.node('Softplus', [x])])]),
    'softsign as a quotient': (b, x) => b.node('Div', [x, b.node('Add', [real(b, 1), b.node('Abs', [x])])]),
    'a difference': (b, x) => b.node('Sub', [b.node('Relu', [x]), b.node('Exp', [x])]),
    'the larger of two': (b, x) => b.node('Max', [x, b.node('Mul', [x, real(b, -0.3)])]),
    'factors by element': (b, x) =>
      b.node('Add', [x, b.node('Mul', [b.node('Sigmoid', [x]), real(b, 1, 2, -3, 0.5)])]),
  };
  it.each(Object.entries(joined))('%s', async (_, make) => {
    const { mismatches, model, warned } = await differences(between(make, [4], s8));
    expect(model.layers).toHaveLength(1);
    expect(warned).toEqual([]);
    expect(mismatches).toBe(0);
  });

  it('many joins in a row, of which each reads the one before twice', async () => {
    const joins: Make = (b, x) =>
      Array.from({ length: 24 }).reduce<string>((y) => b.node('Mul', [y, b.node('Sigmoid', [y])]), x);
    const { mismatches, model } = await differences(between(joins, [4], s8));
    expect(model.layers).toHaveLength(1);
    expect(mismatches).toBe(0);
  });

  it('Swish and BiasGelu', async () => {
    const swish = between((b, x) => b.node('Swish', [x], { alpha: { float: 0.7 } }), [4], s8, 24);
    expect((await differences(swish)).mismatches).toBe(0);
    const gelu = between(
      (b, x) => b.node('BiasGelu', [x, real(b, 1, -1, 0.3, 0)], {}, 'com.microsoft'),
      [4],
      s8,
    );
    expect((await differences(gelu)).mismatches).toBe(0);
  });
});

it('maxima of a value and of its windows, many in a row: each is made once', async () => {
  const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
  const maxima: Make = (b, x) =>
    Array.from({ length: 12 }).reduce<string>((y) => b.node('Max', [y, b.node('MaxPool', [y], window)]), x);
  const { mismatches, model } = await differences(between(maxima, [1, 5, 5], s8));
  expect(model.layers).toHaveLength(4 * 12);
  expect(mismatches).toBe(0);
});

describe('constants', () => {
  it.each(['Max', 'Min'])('%s with a bound an element', async (op) => {
    const graph = between((b, x) => b.node(op, [x, real(b, 1, -1, 0.3, 2)]), [4], s8);
    expect((await differences(graph)).mismatches).toBe(0);
  });

  it('a shape that is cast, reduced and put together', async () => {
    const graph = between(
      (b, x) => {
        const shape = b.node('Cast', [b.node('Cast', [b.node('Shape', [x])], { to: 6 })], { to: 7 });
        const inner = b.node('Slice', [shape, whole(b, 1), whole(b, 3)]);
        const pixels = b.node('ReduceProd', [inner], { axes: [0], keepdims: 1 });
        return b.node('Reshape', [
          b.node('Relu', [x]),
          b.node('Concat', [whole(b, -1), pixels, whole(b, 5)], { axis: 0 }),
        ]);
      },
      [3, 4, 5],
      s8,
    );
    const { model, mismatches } = await differences(graph);
    expect(elementCount(model.layers.at(-1)!.output.shape)).toBe(60);
    expect(mismatches).toBe(0);
  });
});

describe('products', () => {
  const products: Record<string, readonly [Make, readonly number[]]> = {
    'weights first': [(b, x) => b.node('MatMul', [weights(b, [3, 5]), x]), [5, 4]],
    'weights of a batch of one': [(b, x) => b.node('MatMul', [x, weights(b, [1, 4, 3])]), [5, 4]],
    'ConvTranspose SAME_UPPER': [
      (b, x) =>
        b.node('ConvTranspose', [x, weights(b, [3, 2, 3, 2])], { strides: [2, 1], auto_pad: 'SAME_UPPER' }),
      [3, 4, 5],
    ],
    'ConvTranspose SAME_LOWER': [
      (b, x) =>
        b.node('ConvTranspose', [x, weights(b, [3, 2, 3, 2])], { strides: [2, 1], auto_pad: 'SAME_LOWER' }),
      [3, 4, 5],
    ],
    'ConvTranspose to a shape': [
      (b, x) =>
        b.node('ConvTranspose', [x, weights(b, [3, 2, 3, 3])], { strides: [2, 2], output_shape: [8, 10] }),
      [3, 4, 5],
    ],
  };
  it.each(Object.entries(products))('%s', async (_, [make, dims]) => {
    expect((await differences(between(make, dims, wide))).mismatches).toBe(0);
  });
});

describe('what stands before the grid of a float input', () => {
  const parameter = (b: GraphBuilder, ...values: number[]) => real(b, ...values);
  const inputs: Record<string, Make> = {
    'a normalisation': (b, x) =>
      b.node('BatchNormalization', [
        x,
        parameter(b, 1, 2, -0.5),
        parameter(b, 0.1, 0, 1),
        parameter(b, 0.2, -1, 0),
        parameter(b, 1, 0.5, 2),
      ]),
    'a scaler behind a Transpose': (b, x) => {
      const turned = b.node('Transpose', [x], { perm: [0, 2, 3, 1] });
      return b.node('Div', [b.node('Sub', [turned, real(b, 0.2, -1, 0)]), real(b, 1, 0.5, 2)]);
    },
    'a factor by row': (b, x) =>
      b.node('Mul', [x, b.constant('f', tensor('float', [4, 1], [1, 0.5, 2, -1]))]),
  };
  it.each(Object.entries(inputs))('%s', async (_, make) => {
    const b = new GraphBuilder();
    const y = b.node('Relu', [b.dequantize(b.quantize(make(b, 'x'), u8), u8)]);
    const graph = b.graph({ type: 'float', dims: ['N', 3, 4, 5] }, b.quantize(y, s8), 'int8');
    const { model, mismatches } = await differences(graph);
    expect(model.inputAffine).toBeDefined();
    expect(mismatches).toBe(0);
  });

  it('a row keeps the shape of the file, whatever layers see it as', () => {
    const b = new GraphBuilder();
    const factor = b.constant('f', tensor('float', [3, 1, 1], [1, 0.3, 2]));
    const y = b.quantize(b.node('Mul', [b.dequantize('x', u8), factor]), s8);
    const { model } = importOnnx(writeOnnx(b.graph({ type: 'uint8', dims: ['N', 3, 4, 5] }, y, 'int8')), 'm');
    expect(rowType(model).shape).toEqual([3, 4, 5]);
  });
});

describe('ends', () => {
  const scores = (b: GraphBuilder) => {
    const y = b.node('Gemm', [b.dequantize('x', u8), weights(b, [4, 3])]);
    return b.dequantize(b.quantize(y, wide), wide);
  };
  const input = { type: 'uint8', dims: ['N', 4] } as const;
  const ends: Record<string, (b: GraphBuilder) => string> = {
    'the class of a softmax': (b) => b.node('ArgMax', [b.node('Softmax', [scores(b)])], { axis: 1 }),
    'the class of a LogSoftmax': (b) => b.node('ArgMax', [b.node('LogSoftmax', [scores(b)])], { axis: 1 }),
    'a class in another shape and type': (b) => {
      const made = b.node('ArgMax', [scores(b)], { axis: 1 });
      return b.node('Cast', [b.node('Squeeze', [made, whole(b, 1)])], { to: 6 });
    },
  };
  it.each(Object.entries(ends))('%s', (_, make) => {
    const b = new GraphBuilder();
    const graph = b.graph(input, make(b), 'int64');
    const { model, diagnostics } = importOnnx(writeOnnx(graph), 'm.onnx');
    expect(diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(model.layers.map(({ kind }) => kind)).toEqual(['dense', 'argmax']);
    const plain = new GraphBuilder();
    const quantised = plain.node('Gemm', [plain.dequantize('x', u8), weights(plain, [4, 3])]);
    const before = importOnnx(
      writeOnnx(plain.graph(input, plain.quantize(quantised, wide), 'int8')),
      'm.onnx',
    ).model;
    for (const row of [Uint8Array.of(0, 4, 10, 255), Uint8Array.of(200, 3, 90, 7)]) {
      const all = Array.from(interpret(before, row), (q) => (q << 24) >> 24);
      expect(interpret(model, row)[0]).toBe(all.indexOf(Math.max(...all)));
    }
  });

  it('a LogSoftmax along channels is left out, with a warning', () => {
    const b = new GraphBuilder();
    const relu = b.quantize(b.node('Relu', [b.dequantize('x', u8)]), u8);
    const out = b.node('LogSoftmax', [b.dequantize(relu, u8)], { axis: 1 });
    const graph = b.graph({ type: 'uint8', dims: ['N', 3, 2, 2] }, out, 'float');
    const { model, diagnostics } = importOnnx(writeOnnx(graph), 'm.onnx');
    expect(diagnostics.map(({ code }) => code)).toEqual(['softmax-left-out']);
    const row = Uint8Array.from({ length: 12 }, (_, i) => 90 + 2 * i);
    expect(interpret(model, row)).toEqual(row.map((q) => Math.max(100, q)));
  });
});

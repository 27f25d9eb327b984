import { describe, expect, it } from 'vitest';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { requantise } from '../../src/model/requantiser.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

const load = (graph: GraphSpec) => importOnnx(writeOnnx(graph), 'm.onnx');
const kinds = (graph: GraphSpec) => load(graph).model.layers.map(({ kind }) => kind);

const u8: Grid = { type: 'uint8', scale: 0.5, zero: 4 };
const s8: Grid = { type: 'int8', scale: 0.25, zero: -3 };
const input = { type: 'uint8', dims: ['N', 4] } as const;

const identityWeights = (b: GraphBuilder) =>
  b.weights(
    { ...tensor('int8', [4, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]), type: 'int8' },
    [1],
    [0],
  );

const row = Uint8Array.of(0, 4, 10, 255);

describe('constants', () => {
  it('through Constant nodes, Identity, and typed fields', () => {
    const b = new GraphBuilder();
    const scale = b.node('Constant', [], { value_float: { float: 0.5 } });
    const zero = b.constant('z', { ...scalar('uint8', 4), fields: true });
    const x = b.node('DequantizeLinear', ['x', b.node('Identity', [scale]), zero]);
    const graph = b.graph(input, b.quantize(b.node('Gemm', [x, identityWeights(b)]), s8), 'int8');
    // (x - 4) * 0.5 / 0.25 - 3
    expect(interpret(load(graph).model, row)).toEqual(Uint8Array.of(-11 & 0xff, -3 & 0xff, 9, 127));
  });

  it('int4 weights, two a byte', () => {
    const b = new GraphBuilder();
    const q = b.constant('w', tensor('int4', [4, 1], [1, -1, 7, -8]));
    const w = b.node('DequantizeLinear', [q, b.constant('s', scalar('float', 1))]);
    const { model } = load(
      b.graph(input, b.quantize(b.node('MatMul', [b.dequantize('x', u8), w]), s8), 'int8', 21),
    );
    const layer = model.layers[0]!;
    expect(layer.kind === 'dense' && Array.from(layer.weights)).toEqual([1, -1, 7, -8]);
    expect(layer).toMatchObject({ weightBits: 4 });
  });
});

describe('folding', () => {
  it('Relu and Clip become the clamp of the layer', () => {
    const b = new GraphBuilder();
    const y = b.node('Relu', [b.node('Gemm', [b.dequantize('x', u8), identityWeights(b)])]);
    const clipped = b.node('Clip', [y, '', b.constant('hi', scalar('float', 6))]);
    const { model } = load(b.graph(input, b.quantize(clipped, s8), 'int8'));
    expect(model.layers).toHaveLength(1);
    expect(model.layers[0]).toMatchObject({ kind: 'dense', requantiser: { min: -3, max: 21 } });
  });

  it('a Relu between Q and DQ of one scale goes into the layer before', () => {
    const b = new GraphBuilder();
    const q = b.quantize(b.node('Gemm', [b.dequantize('x', u8), identityWeights(b)]), s8);
    const relu = b.node('Relu', [b.dequantize(q, s8)]);
    const out = b.quantize(b.node('Gemm', [relu, identityWeights(b)]), s8);
    const { model } = load(b.graph(input, out, 'int8'));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['dense', 'dense']);
    expect(model.layers[0]).toMatchObject({ requantiser: { min: -3, max: 127 } });
  });

  it('a pair of Q and DQ on the same grid is no layer', () => {
    const b = new GraphBuilder();
    const x = b.dequantize(b.quantize(b.dequantize('x', u8), u8), u8);
    expect(kinds(b.graph(input, b.quantize(b.node('Gemm', [x, identityWeights(b)]), s8), 'int8'))).toEqual([
      'dense',
    ]);
  });

  it('BatchNormalization of a negative factor turns the weights round', () => {
    const b = new GraphBuilder();
    const parameter = (...values: number[]) => b.constant('p', tensor('float', [4], values));
    const product = b.node('Gemm', [b.dequantize('x', u8), identityWeights(b)]);
    const norm = b.node(
      'BatchNormalization',
      [product, parameter(1, -1, 0, 2), parameter(0, 1, 5, 0), parameter(0, 0, 9, 1), parameter(1, 1, 1, 1)],
      { epsilon: { float: 0 } },
    );
    const { model } = load(b.graph(input, b.quantize(norm, s8), 'int8'));
    // Reals are -2, 0, 3, 125.5; normalised -2, 1, 5, 249; times 4 less 3.
    expect(interpret(model, row)).toEqual(Uint8Array.of(-11 & 0xff, 1, 17, 127));
  });

  it('a bias off the scale of the accumulator goes into the rounding as it is', () => {
    const b = new GraphBuilder();
    const bias = b.bias([3], [0.7]);
    const y = b.node('Add', [b.node('MatMul', [b.dequantize('x', u8), identityWeights(b)]), bias]);
    const { model, diagnostics } = load(b.graph(input, b.quantize(y, s8), 'int8'));
    expect(model.layers[0]).toMatchObject({ bias: Int32Array.of(0, 0, 0, 0) });
    expect(diagnostics).toEqual([]);
    // (x - 4) * 0.5 + 2.1, on the grid of 0.25 and -3: 0.1, 8.4 - 3 = 5.4, 20.4 - 3, ...
    expect(interpret(model, row)).toEqual(Uint8Array.of(-3 & 0xff, 5, 17, 127));
  });
});

describe('shapes', () => {
  it('float ends are the integers inside them, Reshape is no layer', () => {
    const b = new GraphBuilder();
    const x = b.dequantize(b.quantize('x', u8), u8);
    const image = b.node('Reshape', [x, b.constant('shape', tensor('int64', [4], [-1, 1, 2, 2]))]);
    const pooled = b.node('MaxPool', [image], { kernel_shape: [2, 2] });
    const { model } = load(b.graph({ type: 'float', dims: ['N', 4] }, b.node('Flatten', [pooled]), 'float'));
    expect(model.input).toEqual({ element: 'uint8', shape: [1, 2, 2], scale: 0.5, zeroPoint: 4 });
    expect(interpret(model, row)).toEqual(Uint8Array.of(255));
  });

  it('an image seen as another image needs a layer between', () => {
    const b = new GraphBuilder();
    const pool = (x: string) => b.node('MaxPool', [x], { kernel_shape: [1, 2], strides: [1, 2] });
    const first = pool(b.dequantize('x', u8));
    const image = b.node('Reshape', [first, b.constant('shape', tensor('int64', [4], [0, 1, 1, 4]))]);
    const graph = b.graph({ type: 'uint8', dims: ['N', 1, 4, 2] }, b.quantize(pool(image), u8), 'uint8');
    expect(kinds(graph)).toEqual(['maxPool', 'requantise', 'maxPool']);
    expect(interpret(load(graph).model, Uint8Array.of(1, 2, 9, 3, 4, 5, 7, 6))).toEqual(Uint8Array.of(9, 7));
  });

  it('Squeeze and Unsqueeze', () => {
    const b = new GraphBuilder();
    const axes = () => b.constant('axes', tensor('int64', [1], [1]));
    const x = b.node('Squeeze', [b.node('Unsqueeze', [b.dequantize('x', u8), axes()]), axes()]);
    expect(kinds(b.graph(input, b.quantize(b.node('Gemm', [x, identityWeights(b)]), s8), 'int8'))).toEqual([
      'dense',
    ]);
  });
});

describe('functions of one element become a table', () => {
  const real = { Sigmoid: (x: number) => 1 / (1 + Math.exp(-x)), Tanh: Math.tanh } as const;

  it.each(Object.entries(real))('%s, with a clamp behind it', (op, f) => {
    const b = new GraphBuilder();
    const grid: Grid = { type: 'uint8', scale: 1 / 128, zero: 3 };
    const y = b.node('Clip', [
      b.node(op, [b.dequantize('x', { ...u8, scale: 0.05 })]),
      '',
      b.constant('hi', scalar('float', 0.75)),
    ]);
    const { model } = load(b.graph(input, b.quantize(y, grid), 'uint8'));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['lut']);
    const expected = Array.from(row, (q) => Math.round(Math.min(0.75, f((q - 4) * 0.05)) * 128) + 3);
    expect(Array.from(interpret(model, row))).toEqual(expected.map((q) => Math.max(0, q)));
  });

  it('LeakyRelu', () => {
    const b = new GraphBuilder();
    const y = b.node('LeakyRelu', [b.dequantize('x', u8)], { alpha: { float: 0.5 } });
    // (x - 4) * 0.5, below zero once more halved, then on the grid of 0.25 and -3.
    expect(interpret(load(b.graph(input, b.quantize(y, s8), 'int8')).model, row)).toEqual(
      Uint8Array.of(-7 & 0xff, -3 & 0xff, 9, 127),
    );
  });
});

describe('heads', () => {
  it('ArgMax is the verdict layer', () => {
    const b = new GraphBuilder();
    const q = b.quantize(b.node('Gemm', [b.dequantize('x', u8), identityWeights(b)]), s8);
    const { model } = load(b.graph(input, b.node('ArgMax', [b.dequantize(q, s8)], { axis: 1 }), 'int64'));
    expect(interpret(model, row)).toEqual(Uint8Array.of(3, 118));
  });

  it('a change of grid rounds as two float32 operations do', () => {
    const b = new GraphBuilder();
    const { model } = load(b.graph(input, b.quantize(b.dequantize('x', u8), { ...s8, scale: 0.3 }), 'int8'));
    const layer = model.layers[0]!;
    if (layer.kind !== 'requantise') throw new Error(`a ${layer.kind} layer`);
    for (let acc = -4; acc <= 251; acc++) {
      const q = Math.round(Math.fround(Math.fround(acc * 0.5) / Math.fround(0.3))) - 3;
      expect(requantise(layer.requantiser, 0, acc)).toBe(Math.min(127, q));
    }
  });
});

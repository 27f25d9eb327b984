import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type AttributeValue, type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** Operators between two grids, against ONNX Runtime with nothing fused. */

const u8: Grid = { type: 'uint8', scale: 0.05, zero: 100 };
const s8: Grid = { type: 'int8', scale: 0.043, zero: -5 };
const share: Grid = { type: 'uint8', scale: 1 / 256, zero: 0 };

interface Case {
  readonly op: string;
  readonly dims?: readonly number[];
  readonly attributes?: Record<string, AttributeValue>;
  /** Further inputs. */
  readonly more?: (b: GraphBuilder) => string[];
  readonly to?: Grid;
  readonly opset?: number;
  readonly domain?: string;
}

const int64 = (b: GraphBuilder, values: readonly number[]) =>
  b.constant('i', tensor('int64', [values.length], values));
const float = (b: GraphBuilder, dims: readonly number[], values: readonly number[]) =>
  b.constant('f', tensor('float', dims, values));

function graphOf({ op, dims = [3, 4, 5], attributes, more, to = s8, opset = 17, domain }: Case): GraphSpec {
  const b = new GraphBuilder();
  const y = b.node(op, [b.dequantize('x', u8), ...(more?.(b) ?? [])], attributes, domain);
  const out = b.dequantize(b.quantize(y, to), to);
  return b.graph({ type: 'uint8', dims: [1, ...dims] }, out, 'float', opset);
}

/** Elements that differ of some random rows, and by how much at most. */
async function differences(graph: GraphSpec, rows = 12) {
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'm.onnx');
  const inputs = randomRows(random(5), rows, elementCount(imported.model.input.shape));
  const { mismatches, furthest } = await compareWithRuntime(bytes, imported, inputs);
  return { mismatches, furthest, model: imported.model, diagnostics: imported.diagnostics };
}

const exactly = (name: string, cases: readonly Case[]) =>
  it.each(cases.map((c) => [`${c.op} ${JSON.stringify(c.attributes ?? {})}`, c] as const))(
    `${name}: %s`,
    async (_, c) => {
      const { mismatches } = await differences(graphOf(c));
      expect(mismatches).toBe(0);
    },
  );

describe('what moves elements', () => {
  exactly('exactly', [
    { op: 'Transpose', attributes: { perm: [0, 3, 1, 2] } },
    {
      op: 'Slice',
      more: (b) =>
        [
          [1, -4],
          [3, -1],
          [2, 3],
          [1, 2],
        ].map((list) => int64(b, list)),
    },
    { op: 'Slice', more: (b) => [[-1], [-9], [2], [-2]].map((list) => int64(b, list)) },
    { op: 'Gather', attributes: { axis: 2 }, more: (b) => [int64(b, [3, -4, 1])] },
    { op: 'Pad', attributes: { mode: 'reflect' }, more: (b) => [int64(b, [0, 0, 2, 1, 0, 0, 1, 3])] },
    { op: 'Pad', attributes: { mode: 'edge' }, more: (b) => [int64(b, [0, 1, 2, 1, 0, 0, 1, 3])] },
    { op: 'Pad', more: (b) => [int64(b, [0, 0, 2, 1, 0, 0, 1, -1]), float(b, [], [1.23])] },
    { op: 'Pad', opset: 18, more: (b) => [int64(b, [1, 2]), float(b, [], [0]), int64(b, [-1])] },
    { op: 'Expand', dims: [3, 1, 5], more: (b) => [int64(b, [1, 3, 4, 5])] },
    { op: 'Tile', more: (b) => [int64(b, [1, 2, 1, 2])] },
    { op: 'DepthToSpace', dims: [8, 2, 3], attributes: { blocksize: 2 } },
    { op: 'DepthToSpace', dims: [8, 2, 3], attributes: { blocksize: 2, mode: 'CRD' } },
    { op: 'SpaceToDepth', dims: [2, 4, 6], attributes: { blocksize: 2 } },
    { op: 'Flatten' },
    { op: 'Flatten', attributes: { axis: -3 } },
    { op: 'Reshape', more: (b) => [int64(b, [0, -1, 5])] },
    { op: 'Squeeze', dims: [3, 1, 5], more: (b) => [int64(b, [2])] },
    { op: 'Unsqueeze', more: (b) => [int64(b, [1, -1])] },
    { op: 'Resize', more: (b) => ['', float(b, [4], [1, 1, 2, 3])], attributes: { mode: 'nearest' } },
    {
      op: 'Resize',
      more: (b) => ['', '', int64(b, [1, 3, 7, 4])],
      attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    },
  ]);

  it('Concat of values on different grids, and Split', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const other = { ...s8, scale: 0.107 };
    const half = b.dequantize(b.quantize(x, other), other);
    const joined = b.node('Concat', [x, half, x], { axis: -2 });
    const [first, second] = b.nodeOf('Split', [b.dequantize(b.quantize(joined, s8), s8)], 2, { axis: 2 });
    const out = b.quantize(b.node('Concat', [second!, first!], { axis: 1 }), s8);
    const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 2, 4, 3] }, out, 'int8'));
    expect(mismatches).toBe(0);
  });

  it('a float input that is turned round before it is quantised', async () => {
    const b = new GraphBuilder();
    const turned = b.node('Transpose', ['x'], { perm: [0, 3, 1, 2] });
    const out = b.node('Relu', [b.dequantize(b.quantize(turned, u8), u8)]);
    const y = b.dequantize(b.quantize(out, s8), s8);
    const { mismatches, model } = await differences(
      b.graph({ type: 'float', dims: ['N', 4, 5, 3] }, y, 'float'),
    );
    expect(model.input.shape).toEqual([4, 5, 3]);
    expect(mismatches).toBe(0);
  });

  it('integers of the input that are taken for reals', async () => {
    const b = new GraphBuilder();
    const real = b.node('Mul', [b.node('Cast', ['x'], { to: 1 }), b.constant('c', scalar('float', 1 / 255))]);
    const grid: Grid = { type: 'uint8', scale: 1 / 255, zero: 0 };
    const y = b.node('Sigmoid', [b.dequantize(b.quantize(real, grid), grid)]);
    const out = b.quantize(y, share);
    const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 40] }, out, 'uint8'));
    expect(mismatches).toBe(0);
  });

  it('shape arithmetic is folded', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const batch = b.node('Gather', [b.node('Shape', [x]), b.constant('i', scalar('int64', 0))]);
    const twelve = b.node('Mul', [int64(b, [3]), b.node('Cast', [float(b, [1], [4])], { to: 7 })]);
    const target = b.node('Concat', [b.node('Unsqueeze', [batch, int64(b, [0])]), twelve, int64(b, [-1])], {
      axis: 0,
    });
    const y = b.quantize(b.node('Reshape', [x, target]), s8);
    const { mismatches, model } = await differences(
      b.graph({ type: 'uint8', dims: ['N', 3, 4, 5] }, y, 'int8'),
    );
    expect(model.layers.at(-1)!.output.shape).toEqual([12, 5]);
    expect(mismatches).toBe(0);
  });
});

describe('functions of one element are tables', () => {
  exactly('exactly', [
    ...['Abs', 'Ceil', 'Erf', 'Exp', 'Floor', 'HardSwish', 'Neg', 'Round', 'Sigmoid', 'Sign', 'Softplus'].map(
      (op) => ({ op }),
    ),
    ...['Softsign', 'Tanh', 'Elu', 'Selu', 'Celu', 'LeakyRelu', 'HardSigmoid', 'ThresholdedRelu', 'Cos'].map(
      (op) => ({ op }),
    ),
    ...['Asinh', 'Atan', 'Cosh', 'Sin', 'Sinh', 'Tan'].map((op) => ({ op })),
    { op: 'Sum' },
    { op: 'Mish', opset: 18 },
    { op: 'Gelu', opset: 20 },
    { op: 'Gelu', opset: 20, attributes: { approximate: 'tanh' } },
    { op: 'Gelu', domain: 'com.microsoft' },
    { op: 'QuickGelu', domain: 'com.microsoft' },
    { op: 'LeakyRelu', attributes: { alpha: { float: 0.3 } } },
    { op: 'Pow', more: (b) => [b.constant('p', scalar('float', 2))] },
    { op: 'Min', more: (b) => [b.constant('p', scalar('float', 1.5))] },
    { op: 'Max', more: (b) => [b.constant('p', scalar('float', -1.5))] },
    { op: 'Clip', more: (b) => [-1, 2].map((x) => b.constant('p', scalar('float', x))) },
  ]);

  it.each(['Sqrt', 'Log', 'Acos'])(
    '%s where it is not defined: the least value, with a warning',
    async (op) => {
      const { mismatches, diagnostics } = await differences(graphOf({ op, dims: [64] }));
      expect(diagnostics.map(({ code, severity }) => [code, severity])).toContainEqual([
        'not-a-number',
        'warning',
      ]);
      expect(mismatches).toBe(0);
    },
  );

  it('several in a row are one', async () => {
    const b = new GraphBuilder();
    const y = b.node('Tanh', [
      b.node('Softplus', [b.node('Relu', [b.node('Neg', [b.dequantize('x', u8)])])]),
    ]);
    const out = b.quantize(y, share);
    const { mismatches, model } = await differences(b.graph({ type: 'uint8', dims: [1, 64] }, out, 'uint8'));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['lut']);
    expect(mismatches).toBe(0);
  });
});

describe('a value with itself is a function of one element', () => {
  const opposite: Grid = { ...s8, scale: u8.scale, zero: -28 };
  it.each<[string, number]>([
    ['Add', 2 * u8.scale],
    ['Add', 0.1234],
    ['Mul', 0.25],
    ['Sum', 2 * u8.scale],
  ])('%s to steps of %d', async (op, scale) => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const y = b.quantize(b.node(op, [x, x]), { ...u8, scale });
    const { mismatches, diagnostics } = await differences(
      b.graph({ type: 'uint8', dims: [1, 256] }, y, 'uint8'),
    );
    expect(mismatches).toBe(0);
    expect(diagnostics).toEqual([]);
  });

  it.each(['QLinearAdd', 'QLinearMul'])('%s', async (op) => {
    const b = new GraphBuilder();
    const grid = () => b.grid(opposite);
    const inputs = ['x', ...grid(), 'x', ...grid(), ...b.grid({ ...opposite, scale: 2 * u8.scale })];
    const y = b.node(op, inputs, {}, 'com.microsoft');
    const { mismatches } = await differences(b.graph({ type: 'int8', dims: [1, 256] }, y, 'int8'));
    expect(mismatches).toBe(0);
  });
});

describe('a softmax of several rows at the end, in float32', () => {
  const ending = (op: string) => {
    const b = new GraphBuilder();
    const y = b.quantize(b.node('Tanh', [b.dequantize('x', u8)]), s8);
    return b.graph({ type: 'uint8', dims: [1, 4, 6] }, b.node(op, [b.dequantize(y, s8)]), 'float');
  };

  it('gives shares of one', async () => {
    const { mismatches, furthest, model } = await differences(ending('Softmax'));
    expect(model.layers.at(-1)!.output).toMatchObject({ element: 'uint8', scale: 1 / 256, zeroPoint: 0 });
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches).toBeLessThanOrEqual(1);
  });

  it('is left out where it is a logarithm, with a warning', async () => {
    const { diagnostics } = await differences(ending('LogSoftmax'));
    expect(diagnostics.filter(({ severity }) => severity === 'warning').map(({ code }) => code)).toEqual([
      'softmax-left-out',
    ]);
  });
});

describe('what joins elements', () => {
  const within = (name: string, cases: readonly Case[]) =>
    it.each(cases.map((c) => [`${c.op} ${JSON.stringify(c.attributes ?? {})}`, c] as const))(
      `${name}: %s`,
      async (_, c) => {
        const { mismatches, furthest } = await differences(graphOf(c));
        expect(furthest).toBeLessThanOrEqual(1);
        expect(mismatches).toBeLessThanOrEqual(2);
      },
    );

  within('but for ties', [
    { op: 'ReduceMax', attributes: { axes: [2, 3] } },
    { op: 'ReduceMax', attributes: { axes: [1], keepdims: 0 } },
    { op: 'ReduceMean', attributes: { axes: [2, 3], keepdims: 0 } },
    { op: 'ReduceMean', attributes: { axes: [1] } },
    { op: 'ReduceMean', opset: 18, more: (b) => [int64(b, [-2])] },
    { op: 'GlobalMaxPool' },
    { op: 'Softmax', to: share },
    { op: 'Softmax', attributes: { axis: 1 }, to: share },
    { op: 'Softmax', attributes: { axis: 2 }, to: share, opset: 11 },
    { op: 'MaxPool', attributes: { kernel_shape: [2, 2], dilations: [2, 3] } },
  ]);

  it('products of two activations, one of them a factor a channel', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const mean = b.quantize(b.node('GlobalAveragePool', [x]), u8);
    const gate = b.dequantize(b.quantize(b.node('Sigmoid', [b.dequantize(mean, u8)]), share), share);
    const y = b.quantize(b.node('Mul', [x, gate]), s8);
    const { mismatches, furthest, model } = await differences(
      b.graph({ type: 'uint8', dims: [1, 3, 4, 5] }, y, 'int8'),
    );
    expect(model.layers.map(({ kind }) => kind)).toEqual(['averagePool', 'lut', 'mul']);
    // A tie of the average that is rounded otherwise becomes a step of the factor.
    expect(furthest).toBeLessThanOrEqual(2);
    expect(mismatches).toBeLessThanOrEqual(20);
  });

  it.each([
    ['Sub', [3, 4, 5], [3, 1, 1]],
    ['Add', [3, 4, 5], [1, 4, 1]],
    ['Mul', [1, 4, 5], [3, 1, 5]],
  ])('%s of two activations of shapes %j and %j', async (op, left, right) => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const part = (shape: readonly number[]) =>
      b.node('Slice', [x, int64(b, [0, 0, 0]), int64(b, shape), int64(b, [1, 2, 3])]);
    const y = b.quantize(b.node(op, [part(left), part(right)]), { ...s8, scale: 0.171 });
    const { mismatches, furthest } = await differences(
      b.graph({ type: 'uint8', dims: [1, 3, 4, 5] }, y, 'int8'),
    );
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches).toBeLessThanOrEqual(30);
  });

  const convolution = async (
    op: string,
    weightDims: readonly number[],
    attributes: Record<string, AttributeValue>,
  ) => {
    const b = new GraphBuilder();
    const r = random(9);
    const values = Array.from({ length: elementCount(weightDims) }, () => r.int(-128, 127));
    const w = b.weights({ ...tensor('int8', weightDims, values), type: 'int8' }, [0.01], [0]);
    const y = b.quantize(b.node(op, [b.dequantize('x', u8), w], attributes), { ...s8, scale: 0.317 });
    const dims = weightDims.length === 4 ? [1, 2, 5, 6] : [1, 2, 9];
    return differences(b.graph({ type: 'uint8', dims }, y, 'int8'));
  };
  it.each<[string, readonly number[], Record<string, AttributeValue>]>([
    ['Conv', [3, 2, 3, 2], { dilations: [2, 3], pads: [1, 0, 2, 3] }],
    ['Conv', [3, 2, 3], { dilations: [4], pads: [8, 0] }],
    ['Conv', [2, 1, 3, 3], { dilations: [2, 2], group: 2, pads: [2, 1, 2, 3] }],
    ['ConvTranspose', [2, 3, 3, 2], { strides: [2, 3], pads: [1, 0, 1, 1], output_padding: [1, 0] }],
    ['ConvTranspose', [2, 1, 2, 2], { group: 2, strides: [2, 2] }],
    ['ConvTranspose', [2, 3, 4], { strides: [2], dilations: [2] }],
  ])('%s %j %j', async (op, weightDims, attributes) => {
    const { mismatches, furthest } = await convolution(op, weightDims, attributes);
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches).toBeLessThanOrEqual(8);
  });

  it('MatMul of a sequence, with a bias', async () => {
    const b = new GraphBuilder();
    const r = random(4);
    const values = Array.from({ length: 15 }, () => r.int(-128, 127));
    const w = b.weights({ ...tensor('int8', [5, 3], values), type: 'int8' }, [0.01], [0]);
    const product = b.node('MatMul', [b.dequantize('x', u8), w]);
    const y = b.quantize(b.node('Add', [float(b, [3], [0.5, -1, 2]), product]), s8);
    const { mismatches, furthest, model } = await differences(
      b.graph({ type: 'uint8', dims: [1, 7, 5] }, y, 'int8'),
    );
    expect(model.layers.at(-1)!.output.shape).toEqual([7, 3]);
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches).toBeLessThanOrEqual(12);
  });
});

describe('operators of integers', () => {
  const integers = async (
    op: string,
    attributes: Record<string, AttributeValue>,
    to: Grid,
    dims: number[],
  ) => {
    const b = new GraphBuilder();
    const y = b.node(op, ['x', ...b.grid(u8), ...b.grid(to)], attributes, 'com.microsoft');
    return differences(b.graph({ type: 'uint8', dims: [1, ...dims] }, y, to.type));
  };
  const u = (grid: Grid): Grid => ({ ...grid, type: 'uint8', zero: 90 });
  it.each<[string, Record<string, AttributeValue>, Grid, number[]]>([
    ['QLinearSigmoid', {}, share, [40]],
    ['QLinearLeakyRelu', { alpha: { float: 0.2 } }, u(s8), [40]],
    ['QLinearSoftmax', { opset: 13, axis: -1 }, share, [4, 10]],
  ])('%s %j', async (op, attributes, to, dims) => {
    const { mismatches, furthest } = await integers(op, attributes, to, dims);
    expect(furthest).toBeLessThanOrEqual(1);
    expect(mismatches).toBeLessThanOrEqual(2);
  });

  // Scales whose products are ties time and again, and zero points that are odd: the kernels round with the zero point inside.
  it.each<[string, readonly number[] | undefined]>([
    ['two activations', undefined],
    ['a number', [133]],
    ['a number each channel', [7, 133, 251]],
  ])('QLinearMul with %s', async (_, constant) => {
    const b = new GraphBuilder();
    const from: Grid = { type: 'uint8', scale: 0.05, zero: 63 };
    const to: Grid = { type: 'uint8', scale: 0.05, zero: 17 };
    const part = (start: number) =>
      b.node('Slice', ['x', int64(b, [start]), int64(b, [start + 1]), int64(b, [2])]);
    const other =
      constant === undefined
        ? part(1)
        : b.constant('c', tensor('uint8', constant.length === 1 ? [] : [constant.length, 1], constant));
    const left = constant === undefined ? part(0) : 'x';
    const y = b.node(
      'QLinearMul',
      [left, ...b.grid(from), other, ...b.grid(from), ...b.grid(to)],
      {},
      'com.microsoft',
    );
    const { mismatches, diagnostics } = await differences(
      b.graph({ type: 'uint8', dims: [1, 3, 64] }, y, 'uint8'),
      40,
    );
    // No line gives all products of two; the few that are off are counted.
    if (mismatches > 0) expect(diagnostics.map(({ code }) => code)).toEqual(['rounding-differs']);
    expect(mismatches).toBeLessThanOrEqual(constant === undefined ? 2 : 0);
  });

  it('QLinearAveragePool to an odd zero point', async () => {
    const b = new GraphBuilder();
    const grid: Grid = { type: 'uint8', scale: 0.25, zero: 101 };
    const inputs = ['x', ...b.grid(grid), ...b.grid(grid)];
    const y = b.node('QLinearAveragePool', inputs, { kernel_shape: [2, 2] }, 'com.microsoft');
    const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 2, 6, 6] }, y, 'uint8'), 40);
    expect(mismatches).toBe(0);
  });

  it.each(['DequantizeLinear', 'Cast'])(
    'integers of the input that are moved before %s reads them',
    async (op) => {
      const b = new GraphBuilder();
      const turned = b.node('Transpose', ['x'], { perm: [0, 3, 1, 2] });
      const reals =
        op === 'Cast'
          ? b.node('Mul', [b.node('Cast', [turned], { to: 1 }), b.constant('f', scalar('float', 0.05))])
          : b.dequantize(turned, u8);
      const y = b.quantize(b.node('Tanh', [reals]), s8);
      const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 4, 5, 3] }, y, 'int8'));
      expect(mismatches).toBe(0);
    },
  );

  it.each([
    ['both from the input', undefined],
    ['one of them a number', 17],
  ])('QLinearWhere, %s', async (_, number) => {
    const b = new GraphBuilder();
    const to = u(s8);
    const where = b.constant('where', tensor('bool', [1, 6], [1, 0, 0, 1, 1, 0]));
    const other = number === undefined ? 'x' : b.constant('c', scalar('uint8', number));
    const grid = number === undefined ? u8 : { ...u8, scale: 0.02 };
    const inputs = [where, other, ...b.grid(grid), 'x', ...b.grid(u8), ...b.grid(to)];
    const y = b.node('QLinearWhere', inputs, {}, 'com.microsoft');
    const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 6] }, y, 'uint8'), 60);
    expect(mismatches).toBe(0);
  });

  it('QLinearConcat and QLinearMul', async () => {
    const b = new GraphBuilder();
    const to = u(s8);
    const joined = b.node(
      'QLinearConcat',
      [...b.grid(to), 'x', ...b.grid(u8), 'x', ...b.grid(u8)],
      { axis: 1 },
      'com.microsoft',
    );
    const square = [joined, ...b.grid(to), joined, ...b.grid(to), ...b.grid({ ...to, scale: 0.3 })];
    const y = b.node('QLinearMul', square, {}, 'com.microsoft');
    const { mismatches } = await differences(b.graph({ type: 'uint8', dims: [1, 30] }, y, 'uint8'));
    expect(mismatches).toBe(0);
  });
});

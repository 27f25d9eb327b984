import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Diagnostic, DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes, importModel } from '../../src/import/index.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** The errors of an import that must fail. */
async function faults(work: Promise<unknown>): Promise<readonly Diagnostic[]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
  throw new Error('the import did not fail');
}

const faultsOf = (graph: GraphSpec) => faults(importBytes(writeOnnx(graph), 'm.onnx'));
const codes = (diagnostics: readonly Diagnostic[]) => diagnostics.map(({ code }) => code);

const u8: Grid = { type: 'uint8', scale: 0.05, zero: 3 };
const s8: Grid = { type: 'int8', scale: 0.5, zero: 0 };

/** x[N,4] -> DQ -> Gemm -> Q, with what the test changes. */
function gemm(change: {
  weights?: (b: GraphBuilder) => string;
  x?: Grid;
  out?: Grid;
  dims?: (number | string)[];
}) {
  const b = new GraphBuilder();
  const {
    weights = (g: GraphBuilder) =>
      g.weights({ ...tensor('int8', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]), type: 'int8' }, [0.1], [0]),
  } = change;
  const product = b.node('Gemm', [b.dequantize('x', change.x ?? u8), weights(b)], { transB: 1 });
  const q = b.quantize(product, change.out ?? s8);
  return b.graph({ type: 'uint8', dims: change.dims ?? ['N', 4] }, q, 'int8');
}

describe('files', () => {
  it('that are no ONNX', async () => {
    const found = await faults(importBytes(new TextEncoder().encode('hello, this is no model'), 'm.onnx'));
    expect(codes(found)).toEqual(['onnx-malformed']);
    expect(codes(await faults(importBytes(new Uint8Array(), 'm.onnx')))).toEqual(['onnx-malformed']);
  });

  it('of an unknown format', async () => {
    expect(codes(await faults(importBytes(Uint8Array.of(1, 2, 3), 'm.bin')))).toEqual(['unknown-format']);
  });

  it('that are absent', async () => {
    const [found] = await faults(importModel('/nowhere/m.onnx'));
    expect(found).toMatchObject({ code: 'file-unreadable', place: { file: '/nowhere/m.onnx' } });
  });

  it('cut at any place: always a message, never another error', async () => {
    const whole = readFileSync('examples/digits-mlp.onnx');
    for (let length = 0; length < whole.length; length += 61) {
      const found = await faults(importBytes(whole.subarray(0, length), 'cut.onnx'));
      expect(found[0]!.place.file).toBe('cut.onnx');
    }
  });
});

describe('operators and attributes', () => {
  it('names an unsupported operator, its node, and what is supported', async () => {
    const b = new GraphBuilder();
    const y = b.node('Einsum', [b.dequantize('x', u8)]);
    const [found, ...more] = await faultsOf(
      b.graph({ type: 'uint8', dims: ['N', 4] }, b.quantize(y, s8), 'int8'),
    );
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      code: 'onnx-unsupported-operator',
      place: { layer: expect.stringContaining('Einsum') },
    });
    expect(found!.message).toContain('Einsum');
    expect(found!.remedy).toContain('--output-tensor');
  });

  it('finds the faults of nodes that do not depend on each other', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const [one, two] = [b.quantize(b.node('Det', [x]), s8), b.quantize(b.node('Einsum', [x]), s8)];
    const sum = b.quantize(b.node('Add', [b.dequantize(one, s8), b.dequantize(two, s8)]), s8);
    expect(codes(await faultsOf(b.graph({ type: 'uint8', dims: ['N', 4] }, sum, 'int8')))).toEqual([
      'onnx-unsupported-operator',
      'onnx-unsupported-operator',
    ]);
  });

  it.each([
    ['Conv', { dilations: [0, 2], kernel_shape: [2, 2] }, 'dilations'],
    ['Conv', { auto_pad: 'WHAT', kernel_shape: [2, 2] }, 'auto_pad'],
    ['Conv', { pads: [-1, 0, 0, 0], kernel_shape: [2, 2] }, 'pads'],
  ])('%s %o', async (op, attributes, name) => {
    const b = new GraphBuilder();
    const w = b.weights({ ...tensor('int8', [1, 1, 2, 2], [1, 2, 3, 4]), type: 'int8' }, [0.1], [0]);
    const q = b.quantize(b.node(op, [b.dequantize('x', u8), w], attributes), s8);
    const [found] = await faultsOf(b.graph({ type: 'uint8', dims: ['N', 1, 4, 4] }, q, 'int8'));
    expect(found).toMatchObject({ code: 'onnx-attribute', message: expect.stringContaining(name) });
  });

  it('an average that counts padding and rounds its size up', async () => {
    const b = new GraphBuilder();
    const attributes = {
      kernel_shape: [2, 2],
      pads: [1, 1, 1, 1],
      strides: [2, 2],
      ceil_mode: 1,
      count_include_pad: 1,
    };
    const q = b.quantize(b.node('AveragePool', [b.dequantize('x', u8)], attributes), s8);
    expect(codes(await faultsOf(b.graph({ type: 'uint8', dims: ['N', 1, 5, 5] }, q, 'int8')))).toEqual([
      'onnx-attribute',
    ]);
  });
});

describe('values', () => {
  it('names a network in float32 behind a Cast of its input', async () => {
    const found = await faults(importModel('examples/traffic-large.onnx'));
    expect(codes(found)).toEqual(['onnx-not-quantised']);
    expect(found[0]!.remedy).toContain('intransit quantise examples/traffic-large.onnx --calibrate');
  });

  it('names scales that are found at run time', async () => {
    const b = new GraphBuilder();
    const [q, s, z] = b.nodeOf('DynamicQuantizeLinear', ['x'], 3, {}) as [string, string, string];
    const w = b.constant('w', tensor('int8', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]));
    const acc = b.node('Cast', [b.node('MatMulInteger', [q, w, z])], { to: 1 });
    const found = await faultsOf(
      b.graph({ type: 'float', dims: ['N', 4] }, b.node('Mul', [acc, s]), 'float'),
    );
    expect(codes(found)).toEqual(['onnx-dynamic-scales']);
    expect(found[0]!.remedy).toContain('intransit quantise');
  });

  it('float weights', async () => {
    const found = await faultsOf(
      gemm({ weights: (b) => b.constant('w', tensor('float', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])) }),
    );
    expect(codes(found)).toEqual(['onnx-float-weights']);
    expect(found[0]!.place.tensor).toMatch(/^w/);
  });

  it('weights computed at run time', async () => {
    expect(codes(await faultsOf(gemm({ weights: (b) => b.dequantize('x', u8) })))).toEqual(['onnx-dynamic']);
  });

  it('reals without a QuantizeLinear between', async () => {
    const b = new GraphBuilder();
    const w = () =>
      b.weights({ ...tensor('int8', [4, 4], new Int8Array(16).fill(3)), type: 'int8' }, [0.1], [0]);
    const first = b.node('Gemm', [b.dequantize('x', u8), w()]);
    const q = b.quantize(b.node('Gemm', [first, w()]), s8);
    const [found] = await faultsOf(b.graph({ type: 'uint8', dims: ['N', 4] }, q, 'int8'));
    expect(found).toMatchObject({
      code: 'onnx-float-value',
      message: expect.stringContaining('no QuantizeLinear'),
    });
  });

  it('a float model, in one sentence', async () => {
    const b = new GraphBuilder();
    const w = b.constant('w', tensor('float', [4, 2], new Float32Array(8)));
    const y = b.node('MatMul', ['x', w]);
    expect(codes(await faultsOf(b.graph({ type: 'float', dims: ['N', 4] }, y, 'float')))).toEqual([
      'onnx-not-quantised',
    ]);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('scale %d', async (scale) => {
    expect(codes(await faultsOf(gemm({ x: { ...u8, scale } })))).toEqual(['bad-quantisation']);
  });

  it('a scale computed at run time', async () => {
    const b = new GraphBuilder();
    const q = b.node('QuantizeLinear', [b.dequantize('x', u8), 'x', b.grid(s8)[1]]);
    const [found] = await faultsOf(b.graph({ type: 'uint8', dims: ['N', 4] }, q, 'int8'));
    expect(found).toMatchObject({ code: 'onnx-dynamic', message: expect.stringContaining('the scale') });
  });

  it('a zero point out of range', async () => {
    const b = new GraphBuilder();
    const zero = b.constant('z', { ...scalar('uint8', 300), fields: true });
    const x = b.node('DequantizeLinear', ['x', b.constant('s', scalar('float', 0.1)), zero]);
    const found = await faultsOf(b.graph({ type: 'uint8', dims: ['N', 4] }, b.quantize(x, s8), 'int8'));
    expect(found[0]).toMatchObject({ code: 'bad-quantisation', message: expect.stringContaining('300') });
  });

  it('accumulators beyond 31 bits', async () => {
    const taps = 70_000;
    const weights = (b: GraphBuilder) =>
      b.weights({ ...tensor('int8', [1, taps], new Int8Array(taps).fill(127)), type: 'int8' }, [0.1], [0]);
    const found = await faultsOf(gemm({ weights, dims: ['N', taps] }));
    expect(found[0]).toMatchObject({
      code: 'accumulator-overflow',
      place: { layer: expect.stringContaining('Gemm') },
    });
  });
});

describe('shapes', () => {
  it('that do not fit', async () => {
    expect(codes(await faultsOf(gemm({ dims: ['N', 5] })))).toEqual(['shape-mismatch']);
  });

  it('that are not known', async () => {
    const [found] = await faultsOf(gemm({ dims: ['N', 'features'] }));
    expect(found).toMatchObject({ code: 'onnx-dynamic', message: expect.stringContaining('features') });
  });

  it('of weights with scales along the inputs', async () => {
    const weights = (b: GraphBuilder) =>
      b.weights(
        { ...tensor('int8', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]), type: 'int8' },
        [0.1, 0.2, 0.3, 0.4],
        [0, 0, 0, 0],
        1,
      );
    expect(codes(await faultsOf(gemm({ weights })))).toEqual(['bad-quantisation']);
  });
});

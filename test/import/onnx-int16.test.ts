import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { compareXdp } from '../support/xdp.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, tensor, writeOnnx } from './onnx-writer.ts';

/**
 * Activations of 16 bits in the QDQ form, as operator set 21 has them. Scales are powers of two and sums are short, so that float32
 * holds them exactly: what ONNX Runtime gives then is one answer.
 */
const u16 = (scale: number, zero: number): Grid => ({ type: 'uint16', scale, zero });
const s16 = (scale: number, zero = 0): Grid => ({ type: 'int16', scale, zero });
const r = random(16);
const folder = testFolder();
const few = (count: number) => Array.from({ length: count }, () => r.int(-15, 15));

const dense = (b: GraphBuilder, x: string, outs: number, ins: number): string => {
  const w = b.weights({ ...tensor('int8', [outs, ins], few(outs * ins)), type: 'int8' }, [2 ** -4], [0]);
  return b.node('Gemm', [x, w], { transB: 1 });
};

const conv = (b: GraphBuilder, x: string, outs: number, ins: number): string => {
  const shape = [outs, ins, 3, 3];
  const w = b.weights(
    { ...tensor('int8', shape, few(outs * ins * 9)), type: 'int8' },
    Array.from({ length: outs }, (_, o) => 2 ** -(3 + (o % 3))),
    Array.from({ length: outs }, () => 0),
  );
  return b.node('Conv', [x, w], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
};

const vector = (element: Grid['type']) => ({ type: element, dims: ['N', 6] }) as const;
const image = (element: Grid['type']) => ({ type: element, dims: ['N', 2, 5, 4] }) as const;

const graphs: Record<string, () => GraphSpec> = {
  'products of int16'() {
    const b = new GraphBuilder();
    const [x, y] = [s16(2 ** -8), s16(2 ** -7)];
    return b.graph(vector('int16'), b.quantize(dense(b, b.dequantize('x', x), 5, 6), y), 'int16', 21);
  },
  'products of uint16 with a zero point, and a clamp'() {
    const b = new GraphBuilder();
    const relu = b.node('Relu', [dense(b, b.dequantize('x', u16(2 ** -9, 30_000)), 7, 6)]);
    return b.graph(vector('uint16'), b.quantize(relu, u16(2 ** -8, 0)), 'uint16', 21);
  },
  'bytes to 16 bits and back'() {
    const b = new GraphBuilder();
    const [x, h, y] = [
      { type: 'uint8', scale: 0.25, zero: 7 } as const,
      s16(2 ** -10, 5),
      { type: 'int8', scale: 1, zero: 3 } as const,
    ];
    const hidden = b.quantize(dense(b, b.dequantize('x', x), 4, 6), h);
    return b.graph(vector('uint8'), b.quantize(dense(b, b.dequantize(hidden, h), 3, 4), y), 'int8', 21);
  },
  'convolutions with padding, and a maximum'() {
    const b = new GraphBuilder();
    const [x, h] = [u16(2 ** -9, 31_000), s16(2 ** -8)];
    const made = b.quantize(conv(b, b.dequantize('x', x), 3, 2), h);
    const pooled = b.node('MaxPool', [b.dequantize(made, h)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
      pads: [1, 0, 0, 0],
    });
    return b.graph(image('uint16'), b.quantize(pooled, h), 'int16', 21);
  },
  'an average of four'() {
    const b = new GraphBuilder();
    const [x, h] = [s16(2 ** -9), s16(2 ** -8)];
    const pooled = b.node('AveragePool', [b.dequantize('x', x)], { kernel_shape: [2, 2], strides: [1, 2] });
    return b.graph(image('int16'), b.quantize(pooled, h), 'int16', 21);
  },
  'a sum of two, and their product'() {
    const b = new GraphBuilder();
    const [x, h, s, y] = [s16(2 ** -12), s16(2 ** -10), s16(2 ** -9), s16(2 ** -11)];
    const real = b.dequantize('x', x);
    const other = b.dequantize(b.quantize(dense(b, real, 6, 6), h), h);
    const sum = b.dequantize(b.quantize(b.node('Add', [real, other]), s), s);
    return b.graph(vector('int16'), b.quantize(b.node('Mul', [sum, other]), y), 'int16', 21);
  },
  'moves: a transposition, parts and a border'() {
    const b = new GraphBuilder();
    const x = s16(2 ** -9, -100);
    const turned = b.node('Transpose', [b.dequantize('x', x)], { perm: [0, 2, 3, 1] });
    const part = b.node('Slice', [
      turned,
      b.constant('from', tensor('int64', [1], [1])),
      b.constant('to', tensor('int64', [1], [4])),
      b.constant('axes', tensor('int64', [1], [1])),
    ]);
    return b.graph(image('int16'), b.quantize(part, x), 'int16', 21);
  },
};

const load = (graph: GraphSpec) => {
  const bytes = writeOnnx(graph);
  const imported = importOnnx(bytes, 'm.onnx');
  return { bytes, imported, rows: randomRows(r, 40, tensorBytes(imported.model.input)) };
};

describe.each(Object.entries(graphs))('%s', (_, graph) => {
  it("on the reference, as ONNX Runtime's", async () => {
    const { bytes, imported, rows } = load(graph());
    const { mismatches, elements } = await compareWithRuntime(bytes, imported, rows);
    expect(elements).toBeGreaterThan(0);
    expect(mismatches).toBe(0);
  });
});

describeWith(loading, '16-bit activations in the kernel', () => {
  it.each(Object.entries(graphs))('%s', async (_, graph) => {
    const { imported, rows } = load(graph());
    const { mismatches, elements, foretold, verified } = await compareXdp(imported.model, {}, rows);
    expect(elements).toBeGreaterThan(0);
    expect(mismatches).toBe(0);
    expect(verified).toBeLessThanOrEqual(foretold);
  });
});

it('verify counts elements, not bytes', async () => {
  const [model, rows] = [join(folder, 'm.onnx'), join(folder, 'x.bin')];
  writeFileSync(model, writeOnnx(graphs['products of int16']!()));
  writeFileSync(rows, new Uint8Array(2 * 6 * 3));
  const done = await intransit('verify', model, '--on', 'reference', '--input', rows, '--json');
  expect(JSON.parse(done.out)).toEqual({ reference: { rows: 3, elements: 15, mismatches: 0 } });
});

describe('what 16 bits are too many for', () => {
  const refusal = (graph: GraphSpec) => {
    try {
      importOnnx(writeOnnx(graph), 'm.onnx');
    } catch (error) {
      if (error instanceof DiagnosticError) return error.diagnostics[0];
    }
    return undefined;
  };

  it('a sigmoid is refused, with what to export instead', () => {
    const b = new GraphBuilder();
    const sigmoid = b.node('Sigmoid', [b.dequantize('x', s16(2 ** -12))]);
    const told = refusal(b.graph(vector('int16'), b.quantize(sigmoid, s16(2 ** -15)), 'int16', 21));
    expect(told?.code).toBe('wide-activation');
    expect(told?.remedy).toContain('QuantType.QUInt8');
  });
});

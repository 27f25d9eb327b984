import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type AttributeValue, type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** Every attribute of an operator is read, or the operator is refused. */

const u8: Grid = { type: 'uint8', scale: 0.05, zero: 3 };
const s8: Grid = { type: 'int8', scale: 0.07, zero: 0 };
const INT8 = 3;

function faultsOf(graph: GraphSpec): string[] {
  try {
    importOnnx(writeOnnx(graph), 'm.onnx');
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics.map((d) => `${d.code}: ${d.message}`);
    throw error;
  }
  return [];
}

const image = { type: 'uint8', dims: ['N', 1, 4, 4] } as const;

/** One operator between DequantizeLinear and QuantizeLinear. */
function around(op: string, attributes: Record<string, AttributeValue>, opset = 17): GraphSpec {
  const b = new GraphBuilder();
  const x = b.dequantize('x', u8);
  const others: Record<string, () => string[]> = {
    Conv: () => [b.weights({ ...tensor('int8', [1, 1, 2, 2], [1, 2, 3, 4]), type: 'int8' }, [0.1], [0])],
    Gemm: () => [b.weights({ ...tensor('int8', [16, 1], Array(16).fill(3)), type: 'int8' }, [0.1], [0])],
    Add: () => [b.constant('c', scalar('float', 0.5))],
    BatchNormalization: () => [1, 2, 3, 4].map(() => b.constant('p', tensor('float', [1], [1]))),
  };
  const from = op === 'Gemm' ? b.node('Flatten', [x]) : x;
  const y = b.node(op, [from, ...(others[op]?.() ?? [])], attributes);
  return b.graph(image, b.quantize(y, s8), 'int8', opset);
}

describe('what is not understood is refused', () => {
  const square = { kernel_shape: [2, 2] };
  it.each<[string, Record<string, AttributeValue>, number?]>([
    ['Relu', { slope: { float: 0.1 } }],
    ['Conv', { activation: 'Relu' }],
    ['Add', { axis: 1 }],
    ['Conv', { strides: [2] }],
    ['Conv', { strides: [2, 2, 2] }],
    ['Conv', { kernel_shape: [3, 3] }],
    ['Conv', { kernel_shape: [2] }],
    ['Conv', { pads: [1, 1] }],
    ['Conv', { dilations: [1] }],
    ['Conv', { group: { float: 1 } }],
    ['Conv', { auto_pad: 'VALID', pads: [1, 1, 1, 1] }],
    ['MaxPool', {}],
    ['MaxPool', { ...square, strides: [1] }],
    ['MaxPool', { ...square, dilations: [2, 0] }],
    ['AveragePool', { ...square, p: 2 }],
    ['BatchNormalization', { training_mode: 1 }],
    ['BatchNormalization', { spatial: 0 }],
    ['Clip', { max: { float: 6 } }, 13],
    ['LeakyRelu', { alpha: 1 }],
    ['LeakyRelu', { alpha: { float: Number.NaN } }],
    ['Flatten', { axis: 0 }],
    ['Gemm', { transA: 1 }],
  ])('%s %o', (op, attributes, opset) => {
    const found = faultsOf(around(op, attributes, opset));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/attribute/);
  });

  it('an input beyond those of the operator', () => {
    const b = new GraphBuilder();
    const y = b.node('Relu', [b.dequantize('x', u8), b.constant('c', scalar('float', 1))]);
    expect(faultsOf(b.graph(image, b.quantize(y, s8), 'int8'))).toEqual([
      expect.stringMatching(/^onnx-input-unknown: input 1 of Relu/),
    ]);
  });

  it('a Dropout that is told to train', () => {
    const b = new GraphBuilder();
    const on = b.constant('on', tensor('bool', [], [1]));
    const y = b.node('Dropout', [b.dequantize('x', u8), '', on]);
    expect(faultsOf(b.graph(image, b.quantize(y, s8), 'int8'))).toEqual([
      expect.stringContaining('training_mode'),
    ]);
  });

  it('an operator set older than 7', () => {
    expect(faultsOf(around('Relu', {}, 6))[0]).toContain('operator set 6');
  });

  it.each([
    [{ block_size: 2 }, 'block_size'],
    [{ output_dtype: INT8 }, 'output_dtype'],
    [{ precision: 10 }, 'precision'],
  ])('QuantizeLinear with a zero point of uint8 and %o', (attributes, name) => {
    const b = new GraphBuilder();
    const q = b.node('QuantizeLinear', [b.dequantize('x', u8), ...b.grid({ ...u8, scale: 1 })], attributes);
    expect(faultsOf(b.graph(image, q, 'uint8', 23))).toEqual([expect.stringContaining(name)]);
  });

  it('DequantizeLinear to half floats, and with a zero point of another type', () => {
    const b = new GraphBuilder();
    const x = b.node('DequantizeLinear', ['x', ...b.grid(u8)], { output_dtype: 10 });
    expect(faultsOf(b.graph(image, b.quantize(x, s8), 'int8', 23))[0]).toContain('output_dtype');
    const other = new GraphBuilder();
    const y = other.quantize(other.dequantize('x', s8), s8);
    expect(faultsOf(other.graph(image, y, 'int8'))[0]).toContain('int8');
  });

  it('scales of half floats', () => {
    const b = new GraphBuilder();
    const half = b.constant('s', tensor('float16', [1], [0x00, 0x3c]));
    const y = b.quantize(b.node('DequantizeLinear', ['x', half]), s8);
    expect(faultsOf(b.graph(image, y, 'int8', 19))[0]).toContain('float16');
  });
});

describe('what changes nothing is passed over', () => {
  it.each<[string, Record<string, AttributeValue>, number?]>([
    ['MaxPool', { kernel_shape: [2, 2], storage_order: 1 }],
    ['MaxPool', { kernel_shape: [2, 2], auto_pad: 'SAME_LOWER', pads: [1, 1, 0, 0] }],
    ['MaxPool', { kernel_shape: [2, 2], auto_pad: 'VALID', pads: [0, 0, 0, 0] }],
    ['Conv', { kernel_shape: [2, 2], auto_pad: 'NOTSET', dilations: [1, 1] }],
    ['BatchNormalization', { momentum: { float: 0.9 }, training_mode: 0 }],
    ['Clip', { max: { float: 6 } }, 10],
  ])('%s %o', (op, attributes, opset) => {
    expect(faultsOf(around(op, attributes, opset))).toEqual([]);
  });
});

describe('the element type of QuantizeLinear', () => {
  const rows = Uint8Array.from({ length: 256 }, (_, i) => i);

  it.each([
    ['output_dtype alone', 21, { output_dtype: INT8 }, undefined],
    ['output_dtype beside a zero point', 23, { output_dtype: INT8, precision: 1, saturate: 0 }, 'int8'],
    ['neither', 21, {}, undefined],
    ['a zero point', 19, { axis: 0, saturate: 1 }, 'int8'],
  ] as const)('of %s: the integers of ONNX Runtime', async (_, opset, attributes, zero) => {
    const b = new GraphBuilder();
    const scale = () => b.constant('s', scalar('float', 0.3));
    const zeroPoint = zero === undefined ? [] : [b.constant('z', scalar(zero, 5))];
    const q = b.node('QuantizeLinear', ['x', scale(), ...zeroPoint], attributes);
    const x = b.node('DequantizeLinear', [q, scale(), ...zeroPoint]);
    const graph = b.graph(
      { type: 'float', dims: ['N', 1] },
      b.dequantize(b.quantize(x, s8), s8),
      'float',
      opset,
    );
    const imported = importOnnx(writeOnnx(graph), 'm.onnx');
    expect(await compareWithRuntime(writeOnnx(graph), imported, rows)).toMatchObject({ mismatches: 0 });
  });
});

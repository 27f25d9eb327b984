import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from './onnx-writer.ts';

/** Products of two matrices of activations, as attention has them, against ONNX Runtime with nothing fused. */

const u8: Grid = { type: 'uint8', scale: 0.031713, zero: 0 };
const s8: Grid = { type: 'int8', scale: 0.023317, zero: 17 };
const scores: Grid = { type: 'int8', scale: 0.043137, zero: -9 };
const share: Grid = { type: 'uint8', scale: 1 / 256, zero: 0 };

async function compared(graph: GraphSpec) {
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'm.onnx');
  const rows = randomRows(random(5), 12, elementCount(imported.model.input.shape));
  const { mismatches } = await compareWithRuntime(bytes, imported, rows);
  return { mismatches, imported };
}

/** The input by its own transpose, both on the grid: `[rows, inner] x [inner, rows]`. */
function withItself(
  grid: Grid,
  dims: readonly number[],
  perm: readonly number[],
  kernel: 'MatMul' | 'QLinearMatMul',
) {
  const b = new GraphBuilder();
  const to = { ...grid, scale: scores.scale };
  const input = { type: grid.type as 'uint8' | 'int8', dims: [1, ...dims] } as const;
  if (kernel === 'MatMul') {
    const x = b.dequantize('x', grid);
    const turned = b.node('Transpose', [x], { perm });
    return b.graph(input, b.quantize(b.node('MatMul', [x, turned]), to), input.type);
  }
  const turned = b.node('Transpose', ['x'], { perm });
  const y = b.node('QLinearMatMul', ['x', ...b.grid(grid), turned, ...b.grid(grid), ...b.grid(to)]);
  return b.graph(input, y, input.type);
}

describe('a product of two matrices of activations', () => {
  it.each([
    ['of one head, unsigned', u8, [4, 3], [0, 2, 1]],
    ['of one head, with a zero point', s8, [3, 5], [0, 2, 1]],
    ['of two heads', { ...s8, zero: -128 }, [2, 3, 4], [0, 1, 3, 2]],
    ['of one row', u8, [1, 6], [0, 2, 1]],
  ] as const)('%s', async (_, grid, dims, perm) => {
    for (const kernel of ['MatMul', 'QLinearMatMul'] as const) {
      const { mismatches, imported } = await compared(withItself(grid, dims, perm, kernel));
      expect(mismatches, kernel).toBe(0);
      expect(imported.diagnostics.filter(({ severity }) => severity === 'warning')).toEqual([]);
    }
  });

  it('attention: scores, their softmax, and values by them', async () => {
    const b = new GraphBuilder();
    const [rows, width] = [3, 4];
    const x = b.dequantize('x', u8);
    const projected = (seed: number) => {
      const r = random(seed);
      const values = Array.from({ length: width * width }, () => r.int(-127, 127));
      const w = b.weights({ ...tensor('int8', [width, width], values), type: 'int8' }, [0.007], [0]);
      return b.dequantize(b.quantize(b.node('MatMul', [x, w]), s8), s8);
    };
    const [q, k, v] = [projected(1), projected(2), projected(3)];
    const product = b.node('MatMul', [q, b.node('Transpose', [k], { perm: [0, 2, 1] })]);
    const scaled = b.node('Div', [product, b.constant('d', scalar('float', Math.sqrt(width)))]);
    const shares = b.node('Softmax', [b.dequantize(b.quantize(scaled, scores), scores)], { axis: -1 });
    const y = b.node('MatMul', [b.dequantize(b.quantize(shares, share), share), v]);
    const graph = b.graph({ type: 'uint8', dims: ['N', rows, width] }, b.quantize(y, scores), 'int8');
    const { mismatches, imported } = await compared(graph);
    expect(mismatches).toBe(0);
    expect(imported.model.layers.map(({ kind }) => kind)).toContain('softmax');
  });

  it('is refused with its size where it is large', async () => {
    const graph = withItself(u8, [64, 32], [0, 2, 1], 'MatMul');
    await expect(importBytes(writeOnnx(graph), 'm.onnx')).rejects.toThrow(/131072 pairs of activations/);
  });

  it('and where the sizes do not fit', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize('x', u8);
    const graph = b.graph(
      { type: 'uint8', dims: [1, 4, 3] },
      b.quantize(b.node('MatMul', [x, x]), s8),
      'int8',
    );
    await expect(importBytes(writeOnnx(graph), 'm.onnx')).rejects.toThrow(
      /\[batch, 4, 3\] and \[batch, 4, 3\]/,
    );
  });
});

import { describe, expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, tensor, writeOnnx } from './onnx-writer.ts';

/** Resize and Upsample between pixels, against ONNX Runtime with nothing fused. */

interface Case {
  readonly size: readonly [number, number];
  readonly by: readonly [number, number];
  readonly sides?: string;
  /** Images one after the other, as a volume has them. */
  readonly depth?: number;
}

const CHANNELS = 2;

/** Behind DequantizeLinear; or of the integers themselves, as quantize_static writes it in the QOperator format. */
function graphOf({ size, by, sides, depth }: Case, grid: Grid, isWhole: boolean): GraphSpec {
  const b = new GraphBuilder();
  const lead = [1, CHANNELS, ...(depth === undefined ? [] : [depth])];
  const factors = [...lead.map(() => 1), ...by];
  const scales = b.constant('f', tensor('float', [factors.length], factors));
  const inputs = (x: string) => (sides === undefined ? [x, scales] : [x, '', scales]);
  const attributes = {
    mode: 'linear',
    ...(sides !== undefined && { coordinate_transformation_mode: sides }),
  };
  const to = { ...grid, scale: grid.scale * 0.917113 };
  const x = b.node('Relu', [b.dequantize('x', grid)]);
  const y = isWhole
    ? b.node('Resize', inputs(b.quantize(x, grid)), attributes)
    : b.quantize(b.node('Resize', inputs(x), attributes), to);
  const type = grid.type as 'uint8' | 'int8';
  return b.graph({ type, dims: [...lead, ...size] }, y, type, sides === undefined ? 10 : 18);
}

async function mismatchesOf(graph: GraphSpec): Promise<number> {
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'm.onnx');
  const rows = randomRows(random(5), 20, elementCount(imported.model.input.shape));
  return (await compareWithRuntime(bytes, imported, rows)).mismatches;
}

const u8: Grid = { type: 'uint8', scale: 0.041713, zero: 37 };
const s8: Grid = { type: 'int8', scale: 0.0273317, zero: -20 };

const cases: readonly Case[] = [
  { size: [3, 2], by: [2, 2], sides: 'half_pixel' },
  { size: [2, 3], by: [4, 2], sides: 'half_pixel' },
  { size: [1, 4], by: [1, 8], sides: 'pytorch_half_pixel' },
  { size: [3, 4], by: [2, 4], sides: 'asymmetric' },
  { size: [4, 6], by: [0.5, 0.5], sides: 'half_pixel' },
  { size: [3, 2], by: [2, 2] },
];

describe('linear', () => {
  it.each(
    cases.map(
      (c) => [`${c.size.join('x')} by ${c.by.join('x')}, ${c.sides ?? 'operator set 10'}`, c] as const,
    ),
  )('%s', async (_, c) => {
    for (const grid of [u8, s8])
      for (const isWhole of [false, true])
        expect(await mismatchesOf(graphOf(c, grid, isWhole)), `${grid.type} ${isWhole}`).toBe(0);
  });

  it('thirds, and corners that stay where they are', async () => {
    expect(await mismatchesOf(graphOf({ size: [2, 3], by: [3, 3], sides: 'half_pixel' }, u8, false))).toBe(0);
    expect(await mismatchesOf(graphOf({ size: [2, 3], by: [3, 2], sides: 'align_corners' }, s8, false))).toBe(
      0,
    );
  });

  it('of the images of a volume', async () => {
    const volume = { size: [2, 3], by: [2, 4], sides: 'half_pixel', depth: 3 } as const;
    for (const grid of [u8, s8]) expect(await mismatchesOf(graphOf(volume, grid, false)), grid.type).toBe(0);
  });

  it.each([
    [
      'parts of a pixel that are too small',
      { size: [3, 3], by: [17, 17], sides: 'half_pixel' },
      false,
      /linear/,
    ],
    [
      'thirds of integers',
      { size: [2, 2], by: [3, 3], sides: 'half_pixel' },
      true,
      /between DequantizeLinear/,
    ],
  ] as const)('%s are refused', async (_, c, isWhole, message) => {
    await expect(importBytes(writeOnnx(graphOf(c, u8, isWhole)), 'm.onnx')).rejects.toThrow(message);
  });
});

import { expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { tensor, writeOnnx } from './onnx-writer.ts';

/** Weights of 4 bits whose scales run in blocks along the inputs (operator set 21), against ONNX Runtime. */

const input: Grid = { type: 'uint8', scale: 0.02, zero: 128 };
const output: Grid = { type: 'int8', scale: 0.2093, zero: -3 };
const [INS, OUTS, BLOCK] = [24, 6, 8];

async function compare(
  scaleOf: (block: number, out: number) => number,
  type: 'int4' | 'uint4' = 'int4',
  transposed = false,
) {
  const r = random(11);
  const b = new GraphBuilder();
  const blocks = INS / BLOCK;
  const least = type === 'int4' ? -8 : 0;
  const dims = transposed ? [OUTS, INS] : [INS, OUTS];
  const scaleDims = transposed ? [OUTS, blocks] : [blocks, OUTS];
  const values = Array.from({ length: INS * OUTS }, () => least + r.int(0, 15));
  const scales = Array.from({ length: blocks * OUTS }, (_, i) =>
    transposed ? scaleOf(i % blocks, Math.floor(i / blocks)) : scaleOf(Math.floor(i / OUTS), i % OUTS),
  );
  const zeros = scales.map(() => (type === 'int4' ? 0 : r.int(6, 9)));
  const w = b.node(
    'DequantizeLinear',
    [
      b.constant('w', tensor(type, dims, values)),
      b.constant('s', tensor('float', scaleDims, scales)),
      b.constant('z', tensor(type, scaleDims, zeros)),
    ],
    { axis: transposed ? 1 : 0, block_size: BLOCK },
  );
  const x = b.dequantize('x', input);
  const product = transposed ? b.node('Gemm', [x, w], { transB: 1 }) : b.node('MatMul', [x, w]);
  const graph = b.graph({ type: 'uint8', dims: ['N', INS] }, b.quantize(product, output), 'int8', 21);
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'blocks.onnx');
  const rows = randomRows(random(2), 200, INS);
  const { elements, mismatches, furthest } = await compareWithRuntime(bytes, imported, rows);
  const warned = imported.diagnostics.filter(({ severity }) => severity === 'warning').map((d) => d.message);
  return { share: mismatches / elements, furthest, warned };
}

it.each(['int4', 'uint4'] as const)('%s: scales that are multiples of each other are exact', async (type) => {
  const scale = (block: number, out: number) => 0.01137 * (1 + ((block + out) % 3));
  expect(await compare(scale, type)).toEqual({ share: 0, furthest: 0, warned: [] });
  expect(await compare(scale, type, true)).toEqual({ share: 0, furthest: 0, warned: [] });
});

it('others are rounded, and the warning tells the share', async () => {
  const r = random(6);
  const { share, furthest, warned } = await compare(() => 0.01 + r.int(0, 1000) / 40_000);
  expect(warned).toEqual([expect.stringMatching(/scales by blocks .* about \d.* % of the values/)]);
  const told = Number(/about ([\d.]+) %/.exec(warned[0]!)![1]) / 100;
  expect(furthest).toBe(1);
  expect(share).toBeGreaterThan(told / 3);
  expect(share).toBeLessThan(told * 3);
});

import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type AttributeValue, type GraphSpec, tensor, writeOnnx } from './onnx-writer.ts';

/** Where windows lie over an image by `auto_pad`, against ONNX Runtime with nothing fused. */

const u8: Grid = { type: 'uint8', scale: 0.051713, zero: 100 };
const s8: Grid = { type: 'int8', scale: 0.113137, zero: -5 };

interface Window {
  readonly size: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
}

const windows: readonly Window[] = [
  { size: [7, 6], kernel: [4, 3], strides: [2, 1] },
  { size: [4, 9], kernel: [1, 4], strides: [1, 3] },
  { size: [9, 8], kernel: [5, 2], strides: [3, 2] },
  { size: [9], kernel: [4], strides: [3] },
  { size: [6], kernel: [2], strides: [1] },
];
/** Windows that do not reach from one to the next, of which ONNX Runtime runs what has weights alone. */
const apart: readonly Window[] = [
  { size: [7, 6], kernel: [1, 1], strides: [2, 2] },
  { size: [4, 7], kernel: [3, 1], strides: [3, 3] },
  { size: [4], kernel: [2], strides: [3] },
];

const CHANNELS = 2;

function weightsOf(b: GraphBuilder, dims: readonly number[]): string {
  const values = Array.from({ length: elementCount(dims) }, (_, i) => ((i * 37) % 23) - 11);
  return b.weights({ ...tensor('int8', dims, values), type: 'int8' }, [0.03], [0]);
}

function graphOf(op: string, w: Window, more: Record<string, AttributeValue>): GraphSpec {
  const b = new GraphBuilder();
  const inputs = [b.dequantize('x', u8)];
  if (op === 'Conv') inputs.push(weightsOf(b, [3, CHANNELS, ...w.kernel]));
  if (op === 'ConvTranspose') inputs.push(weightsOf(b, [CHANNELS, 3, ...w.kernel]));
  const y = b.node(op, inputs, { kernel_shape: w.kernel, strides: w.strides, ...more });
  return b.graph({ type: 'uint8', dims: [1, CHANNELS, ...w.size] }, b.quantize(y, s8), 'int8', 19);
}

async function mismatchesOf(graph: GraphSpec): Promise<number> {
  const bytes = writeOnnx(graph);
  const imported = await importBytes(bytes, 'm.onnx');
  const rows = randomRows(random(5), 12, elementCount(imported.model.input.shape));
  return (await compareWithRuntime(bytes, imported, rows)).mismatches;
}

describe.each(['SAME_LOWER', 'SAME_UPPER', 'VALID'])('auto_pad %s', (auto) => {
  it.each([
    ['Conv', [...windows, ...apart]],
    ['ConvTranspose', [...windows, ...apart]],
    ['MaxPool', windows],
    ['AveragePool', windows],
  ] as const)('of %s', async (op, all) => {
    for (const w of all) expect(await mismatchesOf(graphOf(op, w, { auto_pad: auto })), `${w.size}`).toBe(0);
  });

  it('of AveragePool with count_include_pad', async () => {
    const more = { auto_pad: auto, count_include_pad: 1 };
    for (const w of windows) expect(await mismatchesOf(graphOf('AveragePool', w, more)), `${w.size}`).toBe(0);
  });
});

it.each(['Conv', 'MaxPool', 'AveragePool'])('%s with dilations is refused: runtimes pad it unlike', (op) => {
  const w = { size: [8, 8], kernel: [2, 3], strides: [2, 1] };
  const more = { auto_pad: 'SAME_LOWER', dilations: [2, 1] };
  const refused = importBytes(writeOnnx(graphOf(op, w, more)), 'm.onnx');
  return expect(refused).rejects.toSatisfy(
    (error) => error instanceof DiagnosticError && /auto_pad = SAME_LOWER/.test(error.message),
  );
});

it('integers that are but compared stand for themselves', async () => {
  const b = new GraphBuilder();
  const y = b.node('MaxPool', ['x'], { kernel_shape: [2, 2], auto_pad: 'SAME_LOWER' });
  const graph = b.graph({ type: 'int8', dims: [1, 2, 5, 4] }, y, 'int8', 13);
  const { model } = await importBytes(writeOnnx(graph), 'm.onnx');
  expect([model.input, model.layers[0]!.output]).toMatchObject([
    { element: 'int8', scale: 1, zeroPoint: 0 },
    { element: 'int8', scale: 1, zeroPoint: 0 },
  ]);
  expect(await mismatchesOf(graph)).toBe(0);
});

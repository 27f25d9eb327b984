import { expect, it } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { tensor, writeOnnx } from './onnx-writer.ts';

/** A float input and a float output whose ranges are named: as if the graph had a QuantizeLinear there. */

const input: Grid = { type: 'uint8', scale: Math.fround(6.3 / 255), zero: Math.round(2.1 / (6.3 / 255)) };
const output: Grid = { type: 'uint8', scale: Math.fround(11.3 / 255), zero: Math.round(6.2 / (11.3 / 255)) };

function network(isQuantised: boolean): Uint8Array {
  const b = new GraphBuilder();
  const r = random(3);
  const values = Array.from({ length: 12 * 5 }, () => r.int(-128, 127));
  const w = b.weights({ ...tensor('int8', [12, 5], values), type: 'int8' }, [0.0113], [0]);
  const x = isQuantised ? b.dequantize(b.quantize('x', input), input) : 'x';
  const y = b.node('MatMul', [x, w]);
  const end = isQuantised ? b.dequantize(b.quantize(y, output), output) : y;
  return writeOnnx(b.graph({ type: 'float', dims: ['N', 12] }, end, 'float'));
}

it('the integers of ONNX Runtime with the two nodes', async () => {
  const options = { inputRange: [-2.1, 4.2], outputRange: [-6.2, 5.1] } as const;
  const imported = await importBytes(network(false), 'm.onnx', options);
  expect(imported.model.input).toMatchObject({ scale: input.scale, zeroPoint: input.zero });
  const rows = randomRows(random(5), 80, 12);
  expect(await compareWithRuntime(network(true), imported, rows)).toMatchObject({ mismatches: 0 });
});

it('without them the refusal names the option', async () => {
  const refusal = importBytes(network(false), 'm.onnx', { inputRange: [-2.1, 4.2] });
  await expect(refusal).rejects.toThrow(/--output-range LO\.\.HI/);
});

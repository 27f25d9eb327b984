import { expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { modelOf } from '../support/models.ts';

const CHANNELS = 130_000;

const value = (name: string) => ({
  name,
  type: { tensorType: { elemType: 2, shape: { dim: [{ dimValue: 1 }, { dimValue: 4 }] } } },
});

it('pads of a thousand million are refused before anything is laid out', () => {
  const pads = Buffer.alloc(32);
  pads.writeBigInt64LE(1_000_000_000n, 8);
  pads.writeBigInt64LE(1_000_000_000n, 24);
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'g',
      node: [{ opType: 'Pad', input: ['x', 'p'], output: ['y'] }],
      initializer: [{ name: 'p', dims: [4], dataType: 7, rawData: pads }],
      input: [value('x')],
      output: [value('y')],
    },
  };
  const bytes = onnxModelType().encode(model).finish();
  const started = process.cpuUsage();
  expect(() => importOnnx(bytes, 'pads.onnx')).toThrow(DiagnosticError);
  expect(() => importOnnx(bytes, 'pads.onnx')).toThrow(/at most 16777216 elements/);
  expect(process.cpuUsage(started).user).toBeLessThan(4e6);
});

it('a layer may have more channels than a call takes arguments', () => {
  const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
  const weights = Array.from({ length: CHANNELS }, (_, i) => i % 3);
  const model = modelOf({ ...grid, shape: [1] }, [{ kind: 'dense', weights, weightScale: 1, output: grid }]);
  expect([...interpret(model, Uint8Array.of(7)).subarray(0, 4)]).toEqual([0, 7, 14, 0]);
});

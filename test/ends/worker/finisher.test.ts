import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../../src/diagnostics/index.ts';
import { createFinisher, type WorkerEngine } from '../../../src/ends/worker/finisher.ts';
import { loadOnnxRuntime } from '../../../src/ends/worker/onnxruntime.ts';
import { importOnnx } from '../../../src/import/onnx/index.ts';
import { cutReader } from '../../../src/model/cut.ts';
import { valueType } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { withVerdict } from '../../../src/model/verdict.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { GraphBuilder, type Grid } from '../../import/onnx-blocks.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from '../../import/onnx-writer.ts';
import { random, randomRows } from '../../support/random.ts';

// Scales whose quotients make no accumulator fall in the middle between two steps.
const u8: Grid = { type: 'uint8', scale: 0.4937, zero: 4 };
const s8: Grid = { type: 'int8', scale: 0.7321, zero: -3 };

const runtime = await loadOnnxRuntime();

function load(graph: GraphSpec, verdict = false) {
  const bytes = writeOnnx(graph);
  const { model, sources } = importOnnx(bytes, 'm.onnx');
  return { model: verdict ? withVerdict(model) : model, onnx: { bytes, sources: sources! } };
}

/** What computes each cursor; all of them give the integers of the reference. */
async function engines(graph: GraphSpec, on: WorkerEngine = 'auto', verdict = false) {
  const { model, onnx } = load(graph, verdict);
  const notes: Diagnostic[] = [];
  const used: (string | undefined)[] = [];
  for (let cursor = 0; cursor < model.layers.length; cursor++) {
    if (cutReader(model, cursor) !== undefined) {
      used.push(undefined);
      continue;
    }
    const finisher = await createFinisher(cursor, {
      ...{ model, onnx, runtime, on },
      onDiagnostic: (d) => notes.push(d),
    });
    const width = elementCount(valueType(model, cursor).shape);
    const rows = randomRows(random(cursor + 1), 9, width);
    const expected = Array.from({ length: 9 }, (_, i) =>
      Array.from(interpret(model, rows.subarray(i * width, (i + 1) * width), cursor)),
    ).flat();
    expect(Array.from(await finisher.run(rows, 9))).toEqual(expected);
    used.push(finisher.on);
    await finisher.close();
  }
  return { used, notes };
}

const image = { type: 'uint8', dims: ['N', 1, 6, 6] } as const;
const conv = (b: GraphBuilder, x: string, channels: number, outs = 2) => {
  const values = Array.from({ length: outs * channels * 9 }, (_, i) => ((i * 37) % 11) - 5);
  const spec = { ...tensor('int8', [outs, channels, 3, 3], values), type: 'int8' } as const;
  return b.node('Conv', [x, b.weights(spec, [0.0513], [0])], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
};
const gemm = (b: GraphBuilder, x: string, ins: number, outs: number) => {
  const values = Array.from({ length: outs * ins }, (_, i) => ((i * 29) % 13) - 6);
  const spec = { ...tensor('int8', [outs, ins], values), type: 'int8' } as const;
  return b.node('Gemm', [x, b.weights(spec, [0.0513], [0])], { transB: 1 });
};

describe('layers from any cursor in ONNX Runtime', () => {
  it('a pool between reals, and an output of reals', async () => {
    const b = new GraphBuilder();
    const q = b.dequantize(b.quantize(b.node('Relu', [conv(b, b.dequantize('x', u8), 1)]), u8), u8);
    const pooled = b.node('MaxPool', [q], { kernel_shape: [2, 2], strides: [2, 2] });
    expect(await engines(b.graph(image, pooled, 'float'))).toEqual({
      used: ['onnxruntime', 'onnxruntime'],
      notes: [],
    });
  });

  it('a clamp that went into the layer before it is cut behind the clamp', async () => {
    const b = new GraphBuilder();
    const q = b.quantize(conv(b, b.dequantize('x', u8), 1), s8);
    const clamped = b.quantize(b.node('Relu', [b.dequantize(q, s8)]), s8);
    const y = b.quantize(conv(b, b.dequantize(clamped, s8), 2), s8);
    const { model, onnx } = load(b.graph(image, y, 'int8'));
    expect(model.layers).toHaveLength(2);
    expect(onnx.sources.get(1)).toMatchObject({ name: clamped, real: false });
    expect((await engines(b.graph(image, y, 'int8'))).used).toEqual(['onnxruntime', 'onnxruntime']);
  });

  it('a clamp of reals without a QuantizeLinear', async () => {
    const b = new GraphBuilder();
    const q = b.quantize(conv(b, b.dequantize('x', u8), 1), s8);
    const clamped = b.node('Clip', [
      b.dequantize(q, s8),
      b.constant('lo', scalar('float', 0)),
      b.constant('hi', scalar('float', 40 * s8.scale)),
    ]);
    const y = b.quantize(conv(b, clamped, 2), s8);
    const graph = b.graph(image, y, 'int8');
    expect(load(graph).onnx.sources.get(1)).toMatchObject({ name: clamped, real: true });
    expect((await engines(graph)).used).toEqual(['onnxruntime', 'onnxruntime']);
  });

  it('a value that no tensor holds is reached by the reference', async () => {
    const b = new GraphBuilder();
    // The pool stands before the QuantizeLinear: the quantised image before it is in the model alone.
    const product = b.node('Relu', [conv(b, b.dequantize('x', u8), 1)]);
    const pooled = b.node('MaxPool', [product], { kernel_shape: [2, 2], strides: [2, 2] });
    const flat = b.node('Flatten', [b.dequantize(b.quantize(pooled, u8), u8)]);
    const graph = b.graph(image, b.quantize(gemm(b, flat, 18, 3), s8), 'int8');
    const { model, onnx } = load(graph);
    expect(model.layers.map(({ kind }) => kind)).toEqual(['conv2d', 'maxPool', 'dense']);
    expect(onnx.sources.has(1)).toBe(false);
    expect((await engines(graph)).used.slice(1)).toEqual(['onnxruntime', 'onnxruntime']);
  });

  it('two ends of a residual connection, cut only around it, with a verdict behind', async () => {
    const b = new GraphBuilder();
    const a = b.quantize(gemm(b, b.dequantize('x', u8), 4, 4), s8);
    const c = b.quantize(gemm(b, b.dequantize(a, s8), 4, 4), s8);
    const sum = b.quantize(b.node('Add', [b.dequantize(a, s8), b.dequantize(c, s8)]), s8);
    const graph = b.graph({ type: 'uint8', dims: ['N', 4] }, sum, 'int8');
    const { used } = await engines(graph, 'auto', true);
    expect(used).toEqual(['onnxruntime', 'onnxruntime', undefined, 'reference']);
  });

  it('a graph that holds its batch fast runs row by row', async () => {
    const b = new GraphBuilder();
    const q = b.quantize(b.node('Relu', [conv(b, b.dequantize('x', u8), 1)]), u8);
    const shape = b.constant('shape', tensor('int64', [2], [1, 72]));
    const flat = b.node('Reshape', [b.dequantize(q, u8), shape]);
    const graph = b.graph({ ...image, dims: [1, 1, 6, 6] }, b.quantize(gemm(b, flat, 72, 3), s8), 'int8');
    expect((await engines(graph)).used).toEqual(['onnxruntime', 'onnxruntime']);
  });

  it('a float input and a float output are cut to their integers', async () => {
    const b = new GraphBuilder();
    const x = b.dequantize(b.quantize('x', u8), u8);
    const y = b.dequantize(b.quantize(gemm(b, x, 4, 3), s8), s8);
    const graph = b.graph({ type: 'float', dims: ['N', 4] }, y, 'float');
    expect(await engines(graph, 'onnxruntime')).toEqual({ used: ['onnxruntime'], notes: [] });
  });
});

describe('the choice of the engine', () => {
  const graph = () => {
    const b = new GraphBuilder();
    return b.graph(
      { type: 'uint8', dims: ['N', 4] },
      b.quantize(gemm(b, b.dequantize('x', u8), 4, 3), s8),
      'int8',
    );
  };

  it('auto takes the reference where ONNX Runtime computes otherwise, and says so', async () => {
    const { model, onnx } = load(graph());
    const layer = model.layers[0]!;
    if (layer.kind !== 'dense') throw new Error('unreachable');
    const other = { ...model, layers: [{ ...layer, bias: layer.bias.map((v) => v + 400) }] };
    const notes: Diagnostic[] = [];
    const make = (on: WorkerEngine) =>
      createFinisher(0, { model: other, onnx, runtime, on, onDiagnostic: (d) => notes.push(d) });
    expect((await make('auto')).on).toBe('reference');
    expect(notes.pop()).toMatchObject({ code: 'worker-on-reference', severity: 'note' });
    expect((await make('onnxruntime')).on).toBe('onnxruntime');
    expect(notes.pop()).toMatchObject({ code: 'worker-differs', severity: 'warning' });
  });

  it('tells how to get ONNX Runtime where it is absent', async () => {
    const absent = () => Promise.reject(new Error("Cannot find package 'onnxruntime-node'\nRequire stack:"));
    await expect(loadOnnxRuntime(absent)).rejects.toThrow(
      /onnxruntime-node cannot be loaded: Cannot find package 'onnxruntime-node' \[missing-package\]\n {2}help: npm install onnxruntime-node, or use --on reference/,
    );
  });
});

describe('withVerdict', () => {
  it('appends an argmax once, under a name of its own', () => {
    const b = new GraphBuilder();
    const x = gemm(b, b.dequantize('x', u8), 4, 3);
    const { model } = load(b.graph({ type: 'uint8', dims: ['N', 4] }, b.quantize(x, s8), 'int8'));
    const once = withVerdict(model);
    expect(once.layers.map(({ name, kind }) => [name, kind])[1]).toEqual(['verdict', 'argmax']);
    expect(withVerdict(once)).toBe(once);
    const taken = { ...model, layers: [{ ...model.layers[0]!, name: 'verdict' }] };
    expect(withVerdict(taken).layers[1]!.name).toBe('verdict_2');
  });

  it('refuses more classes than a byte holds', () => {
    const b = new GraphBuilder();
    const x = gemm(b, b.dequantize('x', u8), 4, 257);
    const { model } = load(b.graph({ type: 'uint8', dims: ['N', 4] }, b.quantize(x, s8), 'int8'));
    expect(() => withVerdict(model)).toThrow('has 257 outputs; a verdict tells at most 256 classes apart');
  });
});

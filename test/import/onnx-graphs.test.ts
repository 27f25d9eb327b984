import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { type ImportOptions, importBytes } from '../../src/import/index.ts';
import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { compareWithRuntime } from '../support/onnx-runtime.ts';
import { random, randomRows } from '../support/random.ts';
import { GraphBuilder, type Grid } from './onnx-blocks.ts';
import { type GraphSpec, tensor, writeOnnx } from './onnx-writer.ts';

const u8: Grid = { type: 'uint8', scale: 0.05, zero: 3 };
const s8: Grid = { type: 'int8', scale: 0.07, zero: 0 };
const input = { type: 'uint8', dims: ['N', 6] } as const;

async function refusals(bytes: Uint8Array, file = 'm.onnx', options: ImportOptions = {}): Promise<string> {
  try {
    await importBytes(bytes, file, options);
  } catch (error) {
    if (error instanceof DiagnosticError) return error.message;
    throw error;
  }
  throw new Error('the import did not fail');
}

/** Two layers; the tensors between them have names. */
function network(
  end: (b: GraphBuilder, logits: string) => string,
  outputType: GraphSpec['outputType'] = 'float',
) {
  const b = new GraphBuilder();
  const r = random(3);
  const layer = (x: string, ins: number, outs: number) => {
    const values = Array.from({ length: ins * outs }, () => r.int(-128, 127));
    const w = b.weights({ ...tensor('int8', [ins, outs], values), type: 'int8' }, [0.0113], [0]);
    return b.quantize(b.node('MatMul', [x, w]), s8);
  };
  const hidden = layer(b.dequantize('x', u8), 6, 5);
  const logits = layer(b.dequantize(hidden, s8), 5, 4);
  const out = end(b, b.dequantize(logits, s8));
  return { graph: b.graph(input, out, outputType), hidden, logits };
}

const same = (_: GraphBuilder, logits: string) => logits;

describe('graphs', () => {
  it('of nodes in any order', async () => {
    const { graph } = network(same);
    const bytes = writeOnnx({ ...graph, nodes: [...graph.nodes].reverse() });
    const imported = await importBytes(bytes, 'm.onnx');
    expect(imported.model.layers).toHaveLength(2);
    const { furthest } = await compareWithRuntime(bytes, imported, randomRows(random(1), 20, 6));
    expect(furthest).toBeLessThanOrEqual(1);
  });

  it('whose nodes read each other in a circle are refused', async () => {
    const b = new GraphBuilder();
    b.nodes.push({ op: 'Add', in: ['x', 'late'], out: 'early' }, { op: 'Relu', in: ['early'], out: 'late' });
    expect(await refusals(writeOnnx(b.graph(input, 'late', 'float')))).toContain('reads what is made of it');
  });

  it('nodes that the output does not depend on are left alone', async () => {
    const { graph } = network((b, logits) => {
      b.node('Einsum', [logits]);
      return logits;
    });
    expect((await importBytes(writeOnnx(graph), 'm.onnx')).model.layers).toHaveLength(2);
  });

  it('are cut by the names of tensors', async () => {
    const { graph, hidden, logits } = network(same);
    const bytes = writeOnnx(graph);
    const whole = (await importBytes(bytes, 'm.onnx')).model;
    const head = (await importBytes(bytes, 'm.onnx', { outputTensor: hidden })).model;
    const row = randomRows(random(2), 1, 6);
    expect(interpret(head, row)).toEqual(interpret(whole, row, 0, 1));
    expect(await refusals(bytes, 'm.onnx', { outputTensor: 'logits' })).toContain('--output-tensor logits');
    expect(await refusals(bytes, 'm.onnx', { inputTensor: 'nothing' })).toContain('--input-tensor nothing');
    expect(logits).not.toBe(hidden);
  });

  it('of several outputs want one to be named', async () => {
    const { graph, hidden, logits } = network(same);
    const type = onnxModelType();
    const message = type.decode(writeOnnx(graph)) as unknown as { graph: { output: { name: string }[] } };
    message.graph.output.push({ ...message.graph.output[0]!, name: hidden });
    const bytes = type.encode(message as never).finish();
    const told = await refusals(bytes);
    expect(told).toContain('has 2 outputs');
    expect(told).toContain('--output-tensor NAME');
    expect((await importBytes(bytes, 'm.onnx', { outputTensor: logits })).model.layers).toHaveLength(2);
  });

  it('tell of each kind of operator once, with its number', async () => {
    const { graph } = network((b, logits) => {
      const parts = [1, 2, 3].map(() => b.node('Einsum', [logits]));
      return b.node('Sum', [...parts, b.node('Det', [logits])]);
    });
    const told = await refusals(writeOnnx(graph));
    expect(told).toContain('operator Einsum is not supported (3 times, first here)');
    expect(told).toContain('operator Det is not supported [');
    expect(told.match(/is not supported/g)).toHaveLength(2);
  });
});

describe('ends', () => {
  it.each(['Softmax', 'LogSoftmax'])('%s becomes a verdict', async (op) => {
    const { graph } = network((b, logits) => b.node(op, [logits], { axis: -1 }));
    const { model, diagnostics } = await importBytes(writeOnnx(graph), 'm.onnx');
    expect(model.layers.map(({ kind }) => kind)).toEqual(['dense', 'dense', 'argmax']);
    expect(diagnostics.map(({ code }) => code)).toContain('softmax-as-argmax');
  });

  it('a float sigmoid is given in 255 steps', async () => {
    const { graph } = network((b, logits) => b.node('Sigmoid', [logits]));
    const bytes = writeOnnx(graph);
    const imported = await importBytes(bytes, 'm.onnx');
    expect(imported.model.layers.at(-1)).toMatchObject({
      kind: 'lut',
      output: { element: 'uint8', zeroPoint: 0 },
    });
    expect(imported.diagnostics.map(({ code }) => code)).toContain('onnx-end-grid');
    const { furthest } = await compareWithRuntime(bytes, imported, randomRows(random(4), 20, 6));
    expect(furthest).toBeLessThanOrEqual(5);
  });

  it('float logits are refused with what to do', async () => {
    const { graph } = network((b, logits) => {
      const w = b.weights({ ...tensor('int8', [4, 1], [1, 2, 3, 4]), type: 'int8' }, [0.1], [0]);
      return b.node('MatMul', [logits, w]);
    });
    const told = await refusals(writeOnnx(graph));
    expect(told).toContain('is float32');
    expect(told).toContain('--output-tensor');
  });

  it('int16 activations may be written in the typed field', async () => {
    const b = new GraphBuilder();
    const scale = b.constant('s', tensor('float', [], [0.01]));
    const q = b.node('QuantizeLinear', [
      'x',
      scale,
      b.constant('z', { ...tensor('int16', [], [0]), fields: true }),
    ]);
    const moved = b.node('Transpose', [q], { perm: [0, 2, 1] });
    const graph = b.graph({ type: 'float', dims: [1, 4, 2] }, moved, 'int16', 21);
    const { model } = await importBytes(writeOnnx(graph), 'm.onnx');
    expect(model.input).toEqual({ element: 'int16', shape: [4, 2], scale: Math.fround(0.01), zeroPoint: 0 });
  });
});

describe('data beside the file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'intransit-onnx-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'models'));

  /** The network with its weights in another file. */
  function outside(location: string, change: { offset?: string; length?: string } = {}): Uint8Array {
    const { graph } = network(same);
    const type = onnxModelType();
    const message = type.decode(writeOnnx(graph)) as unknown as { graph: { initializer: Tensor[] } };
    const weights = message.graph.initializer.find(({ name }) => name.startsWith('w'))!;
    writeFileSync(join(folder, 'models', 'w.bin'), Buffer.concat([Buffer.alloc(8), weights.rawData]));
    const entries = { location, offset: '8', length: `${weights.rawData.length}`, ...change };
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    Object.assign(weights, { rawData: new Uint8Array(), dataLocation: 1, externalData });
    return type.encode(message as never).finish();
  }
  interface Tensor {
    readonly name: string;
    readonly rawData: Uint8Array;
  }
  const file = join(folder, 'models', 'm.onnx');

  it('is read', async () => {
    const inside = (await importBytes(writeOnnx(network(same).graph), file)).model;
    const { model } = await importBytes(outside('w.bin'), file);
    const row = randomRows(random(2), 1, 6);
    expect(interpret(model, row)).toEqual(interpret(inside, row));
  });

  it.each([
    ['in the folder above', '../w.bin', {}],
    ['at an absolute path', '/etc/hostname', {}],
    ['nowhere', 'missing.bin', {}],
    ['a folder', '.', {}],
    ['behind the end', 'w.bin', { offset: '1000' }],
    ['at a place that is no number', 'w.bin', { offset: 'x' }],
    ['far too much', 'w.bin', { length: '99999999999' }],
  ])('is refused: %s', async (_, location, change) => {
    expect(await refusals(outside(location, change), file)).toContain('onnx-external-data');
  });

  it('is refused: a link that leads out', async () => {
    writeFileSync(join(folder, 'secret.bin'), readFileSync(join(folder, 'models', 'w.bin')));
    symlinkSync(join(folder, 'secret.bin'), join(folder, 'models', 'link.bin'));
    expect(await refusals(outside('link.bin'), file)).toContain('a link that leads out');
  });
});

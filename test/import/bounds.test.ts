import { expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { parseJson, parseJsonModel } from '../../src/import/json/parse.ts';
import { boundFault } from '../../src/import/onnx/bounds.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { parseCsv } from '../../src/rows/csv.ts';
import { parseNpy } from '../../src/rows/npy.ts';
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
  expect(() => importOnnx(bytes, 'pads.onnx')).toThrow(
    /layer "y": would make a tensor of \[1, 2000000004\]; the limit is 4194304 elements/,
  );
  expect(process.cpuUsage(started).user).toBeLessThan(4e6);
});

it('a layer may have more channels than a call takes arguments', () => {
  const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
  const weights = Array.from({ length: CHANNELS }, (_, i) => i % 3);
  const model = modelOf({ ...grid, shape: [1] }, [{ kind: 'dense', weights, weightScale: 1, output: grid }]);
  expect([...interpret(model, Uint8Array.of(7)).subarray(0, 4)]).toEqual([0, 7, 14, 0]);
});

/** A field of a message, of some length. */
const delimited = (number: number, body: Uint8Array): Buffer => {
  const head = onnxModelType().encode({ producerName: '' }).finish();
  expect(head.length).toBe(2);
  const length: number[] = [];
  for (let rest = body.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) break;
  }
  return Buffer.concat([Uint8Array.of(8 * number + 2, ...length), body]);
};
const GRAPH = 7;
const manyTimes = (bytes: readonly number[], count: number): Buffer =>
  Buffer.alloc(bytes.length * count, Uint8Array.from(bytes));

it.each([
  ['nodes', delimited(GRAPH, manyTimes([0x0a, 0], 1_000_000))],
  ['tensors', delimited(GRAPH, manyTimes([0x2a, 0], 1_000_000))],
  ['inputs', delimited(GRAPH, manyTimes([0x5a, 0], 1_000_000))],
  ['inputs of a node', delimited(GRAPH, delimited(1, manyTimes([0x0a, 0], 1_000_000)))],
  ['attributes of a node', delimited(GRAPH, delimited(1, manyTimes([0x2a, 0], 1_000_000)))],
  ['operator sets', manyTimes([0x42, 0], 1_000_000)],
  ['properties', manyTimes([0x72, 0], 1_000_000)],
  ['dimensions', delimited(GRAPH, delimited(5, manyTimes([8, 1], 3_000_000)))],
  ['packed dimensions', delimited(GRAPH, delimited(5, delimited(1, manyTimes([1], 3_000_000))))],
])('a million empty %s are refused before they are decoded', (_, bytes) => {
  const before = process.resourceUsage().maxRSS;
  expect(() => importOnnx(bytes, 'many.onnx')).toThrow(/more than \d+ (nodes|numbers)/);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(100 * 1024);
});

it('a message that ends within a field is told before it is decoded', () => {
  const type = onnxModelType();
  for (const bytes of [
    [0x3a, 5, 1],
    [0x3a],
    [0x08],
    [0x0d, 1],
    [0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
  ])
    expect(boundFault(Uint8Array.from(bytes), type)).toMatch(/in the middle of a message/);
  expect(boundFault(type.encode({ irVersion: 8, producerName: 'p' }).finish(), type)).toBeUndefined();
});

it.each([
  ['deep lists', '['.repeat(1_000_000), /deeper than 64/],
  ['deep objects', '{"a":'.repeat(1_000_000), /deeper than 64/],
  ['objects', `{"layers":[${'{},'.repeat(300_000)}{}]}`, /at most 200000 values/],
  ['numbers', `{"layers":[${'0,'.repeat(300_000)}0]}`, /at most 262144 numbers/],
  [
    'wrong weights',
    `{"layers":[{"weights":[1,2,[3,${'1.5,'.repeat(300_000)}0]]}]}`,
    /weights\[2\]\[1\]: expected/,
  ],
  ['lines', `${'\n'.repeat(1_000_000)}x`, /line 1000001, column 1/],
])('a document of many %s is refused at its first', (_, text, message) => {
  expect(() => parseJsonModel(text, 'many.json')).toThrow(message);
});

it('brackets in texts are no levels, and weights may be many', () => {
  expect(parseJson(`{"a": "${'['.repeat(100)}\\"${'['.repeat(100)}"}`, 'texts.json')).toHaveProperty('a');
  const weights = Array.from({ length: 300_000 }, (_, i) => i % 100);
  expect(() => parseJson(JSON.stringify({ layers: [{ weights }] }), 'weights.json')).not.toThrow();
});

it('a line of a table is no longer than its row can be', () => {
  expect(() => parseCsv(Buffer.alloc(1_000_000, '1,'), 'line.csv', 4)).toThrow(DiagnosticError);
  expect(() => parseCsv(Buffer.alloc(1_000_000, '1'), 'line.csv', 4)).toThrow(/Max Record Size/);
});

it('axes of one are not walked over, and a shape beyond all numbers is told', () => {
  const npy = (shape: string, data: Uint8Array): Buffer => {
    const header = `{'descr': '|u1', 'fortran_order': True, 'shape': (${shape}), }\n`;
    const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
    head.writeUInt16LE(header.length, 8);
    return Buffer.concat([head, Buffer.from(header), data]);
  };
  const data = Uint8Array.from({ length: 600_000 }, (_, i) => i % 251);
  const { values } = parseNpy(npy(`2, ${'1, '.repeat(3_000)}300000`, data), 'ones.npy');
  expect([...values.subarray(0, 3), values[300_000]]).toEqual([0, 2, 4, 1]);
  expect(() => parseNpy(npy(`${'999999999999999, '.repeat(30)}`, data), 'huge.npy')).toThrow(/are there/);
});

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { formatCsv } from '../../src/rows/csv.ts';
import { type GraphSpec, scalar, tensor, writeOnnx } from '../import/onnx-writer.ts';
import { intransit, testFolder } from '../support/io.ts';
import { random } from '../support/random.ts';

const folder = testFolder();
const file = (name: string) => join(folder, name);
const rows = 'examples/traffic-mlp.x.bin';
const labels = 'examples/traffic-mlp.y.bin';

const r = random(7);
const normal = (count: number, scale: number) =>
  Array.from({ length: count }, () => (r.next() + r.next() + r.next() - 1.5) * scale);
const floats = (dims: number[], scale: number) =>
  tensor(
    'float',
    dims,
    normal(
      dims.reduce((a, b) => a * b, 1),
      scale,
    ),
  );

/** Writes the model and rows for it, and quantises it. */
async function quantised(
  name: string,
  graph: GraphSpec,
  width: number,
  row: () => number,
  ...more: string[]
) {
  writeFileSync(file(`${name}.onnx`), writeOnnx({ outputType: 'float', ...graph }));
  const values = Array.from({ length: 200 * width }, row);
  writeFileSync(file(`${name}.csv`), formatCsv(values, width));
  const argv = [
    'quantise',
    file(`${name}.onnx`),
    '--calibrate',
    file(`${name}.csv`),
    '-o',
    file(`${name}.q.onnx`),
  ];
  const { code, out, err } = await intransit(...argv, '--json', ...more);
  expect(err).not.toContain('internal');
  expect([code, err.split('\n').filter((line) => line.startsWith('intransit:'))]).toEqual([0, []]);
  return JSON.parse(out);
}

describe('quantise', () => {
  it('makes int8 of the large traffic network, as accurate, the same bytes each time', async () => {
    const made = (name: string) =>
      intransit(
        'quantise',
        'examples/traffic-large.onnx',
        '--calibrate',
        rows,
        '--labels',
        labels,
        '--rows',
        '600',
        '-o',
        file(name),
        '--json',
      );
    const first = await made('a.onnx');
    expect(first.code).toBe(0);
    await made('b.onnx');
    expect(readFileSync(file('a.onnx'))).toEqual(readFileSync(file('b.onnx')));
    const { float, quantised: q, integers, candidates } = JSON.parse(first.out);
    expect(float.accuracy - q.accuracy).toBeLessThan(0.01);
    expect(float.accuracy - integers.accuracy).toBeLessThan(0.01);
    expect(integers.rows).toBe(600);
    expect(candidates).toHaveLength(3);
    const { model } = await importModel(file('a.onnx'));
    expect(model.layers.map(({ kind }) => kind)).toEqual(['dense', 'dense', 'dense', 'dense']);
    expect(model.input).toMatchObject({ element: 'uint8', shape: [16], zeroPoint: 0 });
  });

  it('refuses what it made itself, since it is quantised', async () => {
    const { code, err } = await intransit(
      'quantise',
      'examples/digits-mlp.onnx',
      '--calibrate',
      rows,
      '-o',
      file('c.onnx'),
    );
    expect(code).toBe(1);
    expect(err).toContain('is quantised already');
  });

  it('folds batch normalisation, with pools, ReLU6 and a residual sum', async () => {
    const c = 4;
    const statistics = ['gamma', 'beta', 'mean', 'variance'].map((name) => {
      const values = normal(c, 0.3).map((v) =>
        name === 'gamma' || name === 'variance' ? 1 + Math.abs(v) : v,
      );
      return [name, tensor('float', [c], values)] as const;
    });
    const graph: GraphSpec = {
      input: { type: 'float', dims: ['N', 2, 6, 6] },
      nodes: [
        { op: 'Conv', in: ['x', 'w1', 'b1'], out: 'c1', attributes: { pads: [1, 1, 1, 1] } },
        { op: 'BatchNormalization', in: ['c1', 'gamma', 'beta', 'mean', 'variance'], out: 'n1' },
        { op: 'Clip', in: ['n1', 'zero', 'six'], out: 'r1' },
        { op: 'Conv', in: ['r1', 'w2'], out: 'c2', attributes: { pads: [1, 1, 1, 1], group: c } },
        { op: 'Add', in: ['c2', 'r1'], out: 's' },
        { op: 'Relu', in: ['s'], out: 'r2' },
        { op: 'MaxPool', in: ['r2'], out: 'p', attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
        { op: 'Flatten', in: ['p'], out: 'f' },
        { op: 'MatMul', in: ['f', 'w3'], out: 'm' },
        { op: 'Add', in: ['m', 'b3'], out: 'y' },
      ],
      constants: {
        ...Object.fromEntries(statistics),
        w1: floats([c, 2, 3, 3], 0.4),
        b1: floats([c], 0.4),
        w2: floats([c, 1, 3, 3], 0.4),
        w3: floats([c * 9, 5], 0.3),
        b3: floats([1, 5], 0.3),
        zero: scalar('float', 0),
        six: scalar('float', 6),
      },
    };
    const { quantised: q, integers, layers } = await quantised('cnn', graph, 72, () => r.next() * 2 - 1);
    expect(layers).toBe(3);
    expect(q.error).toBeLessThan(0.05);
    expect(integers.error).toBeLessThan(0.05);
    expect((await importModel(file('cnn.q.onnx'))).model.layers.map(({ kind }) => kind)).toEqual([
      'conv2d',
      'conv2d',
      'add',
      'maxPool',
      'dense',
    ]);
  });

  /** What skl2onnx writes for StandardScaler and MLPClassifier. */
  const pipeline: GraphSpec = {
    input: { type: 'float', dims: ['N', 3] },
    nodes: [
      { op: 'Sub', in: ['x', 'means'], out: 'centred' },
      { op: 'Div', in: ['centred', 'deviations'], out: 'scaled' },
      { op: 'MatMul', in: ['scaled', 'w'], out: 'm' },
      { op: 'Add', in: ['m', 'b'], out: 'a' },
      { op: 'Relu', in: ['a'], out: 'h' },
      { op: 'MatMul', in: ['h', 'v'], out: 'n' },
      { op: 'Add', in: ['n', 'd'], out: 'logits' },
      { op: 'Softmax', in: ['logits'], out: 'probabilities' },
      { op: 'ArgMax', in: ['probabilities'], out: 'y', attributes: { axis: 1 } },
    ],
    constants: {
      means: tensor('float', [3], [1000, 0.5, -3]),
      deviations: tensor('float', [3], [500, 0.1, 20]),
      w: floats([3, 8], 0.8),
      b: floats([1, 8], 0.3),
      v: floats([8, 4], 0.8),
      d: floats([1, 4], 0.3),
    },
    outputType: 'int64',
  };
  const features = [1000, 0.5, -3];
  const deviations = [500, 0.1, 20];

  it('keeps the scaler of features before the grid of the input, and leaves out softmax and labels', async () => {
    let i = 0;
    const row = () => features[i % 3]! + deviations[i++ % 3]! * (r.next() * 4 - 2);
    const { quantised: q, integers, leftOut } = await quantised('pipe', pipeline, 3, row);
    expect(leftOut).toEqual(['Softmax', 'ArgMax']);
    expect(q.agreement).toBeGreaterThan(0.95);
    expect(integers.agreement).toBeGreaterThan(0.95);
    const { model } = await importModel(file('pipe.q.onnx'));
    expect(model.layers).toHaveLength(2);
    // Real rows go through the scaler here too: run gives the classes that were measured.
    const run = await intransit(
      'run',
      file('pipe.q.onnx'),
      '--on',
      'reference',
      '--input',
      file('pipe.csv'),
      '--json',
    );
    expect(run.err).not.toContain('outside');
    expect(new Set(JSON.parse(run.out).classes).size).toBeGreaterThan(1);
  });

  it('takes weights of 4 bits, and one scale for all', async () => {
    let i = 0;
    const row = () => features[i % 3]! + deviations[i++ % 3]! * (r.next() * 4 - 2);
    const four = await quantised('four', pipeline, 3, row, '--weights', '4', '--method', 'minmax');
    expect(four.integers.agreement).toBeGreaterThan(0.7);
    const { model } = await importModel(file('four.q.onnx'));
    expect(model.layers.map((layer) => 'weightBits' in layer && layer.weightBits)).toEqual([4, 4]);
    const one = await quantised('one', pipeline, 3, row, '--per-tensor');
    expect(one.integers.agreement).toBeGreaterThan(0.9);
  });

  it.each([
    ['labels of another count', 'pipe.csv', ['--labels', 'y.csv'], '3 labels, but there are 200 rows'],
    ['rows of another width', 'wide.csv', [], 'has 4 cells, the model reads 3'],
    ['rows that are no numbers', 'nan.csv', [], 'row 2, column 1: NaN is no number'],
    ['rows that are not finite', 'infinite.csv', [], 'row 2, column 3: Infinity is not finite'],
    ['rows that are all the same', 'same.csv', [], 'they are all the same'],
    ['rows of one class', 'two.csv', ['--labels', 'one.csv'], 'all 2 rows are of class 1'],
  ])('refuses %s', async (_name, name, more, message) => {
    writeFileSync(file('y.csv'), '1\n2\n3\n');
    writeFileSync(file('wide.csv'), '1,2,3,4\n');
    writeFileSync(file('nan.csv'), '1,2,3\nnan,2,3\n');
    writeFileSync(file('infinite.csv'), '1,2,3\n1,2,inf\n');
    writeFileSync(file('two.csv'), '1,2,3\n3,2,1\n');
    writeFileSync(file('one.csv'), '1\n1\n');
    writeFileSync(file('same.csv'), '1,2,3\n1,2,3\n');
    const argv = ['quantise', file('pipe.onnx'), '--calibrate', file(name), '-o', file('none.onnx')];
    const { code, err } = await intransit(
      ...argv,
      ...more.map((word) => (word.endsWith('.csv') ? file(word) : word)),
    );
    expect(code).toBe(1);
    expect(err).toContain(message);
    expect(existsSync(file('none.onnx'))).toBe(false);
  });

  it('names all operators that it does not know, once each', async () => {
    const graph: GraphSpec = {
      input: { type: 'float', dims: ['N', 3] },
      nodes: [
        { op: 'Sin', in: ['x'], out: 'a' },
        { op: 'Sin', in: ['a'], out: 'b' },
        { op: 'Cos', in: ['x'], out: 'c' },
        { op: 'Add', in: ['b', 'c'], out: 'd' },
        { op: 'MatMul', in: ['d', 'w'], out: 'y' },
      ],
      constants: { w: floats([3, 2], 1) },
      outputType: 'float',
    };
    writeFileSync(file('odd.onnx'), writeOnnx(graph));
    const { code, err } = await intransit(
      'quantise',
      file('odd.onnx'),
      '--calibrate',
      file('pipe.csv'),
      '-o',
      file('none.onnx'),
    );
    expect(code).toBe(1);
    expect(err).toContain('Sin (Sin_a), Cos (Cos_c)');
  });
});

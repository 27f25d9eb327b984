import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Grid } from '../import/onnx-blocks.ts';
import { type GraphSpec, tensor, writeOnnx } from '../import/onnx-writer.ts';
import { cliArguments, intransit, testFolder } from '../support/io.ts';
import { describeWithTools, isRoot } from '../support/machine.ts';

const folder = testFolder();
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const onnx = (name: string, graph: GraphSpec) => file(name, writeOnnx(graph));
const json = (name: string, model: object) => file(name, JSON.stringify(model));

const u8: Grid = { type: 'uint8', scale: 0.05, zero: 3 };
const s8: Grid = { type: 'int8', scale: 0.5, zero: 0 };

/** x[N, width] -> Gemm -> y. */
function gemm(width: number, weights: (b: GraphBuilder) => string): GraphSpec {
  const b = new GraphBuilder();
  const product = b.node('Gemm', [b.dequantize('x', u8), weights(b)], { transB: 1 });
  return b.graph({ type: 'uint8', dims: ['N', width] }, b.quantize(product, s8), 'int8');
}

const quantised = (outs: number, taps: number) => (b: GraphBuilder) =>
  b.weights(
    { ...tensor('int8', [outs, taps], new Int8Array(outs * taps).fill(127)), type: 'int8' },
    [0.1],
    [0],
  );

function einsum(): GraphSpec {
  const b = new GraphBuilder();
  const y = b.node('Einsum', [b.dequantize('x', u8)], { equation: 'bi->bi' });
  return b.graph({ type: 'uint8', dims: ['N', 4] }, b.quantize(y, s8), 'int8');
}

const layer = {
  kind: 'dense',
  weights: [1, 2, 3, 4],
  weightScale: 0.1,
  output: { element: 'int8', scale: 1 },
};
const model = (layers: object[], shape = [4]) => ({
  format: 'intransit-model',
  version: 1,
  input: { element: 'uint8', shape, scale: 0.1 },
  layers,
});

/** What is compiled, options, and what the message must hold: file, place, finding, remedy. */
const cases: readonly [title: string, path: string, options: string[], message: (string | RegExp)[]][] = [
  ['a file that is not there', join(folder, 'absent.onnx'), [], ['absent.onnx: cannot be read', 'ENOENT']],
  ['a directory', folder, [], ['cannot be read', 'EISDIR']],
  ['a file that is no model', file('hello.bin', 'hello'), [], ['no known model format', '.onnx, ']],
  [
    'a file that is no ONNX',
    file('text.onnx', 'hello, this is no model'),
    [],
    ['is no ONNX model', 'help: export'],
  ],
  [
    'ONNX that is cut short',
    file('cut.onnx', readFileSync('examples/digits-mlp.onnx').subarray(0, 1500)),
    [],
    ['cut.onnx', /\[onnx-/],
  ],
  ['an empty file', file('empty.onnx', ''), [], ['is no ONNX model']],
  [
    'an unsupported operator',
    onnx('einsum.onnx', einsum()),
    [],
    [
      /einsum\.onnx: layer "Einsum[^"]*": operator Einsum is not supported/,
      'help: docs/onnx.md lists what is',
    ],
  ],
  [
    'float weights',
    onnx(
      'float.onnx',
      gemm(4, (b) => b.constant('w', tensor('float', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]))),
    ),
    [],
    [/weights w\d* are float32/, 'quantize_static'],
  ],
  [
    'a shape that does not fit',
    onnx('shape.onnx', gemm(5, quantised(2, 4))),
    [],
    ['shape.onnx: layer "Gemm', '[shape-mismatch]'],
  ],
  [
    'accumulators beyond 31 bits',
    onnx('wide.onnx', gemm(70_000, quantised(1, 70_000))),
    [],
    ['channel 0 needs a 33-bit accumulator, the limit is 32', 'help: split the layer'],
  ],
  [
    'an input larger than a frame',
    onnx('frame.onnx', gemm(3500, quantised(2, 3500))),
    [],
    ['needs 3574 bytes of frame, xdp has 3520', '--layers A..B'],
  ],
  [
    'an output larger than a frame',
    json('output.json', model([{ ...layer, weights: Array(4 * 4096).fill(1) }])),
    ['--mtu', '9000'],
    ['needs 4170 bytes of frame, xdp has 3520', 'worker'],
  ],
  ['no JSON', file('broken.json', '{"format": '), [], ['broken.json: is no JSON']],
  [
    'JSON of something else',
    json('other.json', { hello: 'world' }),
    [],
    ['format', 'schema/model.schema.json'],
  ],
  [
    'a misspelt field',
    json('misspelt.json', model([{ ...layer, weightsScale: 1 }])),
    [],
    ['layer "layer0": layers[0]', 'weightsScale', 'docs/json-model.md'],
  ],
  [
    'a field of the wrong type',
    json('type.json', model([{ ...layer, bias: ['one'] }])),
    [],
    ['layers[0].bias[0]', '[json-field]'],
  ],
  ['an unknown layer', json('kind.json', model([{ kind: 'lstm' }])), [], ['layers[0].kind', '[json-field]']],
  [
    'weights of another number',
    json('count.json', model([{ ...layer, weights: [1, 2, 3] }])),
    [],
    ['layers[0].weights', '4'],
  ],
  [
    'layers that are not there',
    json('range.json', model([layer])),
    ['--layers', '0..2'],
    ['--layers 0..2', '0..1'],
  ],
  ['no layers at all', json('none.json', model([layer])), ['--layers', '1..1'], ['--layers 1..1']],
  [
    'a program too long for the verifier',
    json(
      'large.json',
      model(
        [
          // Of transposed images each element is moved for itself.
          ...Array(60).fill({ kind: 'transpose', axes: [0, 2, 1] }),
          { kind: 'pad', pads: [0, 0, 60, 60] },
          ...Array(20).fill({ kind: 'transpose', axes: [0, 2, 1] }),
          { kind: 'maxPool', kernel: [88, 88] },
        ],
        [1, 28, 28],
      ),
    ),
    ['--lanes', 'off'],
    [/needs \d{7,} instructions of verified instructions, xdp has 1000000/, '--layers A..B'],
  ],
];

describe('compile refuses', () => {
  it.each(cases)('%s', async (_, path, options, message) => {
    const output = join(folder, 'output');
    const { code, out, err } = await intransit(
      'compile',
      path,
      '-o',
      output,
      '--target',
      'xdp',
      '--no-build',
      ...options,
    );
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^intransit: /m);
    for (const part of message)
      expect(err).toMatch(typeof part === 'string' ? new RegExp(escaped(part)) : part);
    expect(err).not.toContain('internal error');
    expect(err).not.toMatch(/^\s+at /m);
    expect(existsSync(output)).toBe(false);
  });

  const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
});

describe('compile warns of what no packet of the path carries', () => {
  it.each([
    ['input', onnx('mtu.onnx', gemm(1500, quantised(2, 1500))), [], 1560, 1500],
    [
      'output',
      json('mtu.json', model([{ ...layer, weights: Array(4 * 300).fill(1) }])),
      ['--mtu', '300'],
      360,
      300,
    ],
  ] as const)('%s', async (tensor, path, options, bytes, mtu) => {
    const output = join(folder, `warned-${tensor}`);
    for (const target of ['xdp', 'v1model']) {
      const { code, err } = await intransit(
        ...['compile', path, '-o', output, '--target', target, '--no-build', ...options],
      );
      expect(code).toBe(0);
      expect(err).toContain(
        `the ${tensor} tensor makes a packet of ${bytes} bytes, the MTU is ${mtu} [mtu-exceeded]`,
      );
      for (const way of ['jumbo frames', '--layers A..B', 'worker']) expect(err).toContain(way);
    }
  });
});

describe('run refuses', () => {
  const MODEL = 'examples/digits-mlp.onnx';
  const on = (...more: string[]) =>
    intransit('run', MODEL, '--on', 'reference', '--output', join(folder, 'y'), ...more);

  it.each([
    [
      'rows that are not whole',
      () => file('odd.bin', new Uint8Array(65)),
      'holds 65 bytes, which is not a whole number of rows of 64',
    ],
    ['no rows', () => file('no.bin', ''), 'holds 0 bytes'],
    ['rows that are not there', () => join(folder, 'absent.bin'), 'cannot be read'],
  ])('%s', async (_, input, message) => {
    const { code, err } = await on('--input', input());
    expect(code).toBe(1);
    expect(err).toContain(message);
    expect(existsSync(join(folder, 'y'))).toBe(false);
  });

  it('layers that are not there', async () => {
    for (const layers of ['2..1', '0..9', '7..', '1..1']) {
      const { code, err } = await on('--input', 'examples/digits-mlp.x.bin', '--layers', layers);
      expect(code).toBe(1);
      expect(err).toContain('[layer-range]');
    }
  });

  it('a part that reads a value from before it', async () => {
    const add = { kind: 'add', inputs: ['input', 'a'], output: layer.output };
    const path = json('residual.json', model([{ ...layer, name: 'a', weights: Array(16).fill(1) }, add]));
    const rows = file('four.bin', new Uint8Array(4));
    const { code, err } = await intransit(
      ...[
        'run',
        path,
        '--on',
        'reference',
        '--layers',
        '1..2',
        '--input',
        rows,
        '--output',
        join(folder, 'y'),
      ],
    );
    expect(code).toBe(1);
    expect(err).not.toContain('internal error');
    expect(err).toContain('before the split');
  });
});

describeWithTools(['setpriv'], 'without root', () => {
  it.skipIf(!isRoot)('verify on xdp says what it needs', () => {
    const { status, stderr } = spawnSync(
      'setpriv',
      [
        ...['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all', '--securebits=+noroot'],
        process.execPath,
        ...cliArguments(['verify', 'examples/digits-mlp.onnx', '--input', 'examples/digits-mlp.x.bin']),
      ],
      { encoding: 'utf8' },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/permit|root/);
    expect(stderr).toContain('help: run as root (sudo)');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

/** Sizes in operators that are larger than anything, or none: each is told, and costs next to nothing. */
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { type NodeSpec, scalar, type TensorSpec, tensor, writeOnnx } from './onnx-writer.ts';
import { chain, ints, type Step } from './tflite-blocks.ts';

const MOST_SECONDS = 2;
const MOST_MEGABYTES = 512;

/** A model, or what is wrong with it and where; nothing else, and soon. */
async function told(bytes: Uint8Array, file: string): Promise<string | undefined> {
  const [start, memory] = [process.cpuUsage(), process.resourceUsage().maxRSS];
  try {
    await importBytes(bytes, file);
    return undefined;
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    for (const { place } of error.diagnostics) expect(place.file).toBe(file);
    return error.message;
  } finally {
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1e6).toBeLessThan(2 * MOST_SECONDS);
    expect((process.resourceUsage().maxRSS - memory) / 1024).toBeLessThan(MOST_MEGABYTES);
  }
}

const SIZES = [1e9, 2 ** 31 - 1, 2 ** 53, 0, -1, -(2 ** 31), -1e9];

const ends: readonly NodeSpec[] = [
  { op: 'DequantizeLinear', in: ['x', 's', 'z'], out: 'xf' },
  { op: 'QuantizeLinear', in: ['yf', 's', 'z'], out: 'y' },
];
const int64s = (...values: number[]): TensorSpec => tensor('int64', [values.length], values);

const onnx = (
  nodes: readonly NodeSpec[],
  constants: Readonly<Record<string, TensorSpec>> = {},
  dims: readonly number[] = [1, 2, 8, 8],
): Uint8Array =>
  writeOnnx({
    nodes: [ends[0]!, ...nodes, ends[1]!],
    constants: {
      s: scalar('float', 0.1),
      z: scalar('uint8', 0),
      wq: tensor('int8', [2, 2, 3, 3], new Array(36).fill(1)),
      ws: scalar('float', 0.1),
      wz: scalar('int8', 0),
      ...constants,
    },
    input: { type: 'uint8', dims },
    output: 'y',
    outputType: 'uint8',
    opset: 13,
  });

const weights: NodeSpec = { op: 'DequantizeLinear', in: ['wq', 'ws', 'wz'], out: 'w' };
const node = (op: string, attributes: NodeSpec['attributes'] = {}, ...more: string[]): NodeSpec => ({
  op,
  in: ['xf', ...more],
  out: 'yf',
  attributes,
});

/** A graph for a size. */
const graphs: Readonly<Record<string, (v: number) => Uint8Array>> = {
  ...Object.fromEntries(
    ['Conv', 'ConvTranspose'].flatMap((op) =>
      Object.entries({
        strides: (v: number) => [v, v],
        dilations: (v: number) => [v, v],
        pads: (v: number) => [v, v, v, v],
        kernel_shape: (v: number) => [v, v],
        group: (v: number) => v,
        ...(op === 'ConvTranspose' && {
          output_padding: (v: number) => [v, v],
          output_shape: (v: number) => [v, v],
        }),
      }).map(([name, of]) => [
        `${op} ${name}`,
        (v: number) => onnx([weights, node(op, { [name]: of(v) }, 'w')]),
      ]),
    ),
  ),
  ...Object.fromEntries(
    ['MaxPool', 'AveragePool'].flatMap((op) =>
      ['kernel_shape', 'strides', 'pads'].map((name) => [
        `${op} ${name}`,
        (v: number) =>
          onnx([node(op, { kernel_shape: [2, 2], [name]: new Array(name === 'pads' ? 4 : 2).fill(v) })]),
      ]),
    ),
  ),
  Reshape: (v) => onnx([node('Reshape', {}, 'n')], { n: int64s(1, v) }),
  Expand: (v) => onnx([node('Expand', {}, 'n')], { n: int64s(1, 2, v, 8) }),
  Tile: (v) => onnx([node('Tile', {}, 'n')], { n: int64s(1, v, 1, 1) }),
  Pad: (v) => onnx([node('Pad', {}, 'n')], { n: int64s(0, 0, v, v, 0, 0, v, v) }),
  'Gather indices': (v) => onnx([node('Gather', { axis: 1 }, 'n')], { n: int64s(v) }),
  'Gather axis': (v) => onnx([node('Gather', { axis: v }, 'n')], { n: int64s(0) }),
  'Concat axis': (v) => onnx([node('Concat', { axis: v }, 'xf')]),
  'Softmax axis': (v) => onnx([node('Softmax', { axis: v })]),
  'Flatten axis': (v) => onnx([node('Flatten', { axis: v })]),
  'Transpose perm': (v) => onnx([node('Transpose', { perm: [0, v, 2, 3] })]),
  'Squeeze axes': (v) => onnx([node('Squeeze', {}, 'n')], { n: int64s(v) }),
  'ReduceMean axes': (v) => onnx([node('ReduceMean', { axes: [v] })]),
  'Slice ends': (v) =>
    onnx([node('Slice', {}, 'a', 'b', 'c')], { a: int64s(-v), b: int64s(v), c: int64s(1) }),
  'Slice steps': (v) =>
    onnx([node('Slice', {}, 'a', 'b', 'c', 'd')], {
      ...{ a: int64s(0), b: int64s(2 ** 40), c: int64s(3), d: int64s(v) },
    }),
  'Split sizes': (v) => onnx([{ ...node('Split', { axis: 1 }, 'n'), more: ['q'] }], { n: int64s(v, v) }),
  DepthToSpace: (v) => onnx([node('DepthToSpace', { blocksize: v })]),
  SpaceToDepth: (v) => onnx([node('SpaceToDepth', { blocksize: v })]),
  'Resize sizes': (v) => onnx([node('Resize', { mode: 'nearest' }, '', '', 'n')], { n: int64s(1, 2, v, v) }),
  'Resize scales': (v) =>
    onnx([node('Resize', { mode: 'nearest' }, '', 'f')], { f: tensor('float', [4], [1, 1, v, v]) }),
  ConstantOfShape: (v) =>
    onnx([{ op: 'ConstantOfShape', in: ['n'], out: 'c' }, node('Add', {}, 'c')], { n: int64s(v, v) }),
  'Range limit': (v) =>
    onnx([{ op: 'Range', in: ['a', 'b', 'c'], out: 'r' }, node('Reshape', {}, 'r')], {
      ...{ a: scalar('int64', 0), b: scalar('int64', v), c: scalar('int64', 1) },
    }),
  'Range step': (v) =>
    onnx([{ op: 'Range', in: ['a', 'b', 'c'], out: 'r' }, node('Reshape', {}, 'r')], {
      ...{ a: scalar('int64', 0), b: scalar('int64', 2 ** 40), c: scalar('int64', v) },
    }),
  'dims of the input': (v) => onnx([node('Relu')], {}, [1, v, v]),
};

describe.each(Object.entries(graphs))('ONNX %s', (_, of) => {
  it.each(SIZES)('%d', async (size) => {
    const said = await told(of(size), 'size.onnx');
    if (said !== undefined) expect(said).toMatch(/^size\.onnx: /m);
  });
});

it('tensors that double at every node are told at the one that is too much', async () => {
  const doubled = (op: string, first: string, more: string): NodeSpec[] =>
    Array.from({ length: 60 }, (_, i) => ({
      ...{ op, in: [i === 0 ? first : `c${i - 1}`, more === '' ? (i === 0 ? first : `c${i - 1}`) : more] },
      ...{
        out: i === 59 ? 'yf' : `c${i}`,
        ...(op === 'Concat' && { attributes: { axis: first === 'n' ? 0 : 1 } }),
      },
    }));
  const cases = [
    onnx(doubled('Concat', 'xf', ''), {}, [1, 4]),
    onnx(
      [
        ...doubled('Concat', 'n', '').map((n) => (n.out === 'yf' ? { ...n, out: 'last' } : n)),
        node('Reshape', {}, 'last'),
      ],
      { n: int64s(1) },
    ),
    onnx(
      [
        ...doubled('Tile', 'n', 'two').map((n) => (n.out === 'yf' ? { ...n, out: 'last' } : n)),
        node('Reshape', {}, 'last'),
      ],
      { n: int64s(1), two: int64s(2) },
    ),
  ];
  for (const bytes of cases)
    expect(await told(bytes, 'double.onnx')).toMatch(
      /double\.onnx: layer "(Concat_|Tile_)?c\d+": .*elements.*\[too-large\]/,
    );
});

const IMAGE = { shape: [1, 8, 8, 2], scale: 0.1, zero: 0 };
const SMALL_SIZES = [1e9, 2 ** 31 - 1, 0, -1, -(2 ** 31)];
const steps: Readonly<Record<string, (v: number) => Step>> = {
  PAD: (v) => ({ op: 'PAD', with: [ints('p', [0, 0, v, v, v, v, 0, 0], [4, 2])], out: IMAGE }),
  MIRROR_PAD: (v) => ({ op: 'MIRROR_PAD', with: [ints('p', [0, 0, v, v, v, v, 0, 0], [4, 2])], out: IMAGE }),
  TILE: (v) => ({ op: 'TILE', with: [ints('n', [1, v, v, 1])], out: IMAGE }),
  RESHAPE: (v) => ({ op: 'RESHAPE', with: [ints('n', [1, v])], out: IMAGE }),
  RESIZE_NEAREST_NEIGHBOR: (v) => ({ op: 'RESIZE_NEAREST_NEIGHBOR', with: [ints('n', [v, v])], out: IMAGE }),
  TRANSPOSE: (v) => ({ op: 'TRANSPOSE', with: [ints('n', [0, v, 2, 3])], out: IMAGE }),
  STRIDED_SLICE: (v) => ({
    op: 'STRIDED_SLICE',
    with: [ints('b', [0, 0, 0, 0]), ints('e', [1, v, v, 2]), ints('s', [1, v, 1, 1])],
    out: IMAGE,
  }),
  SLICE: (v) => ({ op: 'SLICE', with: [ints('b', [0, v, 0, 0]), ints('n', [1, v, v, 2])], out: IMAGE }),
  MEAN: (v) => ({ op: 'MEAN', with: [ints('a', [v])], out: IMAGE }),
  SPACE_TO_DEPTH: (v) => ({ op: 'SPACE_TO_DEPTH', options: [[0, 'int32', v]], out: IMAGE }),
  DEPTH_TO_SPACE: (v) => ({ op: 'DEPTH_TO_SPACE', options: [[0, 'int32', v]], out: IMAGE }),
  AVERAGE_POOL_2D: (v) => ({
    ...{ op: 'AVERAGE_POOL_2D', out: IMAGE },
    options: [[0, 'int8', 1], ...[1, 2, 3, 4].map((f) => [f, 'int32', v] as const)],
  }),
  CONCATENATION: (v) => ({ op: 'CONCATENATION', options: [[0, 'int32', v]], out: IMAGE }),
};

describe.each(Object.entries(steps))('TFLite %s', (_, of) => {
  it.each(SMALL_SIZES)('%d', async (size) => {
    const said = await told(chain(IMAGE, [of(size)]), 'size.tflite');
    if (said !== undefined) expect(said).toMatch(/^size\.tflite: /m);
  });
});

it('TFLite tensors of more than there is are told', async () => {
  for (const size of SMALL_SIZES)
    expect(
      await told(
        chain({ ...IMAGE, shape: [1, size, size, 2] }, [
          { op: 'RELU', out: { ...IMAGE, shape: [1, size, size, 2] } },
        ]),
        'huge.tflite',
      ),
    ).not.toBe('');
});

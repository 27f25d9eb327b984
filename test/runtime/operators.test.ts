import { expect, test } from 'vitest';
import { importBytes } from '../../src/import/index.ts';
import type { Model } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { createBmv2Engine } from '../../src/runtime/bmv2/engine.ts';
import { createEngine } from '../../src/runtime/index.ts';
import { describeWith, P4C, SWITCH } from '../backends/v1model/tools.ts';
import { describeWith as inKernel, loading } from '../bpf/support.ts';
import { GraphBuilder, type Grid } from '../import/onnx-blocks.ts';
import { scalar, tensor, writeOnnx } from '../import/onnx-writer.ts';
import { random, randomRows } from '../support/random.ts';

/** Small networks of ONNX operators, from the importer to the kernel and a real switch: the bytes of the reference. */

const u8: Grid = { type: 'uint8', scale: 0.0513, zero: 100 };
const s8: Grid = { type: 'int8', scale: 0.0437, zero: -5 };

type Make = (b: GraphBuilder, x: string) => string;

const ints = (b: GraphBuilder, values: readonly number[]) =>
  b.constant('i', tensor('int64', [values.length], values));
const on = (b: GraphBuilder, y: string, grid = s8) => b.dequantize(b.quantize(y, grid), grid);
const filter = (b: GraphBuilder, dims: readonly number[]) => {
  const r = random(8);
  const values = Array.from({ length: elementCount(dims) }, () => r.int(-128, 127));
  return b.weights({ ...tensor('int8', dims, values), type: 'int8' }, [0.0091], [0]);
};

/** Of an image `[2, 4, 4]`. */
const networks: Record<string, Make> = {
  'Concat of two grids, Split': (b, x) => {
    const joined = on(b, b.node('Concat', [x, on(b, b.node('Tanh', [x]))], { axis: 1 }));
    const [first, second] = b.nodeOf('Split', [joined], 2, { axis: 1 }) as [string, string];
    return b.node('Concat', [second, first], { axis: 2 });
  },
  'Slice backwards, Gather, Pad by mirrors': (b, x) => {
    const cut = b.node('Slice', [x, ...[[-1], [-5], [3], [-1]].map((list) => ints(b, list))]);
    const taken = b.node('Gather', [cut, ints(b, [3, 0, 2])], { axis: 2 });
    return b.node('Pad', [taken, ints(b, [0, 0, 1, 1, 0, 0, 1, 2])], { mode: 'reflect' });
  },
  'a product with a factor a channel': (b, x) => {
    const gate = on(b, b.node('Sigmoid', [on(b, b.node('GlobalAveragePool', [x]))]), u8);
    return b.node('Mul', [x, gate]);
  },
  'a table a channel': (b, x) =>
    b.node('PRelu', [x, b.constant('f', tensor('float', [2, 1, 1], [0.3, -0.7]))]),
  'taps apart': (b, x) =>
    b.node('Conv', [x, filter(b, [3, 2, 2, 2])], { dilations: [2, 1], pads: [1, 1, 1, 0] }),
  'a convolution backwards': (b, x) =>
    b.node('ConvTranspose', [x, filter(b, [2, 1, 2, 2])], { strides: [2, 2] }),
  'Max of two values, ReduceMin, ReduceSum': (b, x) => {
    const most = on(b, b.node('Max', [x, b.node('Neg', [x])]));
    const least = b.node('ReduceMin', [most], { axes: [2] });
    return b.node('ReduceSum', [on(b, least), ints(b, [3])], {});
  },
  'Where, a difference of two values': (b, x) => {
    const mask = b.constant('m', tensor('bool', [4], [1, 0, 1, 0]));
    const chosen = on(b, b.node('Where', [mask, x, b.constant('f', scalar('float', 0.7))]));
    return b.node('Sub', [chosen, on(b, b.node('Transpose', [x], { perm: [0, 1, 3, 2] }))]);
  },
  'pixels between pixels': (b, x) =>
    b.node('Resize', [x, '', b.constant('f', tensor('float', [4], [1, 1, 2, 2]))], { mode: 'linear' }),
  'a product of rows': (b, x) =>
    b.node('MatMul', [b.node('Reshape', [x, ints(b, [0, 8, 4])]), filter(b, [4, 3])]),
};

const softmax: Make = (b, x) => b.node('Softmax', [b.node('Reshape', [x, ints(b, [0, 8, 4])])], { axis: -1 });

/** Sums of products of 16 bits, which no switch has. */
const attention: Make = (b, x) => {
  const rows = b.node('Reshape', [x, ints(b, [0, 8, 4])]);
  const scores = b.node('MatMul', [rows, b.node('Transpose', [rows], { perm: [0, 2, 1] })]);
  const shares = b.node('Softmax', [on(b, scores)], { axis: -1 });
  return b.node('MatMul', [on(b, shares, { type: 'uint8', scale: 1 / 256, zero: 0 }), rows]);
};

/** Rounded towards zero, so that one line is not enough. */
const levels: Make = (b, x) => {
  const product = b.node('MatMul', [b.node('Reshape', [x, ints(b, [0, 8, 4])]), filter(b, [4, 3])]);
  const numbers = [0.21, 1, 5].map((n) => b.constant('q', scalar('float', n)));
  const how = { signed: 1, narrow: 0, rounding_mode: 'ROUND_TO_ZERO' };
  return b.node('Quant', [product, ...numbers], how, 'qonnx.custom_op.general');
};

async function modelOf(make: Make): Promise<Model> {
  const b = new GraphBuilder();
  const y = b.quantize(make(b, b.dequantize('x', u8)), { ...s8, scale: 0.0919 });
  const graph = b.graph({ type: 'uint8', dims: ['N', 2, 4, 4] }, y, 'int8');
  return (await importBytes(writeOnnx(graph), 'operators.onnx')).model;
}

const rows = randomRows(random(6), 24, 32);

inKernel(loading, 'in the kernel', () => {
  test.each(
    Object.entries({ ...networks, 'Softmax of rows': softmax, attention, 'levels of QONNX': levels }),
  )('%s', async (_, make) => {
    const model = await modelOf(make);
    const engine = await createEngine('xdp', model, {});
    try {
      expect(await engine.run(rows)).toEqual(interpretRows(model, rows));
    } finally {
      await engine.close();
    }
  });
});

/** p4c takes seconds each; INTRANSIT_SWEEP tries all. */
const onSwitch = process.env.INTRANSIT_SWEEP ? Object.keys(networks) : ['a product with a factor a channel'];

describeWith([P4C, SWITCH], 'on a switch', () => {
  test.each(onSwitch)('%s', async (name) => {
    const model = await modelOf(networks[name]!);
    const engine = await createBmv2Engine(model, {});
    try {
      expect(await engine.run(rows)).toEqual(interpretRows(model, rows));
    } finally {
      await engine.close();
    }
  });

  test('a softmax is refused with what it would divide', async () => {
    await expect(createBmv2Engine(await modelOf(softmax), {})).rejects.toThrow(
      /divides 32 numbers by sums of \d+ bits/,
    );
  });
});

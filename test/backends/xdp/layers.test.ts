import { describe, expect, it } from 'vitest';
import type { XdpOptions } from '../../../src/backends/xdp/plan.ts';
import { planXdp } from '../../../src/backends/xdp/plan.ts';
import type { JsonLayerInput, JsonModelInput } from '../../../src/import/json/schema.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { base64, modelOf, randomLinear, rowsOf } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';
import { compareXdp } from '../../support/xdp.ts';

const u8 = { element: 'uint8', scale: 0.05, zeroPoint: 7 } as const;
const s8 = { element: 'int8', scale: 0.05, zeroPoint: -9 } as const;
const r = random(4711);

type Input = JsonModelInput['input'];

/** A convolution of random weights; scales fit the number of taps. */
const conv = (
  channels: number,
  outs: number,
  kernel: [number, number],
  more: Partial<Extract<JsonLayerInput, { kind: 'conv2d' }>> = {},
): JsonLayerInput => ({
  kind: 'conv2d',
  ...randomLinear(r, channels * kernel[0] * kernel[1], outs, s8),
  output: s8,
  kernel,
  rounding: 'onnx',
  ...more,
});

const dense = (taps: number, outs: number, more: object = {}): JsonLayerInput => ({
  kind: 'dense',
  ...randomLinear(r, taps, outs, s8),
  ...('weights' in more && { weightBits: 8 as const }),
  output: s8,
  rounding: 'onnx',
  ...more,
});

async function agree(model: Model, options: XdpOptions = {}): Promise<void> {
  const rows = rowsOf(random(1), model, 24);
  const result = await compareXdp(model, { mtu: 4000, ...options }, rows);
  expect(result).toMatchObject({ mismatches: 0 });
  expect(result.foretold).toBeGreaterThanOrEqual(result.verified);
}

/** A table of random entries. */
const embedding = (
  rows: number,
  width: number,
  more: Partial<Extract<JsonLayerInput, { kind: 'embedding' }>> = {},
): JsonLayerInput => ({
  kind: 'embedding',
  rows,
  table: base64(Int8Array.from({ length: rows * width }, () => r.int(-128, 127))),
  tableScale: 0.02,
  output: s8,
  ...more,
});

const keys = (count: number): Input => ({ element: 'uint8', scale: 1, zeroPoint: 0, shape: [count] });

const tableOf = (q: (x: number) => number): number[] => Array.from({ length: 256 }, (_, x) => q(x));

const cases: readonly [title: string, input: Input, layers: () => JsonLayerInput[]][] = [
  ['one neuron of one input', { ...u8, shape: [1] }, () => [dense(1, 1)]],
  ['dense over an image of channels', { ...u8, shape: [3, 2, 4] }, () => [dense(24, 5)]],
  ['an output larger than the input', { ...s8, shape: [2] }, () => [dense(2, 128)]],
  ['an input of 1,000 elements', { ...u8, shape: [1000] }, () => [dense(1000, 3)]],
  ['convolution over uint8', { ...u8, shape: [1, 6, 5] }, () => [conv(1, 3, [3, 2])]],
  ['convolution over int8', { ...s8, shape: [2, 6, 5] }, () => [conv(2, 3, [3, 2])]],
  [
    'strides and uneven pads',
    { ...u8, shape: [2, 7, 9] },
    () => [conv(2, 5, [3, 3], { strides: [2, 3], pads: [1, 0, 2, 1] })],
  ],
  [
    'pads around an image of one channel as it comes off the wire',
    { ...u8, shape: [1, 28, 28] },
    () => [conv(1, 2, [5, 5], { strides: [3, 3], pads: [2, 2, 2, 2] })],
  ],
  [
    'a wide border that is filled',
    { ...u8, zeroPoint: 200, shape: [2, 20, 20] },
    () => [conv(2, 1, [5, 5], { strides: [5, 5], pads: [4, 4, 4, 4] })],
  ],
  [
    'dense behind a padded convolution and its residual sum',
    { ...u8, shape: [2, 4, 4] },
    () => [
      conv(2, 2, [3, 3], { name: 'a', pads: [1, 1, 1, 1], output: s8 }),
      conv(2, 2, [3, 3], { name: 'b', pads: [1, 1, 1, 1], output: s8 }),
      { kind: 'add', name: 'sum', inputs: ['a', 'b'], output: { ...s8, scale: 0.09 } },
      dense(32, 4, { input: 'a', name: 'c' }),
      dense(32, 4, { input: 'sum', name: 'd' }),
      { kind: 'add', inputs: ['c', 'd'], output: u8 },
    ],
  ],
  [
    'a value that is padded differently by two readers',
    { ...s8, shape: [2, 4, 4] },
    () => [
      { kind: 'requantise', name: 'x', output: { ...s8, scale: 0.07 } },
      conv(2, 1, [3, 3], { name: 'a', input: 'x', pads: [1, 1, 1, 1] }),
      conv(2, 1, [2, 2], { name: 'b', input: 'x', pads: [0, 1, 1, 0] }),
      { kind: 'add', inputs: ['a', 'b'], output: u8 },
    ],
  ],
  ['max pool', { ...s8, shape: [3, 5, 5] }, () => [{ kind: 'maxPool', kernel: [2, 3], strides: [1, 2] }]],
  [
    'max pool with pads',
    { ...u8, shape: [2, 5, 5] },
    () => [{ kind: 'maxPool', kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ],
  [
    'average pool',
    { ...s8, shape: [3, 4, 6] },
    () => [{ kind: 'averagePool', kernel: [2, 3], output: { ...u8, scale: 0.03 } }],
  ],
  [
    'average pool that counts padding',
    { ...u8, shape: [2, 4, 4] },
    () => [
      {
        kind: 'averagePool',
        kernel: [3, 3],
        strides: [1, 1],
        pads: [1, 1, 1, 1],
        countPadding: true,
        output: s8,
      },
    ],
  ],
  ['requantise', { ...u8, shape: [2, 3, 3] }, () => [{ kind: 'requantise', output: { ...s8, scale: 0.11 } }]],
  [
    'requantise in front of a padded convolution',
    { ...u8, shape: [2, 4, 4] },
    () => [{ kind: 'requantise', output: s8 }, conv(2, 2, [3, 3], { pads: [1, 1, 1, 1] })],
  ],
  [
    'views: a vector as an image, an image as another',
    { ...u8, shape: [24] },
    () => [
      dense(24, 24),
      { kind: 'reshape', shape: [2, 3, 4] },
      conv(2, 4, [2, 2], { pads: [1, 0, 0, 1] }),
      { kind: 'reshape', shape: [2, 6, 4] },
      { kind: 'maxPool', kernel: [2, 2] },
      { kind: 'reshape', shape: [3, 4, 1] },
      { kind: 'maxPool', kernel: [2, 1] },
    ],
  ],
  [
    'a sum of two views',
    { ...u8, shape: [2, 3, 4] },
    () => [
      conv(2, 4, [1, 1], { name: 'a' }),
      conv(4, 2, [1, 1], { name: 'b' }),
      { kind: 'reshape', name: 'a2', input: 'a', shape: [2, 4, 6] },
      { kind: 'maxPool', name: 'p', input: 'a2', kernel: [2, 1] },
      { kind: 'flatten', name: 'pf', input: 'p' },
      { kind: 'flatten', name: 'bf', input: 'b' },
      { kind: 'add', inputs: ['pf', 'bf'], output: s8 },
    ],
  ],
  [
    'average pool that does not count padding',
    { ...s8, shape: [3, 5, 6] },
    () => [{ kind: 'averagePool', kernel: [3, 3], strides: [2, 1], pads: [1, 1, 1, 2], output: u8 }],
  ],
  [
    'a value that two readers pad with different elements',
    { ...s8, shape: [2, 5, 5] },
    () => [
      { kind: 'requantise', name: 'x', output: { ...s8, scale: 0.07 } },
      { kind: 'maxPool', name: 'most', input: 'x', kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] },
      conv(2, 2, [3, 3], { name: 'c', input: 'x', pads: [1, 1, 1, 1] }),
      { kind: 'add', inputs: ['most', 'c'], output: u8 },
    ],
  ],
  [
    'an input that two readers pad with different elements',
    { ...u8, shape: [2, 5, 4] },
    () => [
      conv(2, 2, [3, 3], { name: 'c', input: 'input', pads: [1, 1, 1, 1], output: u8 }),
      { kind: 'maxPool', name: 'most', input: 'input', kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] },
      { kind: 'add', inputs: ['most', 'c'], output: s8 },
    ],
  ],
  ['depthwise convolution', { ...u8, shape: [5, 6, 6] }, () => [conv(1, 5, [3, 3], { groups: 5 })]],
  [
    'depthwise convolution of two outputs a channel, strides and pads',
    { ...s8, shape: [3, 7, 5] },
    () => [conv(1, 6, [3, 2], { groups: 3, strides: [2, 1], pads: [1, 1, 1, 0] })],
  ],
  [
    'convolution in groups whose last word is not full',
    { ...u8, shape: [4, 5, 5] },
    () => [conv(2, 14, [2, 2], { groups: 2, pads: [0, 1, 1, 0] }), conv(7, 4, [1, 3], { groups: 2 })],
  ],
  [
    'convolution over a sequence, in groups',
    { ...u8, shape: [4, 9] },
    () => {
      const { kernel: _, ...layer } = conv(2, 6, [1, 3]) as Extract<JsonLayerInput, { kind: 'conv2d' }>;
      return [{ ...layer, kind: 'conv1d', kernel: 3, pads: [1, 1], groups: 2, strides: undefined } as never];
    },
  ],
  [
    'a table of a vector, an image, an image with a border',
    { ...s8, shape: [2, 4, 4] },
    () => [
      { kind: 'lut', output: u8, table: tableOf((x) => (x * 7) & 0xff) },
      conv(2, 3, [3, 3], { pads: [1, 1, 1, 1] }),
      { kind: 'lut', output: s8, table: tableOf((x) => ((x * 11) & 0xff) - 128) },
      conv(3, 2, [3, 3], { pads: [1, 0, 0, 1] }),
      dense(18, 7),
      { kind: 'lut', output: u8, function: 'sigmoid' },
    ],
  ],
  [
    'pads around an image, behind and in front of borders',
    { ...u8, shape: [2, 3, 4] },
    () => [
      { kind: 'pad', pads: [1, 0, 2, 3], value: 200 },
      conv(2, 3, [2, 2], { pads: [1, 1, 1, 1] }),
      { kind: 'pad', pads: [0, 2, 1, 0] },
      { kind: 'pad', pads: [1, 1, 1, 1], value: 5 },
      conv(3, 2, [3, 3], { pads: [1, 1, 1, 1] }),
    ],
  ],
  [
    'transpositions: of images, between borders, of views',
    { ...s8, shape: [2, 3, 4] },
    () => [
      { kind: 'transpose', axes: [2, 0, 1] },
      conv(4, 6, [2, 2], { pads: [1, 1, 0, 0] }),
      { kind: 'reshape', shape: [4, 3, 3] },
      { kind: 'transpose', axes: [1, 0, 2] },
      conv(3, 2, [3, 3], { pads: [1, 1, 1, 1] }),
      { kind: 'reshape', shape: [3, 2, 2, 2] },
      { kind: 'transpose', axes: [3, 1, 0, 2] },
    ],
  ],
  ['keys of one byte, all known', keys(6), () => [embedding(256, 3)]],
  ['keys of one byte, some unknown', keys(5), () => [embedding(100, 9)]],
  ['bags of keys of two bytes', keys(24), () => [embedding(777, 5, { keyBytes: 2, bag: 4 }), dense(15, 4)]],
  ['bags of keys of four bytes', keys(24), () => [embedding(70_000, 6, { keyBytes: 4, bag: 3 })]],
  ['a table of one row', keys(3), () => [embedding(1, 4, { bag: 3 })]],
  [
    'entries of nine bits',
    keys(4),
    () => [embedding(9, 2, { bag: 2, tableZeroPoint: 100, tableScale: 0.01 })],
  ],
  [
    'keys in an image, embedded into an image with a border',
    { ...keys(1), shape: [2, 3, 2] },
    () => [
      embedding(200, 4, { bag: 3 }),
      { kind: 'reshape', shape: [2, 4, 2] },
      conv(2, 3, [3, 3], { pads: [1, 1, 1, 1] }),
    ],
  ],
  ['a verdict over channels of an image', { ...s8, shape: [3, 2, 4] }, () => [{ kind: 'argmax' }]],
  ['a verdict over one element', { ...u8, shape: [1] }, () => [{ kind: 'argmax' }]],
  ['a verdict over 256 elements', { ...u8, shape: [256] }, () => [{ kind: 'argmax' }]],
];

describeWith(loading, 'layers in the kernel', () => {
  it.each(cases)('%s', (title, input, layers) => agree(modelOf(input, layers(), title)));

  it.each(cases)('%s, one multiply a weight, constants', (title, input, layers) =>
    agree(modelOf(input, layers(), title), { lanes: 'off', weights: 'static' }),
  );
});

const extremes: readonly [title: string, () => Model][] = [
  [
    'accumulators of 32 bits',
    () =>
      modelOf({ ...u8, zeroPoint: 0, shape: [4] }, [
        dense(4, 3, {
          weights: [127, 127, 127, 127, -128, -128, -128, -128, 1, 2, 3, 4],
          weightZeroPoint: 0,
          weightScale: 1e-8,
          bias: [2 ** 31 - 1 - 4 * 127 * 255, -(2 ** 31) + 4 * 128 * 255, 2 ** 30],
        }),
      ]),
  ],
  [
    'a line so steep that it leaps over q',
    () =>
      modelOf({ ...u8, shape: [3] }, [
        dense(3, 4, { weights: Array(12).fill(3), weightScale: 20, bias: [0, 1, -1, 5] }),
      ]),
  ],
  [
    'dead channels',
    () =>
      modelOf({ ...u8, shape: [3] }, [dense(3, 9, { weights: Array(27).fill(0), bias: Array(9).fill(50) })]),
  ],
  [
    'the finest shift that the format has',
    () =>
      modelOf({ ...u8, zeroPoint: 0, shape: [2] }, [
        {
          kind: 'dense',
          weights: [1, 2, -3, 4],
          output: { element: 'uint8', scale: 1, zeroPoint: 0 },
          requantiser: {
            multiplier: [2 ** 42, 3 * 2 ** 40],
            offset: [12345, 2 ** 51 + 1],
            shift: 52,
            min: 0,
            max: 255,
          },
        },
      ]),
  ],
  [
    'a fine shift above a clamp far below',
    () =>
      modelOf({ ...u8, zeroPoint: 0, shape: [2] }, [
        {
          kind: 'dense',
          weights: [1, 2, -3, 4],
          output: { element: 'int8', scale: 1, zeroPoint: 0 },
          requantiser: {
            multiplier: [2 ** 42 + 1, 2 ** 41 + 7],
            offset: [12345, 77],
            shift: 51,
            min: -128,
            max: 127,
          },
        },
      ]),
  ],
  [
    'no shift at all',
    () =>
      modelOf({ ...u8, zeroPoint: 0, shape: [2] }, [
        {
          kind: 'dense',
          weights: [1, 0, -1, 1],
          output: { element: 'int8', scale: 1, zeroPoint: 0 },
          requantiser: { multiplier: [1, 0], offset: [-100, 3], shift: 0, min: -128, max: 100 },
        },
      ]),
  ],
  [
    '128 x 128 x 128 x 128',
    () =>
      modelOf(
        { ...s8, shape: [128] },
        [1, 2, 3, 4].map(() => dense(128, 128)),
      ),
  ],
  [
    'large layers behind a ReLU, which pass over zeros',
    () => {
      const positive = { element: 'int8', scale: 0.05, zeroPoint: -128 } as const;
      const layers = [
        dense(40, 144, { output: positive }),
        dense(144, 100, { output: positive, rounding: 'tflite' }),
        dense(100, 241),
      ];
      const model = modelOf({ ...s8, shape: [40] }, layers);
      const plans = planXdp(model).plan!.layers;
      expect(plans.map((p) => p.kind === 'matrix' && p.byInput)).toEqual([false, true, true]);
      return model;
    },
  ],
  [
    'conv 3x3 of 32 channels',
    () => modelOf({ ...s8, shape: [8, 6, 6] }, [conv(8, 32, [3, 3]), conv(32, 16, [3, 3])]),
  ],
];

describeWith(loading, 'extremes in the kernel', () => {
  it.each(extremes)('%s', (_, model) => agree(model()));
  it.each(extremes)('%s, lanes off', (_, model) => agree(model(), { lanes: 'off' }));
  it.each(extremes)('%s, constants', (_, model) => agree(model(), { weights: 'static' }));
});

describe('refusals of the plan', () => {
  const refusals = (model: Model) => planXdp(model).diagnostics.map((d) => d.message);

  it('more layers than the cursor counts', () => {
    const layers = Array.from({ length: 256 }, (_, i) =>
      dense(1, 1, { weights: [1], weightZeroPoint: 0, weightScale: 1, bias: [i], rounding: 'half-up' }),
    );
    expect(refusals(modelOf({ ...s8, shape: [1] }, layers.slice(1)))).toEqual([]);
    expect(refusals(modelOf({ ...s8, shape: [1] }, layers))).toEqual([
      'needs 256 layers of the cursor of packets, xdp has 255',
    ]);
  });
});

/** Scales at which half away from zero is no one line: 1/2^n, where many accumulators are halves. */
const halves: readonly [title: string, input: Input, layers: () => JsonLayerInput[]][] = [
  [
    'in words of lanes',
    { ...s8, shape: [9] },
    () => [dense(9, 14, { weightScale: 0.25, output: { ...s8, scale: 0.1 }, rounding: 'tflite' })],
  ],
  [
    'in one lane a word',
    { ...s8, shape: [4] },
    () => [
      dense(4, 5, {
        weightScale: 0.25,
        bias: [2 ** 29, -(2 ** 29), 0, 3, 1],
        output: { ...s8, scale: 0.1 },
        rounding: 'tflite',
      }),
    ],
  ],
  [
    'in convolutions and groups',
    { ...s8, shape: [2, 5, 5] },
    () => [
      conv(2, 4, [3, 3], { weightScale: 0.25, output: { ...s8, scale: 0.4 }, rounding: 'tflite' }),
      conv(1, 4, [2, 2], {
        groups: 4,
        weightScale: 0.125,
        output: { ...s8, scale: 0.8 },
        rounding: 'tflite',
      }),
    ],
  ],
  [
    'in layers without weights',
    { ...s8, shape: [2, 5, 5] },
    () => [
      { kind: 'requantise', output: { ...s8, scale: 0.1 }, rounding: 'tflite' },
      {
        kind: 'averagePool',
        kernel: [2, 2],
        strides: [1, 1],
        pads: [1, 1, 0, 0],
        output: { ...s8, scale: 0.1 },
        rounding: 'tflite',
      },
    ],
  ],
  [
    'in sums of a bag',
    keys(8),
    () => [
      embedding(256, 5, { bag: 2, tableScale: 0.0125, output: { ...s8, scale: 0.05 }, rounding: 'tflite' }),
    ],
  ],
];

describeWith(loading, 'rounding half away from zero in the kernel', () => {
  it.each(halves)('%s', async (title, input, layers) => {
    const model = modelOf(input, layers(), title);
    expect(model.layers.some((l) => 'requantiser' in l && l.requantiser.below !== undefined)).toBe(true);
    for (const options of [{}, { lanes: 'off' }, { weights: 'static' }] as const) await agree(model, options);
  });
});

describeWith(loading, 'splits in the kernel', () => {
  const model = modelOf({ ...u8, shape: [2, 6, 6] }, [
    conv(2, 3, [3, 3], { pads: [1, 1, 1, 1] }),
    { kind: 'maxPool', kernel: [2, 2] },
    dense(27, 40),
    dense(40, 6),
    { kind: 'argmax' },
  ]);
  const ends = model.layers.flatMap((_, from) =>
    model.layers.slice(from).map((_, i) => [from, from + i + 1] as const),
  );

  it.each(ends)('layers %i..%i', async (from, to) => {
    const { plan } = planXdp(model, { from, to });
    const rows = randomRows(random(from * 10 + to), 12, elementCount(plan!.input.shape));
    expect(await compareXdp(model, { from, to }, rows)).toMatchObject({ mismatches: 0 });
  });
});

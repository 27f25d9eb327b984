import { describe, expect, it } from 'vitest';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { dumpModel } from '../../src/model/dump.ts';
import type { Model } from '../../src/model/model.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { random } from '../support/random.ts';
import {
  activation,
  biases,
  chain,
  float,
  type Grid,
  int8s,
  load,
  run,
  scaleOf,
  weights,
} from './tflite-blocks.ts';
import { type Conv, clamp, geometry, quantize, scale, slide } from './tflite-kernels.ts';
import { type OptionSpec, type TensorSpec, writeTflite } from './tflite-writer.ts';

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);

/** Whether every requantiser says that it is the source's everywhere. */
function exact(model: Model): void {
  for (const layer of model.layers)
    if ('requantiser' in layer) expect(layer.requantiser.exactness.accumulators).toBe(0);
  expect(verifyModel(model)).toEqual([]);
  const again = importJson(JSON.stringify(exportJson(model)), 'm.json').model;
  expect(dumpModel(again)).toBe(dumpModel(model));
}

const windowOptions = (same: boolean, stride: number): OptionSpec[] => [
  [0, 'int8', same ? 0 : 1],
  [1, 'int32', stride],
  [2, 'int32', stride],
];

describe.each(seeds)('seed %i, against the kernels in 64-bit integers', (seed) => {
  const r = random(seed);
  const grid = (shape: readonly number[], least = 0.01): Grid => ({
    shape,
    scale: scaleOf(r, least, least * 20),
    zero: r.int(-128, 127),
  });

  it('FULLY_CONNECTED, per tensor and per channel, with and without ReLU', () => {
    const [ins, outs] = [r.int(1, 40), r.int(1, 9)];
    const perChannel = r.chance(0.5);
    const w = weights(r, [outs, ins], perChannel ? outs : 1);
    const b = biases(r, outs);
    const [x, y] = [grid([1, ins]), grid([1, outs], 0.1)];
    const relu = r.pick([0, 1, 3]);
    const step = {
      op: 'FULLY_CONNECTED',
      with: [w, b],
      options: [[0, 'int8', relu]] as OptionSpec[],
      out: y,
    };
    const model = load(chain(x, [step]));
    exact(model);
    const row = int8s(r, ins);
    const expected = Array.from({ length: outs }, (_, o) => {
      const acc = row.reduce((sum, q, i) => sum + (q - x.zero) * w.data[o * ins + i]!, b.data[o]!);
      const product = perChannel ? x.scale * w.scale[o]! : float(x.scale * w.scale[0]!);
      const six = Math.round(float(6 / y.scale)) + y.zero;
      const [lo, hi] = relu === 0 ? [-128, 127] : relu === 1 ? [y.zero, 127] : [y.zero, Math.min(127, six)];
      return clamp(scale(acc, quantize(product / y.scale)) + y.zero, lo, hi);
    });
    expect(run(model, row)).toEqual(expected);
  });

  const conv: Conv = {
    image: [r.int(3, 6), r.int(3, 6), r.int(1, 4)],
    kernel: [r.int(1, 3), r.int(1, 3)],
    stride: r.int(1, 2),
    same: r.chance(0.5),
    outs: r.int(1, 5),
  };
  const [rows, columns] = geometry(conv);
  const [height, width, channels] = conv.image;
  const size = height * width * channels;
  const at = (y: number, x: number, c: number) => (y * width + x) * channels + c;

  it('CONV_2D: bytes in TFLite order, whatever the number of channels', () => {
    const w = weights(r, [conv.outs, ...conv.kernel, channels], conv.outs);
    const b = biases(r, conv.outs);
    const [x, y] = [grid([1, ...conv.image]), grid([1, rows.out, columns.out, conv.outs], 0.1)];
    const options = [...windowOptions(conv.same, conv.stride), [3, 'int8', 0] as const];
    const model = load(chain(x, [{ op: 'CONV_2D', with: [w, b], options, out: y }]));
    exact(model);
    const row = int8s(r, size);
    const expected: number[] = [];
    slide(conv, (_oy, _ox, taps) => {
      for (let o = 0; o < conv.outs; o++) {
        let acc = b.data[o]!;
        for (const [iy, ix, i, j] of taps)
          for (let c = 0; c < channels; c++)
            acc +=
              (row[at(iy, ix, c)]! - x.zero) *
              w.data[((o * conv.kernel[0] + i) * conv.kernel[1] + j) * channels + c]!;
        expected.push(clamp(scale(acc, quantize((x.scale * w.scale[o]!) / y.scale)) + y.zero));
      }
    });
    expect(run(model, row)).toEqual(expected);
  });

  it('DEPTHWISE_CONV_2D with a multiplier, flattened into FULLY_CONNECTED', () => {
    const multiplier = r.int(1, 2);
    const outs = channels * multiplier;
    const w = weights(r, [1, ...conv.kernel, outs], outs, 3);
    const b = biases(r, outs);
    const [x, y] = [grid([1, ...conv.image]), grid([1, rows.out, columns.out, outs], 0.1)];
    const flat = rows.out * columns.out * outs;
    const fc = weights(r, [2, flat]);
    const z = grid([1, 2], 0.1);
    const options = [...windowOptions(conv.same, conv.stride), [3, 'int32', multiplier] as const];
    const shape = { name: 's', kind: 'int32', shape: [2], data: [1, flat] } as const;
    const bytes = chain(x, [
      { op: 'DEPTHWISE_CONV_2D', with: [w, b], options, out: y },
      { op: 'RESHAPE', with: [shape], out: { ...y, shape: [1, flat] } },
      { op: 'FULLY_CONNECTED', with: [fc], out: z },
    ]);
    const model = load(bytes);
    exact(model);
    const row = int8s(r, size);
    const image: number[] = [];
    slide(conv, (_oy, _ox, taps) => {
      for (let o = 0; o < outs; o++) {
        let acc = b.data[o]!;
        for (const [iy, ix, i, j] of taps)
          acc +=
            (row[at(iy, ix, Math.floor(o / multiplier))]! - x.zero) *
            w.data[(i * conv.kernel[1] + j) * outs + o]!;
        image.push(clamp(scale(acc, quantize((x.scale * w.scale[o]!) / y.scale)) + y.zero));
      }
    });
    const expected = [0, 1].map((o) => {
      const acc = image.reduce((sum, q, i) => sum + (q - y.zero) * fc.data[o * flat + i]!, 0);
      return clamp(scale(acc, quantize(float(y.scale * fc.scale[0]!) / z.scale)) + z.zero);
    });
    expect(run(model, row)).toEqual(expected);
    // The weights were reordered; nothing is transposed behind the convolution.
    expect(model.layers.slice(-1).map(({ kind }) => kind)).toEqual(['dense']);
  });

  it('AVERAGE_POOL_2D and MAX_POOL_2D: ties away from q = 0, padding not counted', () => {
    const x = grid([1, ...conv.image]);
    const options = (): OptionSpec[] => [
      ...windowOptions(conv.same, conv.stride),
      [3, 'int32', conv.kernel[1]],
      [4, 'int32', conv.kernel[0]],
    ];
    const out = { ...x, shape: [1, rows.out, columns.out, channels] };
    const average = load(chain(x, [{ op: 'AVERAGE_POOL_2D', options: options(), out }]));
    const most = load(chain(x, [{ op: 'MAX_POOL_2D', options: options(), out }]));
    exact(average);
    exact(most);
    const row = int8s(r, size);
    const averages: number[] = [];
    const maxima: number[] = [];
    slide(conv, (_oy, _ox, taps) => {
      for (let c = 0; c < channels; c++) {
        const seen = taps.map(([iy, ix]) => row[at(iy, ix, c)]!);
        const sum = seen.reduce((a, q) => a + q, 0);
        const half = Math.trunc(seen.length / 2);
        averages.push(Math.trunc((sum > 0 ? sum + half : sum - half) / seen.length) + 0);
        maxima.push(Math.max(...seen));
      }
    });
    expect(run(average, row)).toEqual(averages);
    expect(run(most, row)).toEqual(maxima);
  });

  it('MEAN over the pixels', () => {
    const [x, y] = [grid([1, ...conv.image]), grid([1, channels])];
    const axes = { name: 'axes', kind: 'int32', shape: [2], data: [1, 2] } as const;
    const model = load(chain(x, [{ op: 'MEAN', with: [axes], options: [[0, 'int8', 0]], out: y }]));
    exact(model);
    const row = int8s(r, size);
    const count = height * width;
    const { fixed, exponent } = quantize(x.scale / y.scale);
    const shift = Math.min(31 - Math.clz32(count), 31 + exponent);
    const multiplier = { fixed: (fixed << BigInt(shift)) / BigInt(count), exponent: exponent - shift };
    const expected = Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let p = 0; p < count; p++) sum += row[p * channels + c]! - x.zero;
      return clamp(scale(sum, multiplier) + y.zero);
    });
    expect(run(model, row)).toEqual(expected);
  });

  it('PAD before a VALID convolution is folded into it', () => {
    const [top, bottom, left, right] = [r.int(0, 2), r.int(0, 2), r.int(0, 2), r.int(0, 2)];
    const pads = {
      name: 'p',
      kind: 'int32',
      shape: [4, 2],
      data: [0, 0, top, bottom, left, right, 0, 0],
    } as const;
    const x = grid([1, ...conv.image]);
    const padded = { ...x, shape: [1, height + top + bottom, width + left + right, channels] };
    const w = weights(r, [2, 2, 2, channels], 2);
    const y = grid([1, height + top + bottom - 1, width + left + right - 1, 2], 0.1);
    const options = windowOptions(false, 1);
    const model = load(
      chain(x, [
        { op: 'PAD', with: [pads], out: padded },
        { op: 'CONV_2D', with: [w], options, out: y },
      ]),
    );
    exact(model);
    expect(model.layers.some(({ kind }) => kind === 'pad')).toBe(false);
    const alone = load(chain(padded, [{ op: 'CONV_2D', with: [w], options, out: y }]));
    const row = int8s(r, size);
    const wide = new Array<number>(padded.shape.reduce((a, b) => a * b, 1)).fill(x.zero);
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width * channels; j++)
        wide[((i + top) * (width + left + right) + left) * channels + j] = row[i * width * channels + j]!;
    expect(run(model, row)).toEqual(run(alone, wide));
  });

  it('QUANTIZE and RELU6: another grid', () => {
    const [x, y] = [grid([1, 256]), grid([1, 256], 0.02)];
    const row = Array.from({ length: 256 }, (_, i) => i - 128);
    const again = (q: number) => scale(q - x.zero, quantize(x.scale / y.scale)) + y.zero;
    const quantised = load(chain(x, [{ op: 'QUANTIZE', out: y }]));
    expect(run(quantised, row)).toEqual(row.map((q) => clamp(again(q))));
    const six = Math.min(127, Math.round(float(6 / y.scale)) + y.zero);
    const relu6 = load(chain(x, [{ op: 'RELU6', out: y }]));
    expect(run(relu6, row)).toEqual(row.map((q) => clamp(again(q), y.zero, six)));
  });
});

describe('other grids of weights and activations', () => {
  const x: Grid = { shape: [1, 3], scale: 0.5, zero: 128, kind: 'uint8' };
  const y: Grid = { shape: [1, 2], scale: 1, zero: 100, kind: 'uint8' };
  const row = [130, 0, 255];

  it('uint8 with a zero point of the weights', () => {
    const w = {
      name: 'w',
      kind: 'uint8',
      shape: [2, 3],
      scale: 0.25,
      zero: 10,
      data: [11, 12, 13, 10, 0, 255],
    } as const;
    const model = load(chain(x, [{ op: 'FULLY_CONNECTED', with: [w], out: y }]));
    exact(model);
    // 0.125 * (1 * 2 - 2 * 128 + 3 * 127) = 15.9; 0.125 * (10 * 128 + 245 * 127) is beyond the clamp.
    expect(run(model, row)).toEqual([116, 255]);
  });

  it('int4, two weights a byte', () => {
    const w = { name: 'w', kind: 'int4', shape: [2, 3], scale: 0.25, data: [0x21, 0x83, 0x7f] } as const;
    const model = load(chain(x, [{ op: 'FULLY_CONNECTED', with: [w], out: y }]));
    exact(model);
    const layer = model.layers[0]!;
    expect(layer).toMatchObject({ kind: 'dense', weightBits: 4, weights: Int16Array.of(1, 2, 3, -8, -1, 7) });
    expect(run(model, row)).toEqual([116, 225]);
  });

  it('a fully connected layer over the last of several dimensions is a convolution of one tap', () => {
    const w = { name: 'w', kind: 'int8', shape: [2, 3], scale: 0.25, data: [1, 2, 3, -1, 0, 1] } as const;
    const wide = { ...x, shape: [1, 2, 3] };
    const model = load(chain(wide, [{ op: 'FULLY_CONNECTED', with: [w], out: { ...y, shape: [1, 2, 2] } }]));
    exact(model);
    const alone = load(chain(x, [{ op: 'FULLY_CONNECTED', with: [w], out: y }]));
    const other = [1, 200, 90];
    expect(run(model, [...row, ...other])).toEqual([...run(alone, row), ...run(alone, other)]);
  });

  it('float ends: QUANTIZE and DEQUANTIZE are the integers inside them', () => {
    const w = { name: 'w', kind: 'int8', shape: [2, 3], scale: 0.25, data: [1, 2, 3, -1, 0, 1] } as const;
    const tensors: TensorSpec[] = [
      { name: 'real', kind: 'float32', shape: [1, 3] },
      activation('x', x),
      w,
      activation('y', y),
      { name: 'out', kind: 'float32', shape: [1, 2] },
    ];
    const operators = [
      { op: 'QUANTIZE', in: [0], out: [1] },
      { op: 'FULLY_CONNECTED', in: [1, 2, -1], out: [3] },
      { op: 'DEQUANTIZE', in: [3], out: [4] },
    ];
    const model = load(writeTflite({ tensors, operators, inputs: [0], outputs: [4] }));
    expect(model.input).toEqual({ element: 'uint8', shape: [3], scale: 0.5, zeroPoint: 128 });
    expect(model.layers.map(({ kind }) => kind)).toEqual(['dense']);
  });
});

import { importJson } from '../../src/import/json/index.ts';
import type { JsonLayerInput, JsonModelInput } from '../../src/import/json/schema.ts';
import type { Model } from '../../src/model/model.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { type Random, random, randomRows } from './random.ts';

/** A model from layers of the JSON format, in few words. */
export function modelOf(
  input: JsonModelInput['input'],
  layers: readonly JsonLayerInput[],
  name = 'test',
): Model {
  const json = { format: 'intransit-model', version: 1, name, input, layers };
  return importJson(JSON.stringify(json), `${name}.json`).model;
}

/** A requantiser of two levels, `least` and `least + by`, where sums are 0 or less, or 1 or more. */
export const step = (least: number, by: number, outs = 1) => ({
  multiplier: new Array<number>(outs).fill(by),
  offset: new Array<number>(outs).fill(least),
  shift: 0,
  min: least,
  max: least + by,
});

export const base64 = (weights: Int8Array): string =>
  Buffer.from(weights.buffer, weights.byteOffset, weights.length).toString('base64');

/** The last may need a second line below a pivot; tests of targets without one skip such models. */
const roundings = ['onnx', 'half-even', 'half-up', 'tflite'] as const;
const elements = ['uint8', 'int8'] as const;
type Element = (typeof elements)[number];

interface Grid {
  readonly element: Element;
  readonly scale: number;
  readonly zeroPoint: number;
}

export function randomGrid(r: Random, scale: number): Grid {
  const element = r.pick(elements);
  const [lo, hi] = element === 'uint8' ? [0, 255] : [-128, 127];
  const zeroPoint = r.pick([0, 0, lo, hi, Math.floor((lo + hi) / 2), r.int(lo, hi)]);
  return { element, scale, zeroPoint };
}

/** Weights of one output: any, few levels, none at all, all of an extreme, or sparse. */
function randomChannel(r: Random, bits: 4 | 8, taps: number, target: Int8Array, at: number): void {
  const kind = r.pick(['any', 'any', 'any', 'small', 'small', 'zero', 'extreme', 'sparse'] as const);
  const [lo, hi] = bits === 4 ? [-8, 7] : [-128, 127];
  const extreme = r.pick([lo, hi]);
  for (let i = 0; i < taps; i++) {
    if (kind === 'any') target[at + i] = r.int(lo, hi);
    else if (kind === 'small') target[at + i] = r.int(-3, 3);
    else if (kind === 'extreme') target[at + i] = extreme;
    else if (kind === 'sparse') target[at + i] = r.chance(0.1) ? r.int(lo, hi) : 0;
  }
}

/** What a dense or convolution layer needs beside its geometry; the scales put the outputs in and out of the clamp. */
export function randomLinear(r: Random, taps: number, outs: number, input: Grid) {
  const weightBits = r.chance(0.25) ? 4 : 8;
  const weights = new Int8Array(outs * taps);
  for (let o = 0; o < outs; o++) randomChannel(r, weightBits, taps, weights, o * taps);
  const perChannel = r.chance(0.6);
  const channels = perChannel ? outs : 1;
  const spread = r.pick([0.05, 0.3, 1, 1, 1, 4, 40]);
  const natural = 1 / (Math.sqrt(taps) * (weightBits === 4 ? 4 : 60));
  const scale = () => natural * spread * (perChannel ? 0.5 + r.next() * 3 : 1);
  const [lo, hi] = weightBits === 4 ? [-8, 7] : [-128, 127];
  const zeroPoint = r.chance(0.2) ? Array.from({ length: outs }, () => r.int(lo, hi)) : 0;
  const biasSpan = r.pick([0, 1000, 20_000, 2_000_000]);
  const output = randomGrid(r, input.scale);
  return {
    weights: base64(weights),
    weightBits: weightBits as 4 | 8,
    weightScale: perChannel ? Array.from({ length: channels }, scale) : scale(),
    weightZeroPoint: zeroPoint,
    bias: Array.from({ length: outs }, () => r.int(-biasSpan, biasSpan)),
    output,
    rounding: r.pick(roundings),
  };
}

/** Sizes that matter: one, a word more or less than full, any, the largest. */
const randomSize = (r: Random, most: number): number =>
  Math.min(most, r.pick([1, 2, 3, 4, 5, 15, 16, 17, 64, 128, r.int(1, 128), r.int(1, 40), r.int(1, 40)]));

/** 1-4 dense layers of 1-128 neurons on random grids, some with ReLU, some ending in a verdict. */
export function randomMlp(seed: number): Model {
  const r = random(seed);
  const input = randomGrid(r, 0.05);
  let width = randomSize(r, 128);
  const layers: JsonLayerInput[] = [];
  let grid: Grid = input;
  const shape = [width];
  const depth = r.int(1, 4);
  for (let i = 0; i < depth; i++) {
    const outs = randomSize(r, 128);
    const linear = randomLinear(r, width, outs, grid);
    layers.push({ kind: 'dense', ...linear });
    if (r.chance(0.5)) layers.push({ kind: 'relu' });
    grid = linear.output;
    width = outs;
  }
  if (r.chance(0.2)) layers.push({ kind: 'argmax' });
  return modelOf({ ...input, shape }, layers, `mlp-${seed}`);
}

/** A small image network: convolutions, pools, requantisations, residual sums, a dense layer and a verdict. */
export function randomCnn(seed: number): Model {
  const r = random(seed);
  const input = randomGrid(r, 0.05);
  let [c, h, w] = [r.int(1, 4), r.int(3, 12), r.int(3, 12)];
  const shape = [c, h, w];
  const layers: JsonLayerInput[] = [];
  let grid: Grid = input;
  const last = () => layers.at(-1)?.name ?? 'input';
  const push = (layer: JsonLayerInput) => layers.push({ ...layer, name: `l${layers.length}` });
  for (let i = r.int(1, 3); i > 0; i--) {
    const kind = r.pick([
      'conv2d',
      'conv2d',
      'conv2d',
      'maxPool',
      'averagePool',
      'requantise',
      'residual',
    ] as const);
    const [kh, kw] = [r.int(1, Math.min(3, h)), r.int(1, Math.min(3, w))];
    const strides: [number, number] = [r.int(1, 2), r.int(1, 2)];
    const pad = (k: number) => (r.chance(0.5) ? r.int(0, k - 1) : 0);
    const pads: [number, number, number, number] = [pad(kh), pad(kw), pad(kh), pad(kw)];
    const window = { kernel: [kh, kw] as [number, number], strides, pads };
    const resized = () => {
      h = Math.floor((h + pads[0] + pads[2] - kh) / strides[0]) + 1;
      w = Math.floor((w + pads[1] + pads[3] - kw) / strides[1]) + 1;
    };
    if (kind === 'conv2d') {
      const outs = r.int(1, 6);
      const linear = randomLinear(r, c * kh * kw, outs, grid);
      push({ kind, ...linear, ...window });
      grid = linear.output;
      c = outs;
      resized();
    } else if (kind === 'maxPool') {
      push({ kind, ...window });
      resized();
    } else if (kind === 'averagePool') {
      const output = randomGrid(r, grid.scale * (0.5 + r.next()));
      const counted = pads.some((p) => p > 0);
      push({ kind, ...window, countPadding: counted, output, rounding: r.pick(roundings) });
      grid = output;
      resized();
    } else if (kind === 'requantise') {
      const output = randomGrid(r, grid.scale * (0.3 + 2 * r.next()));
      push({ kind, output, rounding: r.pick(roundings) });
      grid = output;
    } else {
      const before = last();
      const linear = randomLinear(r, c * 9, c, grid);
      push({ kind: 'conv2d', ...linear, kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
      const output = randomGrid(r, grid.scale * (1 + r.next()));
      push({ kind: 'add', inputs: [before, last()], output });
      grid = output;
    }
  }
  if (r.chance(0.5)) {
    const outs = r.int(1, 12);
    push({ kind: 'dense', ...randomLinear(r, c * h * w, outs, grid) });
  }
  if (r.chance(0.3) && (c * h * w <= 256 || layers.at(-1)?.kind === 'dense')) push({ kind: 'argmax' });
  return modelOf({ ...input, shape }, layers, `cnn-${seed}`);
}

/** 256 q-values of any function: the backend is to look them up, whatever they are. */
const randomTable = (r: Random, { element }: Grid): number[] => {
  const [lo, hi] = element === 'uint8' ? [0, 255] : [-128, 127];
  return Array.from({ length: 256 }, () => r.int(lo, hi));
};

/** Embedding of some keys, in bags, as the first layer; some keys of every row are not in the table. */
export function randomEmbedding(r: Random) {
  const keyBytes = r.pick([1, 1, 2, 4] as const);
  const bag = r.pick([1, 1, 2, 3, 7]);
  const bags = r.int(1, 4);
  const width = r.pick([1, 2, 3, 4, 5, 8, 13]);
  const rows = keyBytes === 1 ? r.pick([1, 100, 200, 256]) : r.int(1, 2000);
  const table = new Int8Array(rows * width);
  for (let i = 0; i < table.length; i++) table[i] = r.int(-128, 127);
  const output = randomGrid(r, 0.05);
  return {
    inputs: bags * bag * keyBytes,
    bags,
    layer: {
      kind: 'embedding' as const,
      keyBytes,
      bag,
      rows,
      table: base64(table),
      tableScale: 0.05 * (0.3 + r.next()),
      tableZeroPoint: r.chance(0.3) ? r.int(-100, 100) : 0,
      output,
      rounding: r.pick(roundings),
    },
    output,
    outputs: bags * width,
  };
}

/** Random rows of a model; where it begins with an embedding, half of the keys are in its table. */
export function rowsOf(r: Random, model: Model, count: number): Uint8Array {
  const rows = randomRows(r, count, tensorBytes(model.input));
  const first = model.layers[0]!;
  if (first.kind !== 'embedding') return rows;
  for (let at = 0; at < rows.length; at += first.keyBytes) {
    if (r.chance(0.5)) continue;
    const key = r.pick([0, first.rows - 1, r.int(0, first.rows - 1), r.int(0, first.rows - 1)]);
    for (let byte = 0; byte < first.keyBytes; byte++) rows[at + byte] = Math.floor(key / 256 ** byte);
  }
  return rows;
}

/** An image network of the layers that the others leave out: groups, tables, pads, transpositions, divisors by position. */
export function randomMixed(seed: number): Model {
  const r = random(seed);
  const layers: JsonLayerInput[] = [];
  const push = (layer: JsonLayerInput) => layers.push({ ...layer, name: `l${layers.length}` });
  let grid: Grid = randomGrid(r, 0.05);
  let [c, h, w] = [r.int(1, 6), r.int(2, 9), r.int(2, 9)];
  let input: JsonModelInput['input'] = { ...grid, shape: [c, h, w] };
  if (r.chance(0.3)) {
    const e = randomEmbedding(r);
    const shape = r.chance(0.3) && e.inputs % 2 === 0 ? [2, e.inputs / 2, 1] : [e.inputs];
    input = { element: 'uint8', scale: 1, zeroPoint: 0, shape };
    push(e.layer);
    [c, h, w] = [e.bags, 1, e.outputs / e.bags];
    push({ kind: 'reshape', shape: [c, h, w] });
    grid = e.output;
  }
  for (let i = r.int(2, 5); i > 0; i--) {
    const kind = r.pick(['depthwise', 'grouped', 'lut', 'pad', 'transpose', 'average', 'max'] as const);
    const kernel: [number, number] = [r.int(1, Math.min(3, h)), r.int(1, Math.min(3, w))];
    const strides: [number, number] = [r.int(1, 2), r.int(1, 2)];
    const pad = (k: number) => (r.chance(0.5) ? r.int(0, k - 1) : 0);
    const pads: [number, number, number, number] = [
      pad(kernel[0]),
      pad(kernel[1]),
      pad(kernel[0]),
      pad(kernel[1]),
    ];
    const window = { kernel, strides, pads };
    const resized = () => {
      h = Math.floor((h + pads[0] + pads[2] - kernel[0]) / strides[0]) + 1;
      w = Math.floor((w + pads[1] + pads[3] - kernel[1]) / strides[1]) + 1;
    };
    if (kind === 'depthwise' || kind === 'grouped') {
      const groups = kind === 'depthwise' ? c : r.pick([1, 2, 3, 4].filter((g) => c % g === 0));
      const outs = groups * r.int(1, kind === 'depthwise' ? 2 : 5);
      const taps = (c / groups) * kernel[0] * kernel[1];
      const linear = randomLinear(r, taps, outs, grid);
      push({ kind: 'conv2d', ...linear, ...window, groups });
      grid = linear.output;
      c = outs;
      resized();
    } else if (kind === 'lut') {
      const output = randomGrid(r, grid.scale);
      push({ kind, output, table: randomTable(r, output) });
      grid = output;
    } else if (kind === 'pad') {
      const around: [number, number, number, number] = [r.int(0, 2), r.int(0, 2), r.int(0, 1), r.int(0, 3)];
      push(r.chance(0.5) ? { kind, pads: around } : { kind, pads: around, value: grid.zeroPoint });
      h += around[0] + around[2];
      w += around[1] + around[3];
    } else if (kind === 'transpose') {
      const axes = r.pick([
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
      ]);
      push({ kind, axes });
      [c, h, w] = axes.map((axis) => [c, h, w][axis]!) as [number, number, number];
    } else if (kind === 'average') {
      const output = randomGrid(r, grid.scale * (0.5 + r.next()));
      push({ kind: 'averagePool', ...window, output, rounding: r.pick(roundings) });
      grid = output;
      resized();
    } else {
      push({ kind: 'maxPool', ...window });
      resized();
    }
  }
  if (r.chance(0.4)) push({ kind: 'dense', ...randomLinear(r, c * h * w, r.int(1, 9), grid) });
  return modelOf(input, layers, `mixed-${seed}`);
}

/** A window whose taps are apart, of any size that fits. */
function dilatedWindow(r: Random, h: number, w: number) {
  const axis = (size: number) => {
    const kernel = r.int(1, Math.min(3, size));
    const dilation = kernel === 1 ? 1 : r.int(1, Math.floor((size - 1) / (kernel - 1)));
    return [kernel, dilation, r.int(0, (kernel - 1) * dilation), r.int(1, 2)] as const;
  };
  const [kh, dh, ph, sh] = axis(h);
  const [kw, dw, pw, sw] = axis(w);
  const out = (size: number, k: number, d: number, p: number, s: number) =>
    Math.floor((size + p - (k - 1) * d - 1) / s) + 1;
  return {
    window: {
      kernel: [kh, kw] as [number, number],
      dilations: [dh, dw] as [number, number],
      strides: [sh, sw] as [number, number],
      pads: [ph, 0, 0, pw] as [number, number, number, number],
    },
    size: [out(h, kh, dh, ph, sh), out(w, kw, dw, pw, sw)] as const,
  };
}

/**
 * An image network of layers that join values: products and sums with an operand a channel, parts put together, softmax rows,
 * tables by channel, windows with taps apart.
 * @param divides whether softmax layers are among them
 */
export function randomJoined(seed: number, divides = true): Model {
  const r = random(seed);
  const layers: JsonLayerInput[] = [];
  let last = 'input';
  const push = (layer: JsonLayerInput) => {
    last = `l${layers.length}`;
    layers.push({ ...layer, name: last });
  };
  let grid: Grid = randomGrid(r, 0.05);
  let [c, h, w] = [r.int(1, 5), r.int(2, 7), r.int(2, 7)];
  const input = { ...grid, shape: [c, h, w] };
  for (let i = r.int(2, 4); i > 0; i--) {
    const kinds = ['dilated', 'pool', 'excite', 'product', 'shuffle', 'concat', 'tables', 'softmax'] as const;
    const kind = r.pick(divides ? kinds : kinds.slice(0, -1));
    const output = randomGrid(r, grid.scale * (0.5 + r.next()));
    const rounding = r.pick(roundings);
    if (kind === 'dilated') {
      const { window, size } = dilatedWindow(r, h, w);
      const outs = r.int(1, 5);
      const linear = randomLinear(r, c * window.kernel[0] * window.kernel[1], outs, grid);
      push({ kind: 'conv2d', ...linear, ...window });
      grid = linear.output;
      [c, h, w] = [outs, ...size];
    } else if (kind === 'pool') {
      const { window, size } = dilatedWindow(r, h, w);
      const pads: [number, number, number, number] = [0, 0, 0, 0];
      const plain = { ...window, pads, strides: [1, 1] as [number, number] };
      if (r.chance(0.5)) {
        push({ kind: 'maxPool', ...plain });
        h -= (window.kernel[0] - 1) * window.dilations[0];
        w -= (window.kernel[1] - 1) * window.dilations[1];
      } else {
        push({ kind: 'averagePool', ...window, countPadding: true, output, rounding });
        grid = output;
        [h, w] = size;
      }
    } else if (kind === 'excite') {
      const image = last;
      const middle = randomGrid(r, grid.scale);
      push({ kind: 'mean', output: middle });
      const inputs: [string, string] = r.chance(0.5) ? [image, last] : [last, image];
      const scale = grid.scale * middle.scale * r.pick([40, 100, 20]);
      const sums = r.chance(0.4);
      grid = sums ? output : { ...output, scale };
      push(sums ? { kind: 'add', inputs, output } : { kind: 'mul', inputs, output: grid, rounding });
    } else if (kind === 'product') {
      const scale = grid.scale * grid.scale * r.pick([20, 60, 150]);
      push({ kind: 'mul', inputs: [last, last], output: { ...output, scale }, rounding });
      grid = { ...output, scale };
    } else if (kind === 'shuffle') {
      const count = c * h * w;
      [c, h, w] = [r.int(1, 4), r.int(1, 5), r.int(1, 5)];
      const sources = Array.from({ length: c * h * w }, () => r.int(r.chance(0.2) ? -1 : 0, count - 1));
      push({ kind: 'gather', inputs: [last], shape: [c, h, w], sources });
    } else if (kind === 'concat') {
      const first = last;
      const linear = { ...randomLinear(r, c, c, grid), output: grid };
      push({ kind: 'conv2d', ...linear, kernel: [1, 1] });
      const axis = r.int(0, 2);
      push({ kind: 'concat', inputs: r.chance(0.3) ? [last, first, last] : [first, last], axis });
      const times =
        layers.at(-1)!.kind === 'concat' ? (layers.at(-1) as { inputs: string[] }).inputs.length : 1;
      [c, h, w] = [c, h, w].map((size, a) => (a === axis ? size * times : size)) as [number, number, number];
    } else if (kind === 'tables') {
      const each = Array.from({ length: r.pick([c, c, c * h * w]) }, () => randomTable(r, output));
      push({ kind: 'lut', output, table: each.flat() });
      grid = output;
    } else {
      const to: Grid = r.chance(0.5)
        ? { element: 'uint8', scale: 1 / 256, zeroPoint: 0 }
        : { element: 'int8', scale: 1 / r.pick([256, 255, 100]), zeroPoint: -128 };
      push({ kind: 'softmax', size: r.pick([w, h * w, c * h * w]), output: to });
      grid = to;
    }
  }
  if (r.chance(0.3)) push({ kind: 'dense', ...randomLinear(r, c * h * w, r.int(1, 9), grid) });
  return modelOf(input, layers, `joined-${seed}`);
}

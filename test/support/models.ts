import { importJson } from '../../src/import/json/index.ts';
import type { JsonLayerInput, JsonModelInput } from '../../src/import/json/schema.ts';
import type { Model } from '../../src/model/model.ts';
import { type Random, random } from './random.ts';

/** A model from layers of the JSON format, in few words. */
export function modelOf(
  input: JsonModelInput['input'],
  layers: readonly JsonLayerInput[],
  name = 'test',
): Model {
  const json = { format: 'intransit-model', version: 1, name, input, layers };
  return importJson(JSON.stringify(json), `${name}.json`).model;
}

export const base64 = (weights: Int8Array): string =>
  Buffer.from(weights.buffer, weights.byteOffset, weights.length).toString('base64');

/** Not tflite: it may need a second offset below a pivot, which no target has yet. */
const roundings = ['onnx', 'half-even', 'half-up'] as const;
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
function randomChannel(r: Random, taps: number, target: Int8Array, at: number): void {
  const kind = r.pick(['any', 'any', 'any', 'small', 'small', 'zero', 'extreme', 'sparse'] as const);
  const extreme = r.pick([-128, 127]);
  for (let i = 0; i < taps; i++) {
    if (kind === 'any') target[at + i] = r.int(-128, 127);
    else if (kind === 'small') target[at + i] = r.int(-3, 3);
    else if (kind === 'extreme') target[at + i] = extreme;
    else if (kind === 'sparse') target[at + i] = r.chance(0.1) ? r.int(-128, 127) : 0;
  }
}

/** What a dense or convolution layer needs beside its geometry; the scales put the outputs in and out of the clamp. */
export function randomLinear(r: Random, taps: number, outs: number, input: Grid) {
  const weights = new Int8Array(outs * taps);
  for (let o = 0; o < outs; o++) randomChannel(r, taps, weights, o * taps);
  const perChannel = r.chance(0.6);
  const channels = perChannel ? outs : 1;
  const spread = r.pick([0.05, 0.3, 1, 1, 1, 4, 40]);
  const natural = 1 / (Math.sqrt(taps) * 60);
  const scale = () => natural * spread * (perChannel ? 0.5 + r.next() * 3 : 1);
  const zeroPoint = r.chance(0.2) ? Array.from({ length: outs }, () => r.int(-128, 127)) : 0;
  const biasSpan = r.pick([0, 1000, 20_000, 2_000_000]);
  const output = randomGrid(r, input.scale);
  return {
    weights: base64(weights),
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

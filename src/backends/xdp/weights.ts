import { PROGRAM_SLOTS } from '../../dataplane/abi.ts';
import { type ByKind, ofKind } from '../../model/by-kind.ts';
import type { AveragePoolLayer, EmbeddingLayer, Window } from '../../model/model.ts';
import { accumulatorRanges } from '../../model/ranges.ts';
import { type Requantiser, requantise } from '../../model/requantiser.ts';
import { elementRange } from '../../model/tensor.ts';
import { tapsInside, windowOutput } from '../../model/window.ts';
import { type BitLayout, rowFactors, WORD_BITS } from '../../passes/bits.ts';
import { inputBias, type LaneLayout } from '../../passes/lanes.ts';
import { clampWindows } from '../../passes/windows.ts';
import { nodeWords, scoreWords } from './emit-forest.ts';
import { tableRows } from './emit-lookup.ts';
import type { ElementwiseKind, ElementwisePlan, LayerPlan, MatrixPlan, XdpPlan } from './plan.ts';

/** One array of the weights' struct. Values are integers of the C type, or of the same width modulo its size. */
export interface WeightArray {
  readonly name: string;
  readonly type: 'u64' | 's16' | 's8' | 'u8';
  readonly values: readonly bigint[];
  readonly description: string;
}

/**
 * Every number of a model that the program reads, in the order of the C struct. The layout follows from the plan alone, so
 * that another version of the model can be packed for a program that is already loaded.
 */
export const weightArrays = (plan: XdpPlan): WeightArray[] => plan.layers.flatMap(layerArrays);

const BYTES = { u64: 8, s16: 2, s8: 1, u8: 1 } as const;

/** Bytes of an array in the struct; each begins at a multiple of 8. */
export const arrayBytes = (a: WeightArray): number => Math.ceil((a.values.length * BYTES[a.type]) / 8) * 8;

/** The struct as the kernel reads it (little-endian). */
export function encodeWeights(plan: XdpPlan): Uint8Array {
  const arrays = weightArrays(plan);
  const bytes = new Uint8Array(arrays.reduce((sum, a) => sum + arrayBytes(a), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const array of arrays) {
    for (const [i, value] of array.values.entries()) {
      const place = at + i * BYTES[array.type];
      if (array.type === 'u64') view.setBigUint64(place, BigInt.asUintN(64, value), true);
      else if (array.type === 's16') view.setInt16(place, Number(value), true);
      else view.setUint8(place, Number(BigInt.asUintN(8, value)));
    }
    at += arrayBytes(array);
  }
  return bytes;
}

/** Bytes of the weights of one version. */
export const weightBytes = (plan: XdpPlan): number =>
  weightArrays(plan).reduce((sum, a) => sum + arrayBytes(a), 0);

/** Versions that a program holds side by side: two of any size, more as far as their memory is no burden. */
export function weightSlots(plan: XdpPlan): number {
  const bytes = weightBytes(plan);
  if (plan.options.weights === 'static' || bytes === 0) return PROGRAM_SLOTS;
  return Math.max(LEAST_SLOTS, Math.min(PROGRAM_SLOTS, Math.floor(SLOTS_BYTES / bytes)));
}

/** The current version and the one that is to follow it. */
const LEAST_SLOTS = 2;
/** Memory that the slots of a program may take together. */
export const SLOTS_BYTES = 16 * 2 ** 20;

/** The arrays of one layer. */
export function layerArrays(p: LayerPlan): WeightArray[] {
  if (p.kind === 'elementwise') return elementwiseArrays(p);
  if (p.lanes === undefined) return plainArrays(p);
  return p.bits === undefined ? laneArrays(p, p.lanes) : bitArrays(p, p.bits, p.lanes);
}

/** Weights of one output in the order of the activations in memory: channels innermost, where the model has them outermost. */
function tapOrder(p: MatrixPlan): number[] {
  const [channels, height, width] =
    p.layer.kind === 'conv2d'
      ? [p.from.channels / p.groups, p.layer.kernel[0], p.layer.kernel[1]]
      : [p.from.channels, p.from.height, p.from.width];
  const order: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) order.push((c * height + y) * width + x);
  return order;
}

/** Bias of the sum over unsigned activations: `sum w*(q - z) + b = sum w*u + (b + (least - z) * sum w)`. */
function unsignedBias(p: MatrixPlan): number[] {
  const shiftIn = inputBias(p.input);
  return Array.from(p.layer.bias, (bias, o) => {
    let sum = 0;
    for (let i = 0; i < p.taps; i++) sum += p.layer.weights[o * p.taps + i]!;
    return bias + shiftIn * sum;
  });
}

const u64 = (name: string, values: readonly bigint[], description: string): WeightArray => ({
  name,
  type: 'u64',
  values,
  description,
});

/**
 * Sums one number a channel into words, lane by lane; modulo 2^64 a negative lane is right once all are added.
 * @param channels of one group; the groups' words stand one after the other
 */
function packWords(
  lanes: LaneLayout,
  groups: number,
  channels: number,
  number: (channel: number) => bigint,
): bigint[] {
  return Array.from({ length: groups * lanes.words }, (_, index) => {
    const group = Math.floor(index / lanes.words);
    const first = (index % lanes.words) * lanes.lanes;
    let sum = 0n;
    for (let lane = 0; lane < lanes.lanes && first + lane < channels; lane++)
      sum += number(group * channels + first + lane) << BigInt(lane * lanes.laneBits);
    return sum;
  });
}

function laneArrays(p: MatrixPlan, lanes: LaneLayout): WeightArray[] {
  const columns = tapOrder(p).map((tap) =>
    packChannels(p, lanes, (channel) => BigInt(p.layer.weights[channel * p.taps + tap]!)),
  );
  // Block after block, so that a pass over the inputs reads its weights in one run.
  const blocks: bigint[] = [];
  let first = 0;
  for (const size of Array.from({ length: p.groups }, () => p.blocks).flat()) {
    for (const column of columns) blocks.push(...column.slice(first, first + size));
    first += size;
  }
  const description = `${p.taps} taps of each block of words (${p.blocks.join(', ')})`;
  return summedArrays(p, lanes, unsignedBias(p), [u64(`layer${p.index}_weights`, blocks, description)]);
}

const packChannels = (p: MatrixPlan, lanes: LaneLayout, number: (channel: number) => bigint): bigint[] =>
  packWords(lanes, p.groups, p.layer.bias.length / p.groups, number);

/** What sums in lanes begin with and are requantised by. @param weights what is added to them */
function summedArrays(
  p: MatrixPlan,
  lanes: LaneLayout,
  start: readonly number[],
  weights: readonly WeightArray[],
): WeightArray[] {
  const numbers = lanes.requantisation === 'window' ? windowNumbers(p, lanes) : scalarNumbers(p);
  const { top } = numbers;
  const packed = (part: string, description: string, number: (channel: number) => number) =>
    u64(
      `layer${p.index}_${part}`,
      packChannels(p, lanes, (c) => BigInt(number(c))),
      description,
    );
  return [
    packed('start', 'what the sums begin with', (c) => start[c]! - numbers.zero[c]!),
    ...(top ? [packed('top', 'largest sum that matters', (c) => top[c]!)] : []),
    ...weights,
    ...requantiserArrays(p, numbers),
  ];
}

/** Numbers of a requantisation, one a channel, as the program wants them. */
interface Numbers {
  readonly multiplier: readonly bigint[];
  readonly offset: readonly bigint[];
  /** Where the value is less, `below` is added to the offset. */
  readonly pivot: readonly bigint[];
  readonly below: readonly bigint[];
  /** What an odd q loses. */
  readonly ties: readonly bigint[];
}

/** Numbers of packed channels. */
interface LaneNumbers extends Numbers {
  /** Accumulator at which the lane holds zero. */
  readonly zero: readonly number[];
  readonly top?: readonly number[];
}

/** The second line stands in the struct only where the program has one. */
function requantiserArrays({ index, below, odd }: LayerPlan, n: Numbers): WeightArray[] {
  const name = (part: string) => `layer${index}_${part}`;
  return [
    u64(name('multiplier'), n.multiplier, 'of the requantisation'),
    u64(name('offset'), n.offset, 'likewise'),
    ...(below
      ? [
          u64(name('pivot'), n.pivot, 'below which the source has a second line'),
          u64(name('below'), n.below, 'what is added there'),
        ]
      : []),
    ...(odd === undefined
      ? []
      : [u64(name('ties'), n.ties, 'what an odd result loses, so that ties go to even')]),
  ];
}

/** Numbers for values that are accumulators less `zero`, scaled as the program scales. */
function lineNumbers(r: Requantiser, shift: number, zero: (channel: number) => number = () => 0): Numbers {
  const scale = 2 ** (shift - r.shift);
  const { below } = r;
  return {
    multiplier: r.multiplier.map((m) => BigInt(m * scale)),
    offset: r.offset.map((x, c) => BigInt((x + zero(c) * r.multiplier[c]!) * scale)),
    pivot: r.offset.map((_, c) => (below === undefined ? 0n : BigInt(below.pivot[c]! - zero(c)))),
    below: r.offset.map((x, c) => (below === undefined ? 0n : BigInt((below.offset[c]! - x) * scale))),
    ties: tieParts(r, scale),
  };
}

const tieParts = ({ offset, ties }: Requantiser, scale: number): bigint[] =>
  offset.map((_, c) => BigInt((ties?.part[c] ?? 0) * scale));

/** The lane holds `2^sign + acc - from`; see ClampWindow. */
function windowNumbers(p: MatrixPlan, lanes: LaneLayout): LaneNumbers {
  const { requantiser: r } = p.layer;
  const windows = clampWindows(r, accumulatorRanges(p.layer, p.input))!;
  const scale = 2 ** (p.shift - r.shift);
  const sign = 2 ** (lanes.laneBits - 1);
  const base = (r.min - elementRange(p.layer.output.element).lo) * 2 ** r.shift;
  /**
   * The clamp leaves the sign bit set. Taking out a lane masks it off, but for the topmost lane, which is only shifted
   * down: there the offset takes it back, modulo 2^64.
   */
  const inGroup = p.layer.bias.length / p.groups;
  const signPart = (channel: number): bigint =>
    (channel % inGroup) % lanes.lanes === lanes.lanes - 1 ? BigInt(sign) : 0n;
  return {
    zero: windows.map((w) => w.from - sign),
    top: windows.map((w) => w.to - w.from + sign),
    multiplier: windows.map((w) => BigInt(w.multiplier * scale)),
    offset: windows.map(
      (w, c) => BigInt((w.offset + base) * scale) - BigInt(w.multiplier * scale) * signPart(c),
    ),
    pivot: windows.map((w, c) => BigInt(w.below?.pivot ?? 0) + signPart(c)),
    below: windows.map((w) => BigInt((w.below?.part ?? 0) * scale)),
    // A channel that never leaves its clamp has no ties.
    ties: windows.map((w, c) => (w.multiplier === 0 ? 0n : tieParts(r, scale)[c]!)),
  };
}

/** The lane holds `acc - lo`, lo the least accumulator. */
function scalarNumbers(p: MatrixPlan): LaneNumbers {
  const zero = accumulatorRanges(p.layer, p.input).map(({ lo }) => lo);
  return { zero, ...lineNumbers(p.layer.requantiser, p.shift, (c) => zero[c]!) };
}

function plainArrays(p: MatrixPlan): WeightArray[] {
  const { requantiser, weights } = p.layer;
  const order = tapOrder(p);
  const values = Array.from(p.layer.bias, (_, o) =>
    order.map((tap) => BigInt(weights[o * p.taps + tap]!)),
  ).flat();
  const name = (part: string) => `layer${p.index}_${part}`;
  return [
    u64(name('start'), unsignedBias(p).map(BigInt), 'what the sums begin with'),
    { name: name('weights'), type: p.narrow ? 's8' : 's16', values, description: `${p.taps} of each output` },
    ...requantiserArrays(p, lineNumbers(requantiser, p.shift)),
  ];
}

/** The signs of an output's weights, in the order of the activations in memory; of ternary ones a mask behind each word. */
function bitWords(p: MatrixPlan, { words, ternary }: BitLayout): bigint[] {
  const order = tapOrder(p);
  const packed: bigint[] = [];
  for (let o = 0; o < p.layer.bias.length; o++)
    for (let word = 0; word < words; word++) {
      let [signs, mask] = [0n, 0n];
      for (const [bit, tap] of order.slice(word * WORD_BITS, (word + 1) * WORD_BITS).entries()) {
        const weight = p.layer.weights[o * p.taps + tap]!;
        if (weight > 0) signs |= 1n << BigInt(bit);
        if (weight !== 0) mask |= 1n << BigInt(bit);
      }
      packed.push(signs, ...(ternary ? [mask] : []));
    }
  return packed;
}

/** Each output's accumulator is `start - factor * count`, count the bits that differ. */
function bitArrays(p: MatrixPlan, bits: BitLayout, lanes: LaneLayout): WeightArray[] {
  const { layer, taps } = p;
  const { least, step } = bits.levels;
  const sizes = rowFactors(layer.weights, layer.bias.length);
  if (sizes === undefined) throw new Error('weights that are not counted');
  const factor = sizes.map((size) => step * size);
  const most = 2 ** bits.planes - 1;
  const start = Array.from(layer.bias, (bias, o) => {
    const row = layer.weights.subarray(o * taps, (o + 1) * taps);
    const sum = row.reduce((a, b) => a + b, 0);
    const ones = row.reduce((count, w) => count + (w > 0 ? 1 : 0), 0);
    return bias + (least - p.input.zeroPoint) * sum + factor[o]! * most * ones;
  });
  const name = (part: string) => `layer${p.index}_${part}`;
  const description = `${bits.words} words of each output${bits.ternary ? ', a mask behind each' : ''}`;
  const weights = u64(name('weights'), bitWords(p, bits), description);
  if (bits.outputs === undefined) {
    const shifted = factor.map((f, o) => BigInt(-f) << BigInt((o % lanes.lanes) * lanes.laneBits));
    const factors = u64(name('factor'), shifted, 'what each bit that differs adds');
    return summedArrays(p, lanes, start, [weights, factors]);
  }
  const upper = bits.outputs.least + bits.outputs.step;
  const limits = start.map((from, o) =>
    stepLimit(most * taps, (count) => requantise(layer.requantiser, o, from - factor[o]! * count) === upper),
  );
  return [weights, u64(name('limit'), limits, 'counts below it give the upper output')];
}

/** The least count that no longer gives the upper output. */
function stepLimit(most: number, isUpper: (count: number) => boolean): bigint {
  let [low, high] = [0, most + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isUpper(middle)) low = middle + 1;
    else high = middle;
  }
  return BigInt(low);
}

const elementwiseArrays = (p: ElementwisePlan): WeightArray[] => ofKind(arraysOf, p.layer, p);

const none = (): WeightArray[] => [];

const nameIn = (p: ElementwisePlan, part: string): string => `layer${p.index}_${part}`;

const arraysOf = {
  add: (layer, p) => [
    u64(nameIn(p, 'multiplier'), layer.multipliers.map(BigInt), 'of either input'),
    u64(nameIn(p, 'offset'), [BigInt(layer.offset)], 'of the requantisation'),
    ...(p.odd === undefined
      ? []
      : [
          u64(
            nameIn(p, 'ties'),
            [BigInt(layer.ties?.part ?? 0)],
            'what an odd result loses, so that ties go to even',
          ),
        ]),
  ],
  lut(layer, p) {
    const { lo } = elementRange(layer.output.element);
    const values = Array.from(layer.table, (q) => BigInt(q - lo));
    return [{ name: nameIn(p, 'table'), type: 'u8', values, description: 'of unsigned activations' }];
  },
  embedding: (layer, p) => embeddingArrays(p, layer),
  averagePool: (layer, p) => requantiserArrays(p, poolNumbers(p, layer)),
  softmax: (layer, p) => [
    u64(
      nameIn(p, 'exponentials'),
      layer.exponentials.map(BigInt),
      'by the distance from the largest of a row',
    ),
    u64(nameIn(p, 'numerators'), layer.numerators.map(BigInt), 'likewise, in steps of the output'),
  ],
  requantise: (layer, p) => requantiserArrays(p, lineNumbers(layer.requantiser, p.shift)),
  mul: (layer, p) => requantiserArrays(p, lineNumbers(layer.requantiser, p.shift)),
  maxPool: none,
  gather: none,
  pad: none,
  transpose: none,
  argmax: none,
  forest: (layer, p) => [
    u64(nameIn(p, 'base'), layer.base.map(BigInt), 'what the scores begin with'),
    u64(nameIn(p, 'shift'), [BigInt(layer.shift)], 'of the margin'),
    u64(
      nameIn(p, 'nodes'),
      nodeWords({ ...p, layer, forest: p.forest! }),
      `${layer.nodes.feature.length} nodes of ${layer.roots.length} trees, roots first`,
    ),
    u64(nameIn(p, 'scores'), scoreWords(layer, p.forest!), `of the leaves, ${layer.base.length} each`),
  ],
} satisfies ByKind<WeightArray[], [p: ElementwisePlan], ElementwiseKind>;

/** Where the divisor depends on the position, each position has its own numbers. */
function poolNumbers(p: ElementwisePlan, layer: AveragePoolLayer): Numbers {
  const n = lineNumbers(layer.requantiser, p.shift);
  if (layer.divisors.length === 1) return n;
  const [, height, width] = p.inputs[0]!.shape as [number, number, number];
  const channels = positionTaps(layer, height, width).map((taps) => layer.divisors.indexOf(taps));
  const each = (numbers: readonly bigint[]) => channels.map((c) => numbers[c]!);
  return {
    multiplier: each(n.multiplier),
    offset: each(n.offset),
    pivot: each(n.pivot),
    below: each(n.below),
    ties: each(n.ties),
  };
}

/** Elements of the image in the window at each position of the output, row-major. */
function positionTaps(w: Window, height: number, width: number): number[] {
  const [rows, columns] = windowOutput(w, height, width);
  return Array.from({ length: rows * columns }, (_, i) => {
    return tapsInside(w, 0, Math.floor(i / columns), height) * tapsInside(w, 1, i % columns, width);
  });
}

/** The table is filled up to as many rows as a cut key can name. */
function embeddingArrays(p: ElementwisePlan, layer: EmbeddingLayer): WeightArray[] {
  const { rows, width, table, requantiser } = layer;
  const room = tableRows(layer) - rows;
  const values = [...Array.from(table, BigInt), ...Array<bigint>(room * width).fill(0n)];
  return [
    {
      name: `layer${p.index}_table`,
      type: p.narrow ? 's8' : 's16',
      values,
      description: `${rows} rows of ${width}, and room for ${room}`,
    },
    ...requantiserArrays(p, lineNumbers(requantiser, p.shift)),
  ];
}

import { accumulatorRanges } from '../../model/ranges.ts';
import { elementRange } from '../../model/tensor.ts';
import { inputBias, type LaneLayout } from '../../passes/lanes.ts';
import { type ClampWindow, clampWindows } from '../../passes/windows.ts';
import type { LayerPlan, MatrixPlan, XdpPlan } from './plan.ts';

/** One array of the weights' struct. Values are integers of the C type, or of the same width modulo its size. */
export interface WeightArray {
  readonly name: string;
  readonly type: 'u64' | 's16' | 's8';
  readonly values: readonly bigint[];
  readonly description: string;
}

/**
 * Every number of a model that the program reads, in the order of the C struct. The layout follows from the plan alone, so
 * that another version of the model can be packed for a program that is already loaded.
 */
export const weightArrays = (plan: XdpPlan): WeightArray[] => plan.layers.flatMap(layerArrays);

const BYTES = { u64: 8, s16: 2, s8: 1 } as const;

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
      else view.setInt8(place, Number(value));
    }
    at += arrayBytes(array);
  }
  return bytes;
}

/** The arrays of one layer. */
export function layerArrays(p: LayerPlan): WeightArray[] {
  if (p.kind === 'elementwise') return elementwiseArrays(p);
  return p.lanes === undefined ? plainArrays(p) : laneArrays(p, p.lanes);
}

/** Weights of one output in the order of the activations in memory: channels innermost, where the model has them outermost. */
function tapOrder(p: MatrixPlan): number[] {
  const [channels, height, width] =
    p.layer.kind === 'conv2d'
      ? [p.from.channels, p.layer.kernel[0], p.layer.kernel[1]]
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

/** Sums one number a channel into words, lane by lane; modulo 2^64 a negative lane is right once all are added. */
function packWords(lanes: LaneLayout, channels: number, number: (channel: number) => bigint): bigint[] {
  return Array.from({ length: lanes.words }, (_, word) => {
    let sum = 0n;
    for (let lane = 0; lane < lanes.lanes; lane++) {
      const channel = word * lanes.lanes + lane;
      if (channel < channels) sum += number(channel) << BigInt(lane * lanes.laneBits);
    }
    return sum;
  });
}

function laneArrays(p: MatrixPlan, lanes: LaneLayout): WeightArray[] {
  const channels = p.layer.bias.length;
  const bias = unsignedBias(p);
  const columns = tapOrder(p).map((tap) =>
    packWords(lanes, channels, (channel) => BigInt(p.layer.weights[channel * p.taps + tap]!)),
  );
  // Block after block, so that a pass over the inputs reads its weights in one run.
  const blocks: bigint[] = [];
  let first = 0;
  for (const size of p.blocks) {
    for (const column of columns) blocks.push(...column.slice(first, first + size));
    first += size;
  }
  const numbers = lanes.requantisation === 'window' ? windowNumbers(p, lanes) : scalarNumbers(p);
  const pack = (number: (channel: number) => number) => packWords(lanes, channels, (c) => BigInt(number(c)));
  const name = (part: string) => `layer${p.index}_${part}`;
  const description = `${p.taps} taps of each block of words (${p.blocks.join(', ')})`;
  return [
    u64(
      name('start'),
      pack((c) => bias[c]! - numbers.zero[c]!),
      'what the sums begin with',
    ),
    ...(numbers.top
      ? [
          u64(
            name('top'),
            pack((c) => numbers.top![c]!),
            'largest sum that matters',
          ),
        ]
      : []),
    u64(name('weights'), blocks, description),
    u64(name('multiplier'), numbers.multiplier, 'of the requantisation'),
    u64(name('offset'), numbers.offset, 'likewise'),
  ];
}

/** Numbers of each channel's requantisation, as the program wants them. */
interface LaneNumbers {
  /** Accumulator at which the lane holds zero. */
  readonly zero: readonly number[];
  readonly top?: readonly number[];
  readonly multiplier: readonly bigint[];
  readonly offset: readonly bigint[];
}

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
  const signPart = (w: ClampWindow, channel: number): bigint =>
    channel % lanes.lanes === lanes.lanes - 1 ? BigInt(w.multiplier * scale) * BigInt(sign) : 0n;
  return {
    zero: windows.map((w) => w.from - sign),
    top: windows.map((w) => w.to - w.from + sign),
    multiplier: windows.map((w) => BigInt(w.multiplier * scale)),
    offset: windows.map((w, c) => BigInt((w.offset + base) * scale) - signPart(w, c)),
  };
}

/** The lane holds `acc - lo`, lo the least accumulator. */
function scalarNumbers(p: MatrixPlan): LaneNumbers {
  const { requantiser: r } = p.layer;
  const ranges = accumulatorRanges(p.layer, p.input);
  const scale = 2 ** (p.shift - r.shift);
  return {
    zero: ranges.map((range) => range.lo),
    multiplier: r.multiplier.map((m) => BigInt(m * scale)),
    offset: r.offset.map((x, c) => BigInt((x + ranges[c]!.lo * r.multiplier[c]!) * scale)),
  };
}

function plainArrays(p: MatrixPlan): WeightArray[] {
  const { requantiser: r, weights } = p.layer;
  const order = tapOrder(p);
  const scale = 2 ** (p.shift - r.shift);
  const values = Array.from(p.layer.bias, (_, o) =>
    order.map((tap) => BigInt(weights[o * p.taps + tap]!)),
  ).flat();
  const name = (part: string) => `layer${p.index}_${part}`;
  return [
    u64(name('start'), unsignedBias(p).map(BigInt), 'what the sums begin with'),
    { name: name('weights'), type: p.narrow ? 's8' : 's16', values, description: `${p.taps} of each output` },
    u64(
      name('multiplier'),
      r.multiplier.map((m) => BigInt(m * scale)),
      'of the requantisation',
    ),
    u64(
      name('offset'),
      r.offset.map((x) => BigInt(x * scale)),
      'likewise',
    ),
  ];
}

function elementwiseArrays(p: LayerPlan & { kind: 'elementwise' }): WeightArray[] {
  const name = (part: string) => `layer${p.index}_${part}`;
  const { layer } = p;
  if (layer.kind === 'add')
    return [
      u64(name('multiplier'), layer.multipliers.map(BigInt), 'of either input'),
      u64(name('offset'), [BigInt(layer.offset)], 'of the requantisation'),
    ];
  if (layer.kind !== 'requantise' && layer.kind !== 'averagePool') return [];
  return [
    u64(name('multiplier'), [BigInt(layer.requantiser.multiplier[0]!)], 'of the requantisation'),
    u64(name('offset'), [BigInt(layer.requantiser.offset[0]!)], 'likewise'),
  ];
}

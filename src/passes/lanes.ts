import { accumulatorRanges, signedBits } from '../model/ranges.ts';
import type { Requantiser } from '../model/requantiser.ts';
import { elementRange, type Interval, type TensorType } from '../model/tensor.ts';
import { type ClampWindow, clampWindows } from './windows.ts';

/**
 * A matrix layer (dense, or the filter bank of a convolution) made ready for packed lanes. Activations are unsigned,
 * `u = q - least q of the type`; the weights stay signed: a word is the sum of `weight << (lane * laneBits)` modulo
 * 2^64, and a start value makes every lane's final sum non-negative, so no lane ever borrows from its neighbour and no
 * correction by the sum of the inputs is needed.
 */
export interface LaneLayout {
  /** Lanes of a word, 1..4. */
  readonly lanes: number;
  readonly laneBits: number;
  readonly words: number;
  /**
   * `window`: all lanes of a word are clamped at once, then scaled (see ClampWindow).
   * `scalar`: each lane is taken out, scaled and clamped.
   */
  readonly requantisation: 'window' | 'scalar';
}

/** What lane packing needs to know of a matrix layer. */
export interface MatrixLayer {
  readonly weights: Int16Array;
  readonly bias: Int32Array;
  readonly requantiser: Requantiser;
}

export interface LaneNeed {
  readonly ranges: readonly Interval[];
  readonly windows: readonly ClampWindow[] | undefined;
}

export const laneNeed = (layer: MatrixLayer, input: TensorType): LaneNeed => {
  const ranges = accumulatorRanges(layer, input);
  return { ranges, windows: clampWindows(layer.requantiser, ranges) };
};

/** Lane width in bits that a channel needs in each mode. */
export function channelLaneBits(need: LaneNeed, channel: number, mode: LaneLayout['requantisation']): number {
  const range = need.ranges[channel]!;
  if (mode === 'scalar') return signedBits({ lo: 0, hi: range.hi - range.lo }) - 1;
  const window = need.windows![channel]!;
  const relative = {
    lo: range.lo - window.from,
    hi: Math.max(range.hi - window.from, window.to - window.from),
  };
  return signedBits(relative);
}

/** Widest lane that all channels together need, and the channel that needs it. */
export function widestLane(
  need: LaneNeed,
  mode: LaneLayout['requantisation'],
): { bits: number; channel: number } {
  let widest = { bits: 0, channel: 0 };
  for (let channel = 0; channel < need.ranges.length; channel++) {
    const bits = channelLaneBits(need, channel, mode);
    if (bits > widest.bits) widest = { bits, channel };
  }
  return widest;
}

/**
 * Chooses the most lanes a 64-bit word can hold without any possible overflow; of two modes with as many lanes, the one
 * that clamps whole words.
 * @pre ranges are exact bounds, @post every lane's sum stays in `[0, 2^laneBits)` for all inputs
 */
export function packLanes(need: LaneNeed): LaneLayout {
  const channels = need.ranges.length;
  for (let lanes = 4; lanes >= 1; lanes--) {
    const laneBits = Math.floor(64 / lanes);
    for (const requantisation of ['window', 'scalar'] as const) {
      if (requantisation === 'window' && need.windows === undefined) continue;
      if (widestLane(need, requantisation).bits <= laneBits)
        return { lanes, laneBits, words: Math.ceil(channels / lanes), requantisation };
    }
  }
  throw new Error('a 32-bit accumulator fits a 64-bit lane');
}

/** Input offset of the unsigned activations: `q - zeroPoint = u + least - zeroPoint`. */
export const inputBias = (input: TensorType): number => elementRange(input.element).lo - input.zeroPoint;

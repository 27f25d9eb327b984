import type { Biases } from '../model/model.ts';
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
  /** Lanes of a word, 1..8. */
  readonly lanes: number;
  readonly laneBits: number;
  /** Of one group: channels of another group read other inputs, and so never share a word. */
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
  readonly bias: Biases;
  readonly requantiser: Requantiser;
}

/** What a lane must hold: ranges of the sums, one a channel, and what of them matters to the requantiser. */
export interface LaneNeed {
  readonly ranges: readonly Interval[];
  readonly windows: readonly ClampWindow[] | undefined;
}

/** The ranges follow from the weights and the element type of the input. */
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

/** Of a channel's requantisation, in multiplies: its share of clamping a word and its scaling; scaling and clamping it alone. */
export const CHANNEL_COST = { window: 3.2, scalar: 4.9 } as const;

/** What a layout costs for each position of a group, in multiplies with their loads as measured (bench/README.md). */
export const lanesCost = ({ words, requantisation }: LaneLayout, taps: number, channels: number): number =>
  words * taps + channels * CHANNEL_COST[requantisation];

/**
 * Lanes of weights that may be replaced by any of 8 bits: narrower ones, which the weights at hand may fit by chance, would
 * refuse the next version. And of others: more would have too few bits for a product of bytes.
 */
export const MOST_LANES = { replaceable: 4, any: 8 } as const;

/** Enough for 32-bit accumulators and their windows, and numbers of lanes stay exact doubles. */
const WIDEST_LANE = 40;

const laneWidth = (lanes: number): number => Math.min(WIDEST_LANE, Math.floor(64 / lanes));

/**
 * Chooses the cheapest lanes of a 64-bit word in which no sum can overflow; of equal ones the widest, which leave most
 * room for other weights. The ranges are those of the weights at hand, so weights of 4 bits get narrow lanes by themselves.
 * @param channels outputs that read the same inputs: of one group
 * @param most lanes of a word
 * @pre ranges are exact bounds, @post every lane's sum stays in `[0, 2^laneBits)` for all inputs
 */
export function packLanes(
  need: LaneNeed,
  taps: number,
  channels = need.ranges.length,
  most: number = MOST_LANES.any,
): LaneLayout {
  let best: LaneLayout | undefined;
  for (const requantisation of ['window', 'scalar'] as const) {
    if (requantisation === 'window' && need.windows === undefined) continue;
    const { bits } = widestLane(need, requantisation);
    for (let lanes = 1; lanes <= most && laneWidth(lanes) >= bits; lanes++) {
      const layout = {
        lanes,
        laneBits: laneWidth(lanes),
        words: Math.ceil(channels / lanes),
        requantisation,
      };
      if (best === undefined || lanesCost(layout, taps, channels) < lanesCost(best, taps, channels))
        best = layout;
    }
  }
  if (best === undefined) throw new Error('a 32-bit accumulator fits a 64-bit lane');
  return best;
}

/** Input offset of the unsigned activations: `q - zeroPoint = u + least - zeroPoint`. */
export const inputBias = (input: TensorType): number => elementRange(input.element).lo - input.zeroPoint;

/**
 * The words of the map `models` (ebpf/intransit_xdp.h): which versions a program holds. The first two are asked for by
 * number, the third is the current one, which version 0 means.
 */
export const NAMED = [0, 1] as const;
export const CURRENT = 2;
export const WORDS = 3;

/** `enum intransit_state`. */
export const wordStates = { ready: 1, otherLayers: 2, noWeights: 3 } as const;
export type WordState = keyof typeof wordStates;

export interface Word {
  readonly modelId: number;
  readonly modelVersion: number;
  readonly slot: number;
  /** Least margin of a verdict that is an answer. */
  readonly threshold: number;
  readonly state: WordState;
}

export const NO_WORD = 0n;

export const encodeWord = (w: Word): bigint =>
  BigInt(w.modelId) |
  (BigInt(w.modelVersion) << 16n) |
  (BigInt(w.slot) << 32n) |
  (BigInt(w.threshold) << 40n) |
  (BigInt(wordStates[w.state]) << 48n);

/** Undefined for the word of no version. */
export function decodeWord(word: bigint): Word | undefined {
  const bits = (at: number, width: number) => Number((word >> BigInt(at)) & ((1n << BigInt(width)) - 1n));
  const state = (Object.keys(wordStates) as WordState[]).find((name) => wordStates[name] === bits(48, 8));
  if (state === undefined) return undefined;
  return {
    modelId: bits(0, 16),
    modelVersion: bits(16, 16),
    slot: bits(32, 8),
    threshold: bits(40, 8),
    state,
  };
}

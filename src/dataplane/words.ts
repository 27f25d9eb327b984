/** Words of the map `models`: which versions a device holds. */
import {
  BUCKET_BITS,
  BUCKET_WORDS,
  BUCKETS,
  bucketFactors,
  type WordField,
  type WordState,
  wordFields,
  wordStates,
} from './abi.ts';

/** What the data plane reads of one version of a model: 64 bits, stored at once. */
export interface Word {
  readonly modelId: number;
  readonly modelVersion: number;
  /** Of the device. */
  readonly slot: number;
  /** Least margin of a verdict that is an answer. */
  readonly threshold: number;
  readonly state: WordState;
  /** Whether it is the version of requests that name none. */
  readonly current: boolean;
  /** Whether its slot has a budget. */
  readonly limited: boolean;
}

/** A place of a bucket that is free. */
export const NO_WORD = 0n;
/** All words of the map. */
export const WORDS = BUCKETS * BUCKET_WORDS;

/** The 64 bits of a word (`wordFields`). */
export const encodeWord = (word: Word): bigint => {
  const values: Readonly<Record<WordField, number>> = {
    ...word,
    state: wordStates[word.state],
    current: Number(word.current),
    limited: Number(word.limited),
    partial: 0,
  };
  return wordFields.reduce((all, { name, at }) => all | (BigInt(values[name]) << BigInt(at)), 0n);
};

/** Undefined for the word of no version. */
export function decodeWord(word: bigint): Word | undefined {
  const value = (name: WordField): number => {
    const { at, bits } = wordFields.find((f) => f.name === name)!;
    return Number((word >> BigInt(at)) & ((1n << BigInt(bits)) - 1n));
  };
  const names = Object.keys(wordStates) as WordState[];
  const state = names.find((name) => wordStates[name] === value('state'));
  if (state === undefined) return undefined;
  return {
    modelId: value('modelId'),
    modelVersion: value('modelVersion'),
    slot: value('slot'),
    threshold: value('threshold'),
    state,
    current: value('current') === 1,
    limited: value('limited') === 1,
  };
}

/** The words among which that of a version is looked for. @param asked version that packets name; 0 is the current one */
export function placesOf(modelId: number, asked: number): readonly number[] {
  const key = modelId | (asked << 16);
  return bucketFactors.flatMap((factor) => {
    const first = (Math.imul(key, factor) >>> (32 - BUCKET_BITS)) * BUCKET_WORDS;
    return Array.from({ length: BUCKET_WORDS }, (_, i) => first + i);
  });
}

/** The version by which a packet asks for what a word holds. */
export const askedFor = ({ current, modelVersion }: Word): number => (current ? 0 : modelVersion);

import { type ElementType, elementRange } from '../../model/tensor.ts';
import { type CoveredLevel, cover, type Pieces } from './cover.ts';

/** Where a table finds what it matches. */
export type KeySource =
  /** An element of the packet as it stands there. */
  | { readonly kind: 'byte'; readonly element: number }
  /** The finished sum of one output of a layer. */
  | { readonly kind: 'sum'; readonly layer: number; readonly output: number };

/**
 * One activation as tables see it: nothing computes it, but the keys of whatever reads it tell its levels apart. So a
 * requantiser, a clamp or any function of one element costs nothing at all.
 */
export interface Activation {
  /** Undefined where it is the same whatever the weights are. */
  readonly source: KeySource | undefined;
  /** Bits of the source. */
  readonly bits: number;
  /** Level by number of the source. */
  readonly pieces: Pieces;
  /** q-value of each level; of an approximated activation a real, what the level stands for in sums. */
  readonly levels: readonly number[];
}

const ELEMENT_BITS = 8;

/** Element `element` of the packet. */
export function byteActivation(type: ElementType, element: number): Activation {
  const { lo } = elementRange(type);
  const values = Array.from({ length: 2 ** ELEMENT_BITS }, (_, byte) => byte);
  // The upper half of the bytes of int8 are its negative numbers.
  const q = (byte: number) => (lo < 0 && byte > 127 ? byte - 256 : byte);
  return {
    source: { kind: 'byte', element },
    bits: ELEMENT_BITS,
    pieces: { starts: values, levels: values },
    levels: values.map(q),
  };
}

/** One level that no table needs to match. */
export const constantActivation = (q: number): Activation => ({
  source: undefined,
  bits: 0,
  pieces: { starts: [0], levels: [0] },
  levels: [q],
});

/** The function of the activation: the same keys, other levels. */
export const mapActivation = (a: Activation, f: (q: number) => number): Activation =>
  mergeLevels({ ...a, levels: a.levels.map(f) });

/** Joins levels of one q-value, and neighbouring pieces of one level. */
function mergeLevels(a: Activation): Activation {
  const levels = [...new Set(a.levels)];
  if (a.source?.kind === 'byte') return { ...a, pieces: relabel(a.pieces, a.levels, levels), levels };
  const merged = relabel(a.pieces, a.levels, levels);
  const kept = merged.levels.flatMap((level, i) => (i > 0 && merged.levels[i - 1] === level ? [] : [i]));
  const pieces = { starts: kept.map((i) => merged.starts[i]!), levels: kept.map((i) => merged.levels[i]!) };
  return { ...a, pieces, levels };
}

const relabel = ({ starts, levels }: Pieces, q: readonly number[], distinct: readonly number[]): Pieces => ({
  starts,
  levels: levels.map((level) => distinct.indexOf(q[level]!)),
});

/**
 * What a table matches to tell the levels apart. A byte is matched exactly, so that its table has the same entries whatever
 * the weights; a sum by prefixes.
 */
export function prefixesOf(activation: Activation): readonly CoveredLevel[] {
  const known = covered.get(activation);
  if (known !== undefined) return known;
  const { source, bits, pieces } = activation;
  const made =
    source?.kind === 'byte' && pieces.starts.length === 2 ** bits
      ? pieces.starts.map((value, i) => ({ value, length: bits, level: pieces.levels[i]! }))
      : cover(bits, pieces);
  covered.set(activation, made);
  return made;
}

/** What has been found: a plan asks for it many times. */
const covered = new WeakMap<Activation, readonly CoveredLevel[]>();

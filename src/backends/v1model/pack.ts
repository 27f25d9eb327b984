import type { ElementType } from '../../model/tensor.ts';
import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, findRuns, type Placement, type Run } from './activations.ts';
import { type Code, lanesOf } from './code.ts';
import { joined } from './emit-matrix.ts';
import { v1model } from './limits.ts';

/** One field of the answer: consecutive elements, first on top. */
export interface Piece {
  readonly width: number;
  readonly value: Expression;
}

/**
 * The answer's payload from the last layer's lanes: one byte an element, in the type's own encoding. Stretches of it are
 * gathered by the cheapest way that their places allow; behind a convolution that is by columns of fields, of which
 * each holds all channels of a pixel.
 */
export function packOutput(code: Code, output: Activations, element: ElementType): Piece[] {
  const { placements, low } = output;
  const columns = new Columns(code, placements);
  const pieces: Piece[] = [];
  let loose: Placement[] = [];
  const flush = () => {
    if (loose.length > 0) pieces.push(encode(gatherElements(loose), low, element));
    loose = [];
  };
  let at = 0;
  while (at < placements.length) {
    const lanes = gatherable(placements, at);
    const column = columns.at(at);
    if (lanes === 1 && column === undefined) {
      loose.push(placements[at++]!);
      if (loose.length === MAX_ELEMENTS) flush();
      continue;
    }
    flush();
    const count = column?.length ?? lanes;
    pieces.push(
      column === undefined
        ? gatherLanes(placements.slice(at, at + count), low, element)
        : encode(columns.gather(column), low, element),
    );
    at += count;
  }
  flush();
  return pieces;
}

/** So that the checksum, which adds pieces to other fields, stays well below the widest field. */
const MAX_PIECE_BITS = 1024;

/** Elements that are shifted to their places: P4's shifts on BMv2 go by 256 bits at most. */
const MAX_ELEMENTS = 32;

/** How many elements from `at` on lie in one run, in order, and few enough for one product. */
function gatherable(placements: readonly Placement[], at: number): number {
  let count = 1;
  for (; at + count < placements.length; count++) {
    const run = findRuns(placements.slice(at, at + count + 1));
    const inOrder = run.length === 1 && run[0]!.members.every((m, i) => m === i);
    if (!inOrder) break;
    const bits = count * run[0]!.pitch + (count + 1) * ELEMENT_BITS;
    const bytes = (count + 1) * ELEMENT_BITS;
    if (bytes > Math.min(run[0]!.pitch, MAX_PIECE_BITS) || bits > v1model.maxWidthBits) break;
  }
  return count;
}

/**
 * A product gathers the lanes of a run: element k times the term k of `sum_k 2^((n-1-k) * pitch + 8 * (n-1-k))` falls on
 * byte `n-1-k` of lane `n - 1`, and no other product falls there, as long as n bytes are no wider than a lane.
 */
function gatherLanes(placements: readonly Placement[], low: number, element: ElementType): Piece {
  const run = findRuns(placements)[0]!;
  const count = placements.length;
  const offsets = placements.map((_, i) => i * run.pitch);
  const base = baseOf(low, element);
  const bits = (count - 1) * run.pitch + count * ELEMENT_BITS;
  let lanes = cast(takeLanes(run, offsets), bits);
  if (base !== 0) lanes = binary(lanes, '+', literal(lanesOf(offsets, BigInt(base)), bits));
  const terms = offsets.map((_, k) => (count - 1 - k) * (run.pitch + ELEMENT_BITS));
  lanes = binary(lanes, '*', literal(lanesOf(terms, 1n), bits));
  return signed(slice(lanes, (count - 1) * run.pitch, count * ELEMENT_BITS), element);
}

function takeLanes(run: Run, offsets: readonly number[]): Expression {
  const bits = offsets.at(-1)! + ELEMENT_BITS;
  const taken = slice(reference(run.field, run.width), run.offset, bits);
  return run.mixed ? binary(taken, '&', literal(lanesOf(offsets, 0xffn), bits)) : taken;
}

/** Elements wherever they are, each by a slice and a shift. */
function gatherElements(placements: readonly Placement[]): Expression {
  const width = placements.length * ELEMENT_BITS;
  const terms = placements.map((p, i) => {
    const byte = slice(reference(p.field, p.width), p.offset, ELEMENT_BITS);
    return shift(cast(byte, width), '<<', (placements.length - 1 - i) * ELEMENT_BITS);
  });
  return joined(terms, '|');
}

/** Consecutive elements that lie at one offset of many fields. */
interface Column {
  readonly fields: readonly string[];
  readonly width: number;
  readonly offset: number;
  readonly pitch: number;
  readonly length: number;
}

/**
 * Columns of fields of one shape: the pixels of an image, whose channels are lanes. Field k is shifted to the place of its
 * bytes, for all channels at once, and as many neighbours as fit a lane share a word; a channel then is a mask a word and one
 * slice of them all. So 512 elements of 8 channels take 14 words and 16 pieces.
 */
class Columns {
  readonly #code: Code;
  readonly #placements: readonly Placement[];
  /** How many columns the fields have. */
  readonly #uses = new Map<string, number>();
  readonly #words = new Map<string, readonly Expression[]>();

  constructor(code: Code, placements: readonly Placement[]) {
    this.#code = code;
    this.#placements = placements;
    for (let at = 0; at < placements.length; ) {
      const column = this.#columnAt(at);
      const key = keyOf(column);
      this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
      at += column.length;
    }
  }

  /** The column that begins there, if its words serve others too: for one alone they are not worth their fields. */
  at(start: number): Column | undefined {
    const column = this.#columnAt(start);
    const shared = (this.#uses.get(keyOf(column)) ?? 0) > 1;
    return column.length > 1 && perWord(column) > 1 && shared ? column : undefined;
  }

  #columnAt(start: number): Column {
    const { offset, pitch, width } = this.#placements[start]!;
    const room = Math.floor((v1model.maxWidthBits - width) / ELEMENT_BITS);
    const most = Math.max(1, Math.min(MAX_ELEMENTS, room));
    const fields = new Set<string>();
    for (const p of this.#placements.slice(start, start + most)) {
      const alike = p.offset === offset && p.pitch === pitch && p.width === width;
      if (!alike || fields.has(p.field)) break;
      fields.add(p.field);
    }
    return { fields: [...fields], width, offset, pitch, length: fields.size };
  }

  gather(column: Column): Expression {
    const { offset, length } = column;
    const per = perWord(column);
    const words = this.#wordsOf(column).map((word, i) => {
      const count = Math.min(per, length - i * per);
      const ones = (1n << BigInt(count * ELEMENT_BITS)) - 1n;
      const lowest = offset + (length - i * per - count) * ELEMENT_BITS;
      return binary(word, '&', literal(ones << BigInt(lowest), word.width));
    });
    return slice(joined(words, '|'), offset, length * ELEMENT_BITS);
  }

  #wordsOf(column: Column): readonly Expression[] {
    const { fields, width, length } = column;
    const key = keyOf(column);
    const made = this.#words.get(key);
    if (made !== undefined) return made;
    const per = perWord(column);
    const wide = width + length * ELEMENT_BITS;
    const terms = fields.map((field, k) =>
      shift(cast(reference(field, width), wide), '<<', (length - 1 - k) * ELEMENT_BITS),
    );
    const words = Array.from({ length: Math.ceil(length / per) }, (_, i) => {
      const word = this.#code.field(`out${this.#words.size}_${i}`, wide);
      this.#code.assign(word, joined(terms.slice(i * per, (i + 1) * per), '|'));
      return word;
    });
    this.#words.set(key, words);
    return words;
  }
}

const keyOf = ({ fields, pitch }: Column): string => `${pitch}:${fields.join()}`;

/** Neighbours whose bytes fit side by side in one lane. */
const perWord = ({ pitch }: Column): number => Math.floor(pitch / ELEMENT_BITS);

/** int8 goes through offset binary, `q + 128`, which never leaves eight bits, and then has its top bit turned. */
const baseOf = (low: number, element: ElementType): number => (element === 'int8' ? low + 128 : low);

/** Bytes `u = q - low`, side by side, as those of the type. */
function encode(bytes: Expression, low: number, element: ElementType): Piece {
  const base = baseOf(low, element);
  const offsets = Array.from({ length: bytes.width / ELEMENT_BITS }, (_, i) => i * ELEMENT_BITS);
  const moved = base === 0 ? bytes : binary(bytes, '+', literal(lanesOf(offsets, BigInt(base)), bytes.width));
  return signed(moved, element);
}

function signed(bytes: Expression, element: ElementType): Piece {
  const { width } = bytes;
  const signs = literal(BigInt(`0x${'80'.repeat(width / ELEMENT_BITS)}`), width);
  return { width, value: element === 'int8' ? binary(bytes, '^', signs) : bytes };
}

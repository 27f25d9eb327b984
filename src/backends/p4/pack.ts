import type { ElementType } from '../../model/tensor.ts';
import { v1model } from '../../targets/v1model.ts';
import { binary, cast, type Expression, literal, reference, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, findRuns, type Placement, type Run } from './activations.ts';
import { lanesOf } from './code.ts';

/** One field of the answer: consecutive elements, first on top. */
export interface Piece {
  readonly width: number;
  readonly value: Expression;
}

/**
 * The answer's payload from the last layer's lanes: one byte an element, in the type's own encoding. A product gathers
 * the lanes of a run: element k times the term k of `sum_k 2^((n-1-k) * pitch + 8 * (n-1-k))` falls on byte `n-1-k` of
 * lane `n - 1`, and no other product falls there, as long as n bytes are no wider than a lane.
 */
export function packOutput(output: Activations, element: ElementType): Piece[] {
  const pieces: Piece[] = [];
  const { placements } = output;
  let at = 0;
  while (at < placements.length) {
    const count = gatherable(placements, at);
    pieces.push(gather(placements.slice(at, at + count), output.low, element));
    at += count;
  }
  return pieces;
}

/** So that the checksum, which adds pieces to other fields, stays well below the widest field. */
const MAX_PIECE_BITS = 1024;

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
 * Bytes from `u = q - low`. int8 goes through offset binary, `q + 128`, which never leaves eight bits, and then has its
 * top bit turned.
 */
function gather(placements: readonly Placement[], low: number, element: ElementType): Piece {
  const run = findRuns(placements)[0]!;
  const count = placements.length;
  const offsets = placements.map((_, i) => i * run.pitch);
  const base = element === 'int8' ? low + 128 : low;
  const bits = (count - 1) * run.pitch + count * ELEMENT_BITS;
  let lanes = cast(takeLanes(run, offsets), bits);
  if (base !== 0) lanes = binary(lanes, '+', literal(lanesOf(offsets, BigInt(base)), bits));
  if (count > 1) {
    const terms = offsets.map((_, k) => (count - 1 - k) * (run.pitch + ELEMENT_BITS));
    lanes = binary(lanes, '*', literal(lanesOf(terms, 1n), bits));
  }
  const width = count * ELEMENT_BITS;
  const bytes = slice(lanes, (count - 1) * run.pitch, width);
  const signs = literal(BigInt(`0x${'80'.repeat(count)}`), width);
  return { width, value: element === 'int8' ? binary(bytes, '^', signs) : bytes };
}

function takeLanes(run: Run, offsets: readonly number[]): Expression {
  const bits = offsets.at(-1)! + ELEMENT_BITS;
  const taken = slice(reference(run.field, run.width), run.offset, bits);
  return run.mixed ? binary(taken, '&', literal(lanesOf(offsets, 0xffn), bits)) : taken;
}

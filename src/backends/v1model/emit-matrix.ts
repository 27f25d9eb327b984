import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { ELEMENT_BITS, type Placement, type Run } from './activations.ts';
import { type Code, fieldName, lanesOf } from './code.ts';
import {
  crossRanges,
  groupsOf,
  type LaneWords,
  type MatrixSpec,
  readsAnyOf,
  rowOffset,
  rowRange,
  sidedRange,
} from './lane-words.ts';

/** Where one application of a matrix finds its columns, and which elements its rows make. */
export interface MatrixPosition {
  /** Key of its constants. */
  readonly kind: string;
  /** By run of the spec; undefined where the columns are padding. */
  readonly runs: readonly (Run | undefined)[];
}

type Word = LaneWords['words'][number];

/** The clamps and the shift of one word: which lanes are rows, and what may happen in them. */
export interface Requantisation {
  readonly layout: LaneWords;
  readonly offsets: readonly number[];
  readonly shift: number;
  readonly span: number;
  /** Whether any z may be negative, or beyond the clamp's upper end. */
  readonly below: boolean;
  readonly above: boolean;
}

/** A number of the model: in the entry, or in the program. */
export type Constants = (name: string, width: number, value: bigint) => Expression;

/** Parameters of the weights' entry where they may be replaced at run time, else literals of the program. */
export const constantsOf =
  (code: Code, runtime: boolean): Constants =>
  (name, width, value) =>
    runtime ? code.parameter(name, width, BigInt.asUintN(width, value)) : literal(value, width);

/**
 * One matrix at all its positions: a sum of products and a requantisation a word.
 * @returns for each position the rows' placements
 * @post every field is zero outside of its rows' eight bits
 */
export function emitMatrix(
  code: Code,
  name: string,
  spec: MatrixSpec,
  layout: LaneWords,
  positions: readonly MatrixPosition[],
  runtime: boolean,
): Placement[][] {
  const constant = constantsOf(code, runtime);
  const placements: Placement[][] = positions.map(() => []);
  for (const [w, word] of layout.words.entries()) {
    const requantisation = requantisationOf(spec, layout, word, runtime);
    const groups = spec.runs.map((run) => groupsOf(run.columns, layout.group));
    const starts = startWords(spec, layout, word);
    const weights = weightWords(spec, layout, word);
    for (const [p, position] of positions.entries()) {
      const field = code.field(positions.length === 1 ? `${name}_${w}` : `${name}_${p}_${w}`, word.width);
      const terms = [constant(`start${position.kind}_${w}`, word.width, starts.get(position.kind)!)];
      for (const [r, run] of position.runs.entries()) {
        if (run === undefined) continue;
        for (const [g, value] of weights[r]!.entries()) {
          if (!readsAnyOf(spec, word, groups[r]![g]!)) continue;
          const weight = constant(`w${r}_${g}_${w}`, word.width, value);
          const group = cast(takeGroup(run, g, layout.group), word.width);
          terms.push(binary(group, '*', weight));
        }
      }
      code.assign(field, joined(terms, '+'));
      emitSides(code, field, w, spec, word, requantisation, constant);
      emitTies(code, field, w, spec, word, requantisation, constant);
      placements[p]!.push(...emitRequantisation(code, field, requantisation));
    }
  }
  return placements;
}

/**
 * A balanced tree: as many operations as a chain, but p4c's time and the size of its JSON grow with the depth.
 */
export function joined(terms: readonly Expression[], operator: '+' | '|'): Expression {
  if (terms.length === 1) return terms[0]!;
  const half = Math.ceil(terms.length / 2);
  return binary(joined(terms.slice(0, half), operator), operator, joined(terms.slice(half), operator));
}

/** The group's activations, as far apart as they lie in their field. */
function takeGroup(run: Run, group: number, size: number): Expression {
  const first = group * size;
  const count = Math.min(size, run.members.length - first);
  const bits = (count - 1) * run.pitch + ELEMENT_BITS;
  const taken = slice(reference(run.field, run.width), run.offset + first * run.pitch, bits);
  if (count === 1 || !run.mixed) return taken;
  const offsets = Array.from({ length: count }, (_, i) => i * run.pitch);
  return binary(taken, '&', literal(lanesOf(offsets, 0xffn), bits));
}

/** The word of weights of each group of each run: see LaneWords. */
export function weightWords(spec: MatrixSpec, layout: LaneWords, word: Word): bigint[][] {
  const laneBits = BigInt(layout.laneBits);
  return spec.runs.map((run) =>
    groupsOf(run.columns, layout.group).map((columns) => {
      let value = 0n;
      for (let row = word.rows - 1; row >= 0; row--)
        for (let lane = layout.group - 1; lane >= 0; lane--) {
          const column = columns[layout.group - 1 - lane];
          const weight = column === undefined ? 0 : spec.coefficient(word.firstRow + row, column);
          value = (value << laneBits) + BigInt(weight);
        }
      return value;
    }),
  );
}

/**
 * Start words by kind of position: each row's constant and its guard (which so stays 1 while z is not negative), and in the lanes between what keeps the cross terms from ever borrowing.
 */
export function startWords(spec: MatrixSpec, layout: LaneWords, word: Word): ReadonlyMap<string, bigint> {
  const guard = 1n << BigInt(layout.laneBits - 2);
  const cross = Array.from({ length: word.rows }, (_, row) =>
    layout.group === 1 ? [] : crossRanges(spec, layout.group, word.firstRow + row),
  );
  return new Map(
    [...spec.constants].map(([kind, constants]) => {
      let value = 0n;
      for (let row = 0; row < word.rows; row++) {
        const own = rowOffset(layout, row);
        value += (guard + BigInt(constants[word.firstRow + row]!)) << BigInt(own);
        for (const [lane, { lo }] of cross[row]!.entries())
          value += BigInt(-lo) << BigInt(own - (layout.group - 1 - lane) * layout.laneBits);
      }
      return [kind, value];
    }),
  );
}

/**
 * `z = y + least + (step, on one side of 0)` in all lanes at once: y's guard tells its sides apart, and times `2^(L - 2) - 1`
 * it is a mask of the lane.
 */
export function emitSides(
  code: Code,
  field: Expression,
  index: number,
  spec: MatrixSpec,
  word: Word,
  { layout, offsets }: Requantisation,
  constant: Constants,
): void {
  const { sides } = spec;
  if (sides === undefined) return;
  const { width } = field;
  const bits = layout.laneBits - 2;
  const lanes = (name: string, value: (row: number) => bigint) => {
    const values = offsets.map((offset, row) => value(word.firstRow + row) << BigInt(offset));
    return constant(
      `${name}_${index}`,
      width,
      values.reduce((a, b) => a + b, 0n),
    );
  };
  const above = binary(shift(field, '>>', bits), '&', literal(lanesOf(offsets, 1n), width));
  const flips = lanes('flip', (row) => (sides.flipped[row] ? 1n : 0n));
  const none = flips.kind === 'literal' && flips.value === 0n;
  const stepped = none ? above : binary(above, '^', flips);
  const mask = binary(stepped, '*', literal((1n << BigInt(bits)) - 1n, width));
  const step = binary(
    mask,
    '&',
    lanes('step', (row) => BigInt(sides.step[row]!)),
  );
  const least = lanes('least', (row) => BigInt(sides.least[row]!));
  code.assign(field, binary(binary(field, '+', least), '+', step));
}

/**
 * `z - (part, where floor(z / 2^shift) is odd)` in all lanes at once. A lane is not negative, by its guard, which is even
 * in units of `2^shift`.
 */
export function emitTies(
  code: Code,
  field: Expression,
  index: number,
  spec: MatrixSpec,
  word: Word,
  { layout, offsets, shift: bits }: Requantisation,
  constant: Constants,
): void {
  const { ties } = spec;
  if (ties === undefined) return;
  const { width } = field;
  const ones = literal(lanesOf(offsets, 1n), width);
  const last = binary(shift(field, '>>', bits), '&', ones);
  const odd = ties.odd === 1 ? last : binary(last, '^', ones);
  const mask = binary(odd, '*', literal((1n << BigInt(layout.laneBits - 2)) - 1n, width));
  const parts = offsets.map((offset, row) => BigInt(ties.part[word.firstRow + row]!) << BigInt(offset));
  const part = constant(
    `ties_${index}`,
    width,
    parts.reduce((a, b) => a + b, 0n),
  );
  code.assign(field, binary(field, '-', binary(mask, '&', part)));
}

/** Weights that may be replaced may reach any part of the clamp. */
export function requantisationOf(
  spec: MatrixSpec,
  layout: LaneWords,
  word: Word,
  runtime: boolean,
): Requantisation {
  const ranges = Array.from({ length: word.rows }, (_, row) => {
    const index = word.firstRow + row;
    return sidedRange(spec, index, rowRange(spec, index));
  });
  return {
    layout,
    offsets: ranges.map((_, row) => rowOffset(layout, row)),
    shift: spec.shift,
    span: spec.span,
    below: runtime || ranges.some((r) => r.lo < 0),
    above: runtime || ranges.some((r) => r.hi >= (spec.span + 1) * 2 ** spec.shift),
  };
}

/**
 * `field = clamp(z >> shift, 0, span)` in all lanes at once, without a comparison: the guard tells whether z is negative,
 * and `z - end` carries into the bit above it where z is beyond the clamp. Each of these bits, times 255, is a mask of the
 * lane's element. The field is read, but assigned only once: that costs BMv2 as much as ten operations.
 * @returns the rows' placements
 */
export function emitRequantisation(code: Code, field: Expression, r: Requantisation): Placement[] {
  const { width } = field;
  const { laneBits } = r.layout;
  const lanes = (value: bigint) => literal(lanesOf(r.offsets, value), width);
  const bitOf = (value: Expression, bit: number) => binary(shift(value, '>>', bit), '&', lanes(1n));
  const times = (bits: Expression, factor: number) => binary(bits, '*', literal(factor, width));

  const elements = r.below ? times(bitOf(field, laneBits - 2), 0xff) : lanes(0xffn);
  const pitch = r.layout.group * laneBits;
  const placements = r.offsets.map((offset) => ({ field: fieldName(field), width, offset, pitch }));
  const value = binary(shift(field, '>>', r.shift), '&', elements);
  if (!r.above) {
    code.assign(field, value);
    return placements;
  }
  // The guard is worth 2^(laneBits - 2), and so is what end lacks to the carry.
  const end = BigInt(r.span + 1) << BigInt(r.shift);
  const beyond = bitOf(binary(field, '+', lanes((1n << BigInt(laneBits - 2)) - end)), laneBits - 1);
  const saturated = binary(value, '|', times(beyond, 0xff));
  if (r.span === 0xff) code.assign(field, saturated);
  else code.assign(field, binary(saturated, '-', times(beyond, 0xff - r.span)));
  return placements;
}

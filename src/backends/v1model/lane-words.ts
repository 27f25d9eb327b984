import { signedBits } from '../../model/ranges.ts';
import type { Ties } from '../../model/requantiser.ts';
import type { Interval } from '../../model/tensor.ts';
import { ELEMENT_BITS } from './activations.ts';
import { v1model } from './limits.ts';

/**
 * A matrix of exact integers that acts on unsigned activations, made ready for packed lanes.
 *
 * The requantiser's multiplier is folded into the weights, so a row's sum is already what the shift is applied to:
 * `z = constant + sum coefficient[row][column] * u[column]` with `coefficient = weight * multiplier`, and
 * `q - min = clamp(floor(z / 2^shift), 0, span)`.
 */
export interface MatrixSpec {
  readonly rows: number;
  /**
   * Columns that arrive together, each list one run of a field, and the run's pitch in bits. Where the same matrix acts
   * on many positions of an image, every position has runs of these shapes.
   */
  readonly runs: readonly { readonly columns: readonly number[]; readonly pitch: number }[];
  coefficient(row: number, column: number): number;
  /** Whether the row has a weight at the column at all, whatever number it is; absent where all have. */
  reads?(row: number, column: number): boolean;
  /** Largest `u` of the input. */
  readonly inputMax: number;
  /** Each row's constant, by kind of position: at the image's border some columns are absent. */
  readonly constants: ReadonlyMap<string, readonly number[]>;
  readonly shift: number;
  /** `max - min` of the clamp. */
  readonly span: number;
  /** Where the requantiser has two lines: the sum is then y, and z follows from it. */
  readonly sides?: Sides;
  /** Where ties go to even: a part a row. */
  readonly ties?: Ties;
}

/**
 * Two lines of one slope, by row, for `y = (acc - pivot) * multiplier`: `z = y + least + (y >= 0 ? step : 0)`, or with `y < 0` as
 * the condition where flipped. So that `step` is never negative.
 */
export interface Sides {
  readonly least: readonly number[];
  readonly step: readonly number[];
  readonly flipped: readonly boolean[];
}

/**
 * How the rows lie in words. A group of `group` activations, `laneBits` apart, is multiplied at once: the product of
 * `sum_j u[j] * 2^(j*L)` and `sum_j w[j] * 2^((group-1-j)*L)` holds the wanted sum in lane `group - 1`, and cross terms
 * in the others. So a row takes `group` lanes, of which the topmost is its own.
 */
export interface LaneWords {
  readonly laneBits: number;
  readonly group: number;
  /** Rows of each word. */
  readonly words: readonly { readonly firstRow: number; readonly rows: number; readonly width: number }[];
  /** Bits that a lane must have at least. */
  readonly needBits: number;
  /** Of the matrix that it was made for; part of the program. */
  readonly shift: number;
  readonly span: number;
  readonly twoSided: boolean;
  /** Where ties go to even, the bit of those that lose them. */
  readonly odd: 0 | 1 | undefined;
  /** Estimated ns of one position, for choosing among layouts. */
  readonly cost: number;
}

/** Offset of the row's own lane in its word. */
export const rowOffset = (layout: LaneWords, rowInWord: number): number =>
  (rowInWord * layout.group + layout.group - 1) * layout.laneBits;

/** Widest group that is considered; beyond it words only get wider. */
const MAX_GROUP = 12;

interface LayoutOptions {
  /** Least lane width, so that the next layer can take several of our lanes at once. */
  readonly floor: number;
  /** Rows of a word at most; 1 switches packing off. */
  readonly maxRows: number;
  /** Bits of a lane beyond what this matrix needs, for others that may replace it. */
  readonly headroom: number;
}

/** The cheapest layout of all that are exact. */
export function chooseLayout(spec: MatrixSpec, { floor, maxRows, headroom }: LayoutOptions): LaneWords {
  const need = rowBits(spec) + headroom;
  const pitches = new Set(spec.runs.filter((r) => r.columns.length > 1).map((r) => r.pitch));
  const single = layoutOf(spec, 1, Math.max(floor, need), maxRows);
  const pitch = pitches.size === 1 ? [...pitches][0]! : 0;
  let best = single;
  for (let group = 2; group <= MAX_GROUP && maxRows > 1; group++) {
    if (pitch < need || pitch * group > v1model.maxWidthBits) break;
    if (pitch < crossBits(spec, group) + headroom) continue;
    const layout = layoutOf(spec, group, pitch, maxRows);
    if (layout.cost < best.cost) best = layout;
  }
  return best;
}

function layoutOf(spec: MatrixSpec, group: number, laneBits: number, maxRows: number): LaneWords {
  const fit = Math.floor(v1model.maxWidthBits / (group * laneBits));
  const perWord = Math.max(1, Math.min(fit, maxRows));
  const words: { firstRow: number; rows: number; width: number }[] = [];
  for (let firstRow = 0; firstRow < spec.rows; firstRow += perWord) {
    const rows = Math.min(perWord, spec.rows - firstRow);
    // Headers of BMv2 are whole bytes.
    words.push({ firstRow, rows, width: Math.ceil((rows * group * laneBits) / 8) * 8 });
  }
  const { shift, span } = spec;
  const twoSided = spec.sides !== undefined;
  const odd = spec.ties?.odd;
  const layout = { laneBits, group, words, needBits: rowBits(spec), shift, span, twoSided, odd };
  return { ...layout, cost: costOf(spec, layout) };
}

/**
 * The same function at a larger shift: all numbers times a power of two. So a program serves every matrix whose shift
 * is at most its own.
 */
export function atShift(spec: MatrixSpec, shift: number): MatrixSpec {
  const factor = 2 ** (shift - spec.shift);
  if (factor === 1) return spec;
  const scaled = (list: readonly number[]) => list.map((c) => c * factor);
  const { sides, ties } = spec;
  return {
    ...spec,
    shift,
    coefficient: (row, column) => spec.coefficient(row, column) * factor,
    constants: new Map([...spec.constants].map(([kind, list]) => [kind, scaled(list)])),
    ...(sides && { sides: { ...sides, least: scaled(sides.least), step: scaled(sides.step) } }),
    ...(ties && { ties: { ...ties, part: scaled(ties.part) } }),
  };
}

/** The spec as a program of this layout computes it: one line is two without a step between them, or without ties. */
export function atLayout(spec: MatrixSpec, { shift, twoSided, odd }: LaneWords): MatrixSpec {
  const scaled = atShift(spec, shift);
  const zeros = new Array<number>(spec.rows).fill(0);
  const none = { least: zeros, step: zeros, flipped: zeros.map(() => false) };
  return {
    ...scaled,
    ...(twoSided && spec.sides === undefined && { sides: none }),
    ...(odd !== undefined && spec.ties === undefined && { ties: { part: zeros, odd } }),
  };
}

/**
 * Why another matrix cannot take the place of the one that a layout was made for; undefined if it can.
 * @pre both belong to layers of one shape
 */
export function misfit(spec: MatrixSpec, layout: LaneWords): string | undefined {
  if (spec.span !== layout.span) return `its clamp spans ${spec.span} steps, the program's ${layout.span}`;
  if (spec.shift > layout.shift) return `it shifts by ${spec.shift} bits, the program by ${layout.shift}`;
  if (spec.sides !== undefined && !layout.twoSided)
    return 'its requantiser has an offset of its own below a pivot, the program has none';
  if (spec.ties !== undefined && spec.ties.odd !== layout.odd)
    return 'its ties go to even numbers, those of the program do not; a program made for these weights takes both kinds';
  const scaled = atLayout(spec, layout);
  const bits = Math.max(rowBits(scaled), layout.group === 1 ? 0 : crossBits(scaled, layout.group));
  return bits > layout.laneBits
    ? `it needs lanes of ${bits} bits, the program has ${layout.laneBits}`
    : undefined;
}

/** Measured on BMv2 1.15: ns of one operation of an expression, and of each 64-bit limb that it handles. */
const OPERATION_NS = 20;
const LIMB_NS = 0.8;
const PRODUCT_LIMB_NS = 0.5;
/** ns of storing a field, and of each byte of it. */
const STORE_NS = 150;
const STORE_BYTE_NS = 1.5;
/** Operations of one multiply-add: the product, the sum, and the masks that p4c puts behind both. */
const MULTIPLY_ADD = 4;
/** Operations of taking a group out of its field: shift, slice, cast and p4c's masks. */
const TAKE = 4;
const REQUANTISE = 16;
const REQUANTISE_STORES = 2;
/** Of the second line. */
const SIDES = 9;
const SIDES_STORES = 1;
/** Of ties to even. */
const TIES = 7;
const TIES_STORES = 1;

function costOf(spec: MatrixSpec, layout: Omit<LaneWords, 'cost'>): number {
  let cost = 0;
  const toEven = layout.odd !== undefined;
  const requantise = REQUANTISE + (layout.twoSided ? SIDES : 0) + (toEven ? TIES : 0);
  const stores = REQUANTISE_STORES + (layout.twoSided ? SIDES_STORES : 0) + (toEven ? TIES_STORES : 0);
  const inputLimbs = Math.ceil((layout.group * layout.laneBits) / 64);
  for (const word of layout.words) {
    const { width } = word;
    const groups = groupsRead(spec, layout.group, word);
    const limbs = Math.ceil(width / 64);
    const operation = OPERATION_NS + LIMB_NS * limbs;
    const product = layout.group === 1 ? 0 : (inputLimbs - 1) * limbs * PRODUCT_LIMB_NS;
    cost += groups * (TAKE * OPERATION_NS + MULTIPLY_ADD * operation + product);
    cost += requantise * operation + stores * storeCost(width);
  }
  return cost;
}

const storeCost = (width: number): number => STORE_NS + (STORE_BYTE_NS * width) / 8;

/** Sums of the negative and of the positive coefficients that one lane may collect. */
function span(coefficients: Iterable<number>): Interval {
  let lo = 0;
  let hi = 0;
  for (const c of coefficients) {
    if (c < 0) lo += c;
    else hi += c;
  }
  return { lo, hi };
}

/** What each row has, found once: each layout that is tried asks for all of them. */
function ofRows<T>(find: (spec: MatrixSpec) => readonly T[]): (spec: MatrixSpec, row: number) => T {
  const known = new WeakMap<MatrixSpec, readonly T[]>();
  return (spec, row) => {
    let rows = known.get(spec);
    if (rows === undefined) {
      rows = find(spec);
      known.set(spec, rows);
    }
    return rows[row]!;
  };
}

/** Exact bounds of a row's z over all inputs and kinds of position; absent columns count as zero. */
export const rowRange = ofRows((spec): Interval[] => {
  const columns = spec.runs.flatMap((run) => run.columns);
  const constants = [...spec.constants.values()];
  return Array.from({ length: spec.rows }, (_, row) => {
    const { lo, hi } = span(columns.map((column) => spec.coefficient(row, column)));
    const own = constants.map((c) => c[row]!);
    return {
      lo: Math.min(...own) + lo * spec.inputMax,
      hi: Math.max(...own) + hi * spec.inputMax,
    };
  });
});

/** Exact bounds of a row's z behind the second line and without what ties lose, from those of its y. */
export function sidedRange({ sides, ties }: MatrixSpec, row: number, { lo, hi }: Interval): Interval {
  // A form has either.
  if (sides === undefined) return { lo: lo - (ties?.part[row] ?? 0), hi };
  const [least, step, flipped] = [sides.least[row]!, sides.step[row]!, sides.flipped[row]!];
  const ends = [
    ...(lo < 0 ? [lo, Math.min(hi, -1)].map((y) => y + least + (flipped ? step : 0)) : []),
    ...(hi >= 0 ? [Math.max(lo, 0), hi].map((y) => y + least + (flipped ? 0 : step)) : []),
  ];
  return { lo: Math.min(...ends), hi: Math.max(...ends) };
}

/**
 * Whether all sums are integers that doubles hold: a far clamp times a large shift may lie beyond them. A row that is
 * constant is a multiple of `2^shift`, and as such exact.
 */
export function isExact(spec: MatrixSpec): boolean {
  return Array.from({ length: spec.rows }, (_, row) => row).every((row) => {
    const sum = rowRange(spec, row);
    if (sum.lo === sum.hi) return true;
    const sided = sidedRange(spec, row, sum);
    const constants = [...spec.constants.values()].map((list) => list[row]!);
    const sides = [spec.sides?.least[row] ?? 0, spec.sides?.step[row] ?? 0];
    return [...constants, ...sides, sum.lo, sum.hi, sided.lo, sided.hi].every(Number.isSafeInteger);
  });
}

/**
 * Bits of a lane: z, the guard above it, which is 1 where z is not negative, and one for the carry of the comparison with
 * the clamp's end. Below the guard there is room for an element before the shift: that holds the end itself too.
 */
function rowBits(spec: MatrixSpec): number {
  let bits = spec.shift + ELEMENT_BITS + 1;
  for (let row = 0; row < spec.rows; row++) {
    const sum = rowRange(spec, row);
    const step = { lo: 0, hi: spec.sides?.step[row] ?? 0 };
    bits = Math.max(bits, signedBits(sum), signedBits(sidedRange(spec, row, sum)), signedBits(step));
  }
  return bits + 1;
}

/** Groups of columns, as the multiply takes them. */
export const groupsOf = (columns: readonly number[], group: number): number[][] =>
  Array.from({ length: Math.ceil(columns.length / group) }, (_, i) =>
    columns.slice(i * group, (i + 1) * group),
  );

/** Whether any row of the word has a weight at any of the columns. */
export const readsAnyOf = (
  { reads }: MatrixSpec,
  { firstRow, rows }: LaneWords['words'][number],
  columns: readonly number[],
): boolean =>
  reads === undefined ||
  columns.some((c) => {
    for (let row = firstRow; row < firstRow + rows; row++) if (reads(row, c)) return true;
    return false;
  });

/** Groups of columns that a word multiplies by at one position without padding. */
export const groupsRead = (spec: MatrixSpec, group: number, word: LaneWords['words'][number]): number =>
  spec.runs.reduce(
    (n, run) => n + groupsOf(run.columns, group).filter((c) => readsAnyOf(spec, word, c)).length,
    0,
  );

/** A coefficient that is not 0, and which column of its run it is at, of how many. */
interface Weight {
  readonly at: number;
  readonly of: number;
  readonly coefficient: number;
}

/** Most rows of a requantiser have a single one. */
const rowWeights = ofRows((spec): (readonly Weight[])[] =>
  Array.from({ length: spec.rows }, (_, row) =>
    spec.runs.flatMap(({ columns }) =>
      columns.flatMap((column, at) => {
        const coefficient = spec.coefficient(row, column);
        return coefficient === 0 ? [] : [{ at, of: columns.length, coefficient }];
      }),
    ),
  ),
);

/**
 * Bounds of what the row has with the members of a group, by their distance from its end.
 * @param isWhole from where a whole group ends; else from the last column that there is
 */
function memberSpans(spec: MatrixSpec, group: number, row: number, isWhole: boolean): readonly Interval[] {
  const spans = Array.from({ length: group }, () => ({ lo: 0, hi: 0 }));
  if (row < 0) return spans;
  for (const { at, of, coefficient } of rowWeights(spec, row)) {
    const member = at % group;
    const length = isWhole ? group : Math.min(group, of - (at - member));
    const span = spans[length - 1 - member]!;
    if (coefficient < 0) span.lo += coefficient;
    else span.hi += coefficient;
  }
  return spans;
}

/**
 * Bounds of the lanes between the rows' own ones, by lane. In lane `l` activation `j` of a group meets the row's own weight of member
 * `group - 1 - l + j`, and above that the row below's of member `j - l - 1`, as far as there are such members.
 */
export function crossRanges(spec: MatrixSpec, group: number, row: number): Interval[] {
  const own = memberSpans(spec, group, row, true);
  const below = memberSpans(spec, group, row - 1, false);
  return Array.from({ length: group - 1 }, (_, lane) => {
    const members = [...own.slice(0, lane + 1), ...below.slice(lane + 1)];
    return {
      lo: members.reduce((n, { lo }) => n + lo, 0) * spec.inputMax,
      hi: members.reduce((n, { hi }) => n + hi, 0) * spec.inputMax,
    };
  });
}

function crossBits(spec: MatrixSpec, group: number): number {
  let bits = 0;
  for (let row = 0; row < spec.rows; row++)
    for (const { lo, hi } of crossRanges(spec, group, row))
      bits = Math.max(bits, signedBits({ lo: 0, hi: hi - lo }) - 1);
  return bits;
}

/** A function over `[0, 2^bits)` that is constant in pieces: `levels[i]` from `starts[i]` up to the next start. */
export interface Pieces {
  /** Ascending, the first is 0. */
  readonly starts: readonly number[];
  /** One a piece; what it stands for is the caller's. */
  readonly levels: readonly number[];
}

/** Matches numbers whose `length` leading bits are those of `value`. */
export interface Prefix {
  readonly value: number;
  readonly length: number;
}

/** A prefix, and the level of what it matches. */
export interface CoveredLevel extends Prefix {
  readonly level: number;
}

/** A block of the range, halved until it lies in one piece. */
interface Block {
  /** Levels that an entry for the whole block may have without costing another entry. */
  readonly fit: readonly number[];
  readonly halves?: readonly [Block, Block];
}

/**
 * The fewest prefixes, the longest of which wins, that give the function: Draves and others, "Constructing optimal IP routing
 * tables" (1999). Thresholds that are multiples of a large power of two cost one prefix a piece.
 * @param bits 1 up to 52
 */
export function cover(bits: number, { starts, levels }: Pieces): CoveredLevel[] {
  const blockOf = (from: number, to: number, low: number, size: number): Block => {
    if (to - from === 1) return { fit: [levels[from]!] };
    const middle = low + size / 2;
    // Pieces [from, to) meet the block; the first that begins in the upper half, or at its beginning.
    let at = from + 1;
    while (at < to && starts[at]! < middle) at++;
    const exact = at < to && starts[at] === middle;
    const lower = blockOf(from, at, low, size / 2);
    const upper = blockOf(exact ? at : at - 1, to, middle, size / 2);
    return { fit: joinFits(lower.fit, upper.fit), halves: [lower, upper] };
  };
  const out: CoveredLevel[] = [];
  const choose = (block: Block, inherited: number | undefined, value: number, length: number): void => {
    let level = inherited;
    if (level === undefined || !block.fit.includes(level)) {
      level = block.fit[0]!;
      out.push({ value, length, level });
    }
    if (block.halves === undefined) return;
    choose(block.halves[0], level, value, length + 1);
    choose(block.halves[1], level, value + 2 ** (bits - length - 1), length + 1);
  };
  // No prefix is empty: P4Runtime has another form for what matches all.
  const whole = blockOf(0, starts.length, 0, 2 ** bits);
  const [lower, upper] = whole.halves ?? [whole, whole];
  choose(lower, undefined, 0, 1);
  choose(upper, undefined, 2 ** (bits - 1), 1);
  return out;
}

/** Levels of both, or of either where they share none; ascending. */
function joinFits(a: readonly number[], b: readonly number[]): readonly number[] {
  const both = a.filter((level) => b.includes(level));
  return both.length > 0 ? both : [...new Set([...a, ...b])].sort((x, y) => x - y);
}

/** The number in `(low, high]` that is a multiple of the largest power of two. @pre 0 <= low < high < 2^53 */
export function mostAligned(low: number, high: number): number {
  for (let step = 2 ** Math.floor(Math.log2(high)); step > 1; step /= 2) {
    const multiple = Math.floor(high / step) * step;
    if (multiple > low) return multiple;
  }
  return high;
}

/** Index of the piece that holds the number. */
export function pieceAt({ starts }: Pieces, x: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= x) low = middle;
    else high = middle;
  }
  return low;
}

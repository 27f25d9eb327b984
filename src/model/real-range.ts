/** Least and greatest of some reals. */
export type RealRange = readonly [lo: number, hi: number];

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** `LO..HI` as two numbers; undefined of what is none, or not ascending. */
export function parseRealRange(text: string): RealRange | undefined {
  const ends = text.split('..');
  const [lo = Number.NaN, hi = Number.NaN] = ends.map((end) => (NUMBER.test(end) ? Number(end) : Number.NaN));
  return ends.length === 2 && lo < hi && Number.isFinite(hi - lo) ? [lo, hi] : undefined;
}

/** As `parseRealRange` reads it. */
export const formatRealRange = ([lo, hi]: RealRange): string => `${lo}..${hi}`;

/** Which bits tell the intervals between the thresholds of one activation apart, and what matches a run of intervals. */
export interface CodeForm {
  readonly bits: number;
  /** The code of an interval, the bit of number 0 lowest. */
  wordOf(interval: number): bigint;
  /** What matches intervals `[first, last]` and no other: together, each a conjunction of bits. */
  cubesOf(first: number, last: number): readonly Cube[];
}

/** Bits that must have a value; those that are not named may have any. */
export type Cube = readonly Literal[];

interface Literal {
  readonly bit: number;
  readonly isSet: boolean;
}

/**
 * Codes of `thresholds + 1` intervals, fewer bits each time: a bit a threshold, with which every run is one cube; half as many on a
 * ring, with which runs longer than half of it are two; and the fewest there can be.
 */
export function codeForms(thresholds: number): readonly CodeForm[] {
  const known = formsOf.get(thresholds);
  if (known !== undefined) return known;
  const forms = [
    sides(thresholds),
    ring(thresholds),
    ...(thresholds < 2 ** MOST_GRAY_BITS ? [gray(thresholds)] : []),
  ];
  const made = forms.filter((form, i) => i === 0 || form.bits < forms[i - 1]!.bits);
  formsOf.set(thresholds, made);
  return made;
}

/** What has been made: forests ask for the same ones again and again. */
const formsOf = new Map<number, readonly CodeForm[]>();

/** Bits up to which all cubes are looked through. */
const MOST_GRAY_BITS = 4;

/** Bit `k` says that a value is above threshold `k`. */
const sides = (thresholds: number): CodeForm => ({
  bits: thresholds,
  wordOf: (interval) => (1n << BigInt(interval)) - 1n,
  cubesOf: (first, last) => [
    [
      ...(first > 0 ? [{ bit: first - 1, isSet: true }] : []),
      ...(last < thresholds ? [{ bit: last, isSet: false }] : []),
    ],
  ],
});

/**
 * Bits fill up from the lowest on, then empty in the same order: bit `k` is set in intervals `k + 1` to `k + bits`, half of a circle
 * of twice as many. An arc of at most half of it is where two halves meet.
 */
function ring(thresholds: number): CodeForm {
  const bits = Math.max(1, Math.ceil((thresholds + 1) / 2));
  const around = 2 * bits;
  const isSet = (bit: number, at: number) => at > bit && at <= bit + bits;
  /** The half that begins there. */
  const half = (start: number): Literal => {
    const at = ((start % around) + around) % around;
    return at > 0 && at <= bits
      ? { bit: at - 1, isSet: true }
      : { bit: (at + bits - 1) % around, isSet: false };
  };
  const arc = (first: number, last: number): Cube => {
    const [begins, ends] = [half(first), half(last - bits + 1)];
    return begins.bit === ends.bit ? [begins] : [begins, ends];
  };
  return {
    bits,
    wordOf: (interval) =>
      Array.from({ length: bits }, (_, bit) => (isSet(bit, interval) ? 1n << BigInt(bit) : 0n)).reduce(
        (word, bit) => word | bit,
        0n,
      ),
    cubesOf(first, last) {
      if (first === 0 && last === thresholds) return [[]];
      return last - first < bits
        ? [arc(first, last)]
        : [arc(first, first + bits - 1), arc(last - bits + 1, last)];
    },
  };
}

/** Neighbours differ by a bit, so that runs often share one. */
function gray(thresholds: number): CodeForm {
  const bits = Math.max(1, Math.ceil(Math.log2(thresholds + 1)));
  const codes = Array.from({ length: thresholds + 1 }, (_, i) => i ^ (i >> 1));
  const covered = new Map<string, readonly Cube[]>();
  return {
    bits,
    wordOf: (interval) => BigInt(codes[interval]!),
    cubesOf(first, last) {
      const run = `${first} ${last}`;
      const made = covered.get(run) ?? coverCodes(codes, bits, first, last);
      covered.set(run, made);
      return made;
    },
  };
}

/** Takes, again and again, the cube that matches most of what is left and none of what is not wanted. */
function coverCodes(codes: readonly number[], bits: number, first: number, last: number): Cube[] {
  const wanted = new Set(codes.slice(first, last + 1));
  const others = codes.filter((c) => !wanted.has(c));
  const left = new Set(wanted);
  const cubes = [];
  while (left.size > 0) {
    let best = { mask: 0, value: 0, count: 0 };
    for (const value of left)
      for (let mask = 0; mask < 2 ** bits; mask++) {
        const matches = (c: number) => ((c ^ value) & mask) === 0;
        if (others.some(matches)) continue;
        const count = [...left].filter(matches).length;
        if (count > best.count) best = { mask, value, count };
      }
    for (const c of left) if (((c ^ best.value) & best.mask) === 0) left.delete(c);
    cubes.push(best);
  }
  return cubes.map(({ mask, value }) =>
    Array.from({ length: bits }, (_, bit) => bit)
      .filter((bit) => (mask >> bit) & 1)
      .map((bit) => ({ bit, isSet: ((value >> bit) & 1) === 1 })),
  );
}

/** Deterministic random numbers: a failing model can be made again from its seed. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole number in [lo, hi]. */
  int(lo: number, hi: number): number;
  pick<T>(items: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** Mulberry32. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (lo: number, hi: number) => lo + Math.floor(next() * (hi - lo + 1));
  return { next, int, pick: (items) => items[int(0, items.length - 1)]!, chance: (p) => next() < p };
}

/** Bytes of which every third row is extreme: all least, all most, or both by turns. */
export function randomRows(r: Random, count: number, width: number): Uint8Array {
  const rows = new Uint8Array(count * width);
  const extremes = [0x00, 0xff, 0x7f, 0x80];
  for (let row = 0; row < count; row++) {
    const kind = row % 3 === 0 ? 'extreme' : 'random';
    const [a, b] = [r.pick(extremes), r.pick(extremes)];
    for (let i = 0; i < width; i++)
      rows[row * width + i] = kind === 'random' ? r.int(0, 255) : r.chance(0.5) ? a : b;
  }
  return rows;
}

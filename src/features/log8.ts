/**
 * A number of any size as one byte, eight steps an octave: `v` below 8, else with `n = floor(log2 v)`
 * `min(255, (n - 2) * 8 + ((v >> (n - 3)) & 7))`. Monotone, and exact below 16.
 */
export function log8(v: number): number {
  if (v < 8) return v;
  const n = floorLog2(v);
  return Math.min(255, (n - 2) * 8 + (Math.floor(v / 2 ** (n - 3)) & 7));
}

/** Position of the highest bit that is set; 0 for 0. @param v whole, below 2^53 */
export function floorLog2(v: number): number {
  const high = Math.floor(v / 2 ** 32);
  return high > 0 ? 63 - Math.clz32(high) : v === 0 ? 0 : 31 - Math.clz32(v);
}

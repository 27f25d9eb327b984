/**
 * Reference kernels in 64-bit integers, written from the formulas of gemmlowp and TFLite, beside and not with those of the
 * importer: images are `[height, width, channels]` as there.
 */

const trunc = (a: bigint, b: bigint): bigint => a / b;

/** `SaturatingRoundingDoublingHighMul` with its nudge. */
export function high(a: bigint, b: bigint): bigint {
  const product = a * b;
  return trunc(product + (product >= 0n ? 1n << 30n : 1n - (1n << 30n)), 1n << 31n);
}

/** `RoundingDivideByPOT` with mask, remainder and threshold. */
export function pot(x: bigint, exponent: bigint): bigint {
  const mask = (1n << exponent) - 1n;
  const threshold = (mask >> 1n) + (x < 0n ? 1n : 0n);
  return (x >> exponent) + ((x & mask) > threshold ? 1n : 0n);
}

export interface Multiplier {
  readonly fixed: bigint;
  readonly exponent: number;
}

/** `frexp` by halving and doubling. */
export function quantize(real: number): Multiplier {
  let exponent = 0;
  let fraction = real;
  while (fraction >= 1) {
    fraction /= 2;
    exponent++;
  }
  while (fraction < 0.5) {
    fraction *= 2;
    exponent--;
  }
  const fixed = Math.round(fraction * 2 ** 31);
  return fixed === 2 ** 31
    ? { fixed: 1n << 30n, exponent: exponent + 1 }
    : { fixed: BigInt(fixed), exponent };
}

export function scale(x: number | bigint, { fixed, exponent }: Multiplier): number {
  const left = BigInt(Math.max(0, exponent));
  return Number(pot(high(BigInt(x) << left, fixed), BigInt(Math.max(0, -exponent))));
}

export const clamp = (x: number, lo = -128, hi = 127): number => Math.max(lo, Math.min(hi, x));

export interface Conv {
  readonly image: readonly [height: number, width: number, channels: number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly same: boolean;
  readonly outs: number;
}

/** Output size and padding before, along both axes. */
export function geometry({ image, kernel, stride, same }: Conv) {
  const axis = (size: number, k: number) => {
    const out = same ? Math.ceil(size / stride) : Math.ceil((size - k + 1) / stride);
    const before = same ? Math.floor(Math.max(0, (out - 1) * stride + k - size) / 2) : 0;
    return { out, before };
  };
  return [axis(image[0], kernel[0]), axis(image[1], kernel[1])] as const;
}

/** Calls `tap(y, x, i, j)` for what each output position sees of the image, and `emit(y, x)` behind it. */
export function slide(
  conv: Conv,
  at: (oy: number, ox: number, taps: [y: number, x: number, i: number, j: number][]) => void,
): void {
  const [rows, columns] = geometry(conv);
  for (let oy = 0; oy < rows.out; oy++)
    for (let ox = 0; ox < columns.out; ox++) {
      const taps: [number, number, number, number][] = [];
      for (let i = 0; i < conv.kernel[0]; i++)
        for (let j = 0; j < conv.kernel[1]; j++) {
          const y = oy * conv.stride + i - rows.before;
          const x = ox * conv.stride + j - columns.before;
          if (y >= 0 && y < conv.image[0] && x >= 0 && x < conv.image[1]) taps.push([y, x, i, j]);
        }
      at(oy, ox, taps);
    }
}

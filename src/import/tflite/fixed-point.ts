/**
 * Exponential, logistic and tanh in gemmlowp's fixed point (`fixedpoint.h`), as the TFLite reference kernels use them.
 * Numbers are int32 `raw = real * 2^(31 - integerBits)`, held as bigint; tables of 256 entries are made of them, so speed
 * does not matter.
 */

const ONE = 2n ** 31n - 1n;
const LEAST = -(2n ** 31n);

/** `SaturatingRoundingDoublingHighMul`: integer bits add up. */
const mul = (a: bigint, b: bigint): bigint => (a * b + 2n ** 30n) >> 31n;

/** `RoundingDivideByPOT`: ties away from zero. */
export function divideByPot(x: bigint, exponent: bigint): bigint {
  const half = exponent === 0n ? 0n : 2n ** (exponent - 1n);
  return x < 0n ? -((-x + half) >> exponent) : (x + half) >> exponent;
}

/** Fewer integer bits for the same real, saturating. */
function shiftLeft(x: bigint, bits: bigint): bigint {
  const wide = x << bits;
  return wide > ONE ? ONE : wide < LEAST ? LEAST : wide;
}

/** `exp(a)` for a in [-1/4, 0), no integer bits: Taylor's series about -1/8, with x = a + 1/8. */
function expOfQuarter(a: bigint): bigint {
  const atEighth = 1895147668n; // exp(-1/8)
  const third = 715827883n; // 1/3
  const x = a + 2n ** 28n;
  const x2 = mul(x, x);
  const x3 = mul(x2, x);
  const x4 = mul(x2, x2);
  const tail = divideByPot(mul(divideByPot(x4, 2n) + x3, third) + x2, 1n);
  return atEighth + mul(atEighth, x + tail);
}

/** `exp(-2^k)` for k = -2, -1, ...: what is beyond a quarter is multiplied in by its bits. */
const powers = [1672461947n, 1302514674n, 790015084n, 290630308n, 39332535n, 720401n, 242n];

/** `exp(a)` for a <= 0 with this many integer bits, up to 5; none in the result. */
export function expOfNegative(a: bigint, integerBits: bigint): bigint {
  if (a === 0n) return ONE;
  const fractionalBits = 31n - integerBits;
  const quarter = 2n ** (fractionalBits - 2n);
  const inQuarter = (a & (quarter - 1n)) - quarter;
  const remainder = inQuarter - a;
  let result = expOfQuarter(shiftLeft(inQuarter, integerBits));
  for (const [i, power] of powers.entries()) {
    const k = BigInt(i) - 2n;
    if (integerBits > k && (remainder & (1n << (fractionalBits + k))) !== 0n) result = mul(result, power);
  }
  return result;
}

/** `2 / (1 + a)` for a in (0, 1) with 2 integer bits: three steps of Newton's division from 48/17 - 32/17 d. */
function twoOverOnePlus(a: bigint): bigint {
  const halfDenominator = (a + ONE + 1n) >> 1n;
  let x = 1515870810n + mul(halfDenominator, -1010580540n);
  for (let i = 0; i < 3; i++) x += shiftLeft(mul(x, 2n ** 29n - mul(halfDenominator, x)), 2n);
  return x;
}

/** `1 / (1 + exp(-a))`, 4 integer bits to none. */
export function logistic(a: bigint): bigint {
  if (a === 0n) return 2n ** 30n;
  const positive = shiftLeft(twoOverOnePlus(expOfNegative(a > 0n ? -a : a, 4n)), 1n);
  return a > 0n ? positive : ONE - positive;
}

/** `(1 - exp(-2a)) / (1 + exp(-2a))`, 4 integer bits to none; the doubling takes one more bit. */
export function tanh(a: bigint): bigint {
  if (a === 0n) return 0n;
  const magnitude = shiftLeft(twoOverOnePlus(expOfNegative(a > 0n ? -a : a, 5n)) - 2n ** 29n, 2n);
  return a > 0n ? magnitude : -magnitude;
}

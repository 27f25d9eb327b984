import { type ByKind, ofKind } from './by-kind.ts';
import type { AddLayer, Conv2dLayer, DenseLayer, Layer, SoftmaxLayer } from './model.ts';
import { accumulatorBits, accumulatorRanges, embeddingRange, productRange, signedBits } from './ranges.ts';
import { type Requantiser, requantise } from './requantiser.ts';
import { elementRange, type Interval, isWide, type TensorType } from './tensor.ts';
import type { Report } from './verify-report.ts';
import { verifyScores } from './verify-trees.ts';

/** Largest magnitude at which all integers are doubles. */
const EXACT = 2 ** 53;

/** Of 16-bit inputs or outputs, the largest products that targets hold in 64 bits. */
const WIDE = 2 ** 62;

/** Values: weights, accumulators over all inputs of their type, requantisers over these accumulators. */
export const verifyRanges = (layer: Layer, inputs: readonly TensorType[], report: Report): void =>
  ofKind(rangesOf, layer, inputs, report);

const nothing = (): void => {};

const rangesOf = {
  dense: verifyWeights,
  conv2d: verifyWeights,
  averagePool(layer, [input], report) {
    const ranges = layer.divisors.map((divisor) => scaled(centred(input!), divisor));
    verifyRequantiser(layer.requantiser, ranges, [input!, layer.output], report);
  },
  requantise: (layer, [input], report) =>
    verifyRequantiser(layer.requantiser, [centred(input!)], [input!, layer.output], report),
  add: verifyAdd,
  mul: (layer, [a, b], report) =>
    verifyRequantiser(layer.requantiser, [productRange(a!, b!)], [a!, layer.output], report),
  softmax: (layer, _, report) => verifySoftmax(layer, report),
  gather: (layer, _, report) => verifyElements([layer.value], layer.output, report),
  embedding(layer, _, report) {
    if (layer.table.some((w) => w < -255 || w > 255)) report('an entry is outside -255..255');
    verifyRequantiser(layer.requantiser, [embeddingRange(layer)], [layer.output], report);
  },
  lut: (layer, _, report) => verifyElements([...layer.table], layer.output, report),
  pad: (layer, _, report) => verifyElements([layer.value], layer.output, report),
  maxPool: nothing,
  transpose: nothing,
  argmax: nothing,
  forest: verifyScores,
} satisfies ByKind<void, [inputs: readonly TensorType[], report: Report]>;

function verifyWeights(
  layer: DenseLayer | Conv2dLayer,
  [input]: readonly TensorType[],
  report: Report,
): void {
  if (layer.weights.some((w) => w < -255 || w > 255)) report('a weight is outside -255..255');
  verifyWeightBits(layer, report);
  const ranges = accumulatorRanges(layer, input!);
  const wide = ranges.findIndex((range) => signedBits(range) > accumulatorBits(input!));
  if (wide >= 0) report(`the accumulator of channel ${wide} needs ${signedBits(ranges[wide]!)} bits`);
  verifyRequantiser(layer.requantiser, ranges, [input!, layer.output], report);
}

/** Weights of 4 bits span 16 levels in each channel, which have one zero point. */
function verifyWeightBits({ weightBits, weights, bias }: DenseLayer | Conv2dLayer, report: Report): void {
  if (weightBits === undefined || weightBits === 8) return;
  if (weightBits !== 4) report(`weights of ${String(weightBits)} bits`);
  const taps = weights.length / bias.length;
  for (let o = 0; o < bias.length; o++) {
    const row = weights.subarray(o * taps, (o + 1) * taps);
    const least = row.reduce((a, b) => Math.min(a, b));
    const most = row.reduce((a, b) => Math.max(a, b));
    if (most - least > 15 || least < -15 || most > 15) {
      report(`the weights ${least}..${most} of channel ${o} are not of 4 bits`);
      return;
    }
  }
}

function verifyElements(values: readonly number[], { element }: TensorType, report: Report): void {
  const { lo, hi } = elementRange(element);
  const wrong = values.find((q) => !Number.isInteger(q) || q < lo || q > hi);
  if (wrong !== undefined) report(`${wrong} is no ${element}`);
}

/** Sums and shifted numerators stay whole in doubles, and in 64 bits. */
function verifySoftmax({ size, exponentials, numerators }: SoftmaxLayer, report: Report): void {
  for (const [what, table] of [
    ['exponential', exponentials],
    ['numerator', numerators],
  ] as const) {
    const wrong = table.find((x, d) => !Number.isInteger(x) || x < 0 || x > table[Math.max(0, d - 1)]!);
    if (wrong !== undefined) report(`${what} ${wrong} is no whole number, or larger than the one before`);
  }
  if (!(exponentials[0]! > 0)) report('the first exponential is 0');
  if (2 * numerators[0]! + 2 * size * exponentials[0]! >= EXACT) report('sums exceed 53 bits');
}

const centred = ({ element, zeroPoint }: TensorType): Interval => {
  const { lo, hi } = elementRange(element);
  return { lo: lo - zeroPoint, hi: hi - zeroPoint };
};

const scaled = ({ lo, hi }: Interval, by: number): Interval => ({ lo: lo * by, hi: hi * by });

function verifyRequantiser(
  r: Requantiser,
  ranges: readonly Interval[],
  types: readonly TensorType[],
  report: Report,
): void {
  verifyShiftAndClamp(r, types.at(-1)!, report);
  const wide = types.some(({ element }) => isWide(element));
  const [limit, bits] = wide ? [WIDE, 62] : [EXACT, 53];
  for (const [c, { lo, hi }] of ranges.entries()) {
    const multiplier = r.multiplier[c]!;
    const offset = r.offset[c]!;
    if (!Number.isInteger(multiplier) || !Number.isInteger(offset)) {
      report(`multiplier ${multiplier} and offset ${offset} of channel ${c} are not integers`);
      continue;
    }
    // Readers search steps by bisection and compare ends of ranges only.
    if (multiplier < 0) report(`multiplier ${multiplier} of channel ${c} is negative, so q would fall`);
    const ends = [lo * multiplier, hi * multiplier, lo * multiplier + offset, hi * multiplier + offset];
    if (ends.some((x) => Math.abs(x) >= limit)) report(`products of channel ${c} exceed ${bits} bits`);
    verifyBelow(r, c, { lo, hi }, limit, report);
  }
  verifyTies(r, report);
}

/** A part of a whole step or more would take off more than one. */
function verifyTies(
  { ties, shift, below }: Pick<Requantiser, 'ties' | 'shift' | 'below'>,
  report: Report,
): void {
  if (ties === undefined) return;
  if (below !== undefined) report('ties to even beside an offset below a pivot');
  if (ties.odd !== 0 && ties.odd !== 1) report(`the odd bit ${String(ties.odd)} is neither 0 nor 1`);
  for (const part of ties.part) verifyPart(part, shift, report);
}

function verifyPart(part: number, shift: number, report: Report): void {
  if (!Number.isInteger(part) || part < 0 || part > 2 ** shift)
    report(`the part ${part} of a tie is not in 0..2^${shift}`);
}

function verifyBelow(r: Requantiser, c: number, range: Interval, limit: number, report: Report): void {
  if (r.below === undefined) return;
  const [pivot, offset] = [r.below.pivot[c]!, r.below.offset[c]!];
  if (!Number.isInteger(pivot) || !Number.isInteger(offset)) {
    report(`pivot ${pivot} and offset ${offset} of channel ${c} are not integers`);
    return;
  }
  if (pivot > range.lo && pivot <= range.hi && requantise(r, c, pivot - 1) > requantise(r, c, pivot))
    report(`q falls at the pivot of channel ${c}`);
  if (Math.abs(range.lo * r.multiplier[c]! + offset) >= limit)
    report(`products of channel ${c} exceed ${Math.log2(limit)} bits`);
}

function verifyShiftAndClamp(
  { shift, min, max }: Pick<Requantiser, 'shift' | 'min' | 'max'>,
  output: TensorType,
  report: Report,
): void {
  const { lo, hi } = elementRange(output.element);
  if (!Number.isInteger(shift) || shift < 0 || shift > 52) report(`shift ${shift} is not in 0..52`);
  if (!Number.isInteger(min) || !Number.isInteger(max) || min < lo || max > hi || min > max)
    report(`the clamp ${min}..${max} is not within ${lo}..${hi}`);
}

function verifyAdd(layer: AddLayer, inputs: readonly TensorType[], report: Report): void {
  verifyShiftAndClamp(layer, layer.output, report);
  if (![...layer.multipliers, layer.offset].every(Number.isInteger)) {
    report('a coefficient is no integer');
    return;
  }
  if (layer.ties !== undefined)
    verifyTies({ ties: { ...layer.ties, part: [layer.ties.part] }, shift: layer.shift }, report);
  const largest = inputs.reduce((sum, type, i) => {
    const { lo, hi } = centred(type);
    return sum + Math.max(Math.abs(lo), Math.abs(hi)) * Math.abs(layer.multipliers[i]!);
  }, Math.abs(layer.offset));
  if (largest >= EXACT) report('sums exceed 53 bits');
}

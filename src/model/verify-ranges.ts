import type { AddLayer, Layer } from './model.ts';
import { ACCUMULATOR_BITS, accumulatorRanges, signedBits } from './ranges.ts';
import type { Requantiser } from './requantiser.ts';
import { elementRange, type Interval, type TensorType } from './tensor.ts';
import type { Report } from './verify-report.ts';

/** Largest magnitude at which all integers are doubles. */
const EXACT = 2 ** 53;

/** Values: weights, accumulators over all inputs of their type, requantisers over these accumulators. */
export function verifyRanges(layer: Layer, inputs: readonly TensorType[], report: Report): void {
  const input = inputs[0]!;
  switch (layer.kind) {
    case 'dense':
    case 'conv2d': {
      if (layer.weights.some((w) => w < -255 || w > 255)) report('a weight is outside -255..255');
      const ranges = accumulatorRanges(layer, input);
      const wide = ranges.findIndex((range) => signedBits(range) > ACCUMULATOR_BITS);
      if (wide >= 0) report(`the accumulator of channel ${wide} needs ${signedBits(ranges[wide]!)} bits`);
      verifyRequantiser(layer.requantiser, ranges, layer.output, report);
      return;
    }
    case 'averagePool': {
      const ranges = layer.divisors.map((divisor) => scaled(centred(input), divisor));
      verifyRequantiser(layer.requantiser, ranges, layer.output, report);
      return;
    }
    case 'requantise':
      verifyRequantiser(layer.requantiser, [centred(input)], layer.output, report);
      return;
    case 'add':
      verifyAdd(layer, inputs, report);
      return;
    case 'maxPool':
    case 'argmax':
      return;
  }
}

const centred = ({ element, zeroPoint }: TensorType): Interval => {
  const { lo, hi } = elementRange(element);
  return { lo: lo - zeroPoint, hi: hi - zeroPoint };
};

const scaled = ({ lo, hi }: Interval, by: number): Interval => ({ lo: lo * by, hi: hi * by });

function verifyRequantiser(
  r: Requantiser,
  ranges: readonly Interval[],
  output: TensorType,
  report: Report,
): void {
  verifyShiftAndClamp(r, output, report);
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
    if (ends.some((x) => Math.abs(x) >= EXACT)) report(`products of channel ${c} exceed 53 bits`);
  }
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
  if (layer.multipliers.some((m) => m < 0)) report('a multiplier is negative');
  const largest = inputs.reduce((sum, type, i) => {
    const { lo, hi } = centred(type);
    return sum + Math.max(Math.abs(lo), Math.abs(hi)) * Math.abs(layer.multipliers[i]!);
  }, Math.abs(layer.offset));
  if (largest >= EXACT) report('sums exceed 53 bits');
}

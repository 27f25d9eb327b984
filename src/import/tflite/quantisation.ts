import { type Place, refuse } from '../../diagnostics/index.ts';
import type { ElementType } from '../../model/tensor.ts';
import { elementRange, isWide } from '../../model/tensor.ts';
import type { Quantisation } from '../builder.ts';
import type { Clamp } from '../lower/linear.ts';
import { Activations, TensorKind, tensorKindName } from './names.ts';
import type { TfliteTensor } from './schema.ts';

const elements: ReadonlyMap<number, ElementType> = new Map([
  [TensorKind.uint8, 'uint8'],
  [TensorKind.int8, 'int8'],
  [TensorKind.int16, 'int16'],
]);

/** The grid of an activation. @throws DiagnosticError if it is none of 8 or 16 bits with one scale */
export function activationGrid(tensor: TfliteTensor, place: Place): Quantisation {
  const element = elements.get(tensor.kind);
  const { name, quantisation } = tensor;
  if (element === undefined)
    return refuse('tflite-not-integer', { tensor: name, what: kindText(tensor.kind) }, place);
  const [scale, ...more] = quantisation?.scales ?? [];
  const zeroPoint = quantisation?.zeroPoints[0] ?? 0;
  if (scale === undefined || more.length > 0)
    return refuse(
      'bad-quantisation',
      { what: `an activation has one scale, ${name} has ${more.length + (scale === undefined ? 0 : 1)}` },
      place,
    );
  const { lo, hi } = elementRange(element);
  if (!(scale > 0 && Number.isFinite(scale)) || !(zeroPoint >= lo && zeroPoint <= hi))
    refuse(
      'bad-quantisation',
      { what: `scale ${scale} and zero point ${zeroPoint} are no ${element} grid` },
      place,
    );
  if (isWide(element) && zeroPoint !== 0)
    refuse(
      'bad-quantisation',
      { what: `${name} is int16 with zero point ${zeroPoint}; activations of 16 bits are symmetric` },
      place,
    );
  return { element, scale, zeroPoint };
}

const kindText = (kind: number): string =>
  `${tensorKindName(kind)}; activations of int8, uint8 and int16 are supported`;

/** Bounds in reals of a fused activation; undefined for one that is no clamp. */
export function realBounds(activation: number): readonly [lo: number, hi: number] | undefined {
  switch (activation) {
    case Activations.none:
      return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    case Activations.relu:
      return [0, Number.POSITIVE_INFINITY];
    case Activations.reluN1To1:
      return [-1, 1];
    case Activations.relu6:
      return [0, 6];
    default:
      return undefined;
  }
}

/** `CalculateActivationRangeQuantized`: the bounds on the grid, divided in float32, rounded half away from zero. */
export function clampOn(grid: Quantisation, [lo, hi]: readonly [number, number]): Quantisation & Clamp {
  const range = elementRange(grid.element);
  const q = (real: number): number => {
    const x = Math.fround(real / grid.scale);
    return grid.zeroPoint + Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
  };
  const min = lo === Number.NEGATIVE_INFINITY ? range.lo : Math.max(range.lo, q(lo));
  const max = hi === Number.POSITIVE_INFINITY ? range.hi : Math.min(range.hi, q(hi));
  return { ...grid, min: Math.min(min, range.hi), max: Math.max(max, min) };
}

import { exactAddRounding, onnxAddRounding, type PairRounding } from '../../model/add-fit.ts';
import {
  float32Rounding,
  halfUpRounding,
  idealRounding,
  type SourceRounding,
  tfliteRounding,
} from '../../model/requantiser.ts';
import { tfliteAddRounding } from '../../model/tflite-add.ts';
import type { JsonRounding } from './schema.ts';

/** The rounding of `acc * product / output + zeroPoint`; scales in the order in which a float32 source multiplies. */
export function namedRounding(
  name: JsonRounding,
  inputScale: number,
  weightScale: number,
  outputScale: number,
  zeroPoint: number,
): SourceRounding {
  switch (name) {
    case 'onnx': {
      const f = Math.fround;
      return float32Rounding(f(f(f(inputScale) * f(weightScale)) / f(outputScale)), zeroPoint);
    }
    case 'tflite':
      return tfliteRounding((inputScale * weightScale) / outputScale, zeroPoint);
    case 'half-even':
      return idealRounding((inputScale * weightScale) / outputScale, zeroPoint);
    case 'half-up':
      return halfUpRounding((inputScale * weightScale) / outputScale, zeroPoint);
  }
}

/** The rounding of a sum of two tensors. */
export function namedAddRounding(
  name: JsonRounding,
  [a, b, output]: readonly [number, number, number],
  zeroPoints: readonly [number, number, number],
): PairRounding {
  const [, , zeroPoint] = zeroPoints;
  switch (name) {
    case 'onnx':
      return onnxAddRounding([Math.fround(a), Math.fround(b), Math.fround(output)], zeroPoints);
    case 'half-even':
      return exactAddRounding([a, b, output], zeroPoint);
    case 'tflite':
      return tfliteAddRounding([Math.fround(a), Math.fround(b), Math.fround(output)], zeroPoint);
    case 'half-up':
      return (x, y) => Math.floor((x * a + y * b) / output + 0.5) + zeroPoint;
  }
}

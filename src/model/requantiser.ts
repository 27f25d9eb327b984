export { canBeExact, fitRequantiser } from './fit.ts';
export {
  type Below,
  type Exactness,
  type Requantiser,
  requantise,
  shiftToEven,
  type Ties,
} from './requantise.ts';
export {
  affineRounding,
  float32Rounding,
  halfUpRounding,
  type IntegerLine,
  idealRounding,
  nearTie,
  noiseAt,
  oddBit,
  onnxRounding,
  pivoted,
  roundHalfEven,
  type SourceRounding,
  shiftedRounding,
  tiesToEven,
} from './rounding.ts';
export { thresholds } from './steps.ts';
export { tfliteRounding, tfliteWideRounding } from './tflite-rounding.ts';

import { fitAdd, fitWideAdd, type PairRounding } from '../../model/add-fit.ts';
import type { AddLayer } from '../../model/model.ts';
import type { Requantiser, SourceRounding } from '../../model/requantiser.ts';
import { elementRange, type Interval, isWide } from '../../model/tensor.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import type { Clamp } from './linear.ts';
import { pairShape } from './product.ts';

/** q-values less their zero point. */
const centred = ({ type }: Activation): Interval => {
  const { lo, hi } = elementRange(type.element);
  return { lo: lo - type.zeroPoint, hi: hi - type.zeroPoint };
};

/** The same real value under another quantisation; `rounding` takes `q - zeroPoint`. */
export function lowerRequantise(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  output: Quantisation & Clamp,
  rounding: SourceRounding | Requantiser,
): Activation {
  const { min, max, element, scale, zeroPoint } = output;
  const requantiser =
    typeof rounding === 'function' ? builder.fit([rounding], [centred(input)], min, max) : rounding;
  builder.reportExactness(name, requantiser);
  const type = { element, scale, zeroPoint, shape: input.type.shape };
  return builder.add(name, { kind: 'requantise', inputs: [input.value], output: type, requantiser });
}

/** A sum of two values, element by element, which may each have a grid of their own. */
export interface AddSpec {
  readonly name: string;
  readonly a: Activation;
  readonly b: Activation;
  readonly output: Quantisation & Clamp;
  /** How the source rounds the sum, from both q-values less their zero points. */
  readonly rounding: PairRounding;
}

/** Finds integers that give the source's rounding at every pair, or says at how many they do not. */
export function lowerAdd(builder: ModelBuilder, spec: AddSpec): Activation {
  const { name, a, b, output } = spec;
  const shape = pairShape(builder, name, a, b);
  const { min, max, element, scale, zeroPoint } = output;
  const ratios: [number, number] = [a.type.scale / scale, b.type.scale / scale];
  const wide = [a.type, b.type, output].some(({ element: e }) => isWide(e));
  const fitted = wide ? fitWideAdd : fitAdd;
  const ranges = [centred(a), centred(b)] as const;
  const { exactness, ...form } = fitted(spec.rounding, { ratios, ranges, zeroPoint, min, max });
  builder.reportExactness(name, { exactness, multiplier: [0], offset: [0], shift: 0, min, max });
  const type = { element, scale, zeroPoint, shape };
  return builder.add(name, { kind: 'add', inputs: [a.value, b.value], output: type, ...form, min, max });
}

/** A sum whose integers are given: nothing to fit. */
export function lowerGivenAdd(
  builder: ModelBuilder,
  name: string,
  a: Activation,
  b: Activation,
  { element, scale, zeroPoint }: Quantisation,
  form: Pick<AddLayer, 'multipliers' | 'offset' | 'shift' | 'min' | 'max' | 'ties'>,
): Activation {
  const type = { element, scale, zeroPoint, shape: pairShape(builder, name, a, b) };
  return builder.add(name, { kind: 'add', inputs: [a.value, b.value], output: type, ...form });
}

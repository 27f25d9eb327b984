import { refuse } from '../../diagnostics/index.ts';
import { isBroadcast } from '../../model/broadcast.ts';
import { productRange } from '../../model/ranges.ts';
import type { Requantiser, SourceRounding } from '../../model/requantiser.ts';
import { elementCount } from '../../model/tensor.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import type { Clamp } from './linear.ts';

/** A product of two values, element by element. */
export interface MulSpec {
  readonly name: string;
  readonly a: Activation;
  readonly b: Activation;
  readonly output: Quantisation & Clamp;
  /** How the source rounds the product of both q-values less their zero points, or the finished integers. */
  readonly rounding: SourceRounding | Requantiser;
}

/** Two values of equal shape; or one of an element a channel beside an image, `[channels, 1, 1]`. */
export function lowerMul(builder: ModelBuilder, { name, a, b, output, rounding }: MulSpec): Activation {
  const shape = pairShape(builder, name, a, b);
  const { min, max, element, scale, zeroPoint } = output;
  const requantiser =
    'multiplier' in rounding ? rounding : builder.fit([rounding], [productRange(a.type, b.type)], min, max);
  builder.reportExactness(name, requantiser);
  const type = { element, scale, zeroPoint, shape };
  return builder.add(name, { kind: 'mul', inputs: [a.value, b.value], output: type, requantiser });
}

/** Shape of what an operator makes of each element of both. @throws DiagnosticError if they do not fit */
export function pairShape(
  builder: ModelBuilder,
  name: string,
  a: Activation,
  b: Activation,
): readonly number[] {
  if (elementCount(a.type.shape) === elementCount(b.type.shape)) return a.type.shape;
  if (isBroadcast(b.type.shape, a.type.shape)) return a.type.shape;
  if (isBroadcast(a.type.shape, b.type.shape)) return b.type.shape;
  const actual = `[${a.type.shape.join(', ')}] and [${b.type.shape.join(', ')}]`;
  return refuse('shape-mismatch', { expected: 'two equal shapes', actual }, builder.place(name));
}

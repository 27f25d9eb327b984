import { refuse } from '../../diagnostics/index.ts';
import { embeddingRange } from '../../model/ranges.ts';
import type { Requantiser, SourceRounding } from '../../model/requantiser.ts';
import { type ElementType, elementCount, elementRange, isWide } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, type Quantisation, viewed } from '../builder.ts';
import { type Clamp, imageShape } from './linear.ts';

/** @throws DiagnosticError `wide-activation` of what is a table of 256 numbers */
export function requireBytes(
  builder: ModelBuilder,
  name: string,
  elements: readonly ElementType[],
  what: string,
): void {
  if (elements.some(isWide)) refuse('wide-activation', { what }, builder.place(name));
}

/** An image with a border of one q-value; `[top, left, bottom, right]`. */
export function lowerPad(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  pads: readonly [number, number, number, number],
  value: number,
): Activation {
  const [channels, height, width] = imageShape(builder, name, input);
  const shape = [channels, height + pads[0] + pads[2], width + pads[1] + pads[3]];
  const inputs = [builder.reshaped(input)];
  return builder.add(name, { kind: 'pad', inputs, output: { ...input.type, shape }, pads, value });
}

/** Elements in another order; the input is seen in its own shape. */
export function lowerTranspose(
  builder: ModelBuilder,
  name: string,
  { value, type }: Activation,
  axes: readonly number[],
): Activation {
  const output = { ...type, shape: axes.map((axis) => type.shape[axis]!) };
  return builder.add(name, { kind: 'transpose', inputs: [value], output, from: type.shape, axes });
}

/** @param function_ q of the output from `q - zeroPoint` of the input; it is clamped here */
export function lowerFunction(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  output: Quantisation & Clamp,
  function_: (q: number) => number,
): Activation {
  return lowerFunctions(builder, name, input, output, [function_]);
}

/** A function for each channel, that is for each of so many equal parts of the elements; see `lowerFunction`. */
export function lowerFunctions(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  output: Quantisation & Clamp,
  functions: readonly ((q: number) => number)[],
): Activation {
  const { min, max, element, scale, zeroPoint } = output;
  requireBytes(builder, name, [input.type.element, element], 'a function');
  const { lo } = elementRange(input.type.element);
  const table = new Int16Array(256 * functions.length);
  for (const [c, function_] of functions.entries())
    for (let i = 0; i < 256; i++)
      table[256 * c + i] = Math.max(min, Math.min(max, function_(lo + i - input.type.zeroPoint)));
  const type = { element, scale, zeroPoint, shape: input.type.shape };
  return builder.add(name, { kind: 'lut', inputs: [input.value], output: type, table });
}

/** The negative, on a grid of its own: exact, as the steps are the same. */
export function lowerNegated(builder: ModelBuilder, name: string, { value, type }: Activation): Activation {
  const { lo, hi } = elementRange(type.element);
  const zeroPoint = lo + hi - type.zeroPoint;
  const output = { ...type, zeroPoint, min: lo, max: hi };
  return lowerFunction(builder, `${name}_negated`, { value, type }, output, (q) => zeroPoint - q);
}

/** Rows of a table, by keys in the input. */
export interface EmbeddingSpec {
  readonly name: string;
  /** Keys as uint8, `keyBytes` each. */
  readonly input: Activation;
  readonly keyBytes: 1 | 2 | 4;
  readonly bag: number;
  readonly rows: number;
  /** Row-major `[rows][width]`, less their zero point. */
  readonly table: Int16Array;
  readonly output: Quantisation & Clamp;
  readonly rounding: SourceRounding | Requantiser;
}

/** `[bags, width]`, or `[width]` of one bag. */
export function lowerEmbedding(builder: ModelBuilder, spec: EmbeddingSpec): Activation {
  const { name, input, keyBytes, bag, rows, table, output, rounding } = spec;
  const bytes = elementCount(input.type.shape);
  const bags = bytes / (keyBytes * bag);
  if (!Number.isInteger(bags))
    refuse(
      'shape-mismatch',
      { expected: `a multiple of ${keyBytes * bag} bytes, those of a bag`, actual: `${bytes}` },
      builder.place(name),
    );
  const { min, max, element, scale, zeroPoint } = output;
  const requantiser =
    'multiplier' in rounding ? rounding : builder.fit([rounding], [embeddingRange({ table, bag })], min, max);
  builder.reportExactness(name, requantiser);
  const width = table.length / rows;
  const type = { element, scale, zeroPoint, shape: bags === 1 ? [width] : [bags, width] };
  const inputs = [input.value];
  return builder.add(name, {
    kind: 'embedding',
    inputs,
    output: type,
    keyBytes,
    bag,
    rows,
    width,
    table,
    requantiser,
  });
}

/** A sequence `[channels, length]` as an image of height 1. */
export const sequenceAsImage = (input: Activation): Activation =>
  input.type.shape.length === 2 ? viewed(input, [input.type.shape[0]!, 1, input.type.shape[1]!]) : input;

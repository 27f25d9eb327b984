import { refuse } from '../../diagnostics/index.ts';
import type { Biases, Window } from '../../model/model.ts';
import { accumulatorBits, accumulatorRanges, signedBits } from '../../model/ranges.ts';
import type { Requantiser, SourceRounding } from '../../model/requantiser.ts';
import { elementCount, isWide } from '../../model/tensor.ts';
import { windowOutput } from '../../model/window.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';

/** Clamp of the output in q-values; within the range of the element type. */
export interface Clamp {
  readonly min: number;
  readonly max: number;
}

/** Weighted sums of the input, and how the source rounds them. */
export interface LinearSpec {
  readonly name: string;
  readonly input: Activation;
  /** Row-major `[out][taps]`, less their zero point. */
  readonly weights: Int16Array;
  /** As the source stores them; absent for 8. */
  readonly weightBits?: 4 | 8;
  /** In units of the accumulator; whole numbers, checked here to fit. One a channel. */
  readonly bias: ArrayLike<number>;
  readonly output: Quantisation & Clamp;
  /** How the source rounds each channel, or the finished integers. */
  readonly rounding: readonly SourceRounding[] | Requantiser;
}

/** Where a window moves, and which channels it reads: `groups` runs of them apart. */
export interface Conv2dGeometry extends Window {
  readonly groups: number;
}

/** `[bias.length]` outputs, each from all elements of the input. */
export function lowerDense(builder: ModelBuilder, spec: LinearSpec): Activation {
  const place = builder.place(spec.name);
  const taps = spec.weights.length / spec.bias.length;
  const given = elementCount(spec.input.type.shape);
  if (given !== taps)
    refuse('shape-mismatch', { expected: `${taps} inputs`, actual: shapeText(spec.input) }, place);
  const { bias, requantiser } = accumulate(builder, spec);
  const { element, scale, zeroPoint } = spec.output;
  const output = { element, scale, zeroPoint, shape: [bias.length] };
  const inputs = [spec.input.value];
  return builder.add(spec.name, { kind: 'dense', inputs, output, ...weightsOf(spec), bias, requantiser });
}

/** Input viewed as `[channels, height, width]`. */
export function lowerConv2d(builder: ModelBuilder, spec: LinearSpec, geometry: Conv2dGeometry): Activation {
  const output = conv2dShape(builder, spec, geometry);
  const { bias, requantiser } = accumulate(builder, spec);
  const { element, scale, zeroPoint } = spec.output;
  return builder.add(spec.name, {
    kind: 'conv2d',
    inputs: [builder.reshaped(spec.input)],
    output: { element, scale, zeroPoint, shape: output },
    ...geometry,
    ...weightsOf(spec),
    bias,
    requantiser,
  });
}

const weightsOf = ({ weights, weightBits = 8 }: LinearSpec) =>
  weightBits === 8 ? { weights } : { weights, weightBits };

/** Output shape of a convolution, all sizes checked against each other. */
export function conv2dShape(
  builder: ModelBuilder,
  { name, input, weights, bias }: Pick<LinearSpec, 'name' | 'input' | 'weights' | 'bias'>,
  { groups, ...window }: Conv2dGeometry,
): [number, number, number] {
  const place = builder.place(name);
  const [channels, height, width] = imageShape(builder, name, input);
  const channelsNeeded = (weights.length / bias.length / (window.kernel[0] * window.kernel[1])) * groups;
  if (channels !== channelsNeeded)
    refuse('shape-mismatch', { expected: `${channelsNeeded} channels`, actual: shapeText(input) }, place);
  if (bias.length % groups !== 0)
    refuse('shape-mismatch', { expected: `outputs for ${groups} groups`, actual: `${bias.length}` }, place);
  const [rows, columns] = windowOutput(window, height, width);
  if (rows < 1 || columns < 1)
    refuse(
      'shape-mismatch',
      { expected: `an image of at least ${window.kernel.join('x')}`, actual: shapeText(input) },
      place,
    );
  requireBoundedWork(builder, name, rows * columns * weights.length);
  return [bias.length, rows, columns];
}

/** Steps of one layer: minutes in the reference, and beyond any target. */
const MOST_STEPS = 2 ** 34;

/** @throws DiagnosticError `too-much-work`, before anything of that size is begun */
export function requireBoundedWork(builder: ModelBuilder, name: string, steps: number): void {
  if (!(steps <= MOST_STEPS)) refuse('too-much-work', { steps, limit: MOST_STEPS }, builder.place(name));
}

/** @throws DiagnosticError if the view is no image */
export function imageShape(
  builder: ModelBuilder,
  name: string,
  input: Activation,
): [channels: number, height: number, width: number] {
  const [channels, height, width, ...more] = input.type.shape;
  if (channels === undefined || height === undefined || width === undefined || more.length > 0)
    return refuse(
      'shape-mismatch',
      { expected: '[channels, height, width]', actual: shapeText(input) },
      builder.place(name),
    );
  return [channels, height, width];
}

const shapeText = (a: Activation): string => `[${a.type.shape.join(', ')}]`;

function accumulate(builder: ModelBuilder, spec: LinearSpec): { bias: Biases; requantiser: Requantiser } {
  // Ranges from the unrounded bias, so that one beyond 32 bits is told instead of wrapping round.
  const ranges = accumulatorRanges(spec, spec.input.type);
  const limit = accumulatorBits(spec.input.type);
  for (const [channel, range] of ranges.entries()) {
    const bits = signedBits(range);
    if (bits > limit) refuse('accumulator-overflow', { bits, limit, channel }, builder.place(spec.name));
  }
  const { rounding, output } = spec;
  const requantiser =
    'multiplier' in rounding ? rounding : builder.fit(rounding, ranges, output.min, output.max);
  builder.reportExactness(spec.name, requantiser);
  const bias = isWide(spec.input.type.element) ? Float64Array.from(spec.bias) : Int32Array.from(spec.bias);
  return { bias, requantiser };
}

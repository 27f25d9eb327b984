import { refuse } from '../../diagnostics/index.ts';
import type { Window } from '../../model/model.ts';
import type { Requantiser, SourceRounding } from '../../model/requantiser.ts';
import { elementRange } from '../../model/tensor.ts';
import { tapCounts, windowOutput } from '../../model/window.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import { type Clamp, imageShape, requireBoundedWork } from './linear.ts';
import { lowerNegated } from './lookup.ts';

/** The greatest element of each window; what lies outside of the image is never it. */
export function lowerMaxPool(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  window: Window,
): Activation {
  const output = { ...input.type, shape: poolShape(builder, name, input, window) };
  return builder.add(name, { kind: 'maxPool', inputs: [builder.reshaped(input)], output, ...window });
}

/** The same, or the least of each window: the negative of the largest negative. */
export function lowerExtreme(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  window: Window,
  least: boolean,
): Activation {
  if (!least) return lowerMaxPool(builder, name, input, window);
  const turned = lowerNegated(builder, name, input);
  return lowerNegated(builder, name, lowerMaxPool(builder, name, turned, window));
}

/** Output shape of a pool. Every window must hold an element: an average or a maximum of none is undefined. */
export function poolShape(
  builder: ModelBuilder,
  name: string,
  input: Activation,
  window: Window,
): [number, number, number] {
  const [channels, height, width] = imageShape(builder, name, input);
  const [rows, columns] = windowOutput(window, height, width);
  const place = builder.place(name);
  const { kernel, pads } = window;
  if (rows < 1 || columns < 1)
    refuse(
      'shape-mismatch',
      { expected: `an image of at least ${kernel.join('x')}`, actual: `${height}x${width}` },
      place,
    );
  requireBoundedWork(builder, name, channels * rows * columns * kernel[0] * kernel[1]);
  const counts = tapCounts(window, height, width);
  if (counts.includes(0))
    refuse(
      'shape-mismatch',
      { expected: `pads smaller than the window of ${kernel.join('x')}`, actual: `[${pads.join(', ')}]` },
      place,
    );
  return [channels, rows, columns];
}

/** Means of windows. */
export interface AveragePoolSpec {
  readonly name: string;
  readonly input: Activation;
  readonly window: Window;
  readonly countPadding: boolean;
  readonly output: Quantisation & Clamp;
  /** How the source rounds a sum over this divisor, or the finished integers. */
  readonly rounding: ((divisor: number) => SourceRounding) | Requantiser;
}

/** Where padding is not counted, windows at the border have divisors of their own, with a channel of the requantiser each. */
export function lowerAveragePool(builder: ModelBuilder, spec: AveragePoolSpec): Activation {
  const { name, input, window, countPadding, rounding } = spec;
  const shape = poolShape(builder, name, input, window);
  const [, height, width] = imageShape(builder, name, input);
  const counts = tapCounts(window, height, width);
  const divisors = countPadding ? [window.kernel[0] * window.kernel[1]] : counts;
  const { min, max, element, scale, zeroPoint } = spec.output;
  const { lo, hi } = elementRange(input.type.element);
  const ranges = divisors.map((divisor) => {
    // Where padding counts, fewer elements than the divisor are summed, which only narrows the range.
    return { lo: divisor * (lo - input.type.zeroPoint), hi: divisor * (hi - input.type.zeroPoint) };
  });
  const requantiser =
    'multiplier' in rounding
      ? rounding
      : builder.fit(
          divisors.map((divisor) => rounding(divisor)),
          ranges,
          min,
          max,
        );
  builder.reportExactness(name, requantiser);
  const inputs = [builder.reshaped(input)];
  const output = { element, scale, zeroPoint, shape };
  return builder.add(name, {
    kind: 'averagePool',
    inputs,
    output,
    ...window,
    divisors,
    countPadding,
    requantiser,
  });
}

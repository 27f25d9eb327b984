import { diagnostic } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { quantizeMultiplier } from '../../../model/tflite-rounding.ts';
import { lowerSoftmax } from '../../lower/softmax.ts';
import { divideByPot, expOfNegative } from '../fixed-point.ts';
import { asSource } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised, Value } from '../values.ts';

/** Classes that the byte of a verdict tells apart. */
const CLASSES = 256;

/** Class and margin of a vector. */
function verdict(c: NodeReader, input: Quantised): Value {
  const source = asSource(c.builder, c.name, input);
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  const activation = c.builder.add(c.name, { kind: 'argmax', inputs: [source.value], output });
  return { kind: 'verdict', activation };
}

const isVector = ({ shape }: Quantised): boolean =>
  shape.at(-1) === elementCount(shape) && elementCount(shape) <= CLASSES;

/**
 * At the end, the verdict: softmax does not change which class is largest, and a network device has use for the class and
 * its margin, not for probabilities. Elsewhere, and where a verdict cannot tell the classes apart, its own integers.
 */
export function softmax(c: NodeReader): Value {
  const value = c.value(0);
  const input = value?.kind === 'dequantised' ? value.of : c.activation(0);
  if (c.isLast && isVector(input)) {
    c.builder.diagnostics.push(diagnostic('softmax-as-argmax', {}, c.place()));
    return verdict(c, input);
  }
  return within(c);
}

/** `ArgMax` over the last axis, the first of equals; the index is the verdict's class. */
export function argMax(c: NodeReader): Value {
  const value = c.value(0);
  const input = value?.kind === 'dequantised' ? value.of : c.activation(0);
  const rank = c.tensor(0).shape.length;
  const axis = c.integers(1, 'the axis')[0]!;
  if (!c.isLast || !isVector(input) || (axis < 0 ? axis + rank : axis) !== rank - 1)
    c.refuseOption(
      'ARG_MAX',
      `over axis ${axis} of [${input.shape.join(', ')}]`,
      `at the end, over up to ${CLASSES} classes`,
    );
  return verdict(c, input);
}

/** Integer bits of scaled differences, and of sums (`kScaledDiffIntegerBits`, `kAccumulationIntegerBits`). */
const DIFFERENCE_BITS = 5;
const SUM_BITS = 12n;

/**
 * Exponentials in gemmlowp's fixed point, as the reference kernel takes them, by the difference from the largest element:
 * 31 bits behind the point in the numerator, 19 in the sum. Its quotient is a reciprocal by Newton's method and a rounding; here
 * it is the quotient itself, rounded, which differs where that is a tie to a few parts in 2^30.
 */
function within(c: NodeReader): Quantised {
  // TensorFlow's own kernel has float32 tables and sums.
  if (c.rounding === 'single')
    c.refuseOption(
      'SOFTMAX',
      'of floats within the network, as TensorFlow computes it',
      'at the end over up to 256 classes, or --tflite-rounding double: as TFLite Micro computes it',
    );
  const input = c.activation(0);
  const output = c.outputGrid;
  const least = output.element === 'int8' ? -128 : 0;
  if (output.scale !== 1 / 256 || output.zeroPoint !== least)
    c.refuseOption('quantization', `${output.scale}, ${output.zeroPoint}`, `1/256, ${least} of the output`);
  const beta = c.node.options?.float32(0, 1) ?? 1;
  const { scale } = input.activation.type;
  const multiplier = quantizeMultiplier(Math.min(beta * scale * 2 ** (31 - DIFFERENCE_BITS), 2 ** 31 - 1));
  const radius = Math.floor(
    ((2 ** DIFFERENCE_BITS - 1) * 2 ** (31 - DIFFERENCE_BITS)) / 2 ** multiplier.exponent,
  );
  const powers = Array.from({ length: 256 }, (_, d) =>
    d > radius ? 0n : expOfNegative(BigInt(c.scaled(-d, multiplier)), BigInt(DIFFERENCE_BITS)),
  );
  const tables = {
    exponentials: powers.map((p) => 16 * Number(divideByPot(p, SUM_BITS))),
    numerators: powers.map(Number),
  };
  const source = asSource(c.builder, c.name, input);
  const size = input.shape.at(-1)!;
  const activation = lowerSoftmax(c.builder, c.name, source, output, size, tables);
  return { ...input, activation, order: 'source' };
}

import { elementRange } from '../../../model/tensor.ts';
import { quantizeMultiplier } from '../../../model/tflite-rounding.ts';
import { lowerFunction, requireBytes } from '../../lower/lookup.ts';
import { divideByPot, logistic as fixedLogistic, tanh as fixedTanh } from '../fixed-point.ts';
import { hardSwish as hardSwishOf } from '../hard-swish.ts';
import { likewise } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';

/** A table of the output's q less its zero point, from the input's. */
function table(c: NodeReader, f: (q: number) => number): Quantised {
  const input = c.activation(0);
  const output = c.outputGrid;
  const { lo, hi } = elementRange(output.element);
  const to = { ...output, min: lo, max: hi };
  return likewise(
    input,
    lowerFunction(c.builder, c.name, input.activation, to, (q) => f(q) + output.zeroPoint),
  );
}

const INPUT_BITS = 4;

/**
 * Logistic and tanh: the input with 4 integer bits, the function in fixed point, its high bits. The output's grid is
 * given by the kernel: 2^-bits, with the least real at the least q.
 */
function fixedFunction(
  c: NodeReader,
  f: (raw: bigint) => bigint,
  bits: number,
  zeroPoints: readonly number[],
) {
  const output = c.outputGrid;
  requireBytes(c.builder, c.name, [c.activation(0).activation.type.element, output.element], 'a function');
  const zeroPoint = zeroPoints[output.element === 'int8' ? 0 : 1]!;
  if (output.zeroPoint !== zeroPoint || output.scale !== 2 ** -bits)
    c.refuseOption(
      'quantization',
      `${output.scale}, ${output.zeroPoint}`,
      `${2 ** -bits}, ${zeroPoint} of the output`,
    );
  const { scale } = c.activation(0).activation.type;
  const multiplier = quantizeMultiplier(scale * 2 ** (31 - INPUT_BITS));
  // `CalculateInputRadius`: from here on the function is at its end.
  const radius = Math.floor(((2 ** INPUT_BITS - 1) * 2 ** (31 - INPUT_BITS)) / 2 ** multiplier.exponent);
  return table(c, (q) => {
    if (Math.abs(q) >= radius) return q < 0 ? -256 : 256;
    const raw = f(BigInt(c.scaled(q, multiplier)));
    return Number(divideByPot(raw, BigInt(31 - bits)));
  });
}

/** 1 / (1 + e^-x), in the fixed point of the runtime's kernels; the output's steps are 1/256, from 0 on. */
export const logistic = (c: NodeReader): Quantised => fixedFunction(c, fixedLogistic, 8, [-128, 0]);
/** In the fixed point of the runtime's kernels; the output's steps are 1/128, around 0. */
export const tanh = (c: NodeReader): Quantised => fixedFunction(c, fixedTanh, 7, [0, 128]);

/** x * relu6(x + 3) / 6, in the kernel's own 16-bit arithmetic. */
export function hardSwish(c: NodeReader): Quantised {
  const { scale } = c.activation(0).activation.type;
  const output = c.outputGrid;
  const f = hardSwishOf(scale, output.scale);
  if (f === undefined)
    return c.refuseOption('quantization', output.scale, `an output scale of at least 1/128 of ${scale}`);
  return table(c, f);
}

/** Options: alpha. Both sides of zero have a multiplier of their own. */
export function leakyRelu(c: NodeReader): Quantised {
  const { scale } = c.activation(0).activation.type;
  const output = c.outputGrid;
  const alpha = c.node.options?.float32(0, 0) ?? 0;
  const above = quantizeMultiplier(scale / output.scale);
  const below = quantizeMultiplier((scale * Math.abs(alpha)) / output.scale);
  return table(c, (q) => (q >= 0 ? c.scaled(q, above) : Math.sign(alpha) * c.scaled(q, below)));
}

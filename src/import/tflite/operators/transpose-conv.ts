import { movedBy } from '../../lower/gather.ts';
import { lowerConv2d } from '../../lower/linear.ts';
import { asImage, fromImage } from '../layout.ts';
import { gathered } from '../movement.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';
import { biasAt, weightsAt } from '../weights.ts';
import { centred, reordered, roundings, sumsAreWide } from './linear.ts';

/**
 * Inputs: output shape, weights `[out, height, width, in]`, value, bias. Options: padding, strides, activation. A convolution
 * forwards with its window turned round, over an image with zeros between the pixels, which are multiplied like others.
 */
export function transposeConv(c: NodeReader): Quantised {
  const weights = weightsAt(c, 1, 0);
  const [outs, rows, columns, ins, ...more] = weights.shape as [number, number, number, number];
  if (ins === undefined || more.length > 0) c.refuseShape('weights [out, height, width, in]', weights.shape);
  const input = c.activation(2);
  const [height, width, channels] = input.shape;
  const [, tall, wide, made] = c.integers(0, 'the output shape');
  if (channels !== ins || input.shape.length !== 3 || made !== outs)
    return c.refuseShape(`[height, width, ${ins}] and an output of ${outs} channels`, input.shape);
  const strides = [c.optionInt(2, 1), c.optionInt(1, 1)] as const;
  if (strides.some((s) => s < 1)) c.refuseOption('stride', strides.join('x'), '1 and more');
  const down = along(c, height!, rows, strides[0], tall!);
  const right = along(c, width!, columns, strides[1], wide!);
  const spread = gathered(
    c,
    [input],
    movedBy([down.spread, right.spread, ins], input.shape, ([y, x, channel]) =>
      y! % strides[0] === 0 && x! % strides[1] === 0
        ? [y! / strides[0], x! / strides[1], channel!]
        : undefined,
    ),
  );
  const image =
    asImage(c.builder, c.name, spread) ?? c.refuseShape('[height, width, channels]', spread.shape);
  const { type } = input.activation;
  const output = c.fusedOutput(3);
  const isUint8 = type.element === 'uint8';
  const spec = {
    name: c.name,
    input: image,
    weights: turned(reordered(centred(weights), [outs, rows, columns, ins], [0, 3, 1, 2]), rows * columns),
    weightBits: weights.bits,
    bias: biasAt(c, 3, outs),
    output,
    rounding: roundings(type, weights, output, outs, !isUint8, c.rounding, sumsAreWide(c, 2)),
  };
  const pads = [down.before, right.before, down.behind, right.behind] as const;
  return fromImage(
    lowerConv2d(c.builder, spec, { kernel: [rows, columns], strides: [1, 1], pads, groups: 1 }),
  );
}

/** Along one axis: the image with zeros between, and what is put around it. Of an odd surplus the end is cut one more. */
function along(c: NodeReader, size: number, kernel: number, stride: number, out: number) {
  const spread = (size - 1) * stride + 1;
  const cut = Math.floor(Math.max(0, spread + kernel - 1 - out) / 2);
  const before = kernel - 1 - cut;
  const behind = out - spread + kernel - 1 - before;
  if (before < 0 || behind < 0 || behind >= kernel + stride)
    c.refuseShape(`an output of some ${spread + kernel - 1} elements for ${size}`, `${out}`);
  return { spread, before, behind };
}

/** Windows of so many taps by half a turn. */
function turned(weights: Int16Array, taps: number): Int16Array {
  for (let at = 0; at < weights.length; at += taps) weights.subarray(at, at + taps).reverse();
  return weights;
}

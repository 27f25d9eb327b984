import { refuse } from '../../../diagnostics/index.ts';
import { type Activation, viewed } from '../../builder.ts';
import { movedBy } from '../../lower/gather.ts';
import { conv2dShape } from '../../lower/linear.ts';
import { biased } from '../affine.ts';
import { dimsText } from '../dims.ts';
import { spatialRank } from '../geometry.ts';
import { onGrid } from '../materialise.ts';
import { moveValues } from '../moves.ts';
import { bothOf, type NodeReader } from '../node-reader.ts';
import { type QuantisedConstant, realActivation, unclamped, type Value } from '../values.ts';
import { channelWeights, weightsAt } from '../weights.ts';
import { linearTerm, multiplicand } from './linear.ts';

/**
 * A convolution backwards: one forwards with its window turned round, over an image with zeros between the pixels. They are
 * multiplied like others, so it is small images that this suits.
 */
export function convTranspose(c: NodeReader): Value {
  const [input, weights] = bothOf(
    () => multiplicand(c, 0),
    () => weightsAt(c, 1),
  );
  const rank = spatialRank(c, weights.dims.length - 2, input);
  const groups = c.int('group', 1);
  const perAxis = (name: string, absent: number): [number, number] => {
    const given = c.ints(name) ?? Array.from({ length: rank }, () => absent);
    if (given.length !== rank || given.some((n) => n < absent))
      c.refuseAttribute(name, dimsText(given), `${rank} numbers from ${absent} on`);
    return rank === 2 ? [given[0]!, given[1]!] : [absent, given[0]!];
  };
  const size = rank === 2 ? weights.dims.slice(2) : [1, weights.dims[2]!];
  c.ints('kernel_shape');
  const strides = perAxis('strides', 1);
  const dilations = perAxis('dilations', 1);
  const more = perAxis('output_padding', 0);
  const reach = (i: 0 | 1) => (size[i]! - 1) * dilations[i];
  const from = rank === 2 ? input.type.shape.slice(1) : [1, input.type.shape[1]!];
  const whole = ([0, 1] as const).map((i) => (from[i]! - 1) * strides[i] + more[i] + reach(i) + 1);
  const given = wantedPads(c, rank, { whole, from, strides }) ?? new Array<number>(2 * rank).fill(0);
  const cut = rank === 2 ? given : [0, given[0]!, 0, given[1]!];
  const pads = [
    reach(0) - cut[0]!,
    reach(1) - cut[1]!,
    reach(0) - cut[2]! + more[0],
    reach(1) - cut[3]! + more[1],
  ] as const;
  if (cut.length !== 4 || pads.some((p) => p < 0))
    c.refuseAttribute('pads', dimsText(given), 'less than the window, on each side');
  const image = spread(c, input, rank, strides);
  const turned = channelWeights(c, turnedRound(c, weights, size, groups), 1);
  const isDilated = dilations.some((d) => d > 1);
  const geometry = {
    kernel: [size[0]!, size[1]!] as const,
    strides: [1, 1] as const,
    pads,
    groups,
    ...(isDilated && { dilations }),
  };
  const term = { ...linearTerm(c.name, image, turned), conv: geometry };
  const [outs, height, width] = conv2dShape(c.builder, term, geometry);
  const shape = rank === 2 ? [outs, height, width] : [outs, width];
  const product = { kind: 'real', term, clamp: unclamped, shape } as const;
  return c.optional(2) === undefined ? product : { ...product, term: biased(c, product, 2, 'vector') };
}

/**
 * What is cut off on each side, as the node says it: itself, by the shape that is to come out, or by the rule that the output is
 * as many times larger as the stride. Of an odd number one side is cut more, the first with SAME_LOWER, else the last but for
 * NOTSET, as ONNX Runtime has it.
 */
function wantedPads(
  c: NodeReader,
  rank: 1 | 2,
  o: {
    readonly whole: readonly number[];
    readonly from: readonly number[];
    readonly strides: readonly number[];
  },
): readonly number[] | undefined {
  const auto = c.string('auto_pad', 'NOTSET');
  const pads = c.ints('pads');
  const given = c.ints('output_shape');
  const shape = given?.length === 0 ? undefined : given;
  if (!['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].includes(auto))
    c.refuseAttribute('auto_pad', auto, 'NOTSET, VALID, SAME_UPPER, SAME_LOWER');
  if (shape === undefined && !auto.startsWith('SAME')) return auto === 'VALID' ? undefined : pads;
  const axes = rank === 2 ? [0, 1] : [1];
  const last = shape?.slice(-rank);
  // Where the windows do not reach as far as the rule asks, the output ends with them.
  const totals = axes.map((axis, i) =>
    last === undefined
      ? Math.max(0, o.whole[axis]! - o.from[axis]! * o.strides[axis]!)
      : o.whole[axis]! - last[i]!,
  );
  if (totals.some((total) => !(total >= 0)))
    c.refuseAttribute('output_shape', dimsText(shape ?? []), 'no more than the windows reach');
  const isFirstLess = auto === 'SAME_UPPER';
  const least = totals.map((total) => Math.floor(total / 2));
  const most = totals.map((total) => Math.ceil(total / 2));
  return isFirstLess ? [...least, ...most] : [...most, ...least];
}

/** The image with real zeros between its pixels. */
function spread(
  c: NodeReader,
  input: Activation,
  rank: 1 | 2,
  [down, right]: readonly [number, number],
): Activation {
  const { shape } = input.type;
  const from = rank === 2 ? shape : [shape[0]!, 1, shape[1]!];
  const image = viewed(input, from);
  if (down === 1 && right === 1) return image;
  const to = [1, from[0]!, (from[1]! - 1) * down + 1, (from[2]! - 1) * right + 1];
  const moved = movedBy(to, [1, ...from], ([n, ch, y, x]) =>
    y! % down === 0 && x! % right === 0 ? [n!, ch!, y! / down, x! / right] : undefined,
  );
  const made = moveValues(c, [realActivation(image)], moved);
  if (made.kind !== 'real') throw new Error('reals stay reals');
  return onGrid(c, made, 0);
}

/** `[in, out / groups, height, width]` as `[out, in / groups, height, width]`, the window turned by half a turn. */
function turnedRound(
  c: NodeReader,
  weights: QuantisedConstant,
  size: readonly number[],
  groups: number,
): QuantisedConstant {
  const [ins, outsOfGroup] = weights.dims as [number, number];
  const [height, width] = size as [number, number];
  if (ins % groups !== 0)
    refuse('shape-mismatch', { expected: `channels of ${groups} groups`, actual: `${ins}` }, c.place(1));
  const insOfGroup = ins / groups;
  const moved = movedBy(
    [outsOfGroup * groups, insOfGroup, height, width],
    [ins, outsOfGroup, height, width],
    ([o, i, y, x]) => {
      const group = Math.floor(o! / outsOfGroup);
      return [group * insOfGroup + i!, o! % outsOfGroup, height - 1 - y!, width - 1 - x!];
    },
  );
  const made = moveValues(c, [{ ...weights, dims: [ins, outsOfGroup, height, width] }], moved);
  if (made.kind !== 'quantisedConstant') throw new Error('weights stay weights');
  return made;
}

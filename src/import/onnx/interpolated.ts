import { elementCount, elementRange } from '../../model/tensor.ts';
import type { Activation } from '../builder.ts';
import { boundedCount, lowerGather } from '../lower/gather.ts';
import type { Activity } from './dims.ts';
import { materialiseBy, onGrid, towardsZero } from './materialise.ts';
import { moveValues } from './moves.ts';
import type { NodeReader } from './node-reader.ts';
import { type LinearTerm, type Real, unclamped, type Value } from './values.ts';

/** Weights that a convolution holds. */
const MOST_WEIGHT = 255;
/** Parts into which the distance of two pixels is divided. */
const MOST_PARTS = 32;
/** What float32 makes of a place. */
const NOISE = 1e-4;

/** One axis of the new image: its places by how far they lie behind a pixel, in parts of the distance to the next. */
interface Axis {
  readonly parts: number;
  /** Distances that occur, ascending, in parts. */
  readonly phases: readonly number[];
  /** Of each place, which of these, which of its places it is, counted from 0, and the pixel before it. */
  readonly at: readonly { readonly phase: number; readonly index: number; readonly pixel: number }[];
  /** Places of the commonest distance. */
  readonly most: number;
  readonly taps: 1 | 2;
}

/**
 * Pixels between those of an image, in its last two axes, or the last one of a line: a convolution over the neighbours of each.
 * @param places of the new pixels among the old ones, for each dimension; beyond the border its pixels are repeated
 */
export function between(
  c: NodeReader,
  x: Activity,
  dims: readonly number[],
  places: readonly (readonly number[])[],
): Value {
  const isLine = dims.length === 3;
  const lead = dims.length - (isLine ? 1 : 2);
  const isMoved = (along: readonly number[]) => along.some((place, i) => place !== i);
  if (dims.length < 3 || places.slice(0, lead).some(isMoved))
    c.refuseAttribute('mode', 'linear', 'nearest, but for the last two axes of an image');
  const shape = places.map((along) => along.length);
  const axes = [axisOf(c, isLine ? [0] : places.at(-2)!), axisOf(c, places.at(-1)!)] as const;
  if (x.kind === 'floatInput') return c.refuseFloat(0, 'there is no QuantizeLinear before it');
  const isWhole = x.kind === 'quantised';
  const input = isWhole ? x.activation : onGrid(c, x, 0);
  const image = [elementCount(dims.slice(1, lead)), isLine ? 1 : dims.at(-2)!, dims.at(-1)!] as const;
  const { real, sources } = interpolated(c, input, image, axes);
  if (!isWhole) return moveValues(c, [real], { shape, sources });
  // The runtime's kernel of integers cuts off what is behind the point, of the integers themselves.
  const made = materialiseBy(c, real, wholeGrid(c, input, axes), towardsZero);
  return moveValues(c, [{ kind: 'quantised', activation: made }], { shape, sources });
}

function wholeGrid(c: NodeReader, { type }: Activation, axes: readonly Axis[]) {
  const { lo, hi } = elementRange(type.element);
  // Thirds, of which float32 has but some, may fall to either side of a whole number.
  const isExact = axes.every(({ parts }) => Number.isInteger(Math.log2(parts)));
  if (!isExact || Number.isNaN(type.scale))
    c.refuseAttribute('mode', 'linear', 'nearest, or linear between DequantizeLinear and QuantizeLinear');
  return { ...type, min: lo, max: hi };
}

function axisOf(c: NodeReader, places: readonly number[]): Axis {
  const fractions = places.map((place) => place - Math.floor(place + NOISE));
  const isNear = (x: number) => Math.abs(x - Math.round(x)) < NOISE;
  let parts = 1;
  while (parts <= MOST_PARTS && !fractions.every((part) => isNear(part * parts))) parts++;
  if (parts > MOST_PARTS)
    c.refuseAttribute('mode', 'linear', 'nearest, or linear to whole multiples of the size');
  const steps = fractions.map((part) => Math.round(part * parts));
  const phases = [...new Set(steps)].sort((a, b) => a - b);
  const counts = phases.map(() => 0);
  const at = places.map((place, i) => {
    const phase = phases.indexOf(steps[i]!);
    return { phase, index: counts[phase]!++, pixel: Math.floor(place + NOISE) };
  });
  return { parts, phases, at, most: Math.max(...counts), taps: parts === 1 ? 1 : 2 };
}

/** One output a distance of both axes, a position a pixel at that distance; and where each new pixel is among them. */
function interpolated(
  c: NodeReader,
  input: Activation,
  [channels, height, width]: readonly [number, number, number],
  [down, right]: readonly [Axis, Axis],
): { readonly real: Real; readonly sources: Int32Array } {
  const taps = down.taps * right.taps;
  const outs = down.phases.length * right.phases.length;
  const positions = channels * down.most * right.most;
  const whole = down.parts * right.parts;
  const shares = (axis: Axis, phase: number) =>
    axis.taps === 1 ? [1] : [axis.parts - axis.phases[phase]!, axis.phases[phase]!];
  const weights = down.phases.flatMap((_, y) =>
    right.phases.flatMap((_, x) => shares(down, y).flatMap((a) => shares(right, x).map((b) => a * b))),
  );
  if (weights.some((w) => w > MOST_WEIGHT))
    c.refuseAttribute('mode', 'linear', 'nearest, or linear to multiples of the size up to 8 or so');
  const gathered = new Int32Array(boundedCount([outs, positions, taps], elementCount(input.type.shape)));
  const sources = new Int32Array(channels * down.at.length * right.at.length);
  const inside = (pixel: number, size: number) => Math.max(0, Math.min(size - 1, pixel));
  let next = 0;
  for (let channel = 0; channel < channels; channel++)
    for (const y of down.at)
      for (const x of right.at) {
        const out = y.phase * right.phases.length + x.phase;
        const position = (channel * down.most + y.index) * right.most + x.index;
        const first = out * positions + position;
        sources[next++] = first;
        for (let tap = 0; tap < taps; tap++) {
          const row = inside(y.pixel + Math.floor(tap / right.taps), height);
          const column = inside(x.pixel + (tap % right.taps), width);
          gathered[first * taps + tap] = (channel * height + row) * width + column;
        }
      }
  const image = lowerGather(c.builder, `${c.name}_neighbours`, [input], [outs, positions, taps], gathered);
  const term: LinearTerm = {
    kind: 'linear',
    name: c.name,
    input: image,
    weights: Int16Array.from(weights),
    bias: new Float64Array(outs),
    scale: new Float64Array(outs).fill(input.type.scale / whole),
    offset: new Float64Array(outs),
    conv: { kernel: [1, taps], strides: [1, 1], pads: [0, 0, 0, 0], groups: outs },
    fused: false,
  };
  return { real: { kind: 'real', term, clamp: unclamped, shape: [outs, positions] }, sources };
}

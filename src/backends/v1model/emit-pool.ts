import type { MaxPoolLayer } from '../../model/model.ts';
import type { TensorType } from '../../model/tensor.ts';
import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, findRuns, type Placement, type Run } from './activations.ts';
import { type Code, fieldName, lanesOf } from './code.ts';
import { eachPosition, imageOf } from './window.ts';

/**
 * The largest of each window, in all channels of a pixel at once: the pixels of a window are words of one shape, so
 * their lanes are compared by one subtraction.
 */
export function emitMaxPool(
  code: Code,
  name: string,
  layer: MaxPoolLayer,
  input: Activations,
  type: TensorType,
): Activations {
  const { channels, height, width } = imageOf(type);
  const area = height * width;
  const positions = eachPosition(layer, type, layer.output);
  const placements: Placement[] = [];
  for (const [p, taps] of positions.entries()) {
    const pixels = taps.flatMap((tap) => {
      if (tap === undefined) return [];
      const elements = Array.from({ length: channels }, (_, c) => c * area + tap.y * width + tap.x);
      return [elements.map((e) => input.placements[e]!)];
    });
    for (const [channel, placement] of emitLargest(code, `${name}_${p}`, pixels).entries())
      placements[channel * positions.length + p] = placement;
  }
  return { placements, low: input.low, high: input.high };
}

/** The lane-wise largest of several lists of elements. */
export function emitLargest(code: Code, name: string, lists: readonly (readonly Placement[])[]): Placement[] {
  const runs = lists.map((list) => alignRuns(list, lists));
  const result: Placement[] = [];
  for (const [r, shape] of runs[0]!.entries()) {
    const bits = (shape.members.length - 1) * shape.pitch + ELEMENT_BITS + 1;
    const width = Math.ceil(bits / 8) * 8;
    const offsets = shape.members.map((_, i) => i * shape.pitch);
    const best = code.field(`${name}_${r}`, width);
    const difference = code.field(`${name}_${r}_d`, width);
    const words = runs.map((list) => takeRun(list[r]!, offsets, width));
    code.assign(best, words[0]!);
    for (const word of words.slice(1)) assignLarger(code, best, difference, word, offsets, ELEMENT_BITS);
    for (const [i, member] of shape.members.entries())
      result[member] = { field: fieldName(best), width, offset: offsets[i]!, pitch: shape.pitch };
  }
  return result;
}

/**
 * `best = max(best, other)` in every lane of `bits` bits: with a guard above each lane, `best - other` leaves the guard
 * where best is not less, and then the difference is added to the other.
 */
export function assignLarger(
  code: Code,
  best: Expression,
  difference: Expression,
  other: Expression,
  offsets: readonly number[],
  bits: number,
): void {
  const guards = literal(lanesOf(offsets, 1n << BigInt(bits)), best.width);
  code.assign(difference, binary(binary(best, '|', guards), '-', other));
  const kept = binary(difference, '&', guards);
  const mask = binary(kept, '-', shift(kept, '>>', bits));
  code.assign(best, binary(other, '+', binary(difference, '&', mask)));
}

/** Runs with room for a guard between lanes, the same in all lists; single elements where that is not so. */
function alignRuns(list: readonly Placement[], lists: readonly (readonly Placement[])[]): Run[] {
  const shapes = new Set(
    lists.map((l) =>
      findRuns(l)
        .map((r) => `${r.pitch}:${r.members.join()}`)
        .join(';'),
    ),
  );
  const own = findRuns(list);
  const roomy = own.every((r) => r.members.length === 1 || r.pitch > ELEMENT_BITS);
  if (shapes.size === 1 && roomy) return own;
  return list.map((p, i) => ({ ...findRuns([p])[0]!, members: [i] }));
}

/** The run's lanes from bit 0 on; what lies between them in a field of the packet is cut off. */
function takeRun(run: Run, offsets: readonly number[], width: number): Expression {
  const bits = (run.members.length - 1) * run.pitch + ELEMENT_BITS;
  const lanes = cast(slice(reference(run.field, run.width), run.offset, bits), width);
  return run.members.length === 1 || !run.mixed
    ? lanes
    : binary(lanes, '&', literal(lanesOf(offsets, 0xffn), width));
}

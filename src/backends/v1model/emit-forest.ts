import { leafBoxes } from '../../model/boxes.ts';
import type { ForestLayer } from '../../model/model.ts';
import { elementRange } from '../../model/tensor.ts';
import { binary, cast, type Expression, literal, reference, select, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { type Code, fieldName, type Lookup } from './code.ts';
import { atMost, verdictOf } from './emit-argmax.ts';
import { constantsOf } from './emit-matrix.ts';
import { assignLarger } from './emit-pool.ts';

/** A score of 52 bits, in whole bytes and with room above it. */
const LANE = 56;

/** Features that all are part of every tree's key, so that another forest may ask for others. */
const MOST_KEYS = 32;

/** Entries that a tree has room for. */
const roomOf = (leaves: number): number => 2 ** Math.ceil(Math.log2(Math.max(2, leaves)));

/**
 * A table a tree, by ranges of the features: one entry a leaf, whose action adds the leaf's scores, all in one word. A packet that
 * takes the step of every tree this way has no more look-ups than there are trees.
 */
export function emitForest(
  code: Code,
  index: number,
  layer: ForestLayer,
  input: Activations,
  runtime: boolean,
): Activations {
  const name = `l${index}`;
  const scores = layer.base.length;
  const sums = code.field(`${name}_sums`, scores * LANE);
  code.assign(sums, literal(0, sums.width));
  code.beginLookups(index, treeLookups(index, layer, input, sums, runtime));
  const constant = constantsOf(code, runtime);
  return layer.result === 'verdict'
    ? emitVotes(code, name, layer, sums, constant)
    : emitSums(code, name, layer, sums, constant);
}

type Constant = ReturnType<typeof constantsOf>;

function treeLookups(
  index: number,
  layer: ForestLayer,
  input: Activations,
  sums: Expression,
  runtime: boolean,
): Lookup[] {
  const scores = layer.base.length;
  const features = featuresOf(layer, input.placements.length);
  const fields = features.map((f) => elementOf(input.placements[f]!));
  return Array.from(layer.roots, (root, tree): Lookup => {
    const boxes = leafBoxes(layer, root, input.low, input.high);
    return {
      family: 'tree',
      layer: index,
      index: tree,
      key: fields[0]!,
      keys: boxes.map((_, i) => i),
      boxes: {
        fields,
        bounds: boxes.map(({ ranges }) =>
          features.map((f) => {
            const { lo, hi } = ranges.get(f) ?? { lo: input.low, hi: input.high };
            return [lo - input.low, hi - input.low] as const;
          }),
        ),
      },
      room: roomOf(boxes.length),
      targets: [sums],
      values: boxes.map(({ row }) => [rowWord(layer.scores.subarray(row * scores, (row + 1) * scores))]),
      constant: !runtime,
    };
  });
}

/** Of very many only those that some tree asks for. */
function featuresOf({ nodes }: ForestLayer, count: number): readonly number[] {
  if (count <= MOST_KEYS) return Array.from({ length: count }, (_, f) => f);
  const asked = [...new Set(nodes.feature)].filter((f) => f >= 0).sort((a, b) => a - b);
  return asked.length > 0 ? asked : [0];
}

const elementOf = ({ field, width, offset }: Placement): Expression =>
  slice(reference(field, width), offset, ELEMENT_BITS);

const rowWord = (scores: Float64Array): bigint =>
  scores.reduce((word, score, s) => word + (BigInt(score) << BigInt(s * LANE)), 0n);

function emitVotes(
  code: Code,
  name: string,
  { base, shift }: ForestLayer,
  sums: Expression,
  constant: Constant,
): Activations {
  code.assign(sums, binary(sums, '+', constant('base', sums.width, rowWord(Float64Array.from(base)))));
  const amount = constant('shift', ELEMENT_BITS, BigInt(shift));
  const values = base.map((_, s) => slice(sums, s * LANE, LANE));
  return verdictOf(code, name, values, (margin) => {
    const steps = code.field(`${name}_steps`, margin.width);
    code.assign(steps, select(margin, amount));
    return atMost(code, `${name}_margin`, steps, 0xff);
  });
}

/** Bits of a sum and what keeps it above zero. */
const SUM_BITS = LANE - 1;

/** `clamp(score >> shift)`; the base brings a number with it that keeps every sum above zero until it is clamped there. */
function emitSums(
  code: Code,
  name: string,
  { base, shift, output }: ForestLayer,
  sums: Expression,
  constant: Constant,
): Activations {
  const { lo, hi } = elementRange(output.element);
  const zero = 2n ** BigInt(SUM_BITS - 1);
  const start = base.reduce((word, value, s) => {
    const own = BigInt(value) - (BigInt(lo) << BigInt(shift)) + zero;
    return word + (own << BigInt(s * LANE));
  }, 0n);
  code.assign(sums, binary(sums, '+', constant('base', sums.width, start)));
  const width = LANE + ELEMENT_BITS;
  const placements = base.map((_, s): Placement => {
    const own = `${name}_${s}`;
    const [value, difference] = ['value', 'd'].map((part) => code.field(`${own}_${part}`, width)) as [
      Expression,
      Expression,
    ];
    const floor = reference(code.constantField(`${own}_zero`, width, zero), width);
    code.assign(value, cast(slice(sums, s * LANE, LANE), width));
    assignLarger(code, value, difference, floor, [0], LANE);
    const steps = code.field(`${own}_steps`, width);
    code.assign(steps, binary(value, '-', floor));
    const shifted = code.field(`${own}_q`, width);
    code.assign(shifted, select(steps, literal(shift, ELEMENT_BITS)));
    const q = atMost(code, `${own}_most`, shifted, hi - lo);
    return { field: fieldName(q), width, offset: 0, pitch: ELEMENT_BITS };
  });
  return { placements, low: lo, high: hi };
}

import { refuse } from '../../diagnostics/index.ts';
import { type ByKind, ofKind } from '../../model/by-kind.ts';
import type { Model, ValueId } from '../../model/model.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementRange, isWide } from '../../model/tensor.ts';
import { type BitLayout, rowFactors } from '../../passes/bits.ts';
import { laneNeed, widestLane } from '../../passes/lanes.ts';
import { holdsLevels, type Levels, levelValues, valueLevels } from '../../passes/levels.ts';
import { type ForestSizes, stepsOf } from './forest-sizes.ts';
import {
  type ElementwiseKind,
  type LayerPlan,
  type MatrixPlan,
  planXdp,
  scalesTo,
  type XdpPlan,
} from './plan.ts';

/**
 * A plan by which another version of a model can be packed (`encodeWeights`) for a program that is already loaded: same
 * layers and shapes, sums that fit its lanes, and whatever the program has in its code is the same.
 * @throws DiagnosticError `envelope-exceeded`, naming the layer and what does not fit
 */
export function planReplacement(program: XdpPlan, model: Model, modelVersion: number): XdpPlan {
  const { plan } = planXdp(model, { ...program.options, modelVersion });
  const misfit = (what: string, layer?: string): never =>
    refuse('envelope-exceeded', { what }, { file: model.file, ...(layer !== undefined && { layer }) });
  if (plan === undefined || plan.layers.length !== program.layers.length)
    return misfit('the layers are others');
  if (program.options.weights === 'static') return misfit('its weights are constants in the code');
  if (!sameJson([[...plan.buffers], plan.copies], [[...program.buffers], program.copies]))
    return misfit('shapes, padding or zero points of padding differ');
  for (const end of ['input', 'output'] as const)
    if (plan[end].element !== program[end].element) return misfit(`the ${end} is ${plan[end].element}`);

  const layers = plan.layers.map((own, i): LayerPlan => {
    const held = program.layers[i]!;
    const levels = (value: ValueId) => valueLevels(model, value, program.options.from);
    const what =
      own.kind === 'matrix' && held.kind === 'matrix'
        ? matrixMisfit(held, own, levels)
        : elementwiseMisfit(held, own);
    if (what !== undefined) return misfit(what, own.layer.name);
    // What is the same for all weights is the program's.
    const { shift, narrow, below, odd } = held;
    if (own.kind !== 'matrix' || held.kind !== 'matrix')
      return own.kind === 'matrix' ? own : { ...own, ...forestOf(held), shift, narrow, below, odd };
    const { bits, lanes, blocks, looped, byInput, loop } = held;
    return { ...own, bits, lanes, blocks, looped, byInput, loop, shift, narrow, below, odd };
  });
  return { ...plan, layers };
}

const forestOf = (p: LayerPlan) =>
  p.kind === 'elementwise' && p.forest !== undefined ? { forest: p.forest } : {};

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function matrixMisfit(
  held: MatrixPlan,
  own: MatrixPlan,
  levels: (value: ValueId) => Levels,
): string | undefined {
  const geometry = ({ layer: l, taps }: MatrixPlan) => [
    l.kind,
    l.inputs,
    taps,
    l.bias.length,
    l.kind === 'conv2d' ? [l.kernel, l.strides, l.pads, l.groups, l.dilations] : [],
  ];
  if (!sameJson(geometry(held), geometry(own))) return 'kind or shape of the layer differs';
  const { requantiser: r } = own.layer;
  if (held.bits !== undefined) {
    const what = bitsMisfit(held, held.bits, own, levels);
    // A step is a number of its own, whatever made it.
    if (what !== undefined || held.bits.outputs !== undefined) return what;
  } else if (held.narrow && !own.narrow) return 'its weights need more than 8 bits';
  if (own.below && !held.below) return SECOND_LINE;
  if (own.odd !== undefined && own.odd !== held.odd) return TIES;
  const window = held.lanes?.requantisation === 'window';
  // Products of the model stay below 2^53; scaling up to the program's shift must leave them below 2^63.
  if (r.shift > held.shift || (!window && held.shift - r.shift > 9))
    return `it scales by 2^-${r.shift}, the program by 2^-${held.shift}`;
  const { min, max } = held.layer.requantiser;
  if (!window && (r.min !== min || r.max !== max))
    return `it clamps to ${r.min}..${r.max}, the program to ${min}..${max}`;
  const { element } = own.layer.output;
  if (isWide(element) && r.shift !== held.shift) return OTHER_SHIFT;
  if (!window && element !== held.layer.output.element) return `its output is ${element}`;
  if (held.lanes === undefined) return undefined;
  const need = laneNeed(own.layer, own.input);
  if (window && need.windows === undefined) return 'a channel leaps over several steps at its lower clamp';
  const { bits, channel } = widestLane(need, held.lanes.requantisation);
  return bits > held.lanes.laneBits
    ? `channel ${channel} needs a lane of ${bits} bits, there are ${held.lanes.laneBits}`
    : undefined;
}

/** What of a layer does not fit a program that counts bits. */
function bitsMisfit(
  held: MatrixPlan,
  bits: BitLayout,
  own: MatrixPlan,
  levels: (value: ValueId) => Levels,
): string | undefined {
  const { layer } = own;
  if (rowFactors(layer.weights, layer.bias.length) === undefined)
    return 'its weights are not -1, 0 and 1 times one number an output, and the program holds their signs alone';
  if (!bits.ternary && layer.weights.includes(0)) return 'a weight is 0, and the program holds signs alone';
  const room = { ...bits.levels, count: 2 ** bits.planes };
  if (!holdsLevels(room, levels(layer.inputs[0]!)))
    return `its inputs may have other values than ${levelValues(room).join(', ')}, whose bits the program counts`;
  if (bits.outputs === undefined) return undefined;
  if (layer.output.element !== held.layer.output.element) return `its output is ${layer.output.element}`;
  return holdsLevels(bits.outputs, levels(own.index + 1))
    ? undefined
    : `its outputs may have other values than ${levelValues(bits.outputs).join(' and ')}, which the program tells apart by one count`;
}

const OTHER_SHIFT =
  'its 16-bit outputs are scaled by another power of two, which the program has in its code';
const TIES =
  'its ties go to even numbers, those of the program do not; a program made for these weights takes both kinds';
const SECOND_LINE = 'its rounding needs a second line below a pivot';

function elementwiseMisfit(held: LayerPlan, own: LayerPlan): string | undefined {
  if (!sameJson(inCode(held), inCode(own))) return 'the layer differs, and is part of the code';
  if (own.below && !held.below) return SECOND_LINE;
  if (own.odd !== undefined && own.odd !== held.odd) return TIES;
  if (own.kind === 'elementwise' && held.kind === 'elementwise' && own.forest && held.forest)
    return forestMisfit(held.forest, own.forest);
  if (own.layer.kind !== 'embedding') return undefined;
  if (held.narrow && !own.narrow) return 'its entries need more than 8 bits';
  return scalesTo(own.layer, held.shift)
    ? undefined
    : `its sums, scaled by 2^-${held.shift}, need more than 64 bits`;
}

const FOREST_ROOM = { nodes: 'nodes', rows: 'leaves' } as const;

function forestMisfit(held: ForestSizes, own: ForestSizes): string | undefined {
  for (const key of ['nodes', 'rows'] as const)
    if (own[key] > held[key])
      return `its trees need room for ${own[key]} ${FOREST_ROOM[key]}, there is for ${held[key]}`;
  const steps = stepsOf(held);
  const tree = stepsOf(own).findIndex((depth, t) => depth > steps[t]!);
  if (tree >= 0)
    return `its trees need room for ${stepsOf(own)[tree]} levels, there is for ${steps[tree]} in tree ${tree} of the deepest first`;
  return undefined;
}

/** What the code of a layer without weights holds: all but multipliers, offsets, tables and scales. */
function inCode(p: LayerPlan): readonly unknown[] {
  if (p.kind === 'matrix') return [p.layer.kind];
  const grids = p.inputs.map(({ element, zeroPoint }) => [element, zeroPoint]);
  const { lo } = elementRange(p.layer.output.element);
  return [p.layer.kind, p.layer.inputs, ...ofKind(ownCode, p.layer, { grids, lo })];
}

/** Element types and zero points of what is read, and the least element of what is written. */
interface Ends {
  readonly grids: readonly unknown[];
  readonly lo: number;
}

const clampCode = (r: Requantiser, { grids, lo }: Ends): readonly unknown[] => [
  grids,
  lo,
  r.shift,
  r.min,
  r.max,
];

const ownCode = {
  // These move or compare unsigned activations, or look them up, whatever they stand for.
  argmax: () => [],
  forest: ({ roots, base, shift, result }, { lo }) => [
    ...[roots.length, base.length, result, lo],
    ...(result === 'sums' ? [shift] : []),
  ],
  lut: ({ table }) => [table.length],
  softmax: ({ size, output }, { lo }) => [size, lo, output.zeroPoint],
  gather: ({ sources, value }, { lo }) => [Array.from(sources), value - lo],
  maxPool: ({ kernel, strides, pads, dilations }) => [kernel, strides, pads, dilations],
  transpose: ({ from, axes }) => [from, axes],
  pad: ({ pads, value }, { lo }) => [pads, value - lo],
  embedding: ({ keyBytes, bag, rows, width, requantiser: r }, { lo }) => [
    ...[keyBytes, bag, rows, width],
    ...[lo, r.min, r.max],
  ],
  add: ({ shift, min, max }, { grids, lo }) => [grids, lo, shift, min, max],
  requantise: ({ requantiser }, ends) => clampCode(requantiser, ends),
  mul: ({ requantiser }, ends) => clampCode(requantiser, ends),
  averagePool: ({ kernel, strides, pads, dilations, divisors, requantiser }, ends) => [
    [kernel, strides, pads, dilations, divisors.length > 1],
    ...clampCode(requantiser, ends),
  ],
} satisfies ByKind<readonly unknown[], [ends: Ends], ElementwiseKind>;

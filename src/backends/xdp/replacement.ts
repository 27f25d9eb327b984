import { refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { laneNeed, widestLane } from '../../passes/lanes.ts';
import { type LayerPlan, type MatrixPlan, planXdp, type XdpPlan } from './plan.ts';

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
  if (!sameJson([...plan.buffers], [...program.buffers]))
    return misfit('shapes, padding or zero points of padding differ');
  for (const end of ['input', 'output'] as const)
    if (plan[end].element !== program[end].element) return misfit(`the ${end} is ${plan[end].element}`);

  const layers = plan.layers.map((own, i): LayerPlan => {
    const held = program.layers[i]!;
    const what =
      own.kind === 'matrix' && held.kind === 'matrix'
        ? matrixMisfit(held, own)
        : elementwiseMisfit(held, own);
    if (what !== undefined) return misfit(what, own.layer.name);
    if (own.kind !== 'matrix' || held.kind !== 'matrix') return own;
    const { lanes, blocks, looped, shift, narrow } = held;
    return { ...own, lanes, blocks, looped, shift, narrow };
  });
  return { ...plan, layers };
}

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function matrixMisfit(held: MatrixPlan, own: MatrixPlan): string | undefined {
  const geometry = ({ layer: l, taps }: MatrixPlan) => [
    l.kind,
    l.inputs,
    taps,
    l.bias.length,
    l.kind === 'conv2d' ? [l.kernel, l.strides, l.pads] : [],
  ];
  if (!sameJson(geometry(held), geometry(own))) return 'kind or shape of the layer differs';
  const { requantiser: r } = own.layer;
  if (held.narrow && !own.narrow) return 'its weights need more than 8 bits';
  const window = held.lanes?.requantisation === 'window';
  // Products of the model stay below 2^53; scaling up to the program's shift must leave them below 2^63.
  if (r.shift > held.shift || (!window && held.shift - r.shift > 9))
    return `it scales by 2^-${r.shift}, the program by 2^-${held.shift}`;
  const { min, max } = held.layer.requantiser;
  if (!window && (r.min !== min || r.max !== max))
    return `it clamps to ${r.min}..${r.max}, the program to ${min}..${max}`;
  const { element } = own.layer.output;
  if (!window && element !== held.layer.output.element) return `its output is ${element}`;
  if (held.lanes === undefined) return undefined;
  const need = laneNeed(own.layer, own.input);
  if (window && need.windows === undefined) return 'a channel leaps over several steps at its lower clamp';
  const { bits, channel } = widestLane(need, held.lanes.requantisation);
  return bits > held.lanes.laneBits
    ? `channel ${channel} needs a lane of ${bits} bits, there are ${held.lanes.laneBits}`
    : undefined;
}

const elementwiseMisfit = (held: LayerPlan, own: LayerPlan): string | undefined =>
  sameJson(inCode(held), inCode(own)) ? undefined : 'the layer differs, and is part of the code';

/** What the code of a layer without weights holds: all but multipliers, offsets and scales. */
function inCode(p: LayerPlan): unknown {
  if (p.kind === 'matrix') return p.layer.kind;
  const { layer } = p;
  const window = 'kernel' in layer ? [layer.kernel, layer.strides, layer.pads] : [];
  const base = [layer.kind, layer.inputs, window];
  // These two compare unsigned activations, whatever they stand for.
  if (layer.kind === 'maxPool' || layer.kind === 'argmax') return base;
  if (layer.kind !== 'add' && layer.kind !== 'requantise' && layer.kind !== 'averagePool') return layer;
  const { shift, min, max } = layer.kind === 'add' ? layer : layer.requantiser;
  const grids = p.inputs.map(({ element, zeroPoint }) => [element, zeroPoint]);
  return [...base, grids, layer.output.element, shift, min, max];
}

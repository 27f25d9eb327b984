import { type ByKind, ofKind } from '../model/by-kind.ts';
import type { Layer, LayerKind, Model, ValueId } from '../model/model.ts';
import { valueType } from '../model/model.ts';
import type { Requantiser } from '../model/requantiser.ts';

interface Simplified {
  readonly model: Model;
  /** The value that stands for each old one; none for one that is gone. */
  readonly values: ReadonlyMap<ValueId, ValueId>;
  /** Old values whose clamp went into the layer before. */
  readonly folded: ReadonlySet<ValueId>;
}

/**
 * Drops layers that the output does not depend on, folds clamps into the layer before, and padding by real zeros into
 * the convolution behind.
 *
 * @pre `output` is a value of the model
 * @post the last layer makes the output; the function of the model is unchanged
 */
export function simplify(model: Model, output: ValueId): Simplified {
  const clamped = foldClamps(model, output);
  const pruned = prune(foldPads(clamped.model), clamped.output);
  const values = new Map<ValueId, ValueId>();
  for (let old = 0; old <= model.layers.length; old++) {
    const now = pruned.values.get(clamped.replaced.get(old) ?? old);
    if (now !== undefined) values.set(old, now);
  }
  return { model: pruned.model, values, folded: new Set(clamped.replaced.keys()) };
}

function prune(model: Model, output: ValueId): { model: Model; values: ReadonlyMap<ValueId, ValueId> } {
  const needed = new Set<ValueId>([output]);
  for (let value = output; value > 0; value--)
    if (needed.has(value)) for (const input of model.layers[value - 1]!.inputs) needed.add(input);
  const renumbered = new Map<ValueId, ValueId>([[0, 0]]);
  const layers: Layer[] = [];
  for (const [i, layer] of model.layers.entries()) {
    if (!needed.has(i + 1)) continue;
    layers.push({ ...layer, inputs: layer.inputs.map((v) => renumbered.get(v)!) });
    renumbered.set(i + 1, layers.length);
  }
  return { model: { ...model, layers }, values: renumbered };
}

/**
 * A `requantise` layer that keeps scale, zero point and shape only narrows the range: where it is the one reader of a
 * layer that clamps as well, that layer takes the narrower range. `dense [-128, 127]; clamp [0, 127]` becomes
 * `dense [0, 127]`.
 */
function foldClamps(
  model: Model,
  output: ValueId,
): { model: Model; output: ValueId; replaced: ReadonlyMap<ValueId, ValueId> } {
  const layers = [...model.layers];
  const readers = new Map<ValueId, number>([[output, 1]]);
  for (const layer of layers) for (const v of layer.inputs) readers.set(v, (readers.get(v) ?? 0) + 1);
  const replaced = new Map<ValueId, ValueId>();
  const resolve = (v: ValueId): ValueId => replaced.get(v) ?? v;

  for (const [i, layer] of layers.entries()) {
    const inputs = layer.inputs.map(resolve);
    layers[i] = { ...layer, inputs };
    const source = inputs[0]!;
    const before = layers[source - 1];
    if (before === undefined || readers.get(layer.inputs[0]!) !== 1 || !isClamp(model, layer)) continue;
    const made = narrow(before, layer.requantiser.min, layer.requantiser.max);
    if (made === undefined) continue;
    layers[source - 1] = made;
    replaced.set(i + 1, source);
    readers.set(source, readers.get(i + 1) ?? 0);
  }
  return { model: { ...model, layers }, output: resolve(output), replaced };
}

/** A convolution pads with real zeros itself. What it no longer reads is pruned. */
function foldPads(model: Model): Model {
  const layers = model.layers.map((layer): Layer => {
    if (layer.kind !== 'conv2d') return layer;
    const before = model.layers[layer.inputs[0]! - 1];
    if (before?.kind !== 'pad' || before.value !== before.output.zeroPoint) return layer;
    const [top, left, bottom, right] = layer.pads;
    const [above, leftOf, beneath, rightOf] = before.pads;
    return {
      ...layer,
      inputs: before.inputs,
      pads: [top + above, left + leftOf, bottom + beneath, right + rightOf],
    };
  });
  return { ...model, layers };
}

function isClamp(model: Model, layer: Layer): layer is Extract<Layer, { kind: 'requantise' }> {
  if (layer.kind !== 'requantise') return false;
  const input = valueType(model, layer.inputs[0]!);
  const { multiplier, offset, shift } = layer.requantiser;
  const copies = shift === 0 && multiplier[0] === 1 && offset[0] === input.zeroPoint;
  const { element, scale, zeroPoint, shape } = layer.output;
  const same = element === input.element && scale === input.scale && zeroPoint === input.zeroPoint;
  return copies && same && shape.join() === input.shape.join();
}

/** The layer with a narrower clamp; undefined where it has none. */
const narrow = (layer: Layer, min: number, max: number): Layer | undefined =>
  ofKind<Layer | undefined, [number, number], LayerKind>(narrowed, layer, min, max);

const within = (l: { min: number; max: number }, min: number, max: number) => ({
  min: Math.min(Math.max(l.min, min), max),
  max: Math.max(Math.min(l.max, max), min),
});

const narrowRequantiser = <L extends Layer & { readonly requantiser: Requantiser }>(
  layer: L,
  min: number,
  max: number,
): L => ({ ...layer, requantiser: { ...layer.requantiser, ...within(layer.requantiser, min, max) } });

const noClamp = () => undefined;

const narrowed = {
  dense: narrowRequantiser,
  conv2d: narrowRequantiser,
  averagePool: narrowRequantiser,
  embedding: narrowRequantiser,
  requantise: narrowRequantiser,
  mul: narrowRequantiser,
  add: (layer, min, max) => ({ ...layer, ...within(layer, min, max) }),
  lut: (layer, min, max) => ({ ...layer, table: layer.table.map((q) => Math.max(min, Math.min(max, q))) }),
  maxPool: noClamp,
  pad: noClamp,
  transpose: noClamp,
  gather: noClamp,
  softmax: noClamp,
  argmax: noClamp,
  forest: noClamp,
} satisfies ByKind<Layer | undefined, [min: number, max: number]>;

import type { GatherLayer, PadLayer, TransposeLayer } from '../../model/model.ts';
import type { TensorType } from '../../model/tensor.ts';
import { transposeSources } from '../../reference/lookup.ts';
import { binary, literal, reference } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { type Code, fieldName, lanesOf } from './code.ts';
import { imageOf } from './window.ts';

/** Layers that move elements. They stay where they are; only what they are called changes. */

/** Costs nothing: output `i` lies where its source does. */
export const moveTransposed = (layer: TransposeLayer, input: Activations): Activations => ({
  ...input,
  placements: Array.from(transposeSources(layer), (source) => input.placements[source]!),
});

/** Elements of several tensors, which so must stand for the same reals; what none moves to is a constant. */
export function emitGather(
  code: Code,
  name: string,
  layer: GatherLayer,
  inputs: readonly Activations[],
): Activations {
  const fills = layer.sources.includes(-1);
  const low = Math.min(...inputs.map((input) => input.low), ...(fills ? [layer.value] : []));
  const high = Math.max(...inputs.map((input) => input.high), ...(fills ? [layer.value] : []));
  const all = inputs.flatMap((input, k) =>
    input.low === low ? input.placements : emitRebased(code, `${name}_${k}`, input, low).placements,
  );
  const border = fills ? emitBorder(code, name, [all[0]!], layer.value - low)[0]! : undefined;
  const placements = Array.from(layer.sources, (source) => (source < 0 ? border! : all[source]!));
  return { placements, low, high };
}

/** The border's elements are constants, which matrices take into their own; other layers read them in a field. */
export function emitPad(
  code: Code,
  name: string,
  layer: PadLayer,
  given: Activations,
  type: TensorType,
): Activations {
  const input = layer.value < given.low ? emitRebased(code, name, given, layer.value) : given;
  const u = layer.value - input.low;
  const { channels, height, width } = imageOf(type);
  const rows = height + layer.pads[0] + layer.pads[2];
  const columns = width + layer.pads[1] + layer.pads[3];
  const border = emitBorder(
    code,
    name,
    Array.from({ length: channels }, (_, c) => input.placements[c * height * width]!),
    u,
  );
  const placements = Array.from({ length: channels * rows * columns }, (_, i) => {
    const channel = Math.floor(i / (rows * columns));
    const y = (Math.floor(i / columns) % rows) - layer.pads[0];
    const x = (i % columns) - layer.pads[1];
    const inside = y >= 0 && y < height && x >= 0 && x < width;
    return inside ? input.placements[(channel * height + y) * width + x]! : border[channel]!;
  });
  return { placements, low: input.low, high: Math.max(input.high, layer.value) };
}

/** A pixel of constants that lies as the given one does, so that both are compared in lanes. */
function emitBorder(code: Code, name: string, pixel: readonly Placement[], u: number): Placement[] {
  const fields = new Map<string, string>();
  const shape = pixel.map((p) => (p.pitch === ELEMENT_BITS ? SINGLE : p));
  return shape.map((p) => {
    const offsets = new Set(shape.filter((q) => q.field === p.field).map((q) => q.offset));
    const value = lanesOf([...offsets], BigInt(u));
    const field = fields.get(p.field) ?? code.constantField(`${name}_border${fields.size}`, p.width, value);
    fields.set(p.field, field);
    return { ...p, field, constant: u };
  });
}

const SINGLE: Placement = { field: '', width: ELEMENT_BITS, offset: 0, pitch: ELEMENT_BITS };

/** The same q-values with another, smaller one as `u = 0`. */
function emitRebased(code: Code, name: string, input: Activations, low: number): Activations {
  const more = input.low - low;
  const moved = new Map<string, string>();
  const placements = input.placements.map((p) => {
    let field = moved.get(p.field);
    if (field === undefined) {
      const target = code.field(`${name}_${moved.size}`, p.width);
      const offsets = new Set(input.placements.filter((q) => q.field === p.field).map((q) => q.offset));
      const lanes = literal(lanesOf([...offsets], BigInt(more)), p.width);
      code.assign(target, binary(reference(p.field, p.width), '+', lanes));
      field = fieldName(target);
      moved.set(p.field, field);
    }
    return { ...p, field, ...(p.constant !== undefined && { constant: p.constant + more }) };
  });
  return { placements, low, high: input.high };
}

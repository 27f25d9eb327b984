import { refuse } from '../../diagnostics/index.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementRange } from '../../model/tensor.ts';
import type { Activation, ModelBuilder, Quantisation } from '../builder.ts';
import type { Clamp } from '../lower/linear.ts';
import type { JsonLayer, JsonRequantiser } from './schema.ts';

/** One layer of the file with its inputs resolved. */
export interface LayerContext {
  readonly builder: ModelBuilder;
  readonly name: string;
  /** `layers[3]`, for messages. */
  readonly path: string;
  readonly inputs: readonly Activation[];
}

/** The layers of one kind. */
export type LayerOf<K extends JsonLayer['kind']> = Extract<JsonLayer, { readonly kind: K }>;

/** Refuses a field of the layer. @param expected what belongs there, in the words of a message @throws DiagnosticError `json-field` */
export const fieldFault = ({ builder, name, path }: LayerContext, field: string, expected: string): never =>
  refuse('json-field', { path: `${path}.${field}`, expected }, builder.place(name));

/** The output with its clamp, which is the whole element type unless finished integers bring another. */
export function outputOf(c: LayerContext, output: Quantisation, clamp?: Clamp): Quantisation & Clamp {
  const { lo, hi } = elementRange(output.element);
  if (output.zeroPoint < lo || output.zeroPoint > hi)
    fieldFault(c, 'output.zeroPoint', `expected an integer in ${lo}..${hi} of ${output.element}`);
  const { element, scale, zeroPoint } = output;
  return { element, scale, zeroPoint, min: clamp?.min ?? lo, max: clamp?.max ?? hi };
}

/** The finished integers of a layer, if it brings them. */
export function given(json: JsonRequantiser | undefined): Requantiser | undefined {
  if (json === undefined) return undefined;
  const { exactness = { channels: 0, accumulators: 0, total: 0 }, below, ties, ...form } = json;
  return { ...form, exactness, ...(below && { below }), ...(ties && { ties }) };
}

/** A requantiser has one number for all channels, or one a channel. @throws DiagnosticError `json-field` */
export function checkChannels(c: LayerContext, requantiser: Requantiser | undefined, channels: number): void {
  if (requantiser === undefined) return;
  const lists = { multiplier: requantiser.multiplier, offset: requantiser.offset };
  const below = requantiser.below && {
    'below.pivot': requantiser.below.pivot,
    'below.offset': requantiser.below.offset,
  };
  const ties = requantiser.ties && { 'ties.part': requantiser.ties.part };
  for (const [field, list] of Object.entries({ ...lists, ...below, ...ties }))
    if (list.length !== channels)
      fieldFault(c, `requantiser.${field}`, `expected ${channels} values, one a channel`);
}

import type { Place } from '../../diagnostics/index.ts';
import { refuse } from '../../diagnostics/index.ts';
import type { JsonLayer } from './schema.ts';

type Linear = Extract<JsonLayer, { readonly weights: unknown }>;

type Nested = number | readonly Nested[];

/** Weights in any of their spellings, row-major. */
export function flattened(weights: string | Nested): number[] {
  if (typeof weights === 'string') return Array.from(new Int8Array(Buffer.from(weights, 'base64')));
  const out: number[] = [];
  const walk = (value: Nested): void => {
    if (typeof value === 'number') out.push(value);
    else for (const inner of value) walk(inner);
  };
  walk(weights);
  return out;
}

/** Weights less their zero points, by channel, with biases and scales. */
export interface ChannelWeights {
  readonly weights: Int16Array;
  readonly bias: Int32Array;
  /** One a channel; NaN where the layer brings a requantiser instead. */
  readonly scales: Float64Array;
}

/**
 * @param taps weights of one output channel, from the input's shape
 * @throws DiagnosticError `json-field` for lengths that do not fit
 */
export function channelWeights(layer: Linear, taps: number, path: string, place: Place): ChannelWeights {
  const field = (name: string, expected: string): never =>
    refuse('json-field', { path: `${path}.${name}`, expected }, place);
  const flat = flattened(layer.weights);
  const outs = flat.length / taps;
  if (!Number.isInteger(outs) || outs < 1)
    field('weights', `expected a multiple of ${taps} weights (those of one output), not ${flat.length}`);
  const spread = (name: string, value: number | readonly number[]): readonly number[] => {
    const list = typeof value === 'number' ? Array.from({ length: outs }, () => value) : value;
    if (list.length !== outs) field(name, `expected ${outs} values, one a channel, not ${list.length}`);
    return list;
  };
  const zeros = spread('weightZeroPoint', layer.weightZeroPoint);
  const scales = spread('weightScale', layer.weightScale ?? Number.NaN);
  const bias = spread('bias', layer.bias ?? 0);
  const weights = Int16Array.from(flat, (w, i) => w - zeros[Math.floor(i / taps)]!);
  if (weights.some((w) => w < -255 || w > 255))
    field('weightZeroPoint', 'expected weight - zero point in -255..255');
  return { weights, bias: Int32Array.from(bias), scales: Float64Array.from(scales) };
}

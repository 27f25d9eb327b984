import type { Layer, LayerKind } from './layers.ts';

/** The layers of one kind. */
export type LayerOf<K extends LayerKind> = Extract<Layer, { readonly kind: K }>;

/** A function for the layers of each kind: a table that lacks a kind does not compile. */
export type ByKind<R, A extends readonly unknown[] = [], Kinds extends LayerKind = LayerKind> = {
  readonly [K in Kinds]: (layer: LayerOf<K>, ...rest: A) => R;
};

/** What the table says of a layer. */
export function ofKind<R, A extends readonly unknown[], Kinds extends LayerKind>(
  table: ByKind<R, A, Kinds>,
  layer: LayerOf<Kinds>,
  ...rest: A
): R {
  // Each entry takes the layers of its own kind, which the compiler cannot tell of a kind that is known only now.
  const entry = table[layer.kind as Kinds] as unknown as (layer: LayerOf<Kinds>, ...rest: A) => R;
  return entry(layer, ...rest);
}

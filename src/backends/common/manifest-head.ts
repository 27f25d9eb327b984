import type { TensorType } from '../../model/tensor.ts';

interface Planned {
  readonly model: { readonly name: string; readonly layers: readonly unknown[] };
  readonly options: {
    readonly modelId: number;
    readonly modelVersion: number;
    readonly from: number;
    readonly to: number;
    readonly port: number;
  };
  readonly input: TensorType;
  readonly output: TensorType;
}

/** What the manifest of a program begins with, whatever its target: whose layers it computes, of what into what. */
export const manifestHead = <Target extends string>(
  target: Target,
  { model, options: o, input, output }: Planned,
) => ({
  format: 'intransit-manifest/1' as const,
  target,
  model: { name: model.name, id: o.modelId, version: o.modelVersion, layerCount: model.layers.length },
  layers: { from: o.from, to: o.to },
  input,
  output,
  port: o.port,
});

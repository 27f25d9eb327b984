import { type ByKind, ofKind } from './by-kind.ts';
import type { Layer, ValueId } from './layers.ts';
import type { TensorType } from './tensor.ts';

export * from './layers.ts';

/** `x * factors + offsets`, in float32, one of each an element. */
export interface InputAffine {
  readonly factors: readonly number[];
  readonly offsets: readonly number[];
}

/** A network with exact integer meaning: the reference interpreter runs it, every target gives its integers. */
export interface Model {
  readonly name: string;
  /** Where it came from, for messages. */
  readonly file: string;
  readonly input: TensorType;
  /** Shape of a row in the source, if the layers see the same elements in another one: files of rows have this one. */
  readonly rowShape?: readonly number[];
  /** What real rows go through before the grid of the input, if the source has such: the scaler of a pipeline. */
  readonly inputAffine?: InputAffine;
  /** The source's own input is of reals: numbers in files of rows are, too, whatever type the file keeps them in. */
  readonly readsReals?: true;
  /** In order of execution; the last one's output is the model's. */
  readonly layers: readonly Layer[];
  /** Names of the classes that it tells apart, if the source has them. */
  readonly classes?: readonly string[];
}

/** Type of value 0, the model's input, or of value `i`, the output of layer `i - 1`. */
export const valueType = (model: Model, value: ValueId): TensorType =>
  value === 0 ? model.input : model.layers[value - 1]!.output;

/** What a row of the model is in files and on doors that name a shape. */
export const rowType = ({ input, rowShape = input.shape }: Model): TensorType => ({
  ...input,
  shape: rowShape,
});

/** Type of what the last layer gives; without layers that of the input. */
export const outputType = (model: Model): TensorType => valueType(model, model.layers.length);

/** The type of the layer's only (or first) input. */
export const inputType = (model: Model, layer: Layer): TensorType => valueType(model, layer.inputs[0]!);

/** Multiply-accumulates of one inference of this layer. */
export const macs = (_model: Model, layer: Layer): number => ofKind(macsOf, layer);

const none = (): number => 0;

const macsOf = {
  dense: ({ weights }) => weights.length,
  conv2d({ weights, output }) {
    const [, height, width] = output.shape as [number, number, number];
    return weights.length * height * width;
  },
  maxPool: none,
  averagePool: none,
  requantise: none,
  add: none,
  mul: none,
  softmax: none,
  gather: none,
  pad: none,
  transpose: none,
  lut: none,
  embedding: none,
  argmax: none,
  forest: none,
} satisfies ByKind<number>;

/**
 * A float network as far as it can be quantised: a list of nodes in order of execution, whatever spelling its producer
 * chose. Values are named as in the source; shapes are without the batch, images `[channels, height, width]`.
 */
export interface Network {
  readonly input: NetworkInput;
  readonly nodes: readonly Node[];
  /** Name of the value that is the answer. */
  readonly output: string;
}

/** The input of a float network. */
export interface NetworkInput {
  readonly name: string;
  readonly element: 'float32' | 'uint8' | 'int8';
  readonly shape: readonly number[];
  /** Of integers: the real that each stands for, `scale * (q - zeroPoint)`. */
  readonly grid: { readonly scale: number; readonly zeroPoint: number };
  /** Of floats: what comes before the grid, element by element, such as the scaler of a pipeline. */
  readonly affine?: ElementwiseAffine;
}

/** `y = x * factors + offsets`, one of each an element. */
export interface ElementwiseAffine {
  readonly factors: Float64Array;
  readonly offsets: Float64Array;
}

interface NodeBase {
  /** Name of the value it makes, and its own. */
  readonly output: string;
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
}

/** `y = weights * x + bias`; weights are row-major `[out][taps]`. */
export interface GemmNode extends NodeBase {
  readonly kind: 'gemm';
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** A value of an ONNX attribute that is handed on; `float` for a number that ONNX has as a float. */
export type Attribute = number | readonly number[] | string | { readonly float: number };
/** By name; they go into the made file as they are. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** A convolution over one or two axes. */
export interface ConvNode extends NodeBase {
  readonly kind: 'conv';
  readonly weights: Float64Array;
  /** `[out, in / groups, ...kernel]` */
  readonly weightDims: readonly number[];
  readonly groups: number;
  readonly bias: Float64Array;
  /** Whether zeros are put around the image. */
  readonly padded: boolean;
  readonly attributes: Attributes;
}

/** `y = x * factors + offsets`, element by element. */
export interface AffineNode extends NodeBase, ElementwiseAffine {
  readonly kind: 'affine';
}

/** `min(max(x, lo), hi)`; either bound may be infinite. */
export interface ClampNode extends NodeBase {
  readonly kind: 'clamp';
  readonly lo: number;
  readonly hi: number;
}

/** A function of one element. */
export interface FunctionNode extends NodeBase {
  readonly kind: 'function';
  readonly operator: string;
  readonly attributes: Attributes;
}

/** A pool that is handed on as it is in the source. */
export interface PoolNode extends NodeBase {
  readonly kind: 'pool';
  readonly operator: string;
  readonly attributes: Attributes;
}

/** Of two values of equal shape. */
export interface SumNode extends NodeBase {
  readonly kind: 'sum';
}

/** The same elements in another shape. */
export interface ViewNode extends NodeBase {
  readonly kind: 'view';
}

/** An operator of a network once constants are folded. */
export type Node =
  | GemmNode
  | ConvNode
  | AffineNode
  | ClampNode
  | FunctionNode
  | PoolNode
  | SumNode
  | ViewNode;

/** Nodes that read a value. */
export const readersOf = ({ nodes }: Network, value: string): readonly Node[] =>
  nodes.filter((node) => node.inputs.includes(value));

/** The node that alone reads a value, which is not the answer either. */
export function soleReader(network: Network, value: string): Node | undefined {
  const [reader, ...more] = readersOf(network, value);
  return more.length > 0 || network.output === value ? undefined : reader;
}

/** Whether Relu or Clip behind it belongs to the same step: one grid behind both. */
export const isFused = (network: Network, node: Node): boolean =>
  (node.kind === 'gemm' || node.kind === 'conv' || node.kind === 'affine' || node.kind === 'sum') &&
  soleReader(network, node.output)?.kind === 'clamp';

/** Whether a value has a grid of its own: reals within a step, and views of another value, have none. */
export const hasGrid = (network: Network, node: Node): boolean =>
  node.kind !== 'view' && !isFused(network, node);

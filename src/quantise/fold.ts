import { elementCount } from '../model/tensor.ts';
import type { AffineNode, ConvNode, ElementwiseAffine, GemmNode, Network, Node } from './network.ts';
import { readersOf, soleReader } from './network.ts';

/**
 * Folds factors and offsets (batch normalisation, scalers, biases) into the weights beside them, and views that change
 * nothing into their readers. What stays is what no weights are beside: the float input's own scaler, or a
 * normalisation before a convolution that pads.
 */
export function fold(network: Network): Network {
  let now = network;
  for (let next: Network | undefined = now; next !== undefined; next = foldOne(now)) now = next;
  return now;
}

type Step = (network: Network, node: Node) => Network | undefined;

const steps: readonly Step[] = [
  emptyView,
  affineOfAffine,
  affineBehind,
  scalerOfInput,
  affineBefore,
  affineBeforeView,
  gridOfInput,
];

function foldOne(network: Network): Network | undefined {
  for (const node of network.nodes)
    for (const step of steps) {
      const folded = step(network, node);
      if (folded !== undefined) return folded;
    }
  return undefined;
}

/** Takes a node out: its readers read what it read. */
function without(network: Network, node: Node, changed: ReadonlyMap<Node, Node> = new Map()): Network {
  const [value] = node.inputs as [string];
  const renamed = (name: string) => (name === node.output ? value : name);
  const nodes = network.nodes
    .filter((other) => other !== node)
    .map((other) => changed.get(other) ?? other)
    .map((other) =>
      other.inputs.includes(node.output) ? { ...other, inputs: other.inputs.map(renamed) } : other,
    );
  return { ...network, nodes };
}

/** Makes the value of a node where the node before it made its own, and takes that node's place. */
function mergedInto(network: Network, before: Node, node: Node, merged: Node): Network {
  const nodes = network.nodes
    .filter((other) => other !== node)
    .map((other) => (other === before ? merged : other));
  return { ...network, nodes };
}

const maker = (network: Network, node: Node): Node | undefined =>
  network.nodes.find(({ output }) => output === node.inputs[0]);

/** A view that only keeps its input's shape, unless it is the answer itself. */
function emptyView(network: Network, node: Node): Network | undefined {
  if (node.kind !== 'view' || network.output === node.output) return undefined;
  const shape = maker(network, node)?.shape ?? network.input.shape;
  return shape.join() === node.shape.join() ? without(network, node) : undefined;
}

const composed = (first: ElementwiseAffine, then: ElementwiseAffine): ElementwiseAffine => ({
  factors: first.factors.map((f, i) => f * then.factors[i]!),
  offsets: first.offsets.map((o, i) => o * then.factors[i]! + then.offsets[i]!),
});

function affineOfAffine(network: Network, node: Node): Network | undefined {
  const before = maker(network, node);
  if (node.kind !== 'affine' || before?.kind !== 'affine' || soleReader(network, before.output) !== node)
    return undefined;
  return mergedInto(network, before, node, { ...node, ...composed(before, node), inputs: before.inputs });
}

/** `f * (W x + b) + o`: weights and bias of each output. */
function affineBehind(network: Network, node: Node): Network | undefined {
  const before = maker(network, node);
  if (node.kind !== 'affine' || (before?.kind !== 'gemm' && before?.kind !== 'conv')) return undefined;
  if (soleReader(network, before.output) !== node) return undefined;
  const outs = before.bias.length;
  const channels = byChannel(node, outs);
  if (channels === undefined) return undefined;
  const { factors, offsets } = channels;
  const taps = before.weights.length / outs;
  const merged = {
    ...before,
    output: node.output,
    shape: node.shape,
    weights: before.weights.map((w, i) => w * factors[Math.floor(i / taps)]!),
    bias: before.bias.map((b, o) => b * factors[o]! + offsets[o]!),
  };
  return mergedInto(network, before, node, merged);
}

/** One factor and offset a channel, if all positions of a channel share them. */
function byChannel({ factors, offsets }: ElementwiseAffine, channels: number): ElementwiseAffine | undefined {
  const inner = factors.length / channels;
  const first = (i: number) => Math.floor(i / inner) * inner;
  if (factors.some((f, i) => f !== factors[first(i)]) || offsets.some((o, i) => o !== offsets[first(i)]))
    return undefined;
  const pick = (values: Float64Array) =>
    Float64Array.from({ length: channels }, (_, c) => values[c * inner]!);
  return { factors: pick(factors), offsets: pick(offsets) };
}

const uniform = ({ factors, offsets }: ElementwiseAffine): boolean =>
  factors.every((f) => f === factors[0]) && offsets.every((o) => o === offsets[0]);

/**
 * What scales a float input element by element stays before its grid: features of other ranges share the grid's steps
 * only behind it.
 */
function scalerOfInput(network: Network, node: Node): Network | undefined {
  const { input } = network;
  if (node.kind !== 'affine' || node.inputs[0] !== input.name || input.element !== 'float32')
    return undefined;
  if (input.affine !== undefined || readersOf(network, input.name).length > 1) return undefined;
  // All of a scaler, its subtraction and its division, before it moves.
  if (soleReader(network, node.output)?.kind === 'affine') return undefined;
  const foldable = uniform(node) && weightsBehind(network, node) !== undefined;
  if (foldable || network.output === node.output) return undefined;
  return without(
    { ...network, input: { ...input, affine: { factors: node.factors, offsets: node.offsets } } },
    node,
  );
}

/** The node with weights that alone reads an affine's value and can take it in. */
function weightsBehind(network: Network, node: AffineNode): GemmNode | ConvNode | undefined {
  let reader = soleReader(network, node.output);
  while (reader?.kind === 'view') reader = soleReader(network, reader.output);
  if (reader?.kind === 'gemm') return reader;
  if (reader?.kind !== 'conv' || !reader.inputs.includes(node.output)) return undefined;
  const channels = byChannel(node, node.shape[0]!);
  if (channels === undefined) return undefined;
  // Zeros around the image are zeros of what comes behind the offset.
  return reader.padded && channels.offsets.some((o) => o !== 0) ? undefined : reader;
}

/** `W (f x + o) + b`. */
function affineBefore(network: Network, node: Node): Network | undefined {
  if (node.kind !== 'affine') return undefined;
  const reader = weightsBehind(network, node);
  if (reader === undefined || reader.inputs[0] !== node.output) return undefined;
  const merged = reader.kind === 'gemm' ? intoGemm(reader, node) : intoConv(reader, node);
  return without(network, node, new Map([[reader, merged]]));
}

function intoGemm(gemm: GemmNode, { factors, offsets }: ElementwiseAffine): GemmNode {
  const taps = factors.length;
  const bias = gemm.bias.map((b, o) => b + dot(gemm.weights.subarray(o * taps, (o + 1) * taps), offsets));
  return { ...gemm, weights: gemm.weights.map((w, i) => w * factors[i % taps]!), bias };
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

function intoConv(conv: ConvNode, affine: AffineNode): ConvNode {
  const channels = byChannel(affine, affine.shape[0]!)!;
  const [outs, inPerGroup, ...kernel] = conv.weightDims as [number, number, ...number[]];
  const size = elementCount(kernel);
  const channelOf = (i: number) => {
    const out = Math.floor(i / (inPerGroup * size));
    const group = Math.floor(out / (outs / conv.groups));
    return group * inPerGroup + (Math.floor(i / size) % inPerGroup);
  };
  const bias = conv.bias.slice();
  for (const [i, w] of conv.weights.entries())
    bias[Math.floor(i / (inPerGroup * size))]! += w * channels.offsets[channelOf(i)]!;
  return { ...conv, weights: conv.weights.map((w, i) => w * channels.factors[channelOf(i)]!), bias };
}

/** An affine moves behind the view that reads it: the elements are the same. */
function affineBeforeView(network: Network, node: Node): Network | undefined {
  if (node.kind !== 'affine' || weightsBehind(network, node) === undefined) return undefined;
  const view = soleReader(network, node.output);
  if (view?.kind !== 'view') return undefined;
  const first: Node = { ...view, inputs: node.inputs, output: node.output };
  const then: Node = { ...node, inputs: [node.output], output: view.output, shape: view.shape };
  const nodes = network.nodes.map((other) => (other === node ? first : other === view ? then : other));
  return { ...network, nodes };
}

/** An integer input that is scaled as a whole: its grid, if zero lies on it. */
function gridOfInput(network: Network, node: Node): Network | undefined {
  const { input } = network;
  if (
    node.kind !== 'affine' ||
    node.inputs[0] !== input.name ||
    input.element === 'float32' ||
    !uniform(node)
  )
    return undefined;
  if (readersOf(network, input.name).length > 1 || network.output === node.output) return undefined;
  const [scale, offset] = [node.factors[0]! * input.grid.scale, node.offsets[0]!];
  const exact = input.grid.zeroPoint - offset / scale;
  const zeroPoint = Math.round(exact);
  const [lo, hi] = input.element === 'uint8' ? [0, 255] : [-128, 127];
  if (!(scale > 0) || Math.abs(exact - zeroPoint) > 1e-6 || zeroPoint < lo || zeroPoint > hi)
    return undefined;
  return without({ ...network, input: { ...input, grid: { scale, zeroPoint } } }, node);
}

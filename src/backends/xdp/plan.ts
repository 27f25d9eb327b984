import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { isBroadcast } from '../../model/broadcast.ts';
import type { LayerOf } from '../../model/by-kind.ts';
import { READS_BEFORE, readsBefore } from '../../model/cut.ts';
import { layerCountRefusals, layerRangeRefusals } from '../../model/layer-count.ts';
import type {
  Conv2dLayer,
  DenseLayer,
  EmbeddingLayer,
  ForestLayer,
  Layer,
  LayerKind,
  Model,
  ValueId,
} from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import { accumulatorRanges, embeddingRange } from '../../model/ranges.ts';
import { elementCount, elementRange, isWide, type TensorType } from '../../model/tensor.ts';
import { type BitLayout, bitsCost, layBits } from '../../passes/bits.ts';
import {
  CHANNEL_COST,
  type LaneLayout,
  laneNeed,
  lanesCost,
  MOST_LANES,
  packLanes,
} from '../../passes/lanes.ts';
import { valueLevels } from '../../passes/levels.ts';
import { DEFAULT_PORT, MOST_LAYERS } from '../../wire/header.ts';
import type { ProgramOptions } from '../common/program-options.ts';
import {
  type BufferCopy,
  bufferFor,
  hasBorder,
  imageShape,
  isRowMajor,
  type Layout,
  layOutBuffers,
  liesAlike,
  type ValueBuffer,
} from './buffers.ts';
import { type ForestSizes, forestSizes, MOST_FOREST_FEATURES, MOST_NODES } from './forest-sizes.ts';
import { hasReciprocal } from './reciprocal.ts';

/** Options of an XDP program. */
export interface XdpOptions extends ProgramOptions {
  /** `on`: bits are counted where that is faster than lanes; `off`: nowhere; `always`: wherever it can be done. */
  readonly bits?: 'on' | 'off' | 'always';
}

/** What the iterations of `bpf_loop` over an image are; `plain`: there is none. */
export type PositionLoop = 'plain' | 'rows' | 'positions';

/** How a matrix layer (dense or convolution) is computed. */
export interface MatrixPlan {
  readonly kind: 'matrix';
  readonly index: number;
  readonly layer: DenseLayer | Conv2dLayer;
  readonly input: TensorType;
  readonly from: ValueBuffer;
  readonly to: ValueBuffer;
  /** Groups of channels that read inputs of their own; 1 but for grouped convolutions. */
  readonly groups: number;
  /** Where the layer counts bits: then nothing that is said of lanes and blocks is so. */
  readonly bits: BitLayout | undefined;
  /** undefined: one multiply a weight. */
  readonly lanes: LaneLayout | undefined;
  /** Words (or channels, without lanes) whose sums are in registers together; one entry a pass over a group's inputs. */
  readonly blocks: readonly number[];
  /** Leading blocks, all of one size, that `bpf_loop` runs: 0 for layers small enough to be written out. */
  readonly looped: number;
  /**
   * Whether the loop is over the inputs instead, all sums in memory: then zeros are passed over, of which there are many
   * behind a ReLU. Without any it takes up to a fifth longer.
   */
  readonly byInput: boolean;
  /** What of a convolution `bpf_loop` runs. */
  readonly loop: PositionLoop;
  /** Weights of one output, in the order in which the activations lie in memory. */
  readonly taps: number;
  /** Whether the weights fit int8 (zero points may widen them); matters without lanes. */
  readonly narrow: boolean;
  /** Shift of the program's requantisation, at least the model's. */
  readonly shift: number;
  /** Whether the program has a second line below a pivot. */
  readonly below: boolean;
  /** Where ties go to even: the last bit of a q that loses its tie. */
  readonly odd: 0 | 1 | undefined;
}

/** Kinds of layers that are no sums of products. */
export type ElementwiseKind = Exclude<LayerKind, 'dense' | 'conv2d'>;

/** Any other layer: loops over the elements. */
export interface ElementwisePlan {
  readonly kind: 'elementwise';
  readonly index: number;
  readonly layer: LayerOf<ElementwiseKind>;
  readonly inputs: readonly TensorType[];
  readonly from: readonly ValueBuffer[];
  readonly to: ValueBuffer;
  /** What `bpf_loop` runs; `elements`: those of all positions, one by one. */
  readonly loop: PositionLoop | 'elements';
  /** Whether the entries of an embedding fit int8. */
  readonly narrow: boolean;
  /** Of a forest. */
  readonly forest?: ForestSizes;
  /** Shift of the program's requantisation, at least the model's; 0 without one. */
  readonly shift: number;
  /** Whether the program has a second line below a pivot. */
  readonly below: boolean;
  /** Where ties go to even: the last bit of a q that loses its tie. */
  readonly odd: 0 | 1 | undefined;
}

/** How one layer is computed. */
export type LayerPlan = MatrixPlan | ElementwisePlan;

/** Layers as an XDP program computes them: where values lie in memory, and how each layer is laid out in words. */
export interface XdpPlan {
  readonly model: Model;
  readonly options: Required<XdpOptions>;
  readonly input: TensorType;
  readonly output: TensorType;
  readonly buffers: ReadonlyMap<ValueId, ValueBuffer>;
  /** Values laid out a second time, for readers that want another border or order. */
  readonly copies: readonly BufferCopy[];
  readonly layers: readonly LayerPlan[];
}

/** Registers for sums: of the ten, four hold the input, a product and two pointers. */
const SUMS_IN_REGISTERS = 5;

/**
 * Least shift of programs whose weights may be replaced: the shift of every fitted model is at most this, and scaling
 * multiplier and offset by a power of two changes no result. An 8-bit result shifted by it leaves 16 of 64 bits free.
 */
const RUNTIME_SHIFT = 40;

/** Decides everything about the program of these layers; the emitters only write it down. */
export function planXdp(
  model: Model,
  options: XdpOptions = {},
): { plan: XdpPlan | undefined; diagnostics: Diagnostic[] } {
  const o = withDefaults(model, options);
  const diagnostics = refusals(model, o);
  if (diagnostics.length > 0) return { plan: undefined, diagnostics };
  const layout = layOutBuffers(model, o.from, o.to);
  const layers = model.layers
    .slice(o.from, o.to)
    .map((layer, i) => planLayer(model, layer, o.from + i, layout, o));
  const plan = {
    model,
    options: o,
    input: valueType(model, o.from),
    output: valueType(model, o.to),
    buffers: layout.buffers,
    copies: layout.copies,
    layers,
  };
  return { plan, diagnostics };
}

function withDefaults(model: Model, o: XdpOptions): Required<XdpOptions> {
  return {
    from: 0,
    to: model.layers.length,
    lanes: 'on',
    bits: 'on',
    weights: 'runtime',
    modelId: 1,
    modelVersion: 1,
    port: DEFAULT_PORT,
    mtu: 1500,
    ...o,
  };
}

/** All that can be refused from shapes and ranges alone. */
function refusals(model: Model, o: Required<XdpOptions>): Diagnostic[] {
  const found: Diagnostic[] = [];
  const file = model.file;
  const noRange = layerRangeRefusals(model, o.from, o.to);
  if (noRange.length > 0) return noRange;
  found.push(...layerCountRefusals(model, MOST_LAYERS, 'xdp'));
  for (const layer of model.layers.slice(o.from, o.to)) {
    const refuse = (reason: string) =>
      found.push(
        diagnostic(
          'unsupported-layer',
          { kind: layer.kind, target: 'xdp', reason },
          { file, layer: layer.name },
        ),
      );
    if (readsBefore(layer, o.from)) refuse(READS_BEFORE);
    if (layer.kind === 'forest') for (const reason of forestRefusals(model, layer)) refuse(reason);
  }
  return found;
}

function forestRefusals(model: Model, layer: ForestLayer): string[] {
  const features = elementCount(valueType(model, layer.inputs[0]!).shape);
  const { nodes, rows } = forestSizes(layer);
  return [
    ...(features > MOST_FOREST_FEATURES
      ? [`it has ${features} features, of ${MOST_FOREST_FEATURES} at most`]
      : []),
    ...(Math.max(nodes, rows) > MOST_NODES
      ? [`it has ${layer.nodes.feature.length} nodes, of some ${MOST_NODES} at most`]
      : []),
  ];
}

// Long: a case a kind of layer.
function planLayer(
  model: Model,
  layer: Layer,
  index: number,
  layout: Layout,
  o: Required<XdpOptions>,
): LayerPlan {
  const from = layer.inputs.map((v) => bufferFor(layout, model, layer, v));
  const to = layout.buffers.get(index + 1)!;
  const inputs = layer.inputs.map((v) => valueType(model, v));
  const below = 'requantiser' in layer && layer.requantiser.below !== undefined;
  const { odd } = tiesOf(layer) ?? { odd: undefined };
  if (layer.kind !== 'dense' && layer.kind !== 'conv2d') {
    const narrow = layer.kind === 'embedding' && layer.table.every(isNarrow);
    const own = 'requantiser' in layer ? layer.requantiser.shift : 0;
    const shift = layer.kind === 'embedding' && scalesTo(layer, RUNTIME_SHIFT) ? RUNTIME_SHIFT : own;
    const loop = elementwiseLoop(layer, inputs, from, to);
    const forest = layer.kind === 'forest' ? { forest: forestSizes(layer) } : {};
    return {
      kind: 'elementwise',
      index,
      layer,
      inputs,
      from,
      to,
      loop,
      narrow,
      ...forest,
      shift,
      below,
      odd,
    };
  }

  const input = inputs[0]!;
  const groups = layer.kind === 'conv2d' ? layer.groups : 1;
  const channels = layer.bias.length / groups;
  const taps = layer.weights.length / layer.bias.length;
  // A group of one channel has nothing to share a word with.
  // Sums of 16-bit elements take a word each, and so do results: a lane would have no room for their shift.
  const wide = isWide(input.element) || isWide(layer.output.element);
  const packed = o.lanes === 'on' && !wide && (channels > 1 || groups === 1);
  const isFree = o.weights === 'static' || layer.weightBits === 4;
  const most = isFree ? MOST_LANES.any : MOST_LANES.replaceable;
  const lanes = packed ? packLanes(laneNeed(layer, input), taps, channels, most) : undefined;
  const sums = lanes?.words ?? channels;
  const registers = lanes === undefined ? 1 : SUMS_IN_REGISTERS;
  const loop =
    layer.kind === 'conv2d'
      ? positionLoop(layer, groups * (taps * sums + ELEMENT_STEPS * channels))
      : 'plain';
  const loops = groups === 1 && loopsOverBlocks(layer, sums, to, loop);
  const byInput =
    loops &&
    layer.kind === 'dense' &&
    lanes !== undefined &&
    sums <= MOST_SUMS_BY_INPUT &&
    skipsZeros(input, layer, from[0]!, o.from);
  const bits =
    layer.kind === 'dense' ? bitsOf(model, layer, { index, from: from[0]!, to, taps, lanes }, o) : undefined;
  const looped =
    bits !== undefined
      ? loopsOverOutputs(bits, layer, lanes!)
      : loops && !byInput
        ? Math.floor(sums / registers)
        : 0;
  const scaled = o.weights === 'runtime' && lanes?.requantisation === 'window';
  return {
    kind: 'matrix',
    index,
    layer,
    input,
    from: from[0]!,
    to,
    groups,
    bits,
    lanes,
    blocks: byInput ? [sums] : looped > 0 ? fullBlocks(sums, registers) : evenBlocks(sums, registers),
    looped,
    byInput: byInput && bits === undefined,
    loop,
    narrow: layer.weights.every(isNarrow),
    taps,
    shift: scaled ? Math.max(RUNTIME_SHIFT, layer.requantiser.shift) : layer.requantiser.shift,
    below,
    odd,
  };
}

/** How a dense layer counts bits, where that is faster than its lanes. */
function bitsOf(
  model: Model,
  layer: DenseLayer,
  p: Pick<MatrixPlan, 'index' | 'from' | 'to' | 'taps' | 'lanes'>,
  o: Required<XdpOptions>,
): BitLayout | undefined {
  if (o.bits === 'off' || p.lanes === undefined || hasBorder(p.from) || !isRowMajor(p.to)) return undefined;
  const levels = valueLevels(model, layer.inputs[0]!, o.from);
  const outputs = valueLevels(model, p.index + 1, o.from);
  const bits = layBits(layer, levels, outputs);
  if (bits === undefined) return undefined;
  const isFaster = bitsCost(bits, p.taps, layer.bias.length) < lanesCost(p.lanes, p.taps, layer.bias.length);
  return isFaster || o.bits === 'always' ? bits : undefined;
}

const tiesOf = (layer: Layer): { readonly odd: 0 | 1 } | undefined =>
  'requantiser' in layer ? layer.requantiser.ties : layer.kind === 'add' ? layer.ties : undefined;

/** Whether the sums of an embedding, scaled as with this shift, stay within 64 bits. */
export function scalesTo({ requantiser: r, ...layer }: EmbeddingLayer, shift: number): boolean {
  if (shift < r.shift) return false;
  const { lo, hi } = embeddingRange(layer);
  const ends = [r.offset[0]!, r.below?.offset[0] ?? 0].flatMap((offset) =>
    [lo, hi].map((acc) => Math.abs(acc * r.multiplier[0]!) + Math.abs(offset)),
  );
  return Math.max(...ends) * 2 ** (shift - r.shift) < 2 ** 62;
}

/** Steps of a layer, multiplies and what takes as long, from which its positions run under `bpf_loop`. */
const LOOP_STEPS = 4096;

/** Steps that requantising an element takes. */
const ELEMENT_STEPS = 4;

/** Steps that counters of two or three sides take. */
const WALK_STEPS = 8;

/** Taps of a pool from which each of its outputs is an iteration. */
const LOOP_TAPS = 32;

/** Most steps of a row that is an iteration: each is walked, but a call for each position costs a nanosecond or two. */
const ROW_STEPS = 2048;

/** @param steps those of one position */
function positionLoop(layer: Layer, steps: number): PositionLoop {
  const [, height, width] = imageShape(layer.output.shape);
  const row = width * steps;
  if (height * row < LOOP_STEPS) return 'plain';
  if (height > 1 && row <= ROW_STEPS) return 'rows';
  return height * width > 1 && hasReciprocal(height, width) ? 'positions' : 'plain';
}

function elementwiseLoop(
  layer: ElementwisePlan['layer'],
  inputs: readonly TensorType[],
  from: readonly ValueBuffer[],
  to: ValueBuffer,
): ElementwisePlan['loop'] {
  const { channels, height, width } = to;
  if (layer.kind === 'maxPool' || layer.kind === 'averagePool') {
    const taps = layer.kernel[0] * layer.kernel[1];
    const outputs = elementCount(layer.output.shape);
    const elements =
      taps >= LOOP_TAPS && hasReciprocal(height * width, channels) && hasReciprocal(height, width);
    if (elements) return outputs * taps >= LOOP_STEPS ? 'elements' : 'plain';
    return positionLoop(layer, channels * (taps + ELEMENT_STEPS));
  }
  if (!isElementLoop[layer.kind]) return 'plain';
  const repeats = inputs.map(({ shape }) => isBroadcast(shape, layer.output.shape));
  // Views of another shape have no positions in common.
  const alike = (b: ValueBuffer) => b.channels === channels && b.height === height && b.width === width;
  if (!from.every((b, i) => repeats[i] || alike(b))) return 'plain';
  const tables = layer.kind === 'lut' ? layer.table.length / 256 : 1;
  if (tables > 1 && tables !== channels) return 'plain';
  // Where there are borders, each side is walked by counters else.
  const walked = tables === 1 && from.every((b) => liesAlike(b, to)) ? 0 : WALK_STEPS;
  const loop = positionLoop(layer, channels * ((layer.kind === 'lut' ? 1 : ELEMENT_STEPS) + walked));
  // In a row the channel of an element is not at hand.
  if (loop !== 'rows' || (tables === 1 && !repeats.includes(true))) return loop;
  return hasReciprocal(height, width) ? 'positions' : 'plain';
}

/** Whether a kind's outputs can be made one by one, each from the elements at its own place. */
const isElementLoop = {
  maxPool: false,
  averagePool: false,
  requantise: true,
  add: true,
  mul: true,
  softmax: false,
  gather: false,
  pad: false,
  transpose: false,
  lut: true,
  embedding: false,
  argmax: false,
  forest: false,
} satisfies Record<ElementwiseKind, boolean>;

const isNarrow = (weight: number): boolean => weight >= -128 && weight <= 127;

/** Multiplies from which a layer is looped over; below it the calls cost more than they save. */
const LOOP_MULTIPLIES = 4096;

/** Words of bits from which outputs are looped over, a call each. */
const LOOP_WORDS = 1024;

/** Iterations of `bpf_loop` of a layer that counts bits: full words of lanes, or outputs where each is a step of its own. */
function loopsOverOutputs(
  { planes, words, outputs }: BitLayout,
  { bias: { length } }: MatrixPlan['layer'],
  { lanes }: LaneLayout,
): number {
  if (length * planes * words < LOOP_WORDS) return 0;
  return outputs === undefined ? Math.floor(length / lanes) : length;
}

/** Sums (words, or outputs without lanes) from which it is looped over for the size of its code. */
const LOOP_SUMS = 96;

/**
 * A large layer, or position of a convolution, whose outputs lie one after the other, so that a block's place follows from
 * its index.
 */
const loopsOverBlocks = (
  layer: MatrixPlan['layer'],
  sums: number,
  to: ValueBuffer,
  loop: LayerPlan['loop'],
): boolean =>
  (layer.kind === 'dense' ? isRowMajor(to) : loop !== 'plain') &&
  (sums >= LOOP_SUMS || (layer.weights.length / layer.bias.length) * sums >= LOOP_MULTIPLIES);

/** Sums of which the loop over the inputs writes out all multiplies. */
const MOST_SUMS_BY_INPUT = 512;

/**
 * Whether the least element stands for zero, and the elements lie in a row of memory: the verifier loses the bounds of a
 * packet that is read at a place which it does not know.
 */
const skipsZeros = (input: TensorType, layer: Layer, from: ValueBuffer, first: ValueId): boolean =>
  input.zeroPoint === elementRange(input.element).lo && layer.inputs[0] !== first && isRowMajor(from);

/** As many blocks of `size` as there are, and the rest. */
function fullBlocks(count: number, size: number): number[] {
  const full = Array<number>(Math.floor(count / size)).fill(size);
  return count % size === 0 ? full : [...full, count % size];
}

/** Splits `count` into the fewest blocks of at most `most`, as even as can be. */
function evenBlocks(count: number, most: number): number[] {
  const blocks = Math.ceil(count / most);
  return Array.from({ length: blocks }, (_, i) => Math.floor((count + i) / blocks)).reverse();
}

/** Sums of a layer that are in memory, not in registers. */
export function sumWords(p: LayerPlan): number {
  if (p.kind === 'matrix') {
    if (p.bits !== undefined) return p.bits.planes * p.bits.words;
    return p.byInput ? p.lanes!.words : 0;
  }
  return p.layer.kind === 'forest' ? p.layer.base.length : 0;
}

/** Accumulator bounds of a matrix layer's channels. */
export const rangesOf = (p: MatrixPlan) => accumulatorRanges(p.layer, p.input);

/** 64-bit multiplies of the layer's sums in one inference, what bounds the speed of the lanes; of counted bits as many as take as long. */
export function multiplies(p: LayerPlan): number {
  if (p.kind !== 'matrix') return 0;
  const outputs = p.layer.bias.length;
  if (p.bits !== undefined)
    return Math.round(bitsCost(p.bits, p.taps, outputs) - outputs * CHANNEL_COST.window);
  const [, height, width] = imageShape(p.layer.output.shape);
  const words = p.lanes === undefined ? p.layer.bias.length : p.groups * p.lanes.words;
  return p.taps * words * height * width;
}

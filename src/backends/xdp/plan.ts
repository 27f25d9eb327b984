import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import type { Conv2dLayer, DenseLayer, Layer, Model, ValueId } from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import { accumulatorRanges } from '../../model/ranges.ts';
import { elementCount, type TensorType } from '../../model/tensor.ts';
import { type LaneLayout, laneNeed, packLanes } from '../../passes/lanes.ts';
import { DEFAULT_PORT, ipv4Bytes } from '../../wire/header.ts';
import { imageShape, isRowMajor, layOutBuffers, type ValueBuffer } from './buffers.ts';

export interface XdpOptions {
  /** Layers `[from, to)` of the model; all by default. */
  readonly from?: number;
  readonly to?: number;
  /** `off`: one multiply a weight, the plain form that lanes are measured against. */
  readonly lanes?: 'on' | 'off';
  /** `runtime`: weights in a map, replaceable while the program runs. `static`: constants in the code. */
  readonly weights?: 'runtime' | 'static';
  readonly modelId?: number;
  readonly modelVersion?: number;
  /** UDP destination port of requests. */
  readonly port?: number;
  /** Largest IP packet on the path, in bytes. */
  readonly mtu?: number;
}

/** How a matrix layer (dense or convolution) is computed. */
export interface MatrixPlan {
  readonly kind: 'matrix';
  readonly index: number;
  readonly layer: DenseLayer | Conv2dLayer;
  readonly input: TensorType;
  readonly from: ValueBuffer;
  readonly to: ValueBuffer;
  /** undefined: one multiply a weight. */
  readonly lanes: LaneLayout | undefined;
  /** Words (or channels, without lanes) whose sums are in registers together; one entry a pass over the inputs. */
  readonly blocks: readonly number[];
  /** Leading blocks, all of one size, that `bpf_loop` runs: 0 for layers small enough to be written out. */
  readonly looped: number;
  /** Weights of one output, in the order in which the activations lie in memory. */
  readonly taps: number;
  /** Whether the weights fit int8 (zero points may widen them); matters without lanes. */
  readonly narrow: boolean;
  /** Shift of the program's requantisation, at least the model's. */
  readonly shift: number;
}

/** Any other layer: no weights, plain loops over the elements. */
export interface ElementwisePlan {
  readonly kind: 'elementwise';
  readonly index: number;
  readonly layer: Exclude<Layer, DenseLayer | Conv2dLayer>;
  readonly inputs: readonly TensorType[];
  readonly from: readonly ValueBuffer[];
  readonly to: ValueBuffer;
}

export type LayerPlan = MatrixPlan | ElementwisePlan;

export interface XdpPlan {
  readonly model: Model;
  readonly options: Required<XdpOptions>;
  readonly input: TensorType;
  readonly output: TensorType;
  readonly buffers: ReadonlyMap<ValueId, ValueBuffer>;
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
  const buffers = layOutBuffers(model, o.from, o.to);
  if ('conflict' in buffers) {
    const reason = 'its readers pad it differently';
    const layer = model.layers[buffers.conflict]!;
    const place = { file: model.file, layer: layer.name };
    return {
      plan: undefined,
      diagnostics: [diagnostic('unsupported-layer', { kind: layer.kind, target: 'xdp', reason }, place)],
    };
  }
  const layers = model.layers
    .slice(o.from, o.to)
    .map((layer, i) => planLayer(model, layer, o.from + i, buffers, o));
  const plan = {
    model,
    options: o,
    input: valueType(model, o.from),
    output: valueType(model, o.to),
    buffers,
    layers,
  };
  return { plan, diagnostics };
}

function withDefaults(model: Model, o: XdpOptions): Required<XdpOptions> {
  return {
    from: 0,
    to: model.layers.length,
    lanes: 'on',
    weights: 'runtime',
    modelId: 1,
    modelVersion: 1,
    port: DEFAULT_PORT,
    mtu: 1500,
    ...o,
  };
}

/** The packet's cursor has eight bits; see `nextLayer` and `layerCount` of the header. */
const MOST_LAYERS = 255;

/** All that can be refused from shapes and ranges alone. */
function refusals(model: Model, o: Required<XdpOptions>): Diagnostic[] {
  const found: Diagnostic[] = [];
  const file = model.file;
  if (
    !(
      Number.isInteger(o.from) &&
      Number.isInteger(o.to) &&
      0 <= o.from &&
      o.from < o.to &&
      o.to <= model.layers.length
    )
  )
    return [diagnostic('layer-range', { given: `${o.from}..${o.to}`, count: model.layers.length }, { file })];
  const count = model.layers.length;
  if (count > MOST_LAYERS)
    found.push(
      diagnostic(
        'resource-exceeded',
        {
          resource: 'the cursor of packets',
          need: count,
          limit: MOST_LAYERS,
          unit: 'layers',
          target: 'xdp',
          help: 'cut the model in two, each with a model id of its own',
        },
        { file },
      ),
    );
  for (const [tensor, value] of [
    ['input', o.from],
    ['output', o.to],
  ] as const) {
    const bytes = ipv4Bytes(elementCount(valueType(model, value).shape));
    if (bytes > o.mtu) found.push(diagnostic('mtu-exceeded', { bytes, mtu: o.mtu, tensor }, { file }));
  }
  for (const layer of model.layers.slice(o.from, o.to)) {
    const refuse = (reason: string) =>
      found.push(
        diagnostic(
          'unsupported-layer',
          { kind: layer.kind, target: 'xdp', reason },
          { file, layer: layer.name },
        ),
      );
    if (layer.inputs.some((v) => v < o.from)) refuse('it reads a value from before the split');
    if (layer.kind === 'conv2d' && layer.groups !== 1) refuse('its channels are in groups');
    if (layer.kind === 'averagePool' && layer.divisors.length > 1)
      refuse('its divisor depends on the position');
    if (
      layer.kind === 'pad' ||
      layer.kind === 'transpose' ||
      layer.kind === 'lut' ||
      layer.kind === 'embedding'
    )
      refuse('the backend has no such layer yet');
    if ('requantiser' in layer && layer.requantiser.below !== undefined)
      refuse('its requantiser has an offset of its own below a pivot');
  }
  return found;
}

function planLayer(
  model: Model,
  layer: Layer,
  index: number,
  buffers: ReadonlyMap<ValueId, ValueBuffer>,
  o: Required<XdpOptions>,
): LayerPlan {
  const from = layer.inputs.map((v) => buffers.get(v)!);
  const to = buffers.get(index + 1)!;
  const inputs = layer.inputs.map((v) => valueType(model, v));
  if (layer.kind !== 'dense' && layer.kind !== 'conv2d')
    return { kind: 'elementwise', index, layer, inputs, from, to };

  const input = inputs[0]!;
  const lanes = o.lanes === 'on' ? packLanes(laneNeed(layer, input)) : undefined;
  const sums = lanes?.words ?? layer.bias.length;
  const most = lanes === undefined ? 1 : SUMS_IN_REGISTERS;
  const looped = loopsOverBlocks(layer, sums, to) ? Math.floor(sums / most) : 0;
  const scaled = o.weights === 'runtime' && lanes?.requantisation === 'window';
  return {
    kind: 'matrix',
    index,
    layer,
    input,
    from: from[0]!,
    to,
    lanes,
    blocks: looped > 0 ? fullBlocks(sums, most) : evenBlocks(sums, most),
    looped,
    narrow: layer.weights.every((w) => w >= -128 && w <= 127),
    taps: layer.weights.length / layer.bias.length,
    shift: scaled ? Math.max(RUNTIME_SHIFT, layer.requantiser.shift) : layer.requantiser.shift,
  };
}

/** Multiplies from which a layer is looped over; below it the calls cost more than they save. */
const LOOP_MULTIPLIES = 4096;

/** Sums (words, or outputs without lanes) from which it is looped over for the size of its code. */
const LOOP_SUMS = 96;

/** A dense layer that is large, and whose outputs lie one after the other, so that a block's place follows from its index. */
const loopsOverBlocks = (layer: Layer, sums: number, to: ValueBuffer): boolean =>
  layer.kind === 'dense' &&
  isRowMajor(to) &&
  (sums >= LOOP_SUMS || (layer.weights.length / layer.bias.length) * sums >= LOOP_MULTIPLIES);

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

/** Accumulator bounds of a matrix layer's channels. */
export const rangesOf = (p: MatrixPlan) => accumulatorRanges(p.layer, p.input);

/** 64-bit multiplies of the layer's sums in one inference: what bounds the speed of the lanes. */
export function multiplies(p: LayerPlan): number {
  if (p.kind !== 'matrix') return 0;
  const [, height, width] = imageShape(p.layer.output.shape);
  return p.taps * (p.lanes?.words ?? p.layer.bias.length) * height * width;
}

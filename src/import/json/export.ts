import type {
  Conv2dLayer,
  DenseLayer,
  EmbeddingLayer,
  ForestLayer,
  Layer,
  Model,
  ValueId,
  Window,
} from '../../model/model.ts';
import { valueType } from '../../model/model.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementCount, type TensorType } from '../../model/tensor.ts';
import { treeNodes } from '../../model/trees.ts';
import { sameShape } from '../builder.ts';
import { JSON_VERSION, type JsonLayerInput, type JsonModelInput } from './schema.ts';

/**
 * A Model as a JSON document that imports as the same model: requantisers are written as their integers, so nothing
 * is fitted again.
 */
export function exportJson(model: Model): JsonModelInput {
  const layers: JsonLayerInput[] = [];
  const names: string[] = ['input'];
  for (const layer of model.layers) {
    const view = viewOfInput(model, layer, names);
    if (view !== undefined) layers.push(view);
    layers.push(exportLayer(model, layer, (value) => view?.name ?? names[value]!));
    const natural = naturalShape(model, layer);
    const { shape } = layer.output;
    if (sameShape(natural, shape)) {
      names.push(layer.name);
      continue;
    }
    const name = `${layer.name}_view`;
    layers.push({ kind: 'reshape', name, input: layer.name, shape: [...shape] });
    names.push(name);
  }
  return {
    format: 'intransit-model',
    version: JSON_VERSION,
    name: model.name,
    ...(model.classes && { classes: [...model.classes] }),
    input: { ...grid(model.input), shape: [...model.input.shape] },
    layers,
  };
}

/** A transposition sees its input in a shape of its own; in the file that takes a layer. */
function viewOfInput(model: Model, layer: Layer, names: readonly string[]): JsonLayerInput | undefined {
  const value = layer.inputs[0]!;
  if (layer.kind !== 'transpose' || sameShape(valueType(model, value).shape, layer.from)) return undefined;
  return { kind: 'reshape', name: `${layer.name}_from`, input: names[value]!, shape: [...layer.from] };
}

const grid = ({ element, scale, zeroPoint }: TensorType) => ({ element, scale, zeroPoint });

/** The output shape that the importer gives the layer by itself. */
function naturalShape(model: Model, layer: Layer): readonly number[] {
  const input = valueType(model, layer.inputs[0]!);
  switch (layer.kind) {
    case 'dense':
      return [layer.bias.length];
    case 'requantise':
    case 'softmax':
    case 'lut':
      return input.shape;
    case 'add':
    case 'mul': {
      const other = valueType(model, layer.inputs[1]!);
      return elementCount(input.shape) < elementCount(other.shape) ? other.shape : input.shape;
    }
    case 'transpose':
    case 'gather':
      return layer.output.shape;
    case 'embedding': {
      const bags = elementCount(input.shape) / (layer.keyBytes * layer.bag);
      return bags === 1 ? [layer.width] : [bags, layer.width];
    }
    case 'argmax':
      return [2];
    case 'forest':
      return layer.result === 'verdict' ? [2] : [layer.base.length];
    case 'conv2d':
    case 'maxPool':
    case 'averagePool':
    case 'pad':
      return layer.output.shape;
  }
}

// Long: a case a kind of layer.
function exportLayer(_model: Model, layer: Layer, nameOf: (value: ValueId) => string): JsonLayerInput {
  const head = { name: layer.name, input: nameOf(layer.inputs[0]!) };
  const output = grid(layer.output);
  switch (layer.kind) {
    case 'dense':
      return { kind: layer.kind, ...head, ...linear(layer), output };
    case 'conv2d':
      return { kind: layer.kind, ...head, ...linear(layer), output, ...window(layer), groups: layer.groups };
    case 'maxPool':
      return { kind: layer.kind, ...head, ...window(layer) };
    case 'averagePool': {
      const { countPadding, requantiser } = layer;
      return {
        kind: layer.kind,
        ...head,
        ...window(layer),
        countPadding,
        output,
        requantiser: integers(requantiser),
      };
    }
    case 'requantise':
      return { kind: layer.kind, ...head, output, requantiser: integers(layer.requantiser) };
    case 'add': {
      const { name, multipliers, offset, shift, min, max, ties } = layer;
      const [a, b] = multipliers;
      const coefficients = {
        multipliers: [a, b] satisfies [number, number],
        offset,
        shift,
        min,
        max,
        ...(ties && { ties }),
      };
      const inputs: [string, string] = [nameOf(layer.inputs[0]!), nameOf(layer.inputs[1]!)];
      return { kind: layer.kind, name, inputs, output, coefficients };
    }
    case 'mul': {
      const inputs: [string, string] = [nameOf(layer.inputs[0]!), nameOf(layer.inputs[1]!)];
      return { kind: layer.kind, name: layer.name, inputs, output, requantiser: integers(layer.requantiser) };
    }
    case 'softmax': {
      const { size, exponentials, numerators } = layer;
      const tables = { exponentials: [...exponentials], numerators: [...numerators] };
      return { kind: layer.kind, ...head, size, output, ...tables };
    }
    case 'gather':
      return {
        kind: layer.kind,
        name: layer.name,
        inputs: layer.inputs.map(nameOf),
        shape: [...layer.output.shape],
        sources: Array.from(layer.sources),
        value: layer.value,
      };
    case 'pad': {
      const [top, left, bottom, right] = layer.pads;
      return { kind: layer.kind, ...head, pads: [top, left, bottom, right], value: layer.value };
    }
    case 'transpose':
      return { kind: layer.kind, ...head, axes: [...layer.axes] };
    case 'lut':
      return { kind: layer.kind, ...head, output, table: Array.from(layer.table) };
    case 'embedding':
      return { kind: layer.kind, ...head, ...embedding(layer), output };
    case 'argmax':
      return { kind: layer.kind, ...head };
    case 'forest': {
      const { base, shift, result } = layer;
      const own = { trees: trees(layer), base: [...base], shift, ...(result === 'sums' && { output }) };
      return { kind: layer.kind, ...head, ...own };
    }
  }
}

function window({ kernel, strides, pads, dilations }: Window) {
  const pair = ([a, b]: readonly [number, number]): [number, number] => [a, b];
  const [top, left, bottom, right] = pads;
  const sides: [number, number, number, number] = [top, left, bottom, right];
  return {
    kernel: pair(kernel),
    strides: pair(strides),
    pads: sides,
    ...(dilations && { dilations: pair(dilations) }),
  };
}

const integers = ({ multiplier, offset, shift, min, max, exactness, below, ties }: Requantiser) => ({
  multiplier: [...multiplier],
  offset: [...offset],
  shift,
  min,
  max,
  exactness: { ...exactness },
  ...(below && { below: { pivot: [...below.pivot], offset: [...below.offset] } }),
  ...(ties && { ties: { part: [...ties.part], odd: ties.odd } }),
});

/** Entries go down to -255, as weights do: a zero point lifts them. */
function embedding({ keyBytes, bag, rows, table, requantiser }: EmbeddingLayer) {
  const tableZeroPoint = Math.max(0, -128 - table.reduce((least, w) => Math.min(least, w), 0));
  const entries = Array.from(table, (w) => w + tableZeroPoint);
  return {
    keyBytes,
    bag,
    rows,
    table: entries,
    ...(tableZeroPoint > 0 && { tableZeroPoint }),
    requantiser: integers(requantiser),
  };
}

/**
 * Weights as rows of one channel. The format holds 8-bit weights; differences from a zero point go down to -255, so a
 * channel below -128 gets a zero point that lifts it.
 */
function linear({ weights, bias, weightBits, requantiser }: DenseLayer | Conv2dLayer) {
  const taps = weights.length / bias.length;
  const rows = Array.from(bias, (_, o) => Array.from(weights.subarray(o * taps, (o + 1) * taps)));
  const zeros = rows.map((row) => Math.max(0, -128 - row.reduce((least, w) => Math.min(least, w), 0)));
  return {
    weights: rows.map((row, o) => row.map((w) => w + zeros[o]!)),
    ...(zeros.some((z) => z > 0) && { weightZeroPoint: zeros }),
    ...(weightBits && { weightBits }),
    bias: Array.from(bias),
    requantiser: integers(requantiser),
  };
}

/** Each tree's nodes from its root on, with scores that are none below zero, as the layer has them. */
const trees = (layer: ForestLayer) =>
  Array.from(layer.roots, (root) => {
    const { feature, threshold, low, high } = layer.nodes;
    const order = treeNodes(layer, root);
    const places = new Map(order.map((node, place) => [node, place]));
    const width = layer.base.length;
    return order.map((n) =>
      feature[n]! < 0
        ? { scores: Array.from(layer.scores.subarray(low[n]! * width, (low[n]! + 1) * width)) }
        : {
            feature: feature[n]!,
            threshold: threshold[n]!,
            low: places.get(low[n]!)!,
            high: places.get(high[n]!)!,
          },
    );
  });

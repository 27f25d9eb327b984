import type { Layer, Model, Window } from './model.ts';
import { macs, valueType } from './model.ts';
import type { Requantiser } from './requantiser.ts';
import { formatTensorType, type TensorType } from './tensor.ts';

/** Numbers shown of a list before it is cut. */
const SHOWN = 8;

/**
 * The model as text, for people and golden files: the same model gives the same bytes anywhere. Long lists are cut
 * and followed by their length and a checksum, so that any change shows.
 */
export function dumpModel(model: Model): string {
  const lines = [`model ${model.name}`, `  input ${quantised(model.input)}`];
  for (const [i, layer] of model.layers.entries()) lines.push(...dumpLayer(model, layer, i));
  return `${lines.join('\n')}\n`;
}

function dumpLayer(model: Model, layer: Layer, index: number): string[] {
  const inputs = layer.inputs.map((v) => (v === 0 ? 'input' : model.layers[v - 1]!.name)).join(', ');
  const types = layer.inputs.map((v) => formatTensorType(valueType(model, v))).join(', ');
  return [
    `${index} ${layer.kind} ${layer.name}`,
    `  reads ${inputs}: ${types}`,
    `  makes ${quantised(layer.output)}`,
    ...details(model, layer).map((line) => `  ${line}`),
  ];
}

// Long: a case a kind of layer.
function details(model: Model, layer: Layer): string[] {
  switch (layer.kind) {
    case 'dense':
    case 'conv2d':
      return [
        ...(layer.kind === 'conv2d' ? [window(layer), `groups ${layer.groups}`] : []),
        `macs ${macs(model, layer)}`,
        `weights ${layer.weightBits === 4 ? 'of 4 bits ' : ''}${list(layer.weights)}`,
        `bias ${list(layer.bias)}`,
        ...requantiser(layer.requantiser),
      ];
    case 'maxPool':
      return [window(layer)];
    case 'averagePool':
      return [
        window(layer),
        `divisors ${list(layer.divisors)}${layer.countPadding ? ' with padding' : ''}`,
        ...requantiser(layer.requantiser),
      ];
    case 'requantise':
      return requantiser(layer.requantiser);
    case 'add':
      return [
        `multipliers ${list(layer.multipliers)}`,
        `offset ${layer.offset} shift ${layer.shift} clamp ${layer.min}..${layer.max}`,
        ...(layer.ties === undefined
          ? []
          : [`ties ${layer.ties.part} off where the last bit is ${layer.ties.odd}`]),
      ];
    case 'mul':
      return requantiser(layer.requantiser);
    case 'softmax':
      return [
        `rows of ${layer.size}`,
        `exponentials ${list(layer.exponentials)}`,
        `numerators ${list(layer.numerators)}`,
      ];
    case 'gather':
      return [`sources ${list(layer.sources)} value ${layer.value}`];
    case 'pad':
      return [`pads ${layer.pads.join(',')} value ${layer.value}`];
    case 'transpose':
      return [`from ${layer.from.join('x')} axes ${layer.axes.join(',')}`];
    case 'lut':
      return [`table ${list(layer.table)}`];
    case 'embedding':
      return [
        `keys of ${layer.keyBytes} bytes, ${layer.bag} a bag`,
        `table ${layer.rows}x${layer.width} ${list(layer.table)}`,
        ...requantiser(layer.requantiser),
      ];
    case 'argmax':
      return [];
    case 'forest': {
      const { feature, threshold, low, high } = layer.nodes;
      return [
        `${layer.result} of ${layer.roots.length} trees ${list(layer.roots)}, base ${list(layer.base)} shift ${layer.shift}`,
        `features ${list(feature)}`,
        `thresholds ${list(threshold)}`,
        `low ${list(low)} high ${list(high)}`,
        `scores ${list(layer.scores)}`,
      ];
    }
  }
}

const quantised = (t: TensorType): string => `${formatTensorType(t)} scale ${t.scale} zero ${t.zeroPoint}`;

const window = ({ kernel, strides, pads, dilations }: Window): string =>
  `kernel ${kernel.join('x')} strides ${strides.join('x')} pads ${pads.join(',')}` +
  (dilations === undefined ? '' : ` dilations ${dilations.join('x')}`);

const requantiser = (r: Requantiser): string[] => [
  `multiplier ${list(r.multiplier)}`,
  `offset ${list(r.offset)}`,
  ...(r.below === undefined ? [] : [`below ${list(r.below.pivot)} offset ${list(r.below.offset)}`]),
  ...(r.ties === undefined ? [] : [`ties ${list(r.ties.part)} off where the last bit is ${r.ties.odd}`]),
  `shift ${r.shift} clamp ${r.min}..${r.max}, off at ${r.exactness.accumulators} of ${r.exactness.total}`,
];

function list(values: ArrayLike<number>): string {
  const all = Array.from(values);
  if (all.length <= SHOWN) return `[${all.join(' ')}]`;
  return `[${all.slice(0, SHOWN).join(' ')} ...] of ${all.length}, checksum ${checksum(all)}`;
}

/** FNV-1a over the decimal text. */
function checksum(values: readonly number[]): string {
  let hash = 0x811c9dc5;
  for (const char of values.join(' ')) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

import { isBroadcast } from './broadcast.ts';
import { type ByKind, ofKind } from './by-kind.ts';
import type {
  AveragePoolLayer,
  Conv2dLayer,
  EmbeddingLayer,
  GatherLayer,
  Layer,
  LutLayer,
  MaxPoolLayer,
  PadLayer,
  TransposeLayer,
} from './model.ts';
import { elementCount, formatTensorType, isWide, type TensorType } from './tensor.ts';
import { type Report, verifyLength, verifySameCount } from './verify-report.ts';
import { verifyTrees } from './verify-trees.ts';
import { tapCounts, windowOutput } from './window.ts';

/** Output shapes, lengths of weights, biases and requantisers against the input's shape. */
export const verifyShapes = (layer: Layer, inputs: readonly TensorType[], report: Report): void =>
  ofKind(shapesOf, layer, inputs, report);

const shapesOf = {
  dense(layer, [input], report) {
    const outs = layer.bias.length;
    verifyLength(report, 'weights', layer.weights.length, outs * elementCount(input!.shape));
    verifyLength(report, 'outputs', elementCount(layer.output.shape), outs);
    verifyChannels(layer, outs, report);
  },
  conv2d: (layer, [input], report) => verifyConv(layer, input!, report),
  maxPool(layer, [input], report) {
    verifyWindow(layer, input!, input!.shape[0]!, report);
    verifySameGrid(input!, layer.output, report, 'a maximum');
  },
  averagePool: (layer, [input], report) => verifyWindow(layer, input!, input!.shape[0]!, report),
  requantise(layer, [input], report) {
    verifySameCount(report, input!, layer.output);
    verifyChannels(layer, 1, report);
  },
  add: verifyPair,
  mul(layer, inputs, report) {
    verifyPair(layer, inputs, report);
    verifyChannels(layer, 1, report);
  },
  softmax({ size, exponentials, numerators, output }, [input], report) {
    verifyBytes([input!, output], report);
    verifySameCount(report, input!, output);
    if (!isSize(size) || elementCount(input!.shape) % size !== 0)
      report(`${formatTensorType(input!)} is no whole number of rows of ${size}`);
    verifyLength(report, 'exponentials', exponentials.length, 256);
    verifyLength(report, 'numerators', numerators.length, 256);
  },
  gather: verifyGather,
  pad: (layer, [input], report) => verifyPad(layer, input!, report),
  transpose: (layer, [input], report) => verifyTranspose(layer, input!, report),
  lut(layer, [input], report) {
    verifyBytes([input!, layer.output], report);
    verifySameCount(report, input!, layer.output);
    verifyTables(layer, report);
  },
  embedding: (layer, [input], report) => verifyEmbedding(layer, input!, report),
  argmax({ output }, [input], report) {
    if (output.element !== 'uint8' || elementCount(output.shape) !== 2)
      report(`the output is ${formatTensorType(output)}, not uint8[2]`);
    if (elementCount(input!.shape) > 256) report('more than 256 classes do not fit in a byte');
  },
  forest(layer, [input], report) {
    verifyBytes([input!, layer.output], report);
    verifyTrees(layer, elementCount(input!.shape), report);
  },
} satisfies ByKind<void, [inputs: readonly TensorType[], report: Report]>;

/** What goes by tables of 256 numbers. */
function verifyBytes(types: readonly TensorType[], report: Report): void {
  const wide = types.find(({ element }) => isWide(element));
  if (wide !== undefined) report(`${formatTensorType(wide)} has 16-bit elements, and a table has 256 places`);
}

function verifyPair({ output }: Layer, inputs: readonly TensorType[], report: Report): void {
  for (const type of inputs) verifyOperand(type, output, report);
  if (inputs.every((type) => elementCount(type.shape) < elementCount(output.shape)))
    report('both operands are smaller than the output');
}

type WithRequantiser = Extract<Layer, { readonly requantiser: unknown }>;

function verifyChannels({ requantiser }: WithRequantiser, channels: number, report: Report): void {
  verifyLength(report, 'multipliers', requantiser.multiplier.length, channels);
  verifyLength(report, 'offsets', requantiser.offset.length, channels);
  if (requantiser.ties !== undefined) verifyLength(report, 'ties', requantiser.ties.part.length, channels);
  if (requantiser.below === undefined) return;
  verifyLength(report, 'pivots', requantiser.below.pivot.length, channels);
  verifyLength(report, 'offsets below', requantiser.below.offset.length, channels);
}

function verifyConv(layer: Conv2dLayer, input: TensorType, report: Report): void {
  const outs = layer.bias.length;
  const { groups, kernel } = layer;
  verifyWindow(layer, input, outs, report);
  if (!Number.isInteger(groups) || groups < 1 || input.shape[0]! % groups !== 0 || outs % groups !== 0) {
    report(`${groups} groups do not divide ${input.shape[0]} input and ${outs} output channels`);
    return;
  }
  const taps = (input.shape[0]! / groups) * kernel[0] * kernel[1];
  verifyLength(report, 'weights', layer.weights.length, outs * taps);
  verifyChannels(layer, outs, report);
}

/** The output size follows from the window; each window of a pool holds an element. */
function verifyWindow(
  layer: Conv2dLayer | MaxPoolLayer | AveragePoolLayer,
  input: TensorType,
  channels: number,
  report: Report,
): void {
  const { kernel, strides, pads, output } = layer;
  if (input.shape.length !== 3) {
    report(`reads ${formatTensorType(input)}, not [channels, height, width]`);
    return;
  }
  if ([...kernel, ...strides].some((n) => !Number.isInteger(n) || n < 1)) {
    report('window or stride below 1');
    return;
  }
  if (layer.dilations?.some((n) => !isSize(n))) {
    report('dilation below 1');
    return;
  }
  if (pads.some((n) => !Number.isInteger(n) || n < 0)) {
    report('pads below 0');
    return;
  }
  const [, height, width] = input.shape;
  const expected = [channels, ...windowOutput(layer, height!, width!)];
  if (output.shape.join() !== expected.join())
    report(`the output is ${formatTensorType(output)}, its shape should be [${expected.join(', ')}]`);
  if (layer.kind === 'conv2d') return;
  const counts = tapCounts(layer, height!, width!);
  if (counts.includes(0)) report('a window holds padding alone');
  if (layer.kind === 'averagePool') verifyDivisors(layer, counts, report);
}

/** One divisor if padding counts, else each number of elements that a window can hold. */
function verifyDivisors(layer: AveragePoolLayer, counts: readonly number[], report: Report): void {
  const { divisors, countPadding, kernel } = layer;
  const expected = countPadding ? [kernel[0] * kernel[1]] : counts;
  if (divisors.join() !== expected.join())
    report(`divisors [${divisors.join(', ')}], expected [${expected.join(', ')}]`);
  verifyChannels(layer, divisors.length, report);
}

function verifySameGrid(input: TensorType, output: TensorType, report: Report, what: string): void {
  const same = (['element', 'scale', 'zeroPoint'] as const).every((key) => input[key] === output[key]);
  if (!same) report(`${what} keeps element type, scale and zero point`);
}

const isSize = (n: number): boolean => Number.isInteger(n) && n >= 1;

function verifyPad({ pads, output }: PadLayer, input: TensorType, report: Report): void {
  const [channels, height, width, ...more] = input.shape;
  if (width === undefined || more.length > 0) {
    report(`reads ${formatTensorType(input)}, not [channels, height, width]`);
    return;
  }
  if (pads.some((n) => !Number.isInteger(n) || n < 0)) report('pads below 0');
  const expected = [channels, height! + pads[0] + pads[2], width + pads[1] + pads[3]];
  if (output.shape.join() !== expected.join())
    report(`the output is ${formatTensorType(output)}, its shape should be [${expected.join(', ')}]`);
  verifySameGrid(input, output, report, 'padding');
}

/** As many elements as the output, or one a channel of it. */
function verifyOperand(operand: TensorType, output: TensorType, report: Report): void {
  if (!isBroadcast(operand.shape, output.shape)) verifySameCount(report, operand, output);
}

function verifyGather({ sources, output }: GatherLayer, inputs: readonly TensorType[], report: Report): void {
  const count = inputs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  verifyLength(report, 'sources', sources.length, elementCount(output.shape));
  const wrong = sources.find((s) => s < -1 || s >= count);
  if (wrong !== undefined) report(`source ${wrong} is not in -1..${count - 1}`);
  for (const input of inputs) verifySameGrid(input, output, report, 'moving elements');
}

function verifyTables({ table, output }: LutLayer, report: Report): void {
  const tables = table.length / 256;
  if (tables === 1) return;
  if (!Number.isInteger(tables) || tables < 1 || elementCount(output.shape) % tables !== 0)
    report(`table: ${table.length}, expected 256 for each channel of ${formatTensorType(output)}`);
}

function verifyTranspose({ from, axes, output }: TransposeLayer, input: TensorType, report: Report): void {
  const expected = axes.map((axis) => from[axis] ?? 0);
  const isPermutation = [...axes].sort((a, b) => a - b).every((axis, i) => axis === i);
  if (axes.length !== from.length || !isPermutation) report(`axes [${axes.join(', ')}] are no permutation`);
  if (elementCount(from) !== elementCount(input.shape))
    report(`${formatTensorType(input)} cannot be seen as [${from.join(', ')}]`);
  if (output.shape.join() !== expected.join())
    report(`the output is ${formatTensorType(output)}, its shape should be [${expected.join(', ')}]`);
  verifySameGrid(input, output, report, 'a transposition');
}

function verifyEmbedding(layer: EmbeddingLayer, input: TensorType, report: Report): void {
  const { keyBytes, bag, rows, width, table, output } = layer;
  verifyBytes([output], report);
  if (input.element !== 'uint8') report(`reads ${formatTensorType(input)}, but keys are uint8`);
  if (![1, 2, 4].includes(keyBytes)) report(`keys of ${keyBytes} bytes`);
  if (![bag, rows, width].every(isSize)) {
    report('bag, rows or width below 1');
    return;
  }
  if (rows > 256 ** keyBytes) report(`${rows} rows, but keys of ${keyBytes} bytes`);
  verifyLength(report, 'table', table.length, rows * width);
  const bags = elementCount(input.shape) / (keyBytes * bag);
  if (!Number.isInteger(bags)) report(`${formatTensorType(input)} is no whole number of bags`);
  verifyLength(report, 'outputs', elementCount(output.shape), bags * width);
  verifyChannels(layer, 1, report);
}

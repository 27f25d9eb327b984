import { diagnostic, refuse } from '../../diagnostics/index.ts';
import { elementCount, elementRange, type TensorType } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, type Quantisation, viewed } from '../builder.ts';
import { materialise, onGrid } from './materialise.ts';
import { NodeReader } from './node-reader.ts';
import type { OnnxGraph } from './proto.ts';
import { gridOver } from './ranges.ts';
import type { FunctionTerm, Real, SoftmaxTerm, Value } from './values.ts';

/** Classes that a verdict tells apart. */
const MOST_CLASSES = 256;

/**
 * The tensor at which a graph ends for us: of a LogSoftmax that is but brought to a grid and from it, what it makes itself, as it
 * becomes a verdict.
 */
export function endOf(graph: OnnxGraph, output: string): string {
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  let at = output;
  for (let i = 0; i < 3; i++) {
    const maker = makers.get(at);
    if (maker?.opType === 'LogSoftmax') return at;
    if (maker === undefined || !/^(Dequantize|Quantize)Linear$/.test(maker.opType ?? '')) break;
    at = maker.input[0] ?? '';
  }
  return output;
}

/**
 * What leaves the network, as integers: a DequantizeLinear at the end is left to the reader, a softmax becomes a verdict, a
 * function of single elements gets a grid that holds all of its values.
 *
 * @returns `undefined` if it was refused already
 */
export function readEnd(
  builder: ModelBuilder,
  tensor: string,
  value: Value | undefined,
  refused: boolean,
): Activation | undefined {
  const { file } = builder;
  if (value === undefined)
    return refuse('onnx-malformed', { reason: `nothing makes the output ${tensor}` }, { file, tensor });
  switch (value.kind) {
    case 'quantised':
      return checked(value.activation, file);
    case 'real':
      return checked(realEnd(builder, tensor, value), file);
    case 'refused':
      // Told already, unless it is an output that no operator here makes.
      if (refused) return undefined;
      return refuse(
        'onnx-interface',
        { what: 'the output is a second output of its node, which is not imported' },
        { file, tensor },
      );
    default:
      return refuse('onnx-interface', { what: 'the output does not depend on the input' }, { file, tensor });
  }
}

function realEnd(builder: ModelBuilder, tensor: string, real: Real): Activation {
  const node = { name: tensor, input: [tensor], output: [], attribute: [] };
  const c = new NodeReader(builder, node, [real], 0);
  const { term } = real;
  switch (term.kind) {
    case 'softmax':
      return softmaxEnd(builder, term);
    case 'function': {
      const grid = gridOf(term);
      const args = { tensor, element: grid.element, scale: grid.scale };
      builder.diagnostics.push(diagnostic('onnx-end-grid', args, builder.place(term.name)));
      return materialise(c, real, grid);
    }
    case 'linear':
    case 'average':
    case 'sum':
    case 'product':
    case 'maximum':
      if (builder.options.outputRange !== undefined)
        return materialise(c, real, gridOver(builder.options.outputRange));
      return refuse('onnx-float-end', { tensor, operator: term.kind }, builder.place(term.name));
    case 'activation':
    case 'moved':
      return onGrid(c, real, 0);
  }
}

/** Class and margin; of more classes than a byte tells apart, what the softmax is taken of. */
function softmaxEnd(builder: ModelBuilder, { name, input, size }: SoftmaxTerm): Activation {
  const count = elementCount(input.type.shape);
  const place = builder.place(name);
  if (count !== size || count > MOST_CLASSES) {
    builder.diagnostics.push(diagnostic('softmax-left-out', { count, size }, place));
    return viewed(input, input.type.shape);
  }
  builder.diagnostics.push(diagnostic('softmax-as-argmax', {}, place));
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  return builder.add(name, { kind: 'argmax', inputs: [input.value], output });
}

/** The finest grid of 8 bits for all values of the function. */
function gridOf({ input, of, channels }: FunctionTerm): Quantisation {
  const values = Array.from({ length: channels }, (_, channel) =>
    realsOf(input.type).map((x) => Math.fround(of(x, channel))),
  ).flat();
  const lo = Math.min(0, ...values.filter(Number.isFinite));
  const hi = Math.max(0, ...values.filter(Number.isFinite));
  // Shares of one are common: the same grid for all of them.
  const [from, to] = lo >= 0 && hi <= 1 ? [0, 1] : [lo, Math.max(hi, lo + 2 ** -100)];
  const scale = Math.fround((to - from) / 255);
  return { element: 'uint8', scale, zeroPoint: from === 0 ? 0 : Math.round(-from / scale) };
}

function realsOf({ element, scale, zeroPoint }: TensorType): number[] {
  const { lo } = elementRange(element);
  return Array.from({ length: 256 }, (_, i) => Math.fround((lo + i - zeroPoint) * scale));
}

function checked(output: Activation, file: string): Activation {
  if (output.value === 0)
    refuse('onnx-interface', { what: 'the output is the input: there is no layer' }, { file });
  return output;
}

import { diagnostic, refuse } from '../../diagnostics/index.ts';
import { elementCount } from '../../model/tensor.ts';
import { type Activation, type ModelBuilder, viewed } from '../builder.ts';
import { materialise, onGrid } from './materialise.ts';
import { movedOnGrid } from './moves.ts';
import { NodeReader } from './node-reader.ts';
import type { OnnxGraph } from './proto.ts';
import { gridOver } from './ranges.ts';
import { finestGrid, realRange } from './real-ranges.ts';
import { isFree, type MovedTerm, type Real, realActivation, type SoftmaxTerm, type Value } from './values.ts';

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
  if (term.kind === 'moved') {
    const scores = beforeLogarithms(builder, term);
    if (scores !== undefined) return realEnd(builder, tensor, { ...real, term: scores });
  }
  switch (term.kind) {
    case 'softmax':
      return softmaxEnd(builder, c, real, term);
    case 'activation':
      return onGrid(c, real, 0);
    default:
      return onFinestGrid(builder, c, tensor, real);
  }
}

/** What the LogSoftmax along another axis than the last is taken of, in the order of its output. */
function beforeLogarithms(builder: ModelBuilder, term: MovedTerm): MovedTerm | undefined {
  const of: Real[] = [];
  for (const part of term.of) {
    if (part.term.kind !== 'softmax' || !part.term.log || !isFree(part.clamp)) return undefined;
    const { name, input, size } = part.term;
    const args = { operator: 'LogSoftmax', count: elementCount(input.type.shape), size };
    builder.diagnostics.push(diagnostic('softmax-left-out', args, builder.place(name)));
    of.push(realActivation(viewed(input, part.shape)));
  }
  return { ...term, of };
}

/** Of a range that is named, or that follows from the grids which the value is computed from. */
function onFinestGrid(builder: ModelBuilder, c: NodeReader, tensor: string, real: Real): Activation {
  const { term } = real;
  const { outputRange } = builder.options;
  const moved = term.kind === 'moved' && isFree(real.clamp) ? movedOnGrid(c, term) : undefined;
  if (moved !== undefined) return viewed(moved, real.shape);
  if (outputRange !== undefined && term.kind !== 'function')
    return materialise(c, real, gridOver(outputRange));
  const range = realRange(real);
  if (range === undefined)
    return refuse('onnx-float-end', { tensor, operator: term.kind }, builder.place(c.name));
  const grid = finestGrid(range);
  const args = { tensor, element: grid.element, scale: grid.scale };
  const name = term.kind === 'activation' ? tensor : term.name;
  builder.diagnostics.push(diagnostic('onnx-end-grid', args, builder.place(name)));
  return materialise(c, real, grid);
}

/** Shares of one, as runtimes quantise them. */
const SHARES = { element: 'uint8', scale: 1 / 256, zeroPoint: 0 } as const;

/**
 * Class and margin of one row. Several rows have their shares, which their logarithms have not: of those, and of more classes than a
 * byte tells apart, what the softmax is taken of.
 */
function softmaxEnd(
  builder: ModelBuilder,
  c: NodeReader,
  real: Real,
  { name, input, size, log }: SoftmaxTerm,
): Activation {
  const count = elementCount(input.type.shape);
  const place = builder.place(name);
  if (count !== size && !log) {
    const { element, scale } = SHARES;
    const [tensor = name] = c.node.input;
    builder.diagnostics.push(diagnostic('onnx-end-grid', { tensor, element, scale }, place));
    return materialise(c, real, SHARES);
  }
  if (count !== size || count > MOST_CLASSES) {
    const operator = log ? 'LogSoftmax' : 'Softmax';
    builder.diagnostics.push(diagnostic('softmax-left-out', { operator, count, size }, place));
    return viewed(input, input.type.shape);
  }
  builder.diagnostics.push(diagnostic('softmax-as-argmax', {}, place));
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  return builder.add(name, { kind: 'argmax', inputs: [input.value], output });
}

function checked(output: Activation, file: string): Activation {
  if (output.value === 0)
    refuse('onnx-interface', { what: 'the output is the input: there is no layer' }, { file });
  return output;
}

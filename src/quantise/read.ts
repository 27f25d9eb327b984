import { refuse } from '../diagnostics/index.ts';
import type { OnnxNode } from '../import/onnx/proto.ts';
import { elementCount } from '../model/tensor.ts';
import type { Network, Node } from './network.ts';
import { type NodeSource, readers } from './read-node.ts';
import type { Source } from './source.ts';

interface ReadNetwork {
  readonly network: Network;
  /** Operators at the end that are left out, since they only make classes and probabilities of the answer. */
  readonly cut: readonly string[];
}

/** Operators that hold weights: what stands before one of them is no end. */
const WEIGHTED: ReadonlySet<string> = new Set([
  'Gemm',
  'MatMul',
  'Conv',
  'ConvTranspose',
  'LSTM',
  'GRU',
  'RNN',
]);

/**
 * The network from the input to the last value that all of the model's outputs are made of. Operators that are not known
 * here are left out where no weights follow (softmax, labels); elsewhere they are refused, all at once.
 *
 * @throws DiagnosticError `quantise-operators` or `quantise-unsupported`
 */
export function readNetwork(source: Source): ReadNetwork {
  const live = source.nodes.filter((node) => !node.output.every((name) => source.fixed.has(name)));
  const leadsOn = nodesBeforeWeights(live);
  const nodes: Node[] = [];
  const known = new Set([source.input.name]);
  const refused: OnnxNode[] = [];
  const lost = new Set<string>();
  const cut: OnnxNode[] = [];
  for (const node of live) {
    const inputs = node.input.filter((name) => name && !source.fixed.has(name));
    const usable = inputs.every((name) => known.has(name));
    const made = usable ? read(source, node, inputs) : undefined;
    if (made !== undefined) {
      nodes.push(...made);
      known.add(node.output[0]!);
    } else if (leadsOn.has(node) && !inputs.some((name) => lost.has(name))) refused.push(node);
    else if (!leadsOn.has(node)) cut.push(node);
    if (made === undefined && leadsOn.has(node)) for (const name of node.output) lost.add(name);
  }
  if (refused.length > 0) refuse('quantise-operators', { operators: tally(refused) }, { file: source.file });
  return {
    network: withoutDead({ ...inputOf(source), nodes, output: answer(source, known, cut) }),
    cut: cut.map(operatorName),
  };
}

const inputOf = ({ input }: Source): Pick<Network, 'input'> => ({
  input: { ...input, grid: { scale: 1, zeroPoint: 0 } },
});

function read(source: Source, node: OnnxNode, inputs: readonly string[]): Node[] | undefined {
  const domain = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}.` : '';
  const reader = readers.get(`${domain}${node.opType}`);
  const output = node.output[0];
  const shape = output === undefined ? undefined : source.shapes.get(output)?.slice(1);
  if (reader === undefined || output === undefined || shape === undefined) return undefined;
  const at: NodeSource = { source, node, inputs, output, shape };
  return reader(at);
}

/** Nodes behind which weights follow. */
function nodesBeforeWeights(live: readonly OnnxNode[]): Set<OnnxNode> {
  const wanted = new Set<string>();
  const found = new Set<OnnxNode>();
  for (const node of live.toReversed())
    if (WEIGHTED.has(node.opType ?? '') || node.output.some((name) => wanted.has(name))) {
      found.add(node);
      for (const name of node.input) wanted.add(name);
    }
  return found;
}

/** The one value that the end, left out or not, reads. */
function answer(source: Source, known: ReadonlySet<string>, cut: readonly OnnxNode[]): string {
  const direct = source.graph.output.map(({ name = '' }) => name).filter((name) => known.has(name));
  const readByEnd = cut.flatMap(({ input }) => input).filter((name) => known.has(name));
  const values = new Set([...direct, ...readByEnd]);
  const [value, ...more] = values;
  const bad = (what: string): never => refuse('quantise-unsupported', { what }, { file: source.file });
  if (value === undefined || value === source.input.name)
    return bad('no layer with weights leads from its input to its output');
  if (more.length > 0)
    return bad(`its outputs are made of several values (${[...values].join(', ')}), not of one`);
  return value;
}

/** Nodes that the answer needs. */
function withoutDead(network: Network): Network {
  const needed = new Set([network.output]);
  const nodes = network.nodes.toReversed().filter((node) => {
    if (needed.has(node.output)) for (const name of node.inputs) needed.add(name);
    return needed.has(node.output);
  });
  return { ...network, nodes: nodes.toReversed() };
}

const operatorName = ({ opType = '', domain }: OnnxNode): string => (domain ? `${domain}.${opType}` : opType);

/** Each operator once, with its count and the first place. */
function tally(nodes: readonly OnnxNode[]): string[] {
  const kinds = new Map<string, OnnxNode[]>();
  for (const node of nodes) kinds.set(operatorName(node), [...(kinds.get(operatorName(node)) ?? []), node]);
  return [...kinds].map(([name, all]) => {
    const first = all[0]!.name || all[0]!.output[0] || '?';
    return all.length === 1 ? `${name} (${first})` : `${name} (${all.length}, first ${first})`;
  });
}

/** For bounds of memory: elements of all values of one row. */
export const elementsOf = ({ input, nodes }: Network): number =>
  nodes.reduce((sum, { shape }) => sum + elementCount(shape), elementCount(input.shape));

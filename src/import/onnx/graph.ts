import {
  DiagnosticError,
  diagnostic,
  type Place,
  placed,
  refuse,
  reportingTo,
} from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { isVerdict } from '../../model/verdict.ts';
import { type ImportOptions, ModelBuilder } from '../builder.ts';
import { byKind, type Unsupported } from '../unsupported.ts';
import { endOf, readEnd } from './ends.ts';
import { folded } from './fold.ts';
import { cutOf, readInput } from './interface.ts';
import { NodeReader, nodeName } from './node-reader.ts';
import { operators } from './operators/index.ts';
import { orderedNodes } from './order.ts';
import type { OnnxGraph, OnnxModel, OnnxNode } from './proto.ts';
import { decodeTensor } from './tensor-data.ts';
import { refusalsOf } from './unquantised.ts';
import { isFree, type Value } from './values.ts';

/**
 * Walks the nodes, makers before readers, and turns each value into what is known of it. A node at fault is reported and its
 * outputs are marked, so that faults elsewhere are found as well.
 */
export function importGraph(
  source: OnnxModel & { readonly graph: OnnxGraph },
  name: string,
  file: string,
  options: ImportOptions,
): { model?: Model; builder: ModelBuilder } {
  const builder = new ModelBuilder(name, file, options);
  const { graph } = source;
  const values = new Map<string, Value>();
  const attempt = reportingTo(builder.diagnostics);

  const constants = new Set(graph.initializer.map((tensor) => tensor.name ?? ''));
  const cut = attempt(() => cutOf(graph, constants, options, file));
  if (cut === undefined) return { builder };
  const end = endOf(graph, cut.output);
  const nodes = attempt(() => orderedNodes(graph, end, cut.input.name, file));
  if (nodes === undefined) return { builder };
  builder.quantises = nodes.some(({ opType }) =>
    /^QuantizeLinear$|^QLinear|^QGemm$|Quant$|^TreeEnsemble/.test(opType ?? ''),
  );
  builder.hasTrees = nodes.some(({ opType = '' }) => opType.startsWith('TreeEnsemble'));
  const read = new Set(nodes.flatMap((node) => node.input));
  attempt(() => readInitializers(graph, read, values, file));
  for (const value of values.values()) if (value.kind === 'constant') builder.allow(value.values.length);
  // Whatever is wrong with it, nodes that read it are to give no message of their own.
  for (const { name: input = '' } of graph.input)
    if (!values.has(input) && input !== cut.input.name) values.set(input, { kind: 'refused' });
  values.set(cut.input.name ?? '', attempt(() => readInput(builder, cut.input)) ?? { kind: 'refused' });
  const unsupported: UnsupportedNode[] = [];
  for (const node of nodes) {
    const made = attempt(() => evaluate(node, source, builder, values, unsupported));
    const outputs = made === undefined ? [] : isList(made) ? made : [made];
    for (const [i, output] of node.output.entries()) {
      if (!output) continue;
      const value = outputs[i] ?? ({ kind: 'refused' } as const);
      values.set(output, value);
      record(builder, output, value);
    }
  }
  for (const { place, ...args } of byKind(unsupported))
    builder.diagnostics.push(diagnostic('onnx-unsupported-operator', args, place));
  const isRefused = () => builder.diagnostics.some((d) => d.severity === 'error');
  const output = attempt(() => readEnd(builder, end, values.get(end), isRefused()));
  if (output !== undefined && !isRefused()) return { model: builder.finish(output), builder };
  const told = refusalsOf(nodes, builder.diagnostics, file);
  builder.diagnostics.splice(0, builder.diagnostics.length, ...told);
  return { builder };
}

interface UnsupportedNode extends Unsupported {
  /** It reads the float input, before anything is quantised. */
  readonly readsFloat: boolean;
}

const isList = (made: Value | readonly Value[]): made is readonly Value[] => Array.isArray(made);

/** Tensors that hold a value of the model as it is, for those who run a part of the graph. */
function record(builder: ModelBuilder, name: string, made: Value): void {
  if (made.kind === 'quantised')
    builder.record(made.activation.value, { name, type: made.activation.type, real: false });
  else if (made.kind === 'real' && made.term.kind === 'activation' && isFree(made.clamp)) {
    const { value, type } = made.term.activation;
    builder.record(value, { name, type: { ...type, shape: made.shape }, real: true });
  }
}

/** @param read names of the tensors that are read at all */
function readInitializers(
  graph: OnnxGraph,
  read: ReadonlySet<string>,
  values: Map<string, Value>,
  file: string,
): void {
  const faults = [];
  for (const tensor of graph.initializer) {
    const name = tensor.name ?? '';
    if (!read.has(name)) continue;
    try {
      values.set(name, decodeTensor(tensor, name, { file }));
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      values.set(name, { kind: 'refused' });
      faults.push(...error.diagnostics);
    }
  }
  if (faults.length > 0) throw new DiagnosticError(faults);
}

function evaluate(
  node: OnnxNode,
  source: OnnxModel,
  builder: ModelBuilder,
  values: ReadonlyMap<string, Value>,
  unsupported: UnsupportedNode[],
): Value | readonly Value[] {
  const place = builder.place(nodeName(node));
  const domain = plainDomain(node.domain);
  const operator = domain === '' ? (node.opType ?? '') : `${domain}.${node.opType}`;
  const importer = operators.get(operator);
  const inputs = node.input.map((name) => {
    if (name === '') return undefined;
    const value = values.get(name);
    if (value !== undefined) return value;
    return refuse('onnx-malformed', { reason: `nothing before this node makes ${name}` }, place);
  });
  if (inputs.some((value) => value?.kind === 'refused')) return { kind: 'refused' };
  const [first] = inputs;
  if (first !== undefined && keepsVerdict.has(operator) && isVerdictOf(builder, first)) return first;
  const reader = new NodeReader(builder, node, inputs, opsetOf(source, domain, place));
  const constant = placed(place, () => folded(reader, inputs));
  if (constant === undefined && importer === undefined) {
    unsupported.push({ operator, place, readsFloat: inputs.some((value) => value?.kind === 'floatInput') });
    return { kind: 'refused' };
  }
  const made = constant ?? placed(place, () => importer!(reader));
  reader.refuseUnread();
  return made;
}

/** What changes the type or the shape of a class, as exporters put it behind an ArgMax. */
const keepsVerdict: ReadonlySet<string> = new Set([
  'Cast',
  'Flatten',
  'Identity',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
]);

const isVerdictOf = (builder: ModelBuilder, value: Value): boolean =>
  value.kind === 'quantised' && isVerdict(builder.layer(value.activation.value));

/** Older operators broadcast, pad and normalise by other rules; ONNX Runtime does not promise to run them either. */
const OLDEST_OPSET = 7;

function opsetOf(source: OnnxModel, domain: string, place: Place): number {
  const named = source.opsetImport.find((o) => plainDomain(o.domain) === domain);
  // Programs that write operators of their own often leave out the version of their domain, which has had one so far.
  const opset = named?.version ?? (domain === '' ? 0 : 1);
  if (named === undefined && domain === '')
    refuse('onnx-malformed', { reason: 'it names no operator set of ONNX itself' }, place);
  if (domain === '' && opset < OLDEST_OPSET)
    refuse(
      'onnx-interface',
      { what: `is of operator set ${opset}; ${OLDEST_OPSET} and newer are supported` },
      place,
    );
  return opset;
}

/** The domain of ONNX itself has two names. */
const plainDomain = (domain: string | undefined): string =>
  domain === undefined || domain === 'ai.onnx' ? '' : domain;

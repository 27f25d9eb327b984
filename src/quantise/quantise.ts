import { type Diagnostic, refuse } from '../diagnostics/index.ts';
import type { OnnxRuntime } from '../ends/worker/onnxruntime.ts';
import { importOnnx } from '../import/onnx/index.ts';
import { type Model, macs, outputType } from '../model/model.ts';
import { decodeElements, elementCount } from '../model/tensor.ts';
import { interpret } from '../reference/interpreter.ts';
import { type Numbers, toElements } from '../rows/index.ts';
import { emitFloat, emitQuantised, inputReals } from './emit.ts';
import { fold } from './fold.ts';
import { chooseGrids, type RangeMethod, rangeMethods } from './grids.ts';
import type { Network } from './network.ts';
import { elementsOf, readNetwork } from './read.ts';
import { firstLine, Runner } from './runtime.ts';
import { isBetter, type Score, scoreOf, type Truth } from './score.ts';
import { readSource, type Source, withOutputs } from './source.ts';
import { gatherSpreads, type Spread, spreadOfRows } from './statistics.ts';
import type { WeightOptions } from './weights.ts';

/** What is to be quantised, and by which rows. */
export interface QuantiseSpec {
  readonly bytes: Uint8Array;
  readonly file: string;
  /** Rows that the network was or could have been trained on. */
  readonly rows: Numbers;
  /** File of the rows, for messages. */
  readonly rowsFile: string;
  /** True class of each row. */
  readonly labels?: readonly number[] | undefined;
  /** Their file, for messages. */
  readonly labelsFile?: string | undefined;
  readonly method: RangeMethod | 'auto';
  readonly weights: WeightOptions;
  readonly runtime: OnnxRuntime;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** What one method came to, in ONNX Runtime. */
export interface Candidate extends Score {
  readonly method: RangeMethod;
}

/** The network as made, and how it compares with the float one. */
export interface Quantised {
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  readonly method: RangeMethod;
  /** Layers with weights. */
  readonly layers: number;
  /** Operators at the end that are left out. */
  readonly cut: readonly string[];
  /** The value of the source that the outputs are. */
  readonly output: string;
  readonly float: Pick<Score, 'accuracy'>;
  /** In ONNX Runtime. */
  readonly quantised: Score;
  /** In the integers of this program, on as many rows as take a second or so. */
  readonly integers: Score & { readonly rows: number };
  readonly candidates: readonly Candidate[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Makes int8 of a float network: weights by output channel and symmetric, activations on the grids that do best on the
 * rows. The same input gives the same bytes.
 *
 * @throws DiagnosticError
 */
export async function quantise(spec: QuantiseSpec): Promise<Quantised> {
  const { file, runtime, rows } = spec;
  refuseNaN(spec);
  const source = await readSource(spec.bytes, file, rows, runtime);
  const { network: read, cut } = readNetwork(source);
  if (read.nodes.every(({ kind }) => kind !== 'gemm' && kind !== 'conv'))
    refuse('quantise-unsupported', { what: 'it has no layer with weights' }, { file });
  const network = fold(read);
  refuseLabels(network, spec);
  const truth = await floatOutputs(source, network, spec);
  const { spreads, input } = await observe(network, source, spec);
  refuseUnusable(spreads, spec);

  const methods = spec.method === 'auto' ? rangeMethods : [spec.method];
  const options = { opset: Math.max(source.opset, 13), metadataProps: source.metadataProps };
  const made = [];
  for (const method of methods) {
    const bytes = emitQuantised(network, chooseGrids(network, spreads, input, method), spec.weights, options);
    made.push({ method, bytes, score: scoreOf(await outputsOf(bytes, network, spec), truth) });
  }
  const best = made.reduce((a, b) => (isBetter(b.score, a.score) ? b : a));
  const { model, diagnostics } = importOnnx(best.bytes, file);
  return {
    bytes: best.bytes,
    method: best.method,
    layers: network.nodes.filter(({ kind }) => kind === 'gemm' || kind === 'conv').length,
    cut,
    output: network.output,
    float: scoreOf(truth.outputs, truth),
    quantised: best.score,
    integers: integerScore(model, rows, truth, spec.rowsFile, source.input.element === 'float32'),
    candidates: made.map(({ method, score }) => ({ method, ...score })),
    diagnostics,
  };
}

function refuseNaN({ rows, rowsFile }: QuantiseSpec): void {
  for (let i = 0; i < rows.values.length; i++)
    if (!Number.isFinite(rows.values[i]))
      refuse(
        'rows-value',
        {
          where: rows.place(i),
          what: Number.isNaN(rows.values[i]) ? 'NaN is no number' : `${rows.values[i]} is not finite`,
          whole: false,
        },
        { file: rowsFile },
      );
}

/**
 * @throws DiagnosticError `quantise-label` for what is none of the network's classes, `quantise-one-class` for rows of one: they show
 *   neither the ranges of the others, nor how well any is told apart
 */
function refuseLabels(network: Network, { labels = [], labelsFile = '' }: QuantiseSpec): void {
  const outputs = elementCount(network.nodes.at(-1)!.shape);
  const classes = Math.max(2, outputs);
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong >= 0)
    refuse(
      'quantise-label',
      { where: `row ${wrong + 1}`, value: String(labels[wrong]), classes },
      { file: labelsFile },
    );
  if (labels.length > 0 && labels.every((label) => label === labels[0]))
    refuse('quantise-one-class', { class: labels[0]!, rows: labels.length, classes }, { file: labelsFile });
}

/** Of folding, which is exact but for float32: more than this is a fault of this program. */
const MOST_FOLDING_ERROR = 1e-3;

/** Outputs of the float network as its file has it, whose folded form must give the same. */
async function floatOutputs(source: Source, network: Network, spec: QuantiseSpec): Promise<Truth> {
  const { file, runtime, rows } = spec;
  const bytes = withOutputs(source.bytes, source.graph, [network.output]);
  const { input, batch } = source;
  const o = { file, elements: elementsOf(network), ...(batch !== undefined && { batch }) };
  const runner = await Runner.open(runtime, bytes, input, o);
  const last = network.nodes.at(-1)!;
  const truth = {
    outputs: await runner.collect(rows, network.output),
    width: elementCount(last.shape),
    labels: spec.labels,
    // A probability, or what a sigmoid would make one of.
    threshold: last.kind === 'function' && last.operator === 'Sigmoid' ? 0.5 : 0,
  };
  await runner.close();
  const folded = await Runner.open(
    runtime,
    emitFloat(network, { opset: Math.max(source.opset, 13) }),
    input,
    { file },
  );
  const sample = { ...rows, count: Math.min(rows.count, 64) };
  const { error } = scoreOf(await folded.collect(sample, network.output), truth);
  await folded.close();
  if (!(error < MOST_FOLDING_ERROR) && truth.outputs.every(Number.isFinite))
    refuse(
      'quantise-source',
      { reason: `its folded form is off by ${error} of the outputs' deviation` },
      { file },
    );
  return truth;
}

async function observe(network: Network, source: Source, spec: QuantiseSpec) {
  const { file, runtime, rows, onProgress } = spec;
  const bytes = emitFloat(network, { opset: Math.max(source.opset, 13) });
  const runner = await Runner.open(runtime, bytes, source.input, { file, elements: elementsOf(network) });
  try {
    const scaled = network.input.affine === undefined ? [] : [inputReals(network)];
    const spreads = await gatherSpreads(
      runner,
      rows,
      [...network.nodes.map(({ output }) => output), ...scaled],
      onProgress,
    );
    const input = scaled.length > 0 ? spreads.get(scaled[0]!)! : inputSpread(rows);
    return { spreads, input };
  } finally {
    await runner.close();
  }
}

/** With bins, as percentiles need them. */
function inputSpread(rows: Numbers): Spread {
  const spread = spreadOfRows(rows);
  const scale = spread.hi > spread.lo ? spread.counts.length / (spread.hi - spread.lo) : 0;
  for (let i = 0; i < rows.values.length; i++)
    spread.counts[Math.min(spread.counts.length - 1, Math.floor((rows.values[i]! - spread.lo) * scale))]!++;
  return spread;
}

/** @throws DiagnosticError `quantise-rows` if the rows say nothing of the network */
function refuseUnusable(spreads: ReadonlyMap<string, Spread>, spec: QuantiseSpec): void {
  const bad = (what: string): never => refuse('quantise-rows', { what }, { file: spec.rowsFile });
  for (const [name, { lo, hi }] of spreads)
    if (!Number.isFinite(lo) || !Number.isFinite(hi))
      bad(`the float network makes infinite or no numbers of them, first at ${name}`);
  const { lo, hi } = spreadOfRows(spec.rows).byElement!;
  if (lo.every((value, i) => value === hi[i])) bad('they are all the same');
}

async function outputsOf(bytes: Uint8Array, network: Network, spec: QuantiseSpec): Promise<Float32Array> {
  const runner = await Runner.open(spec.runtime, bytes, network.input, {
    file: spec.file,
    elements: elementsOf(network),
  });
  try {
    return await runner.collect(spec.rows, network.output);
  } catch (error) {
    return refuse('quantise-source', { reason: firstLine(error) }, { file: spec.file });
  } finally {
    await runner.close();
  }
}

/** Multiply-accumulates that the reference interpreter does in a second or so. */
const MOST_MACS = 3e8;

function integerScore(model: Model, rows: Numbers, truth: Truth, file: string, isFloat: boolean) {
  const cost = model.layers.reduce((sum, layer) => sum + macs(model, layer), 1);
  const count = Math.max(1, Math.min(rows.count, Math.floor(MOST_MACS / cost)));
  const width = elementCount(model.input.shape);
  const values = Array.prototype.slice.call(rows.values, 0, count * width) as number[];
  const { bytes } = toElements(
    { ...rows, whole: rows.whole && !isFloat, count, values },
    model.input,
    file,
    model.inputAffine,
  );
  const { element, scale, zeroPoint } = outputType(model);
  const outputs = new Float32Array(count * truth.width);
  for (let row = 0; row < count; row++) {
    const q = decodeElements(element, interpret(model, bytes.subarray(row * width, (row + 1) * width)));
    outputs.set(
      Array.from(q, (v) => scale * (v - zeroPoint)),
      row * truth.width,
    );
  }
  const labels = truth.labels?.slice(0, count);
  return { ...scoreOf(outputs, { ...truth, labels }), rows: count };
}

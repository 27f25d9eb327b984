import { type Diagnostic, diagnostic, refuse } from '../../diagnostics/index.ts';
import { type Layer, type Model, valueType } from '../../model/model.ts';
import { elementRange, type TensorType } from '../../model/tensor.ts';
import { v1model } from '../../targets/v1model.ts';
import { binary, literal, reference } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { Code, INPUT } from './code.ts';
import { emitArgmax, MAX_ARGMAX } from './emit-argmax.ts';
import { emitMatrix } from './emit-matrix.ts';
import { emitMaxPool } from './emit-pool.ts';
import { atShift, chooseLayout, type LaneWords, type MatrixSpec, misfit } from './lane-words.ts';
import {
  addJob,
  averagePoolJobs,
  convJob,
  denseJob,
  type MatrixJob,
  requantiseJob,
} from './matrix-layers.ts';
import { type Piece, packOutput } from './pack.ts';

/** A field of the packet's activations, in the order of the wire. */
export interface InputField {
  readonly name: string;
  readonly width: number;
}

/** How one layer was laid out, for `inspect`. */
export interface LayerLayout {
  readonly layer: number;
  /** Empty where the layer is no matrix. */
  readonly words: readonly LaneWords[];
  /** Multiply-adds of one inference. */
  readonly products: number;
  /** Bytes of the weights' entry. */
  readonly entryBytes: number;
}

/** Layers as code over fields, before any syntax. */
export interface Lowered {
  readonly input: readonly InputField[];
  readonly code: Code;
  readonly output: readonly Piece[];
  readonly layouts: readonly LayerLayout[];
  /** Estimated ns of one inference. */
  readonly cost: number;
}

export interface LowerOptions {
  readonly from: number;
  readonly to: number;
  readonly lanes: 'on' | 'off';
  readonly weights: 'runtime' | 'static';
  /** Least lane width of a layer in bits; a wider lane may let the next layer take several at once. */
  readonly laneFloors: ReadonlyMap<number, number>;
  /** Layouts of a program that is there already: its weights are to be replaced by this model's. */
  readonly envelope?: readonly LayerLayout[];
}

interface Lowering {
  readonly model: Model;
  readonly options: LowerOptions;
  readonly code: Code;
  readonly layouts: LayerLayout[];
}

/** Lowers layers `[from, to)`; what the target cannot do is told by diagnostics, and nothing is returned. */
export function lower(model: Model, options: LowerOptions): { lowered?: Lowered; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const code = new Code();
  const lowering: Lowering = { model, options, code, layouts: [] };
  const { input, activations } = readInput(code, valueType(model, options.from));
  const values = new Map<number, Activations>([[options.from, activations]]);
  for (let i = options.from; i < options.to; i++) {
    const layer = model.layers[i]!;
    const inputs = layer.inputs.map((v) => values.get(v));
    const refusal = refusalOf(layer, inputs);
    if (refusal !== undefined) {
      const place = { file: model.file, layer: layer.name };
      diagnostics.push(
        diagnostic('unsupported-layer', { kind: layer.kind, target: v1model.name, reason: refusal }, place),
      );
      return { diagnostics };
    }
    values.set(i + 1, lowerLayer(lowering, i, inputs as Activations[]));
  }
  const output = packOutput(values.get(options.to)!, valueType(model, options.to).element);
  const { layouts } = lowering;
  const cost = layouts.reduce((sum, l) => sum + l.words.reduce((s, w) => s + w.cost, 0), 0);
  return { lowered: { input, code, output, layouts, cost }, diagnostics };
}

function refusalOf(layer: Layer, inputs: readonly (Activations | undefined)[]): string | undefined {
  if (inputs.some((i) => i === undefined))
    return 'it reads a tensor from before the split, which the packet does not carry';
  if (layer.kind === 'argmax' && inputs[0]!.placements.length > MAX_ARGMAX)
    return `it has ${inputs[0]!.placements.length} elements, an index of 8 bits tells ${MAX_ARGMAX} apart`;
  if (
    layer.kind === 'pad' ||
    layer.kind === 'transpose' ||
    layer.kind === 'lut' ||
    layer.kind === 'embedding'
  )
    return 'the backend has no such layer yet';
  if ('requantiser' in layer && layer.requantiser.below !== undefined)
    return 'its requantiser has an offset of its own below a pivot';
  return undefined;
}

/**
 * The packet's activations. Each byte is a field of its own, which an expression reads without a shift; but int8 is
 * first turned to unsigned, many elements at once, in wide fields. So are inputs of more fields than BMv2 likes.
 */
function readInput(code: Code, type: TensorType): { input: InputField[]; activations: Activations } {
  const count = type.shape.reduce((a, b) => a * b, 1);
  const { lo, hi } = elementRange(type.element);
  if (type.element === 'uint8' && count <= MAX_BYTE_FIELDS) {
    const input = Array.from({ length: count }, (_, i) => ({ name: `e${i}`, width: ELEMENT_BITS }));
    const placements = input.map((f) => ({ field: `${INPUT}.${f.name}`, width: f.width, offset: 0 }));
    return { input, activations: { placements, low: lo, high: hi } };
  }
  const input: InputField[] = [];
  const placements: Placement[] = [];
  for (let at = 0; at < count; at += PIECE) {
    const elements = Math.min(PIECE, count - at);
    const width = elements * ELEMENT_BITS;
    const wire = { name: `part${at / PIECE}`, width };
    input.push(wire);
    let field = `${INPUT}.${wire.name}`;
    if (type.element === 'int8') {
      const unsigned = code.field(`input${at / PIECE}`, width);
      const signs = literal(BigInt(`0x${'80'.repeat(elements)}`), width);
      code.assign(unsigned, binary(reference(field, width), '^', signs));
      field = unsigned.kind === 'reference' ? unsigned.name : field;
    }
    for (let i = 0; i < elements; i++)
      placements.push({ field, width, offset: (elements - 1 - i) * ELEMENT_BITS, mixed: true });
  }
  return { input, activations: { placements, low: lo, high: hi } };
}

const MAX_BYTE_FIELDS = 256;
/** Elements of the widest field. */
const PIECE = v1model.maxWidthBits / ELEMENT_BITS;

function lowerLayer(l: Lowering, index: number, inputs: readonly Activations[]): Activations {
  const layer = l.model.layers[index]!;
  const types = layer.inputs.map((v) => valueType(l.model, v));
  const input = inputs[0]!;
  const type = types[0]!;
  const name = `l${index}`;
  switch (layer.kind) {
    case 'dense':
      return lowerMatrix(l, index, [denseJob(layer, input, type)]);
    case 'conv2d':
      return lowerMatrix(l, index, [convJob(layer, input, type)]);
    case 'averagePool':
      return lowerMatrix(l, index, averagePoolJobs(layer, input, type));
    case 'requantise':
      return lowerMatrix(l, index, [requantiseJob(layer, input, type)]);
    case 'add':
      return lowerMatrix(l, index, [addJob(layer, input, inputs[1]!, [type, types[1]!])]);
    case 'maxPool':
      l.layouts.push({ layer: index, words: [], products: 0, entryBytes: 0 });
      return emitMaxPool(l.code, name, layer, input, type);
    case 'argmax':
      l.layouts.push({ layer: index, words: [], products: 0, entryBytes: 0 });
      return emitArgmax(l.code, name, input);
    case 'pad':
    case 'transpose':
    case 'lut':
    case 'embedding':
      throw new Error('refused before');
  }
}

/** Shift and lanes of layers whose weights may be replaced: retrained weights rarely need more than this beyond. */
const HEADROOM_SHIFT = 1;
const HEADROOM_BITS = 1;

/** Layers with weights get a table; the constants of the others are part of the program. */
function lowerMatrix(l: Lowering, index: number, jobs: readonly MatrixJob[]): Activations {
  const layer = l.model.layers[index]!;
  const weighted = layer.kind === 'dense' || layer.kind === 'conv2d';
  const runtime = weighted && l.options.weights === 'runtime';
  if (weighted) l.code.beginStage(index);
  const placements: Placement[] = [];
  const words: LaneWords[] = [];
  let products = 0;
  let entryBytes = 0;
  for (const [j, job] of jobs.entries()) {
    const layout = layoutOf(l, index, j, job.spec, runtime);
    const spec = atShift(job.spec, layout.shift);
    words.push({ ...layout, cost: layout.cost * job.positions.length });
    products += productsOf(job, layout);
    if (runtime) entryBytes += entryBytesOf(spec, layout);
    const name = `l${index}${jobs.length === 1 ? '' : `_${j}`}`;
    // Far too much code is not even made: what is needed of it is known.
    const rows =
      products > v1model.maxProducts
        ? job.positions.map(() => placeholders(spec))
        : emitMatrix(l.code, name, spec, layout, job.positions, runtime);
    for (const [p, position] of job.positions.entries())
      for (const [row, element] of position.outputs.entries()) placements[element] = rows[p]![row]!;
  }
  l.layouts.push({ layer: index, words, products, entryBytes });
  const { min, max } =
    'requantiser' in layer ? layer.requantiser : layer.kind === 'add' ? layer : { min: 0, max: 0 };
  return { placements, low: min, high: max };
}

const placeholders = (spec: MatrixSpec): Placement[] =>
  Array.from({ length: spec.rows }, (_, row) => ({ field: `none${row}`, width: ELEMENT_BITS, offset: 0 }));

function layoutOf(l: Lowering, index: number, job: number, spec: MatrixSpec, runtime: boolean): LaneWords {
  const { envelope, laneFloors, lanes } = l.options;
  const given = envelope?.find((e) => e.layer === index)?.words[job];
  if (given === undefined)
    return chooseLayout(runtime ? atShift(spec, spec.shift + HEADROOM_SHIFT) : spec, {
      floor: laneFloors.get(index) ?? 0,
      maxRows: lanes === 'off' ? 1 : Number.POSITIVE_INFINITY,
      headroom: runtime ? HEADROOM_BITS : 0,
    });
  const what = misfit(spec, given);
  if (what !== undefined)
    refuse('envelope-exceeded', { what }, { file: l.model.file, layer: l.model.layers[index]!.name });
  return given;
}

/** A word of weights a group, and a word of start values a kind of position. */
function entryBytesOf(spec: MatrixSpec, layout: LaneWords): number {
  const groups = spec.runs.reduce((n, run) => n + Math.ceil(run.columns.length / layout.group), 0);
  const bits = layout.words.reduce((sum, word) => sum + word.width, 0);
  return ((groups + spec.constants.size) * bits) / 8;
}

function productsOf(job: MatrixJob, layout: LaneWords): number {
  const runs = job.positions.flatMap((p) => p.runs.filter((run) => run !== undefined));
  const groups = runs.reduce((n, run) => n + Math.ceil(run.members.length / layout.group), 0);
  return groups * layout.words.length;
}

import { type Diagnostic, DiagnosticError, diagnostic, refuse } from '../../diagnostics/index.ts';
import { READS_BEFORE } from '../../model/cut.ts';
import {
  type EmbeddingLayer,
  type ForestLayer,
  type Layer,
  type LutLayer,
  type Model,
  type MulLayer,
  valueType,
} from '../../model/model.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementRange, type TensorType } from '../../model/tensor.ts';
import { binary, literal, reference } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { Code, INPUT } from './code.ts';
import { emitArgmax, MAX_ARGMAX } from './emit-argmax.ts';
import { emitEmbedding } from './emit-embedding.ts';
import { emitForest } from './emit-forest.ts';
import { emitLut, lutCost } from './emit-lut.ts';
import { emitMatrix } from './emit-matrix.ts';
import { emitGather, emitPad, moveTransposed } from './emit-moves.ts';
import { emitMul } from './emit-mul.ts';
import { emitMaxPool } from './emit-pool.ts';
import {
  atLayout,
  atShift,
  chooseLayout,
  groupsOf,
  groupsRead,
  isExact,
  type LaneWords,
  type MatrixSpec,
  misfit,
  readsAnyOf,
} from './lane-words.ts';
import { v1model } from './limits.ts';
import {
  addJob,
  averagePoolJobs,
  convJob,
  denseJob,
  embeddingSpec,
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
  /** Bytes of the weights' entry; the largest one where there are several. */
  readonly entryBytes: number;
  /** Estimated ns of one inference. */
  readonly cost: number;
  /** Tables by keys of the packet, and the entries of one version in each. */
  readonly lookups?: { readonly tables: number; readonly rows: number };
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

/** How layers `[from, to)` become code; what is absent in a program's options has its default here. */
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
  const { input, activations } = readInput(code, valueType(model, options.from), keyBytesOf(model, options));
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
    try {
      values.set(i + 1, lowerLayer(lowering, i, inputs as Activations[]));
    } catch (error) {
      if (!(error instanceof DiagnosticError) || options.envelope !== undefined) throw error;
      return { diagnostics: [...error.diagnostics] };
    }
  }
  const output = packOutput(code, values.get(options.to)!, valueType(model, options.to).element);
  code.dropUnread(output.map((piece) => piece.value));
  const { layouts } = lowering;
  const cost = layouts.reduce((sum, l) => sum + l.cost, 0);
  return { lowered: { input, code, output, layouts, cost }, diagnostics };
}

function refusalOf(layer: Layer, inputs: readonly (Activations | undefined)[]): string | undefined {
  if (inputs.some((i) => i === undefined)) return READS_BEFORE;
  if (layer.kind === 'softmax') {
    const bits = Math.ceil(Math.log2(2 * layer.exponentials[0]! * layer.size));
    return (
      `it divides ${inputs[0]!.placements.length} numbers by sums of ${bits} bits, and a switch divides by powers of two alone; ` +
      'a table of the quotients would need a row for each of 256 numerators and each sum'
    );
  }
  if (layer.kind === 'argmax' && inputs[0]!.placements.length > MAX_ARGMAX)
    return `it has ${inputs[0]!.placements.length} elements, an index of 8 bits tells ${MAX_ARGMAX} apart`;
  if ('requantiser' in layer && isSteep(layer.requantiser))
    return 'a channel of its requantiser is two levels with a step between them, and no line';
  return undefined;
}

/** The sign of a lane tells the sides of a pivot apart, and there is none where the multiplier is 0. */
const isSteep = ({ multiplier, offset, below, shift, min, max }: Requantiser): boolean =>
  below !== undefined &&
  multiplier.some((m, c) => {
    const level = (z: number) => Math.max(min, Math.min(max, Math.floor(z / 2 ** shift)));
    return m === 0 && level(offset[c]!) !== level(below.offset[c]!);
  });

/** Bytes of a key where an embedding reads the packet. */
const keyBytesOf = (model: Model, { from, to }: LowerOptions): number | undefined =>
  model.layers
    .slice(from, to)
    .filter((layer) => layer.kind === 'embedding')
    .find((layer) => layer.inputs[0] === from)?.keyBytes;

/**
 * The packet's activations. Each byte is a field of its own, which an expression reads without a shift; but int8 is
 * first turned to unsigned, many elements at once, in wide fields. So are inputs of more fields than BMv2 likes. A key of
 * several bytes is one field, by which a table can match.
 */
function readInput(
  code: Code,
  type: TensorType,
  keyBytes = 1,
): { input: InputField[]; activations: Activations } {
  const count = type.shape.reduce((a, b) => a * b, 1);
  const { lo, hi } = elementRange(type.element);
  if (keyBytes > 1 && count <= MAX_BYTE_FIELDS * keyBytes) {
    const width = keyBytes * ELEMENT_BITS;
    const input = Array.from({ length: count / keyBytes }, (_, k) => ({ name: `key${k}`, width }));
    const placements = input.flatMap((f) =>
      Array.from({ length: keyBytes }, (_, i) =>
        place(`${INPUT}.${f.name}`, width, (keyBytes - 1 - i) * ELEMENT_BITS),
      ),
    );
    return { input, activations: { placements, low: lo, high: hi } };
  }
  if (type.element === 'uint8' && count <= MAX_BYTE_FIELDS) {
    const input = Array.from({ length: count }, (_, i) => ({ name: `e${i}`, width: ELEMENT_BITS }));
    const placements = input.map((f) => place(`${INPUT}.${f.name}`, f.width, 0));
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
      placements.push(place(field, width, (elements - 1 - i) * ELEMENT_BITS));
  }
  return { input, activations: { placements, low: lo, high: hi } };
}

/** Bytes side by side. */
const place = (field: string, width: number, offset: number): Placement => ({
  field,
  width,
  offset,
  pitch: ELEMENT_BITS,
});

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
    case 'mul':
      return lowerMul(l, index, layer, [input, inputs[1]!], [type, types[1]!]);
    case 'gather':
      l.layouts.push(withoutWords(index));
      return emitGather(l.code, name, layer, inputs);
    case 'softmax':
      throw new Error('softmax is refused');
    case 'maxPool':
      l.layouts.push(withoutWords(index));
      return emitMaxPool(l.code, name, layer, input, type);
    case 'forest':
      return lowerForest(l, index, layer, input);
    case 'argmax':
      l.layouts.push(withoutWords(index));
      return emitArgmax(l.code, name, input);
    case 'transpose':
      l.layouts.push(withoutWords(index));
      return moveTransposed(layer, input);
    case 'pad':
      l.layouts.push(withoutWords(index));
      return emitPad(l.code, name, layer, input, type);
    case 'lut':
      return lowerLut(l, index, layer, input, type);
    case 'embedding':
      return lowerEmbedding(l, index, layer, input);
  }
}

const withoutWords = (layer: number): LayerLayout => ({
  layer,
  words: [],
  products: 0,
  entryBytes: 0,
  cost: 0,
});

/** The table is in the entry of the weights before it: it costs no table of its own. */
function lowerLut(
  l: Lowering,
  index: number,
  layer: LutLayer,
  input: Activations,
  type: TensorType,
): Activations {
  const runtime = l.options.weights === 'runtime';
  const tables = layer.table.length / 256;
  const entryBytes = runtime ? (tables * v1model.maxWidthBits) / 8 : 0;
  if (runtime) l.code.beginLayer(index, entryBytes);
  l.layouts.push({ ...withoutWords(index), entryBytes, cost: lutCost(input) });
  return emitLut(l.code, index, layer, input, type, runtime);
}

/** Two activations are multiplied by each other: no weights, so nothing of it can be replaced. */
function lowerMul(
  l: Lowering,
  index: number,
  layer: MulLayer,
  inputs: readonly [Activations, Activations],
  types: readonly [TensorType, TensorType],
): Activations {
  const maxRows = l.options.lanes === 'off' ? 1 : Number.POSITIVE_INFINITY;
  const { activations, layout, positions } = emitMul(l.code, `l${index}`, layer, inputs, types, maxRows);
  const products = 3 * activations.placements.length;
  const words = [{ ...layout, cost: layout.cost * positions }];
  l.layouts.push({ layer: index, words, products, entryBytes: 0, cost: words[0]!.cost });
  return activations;
}

function lowerEmbedding(l: Lowering, index: number, layer: EmbeddingLayer, input: Activations): Activations {
  const runtime = l.options.weights === 'runtime';
  const { spec, multiplier } = embeddingSpec(layer);
  const layout = layoutOf(l, index, 0, spec, runtime);
  const fitted = atLayout(spec, layout);
  const scaled = { spec: fitted, multiplier: multiplier * 2 ** (layout.shift - spec.shift) };
  const tables = input.placements.length / layer.keyBytes;
  const lookups = { tables, rows: layer.rows };
  const entryBytes = runtime ? layout.words.reduce((sum, word) => sum + word.width, 0) / 8 : 0;
  const cost = layout.cost * (tables / layer.bag) + tables * LOOKUP_NS;
  l.layouts.push({ layer: index, words: [layout], products: 0, entryBytes, cost, lookups });
  const { min, max } = layer.requantiser;
  // Far too many entries are not even made.
  const placements =
    tables > MAX_LOOKUP_TABLES || tables * layer.rows > MAX_LOOKUP_ENTRIES[l.options.weights]
      ? Array.from({ length: (tables / layer.bag) * layer.width }, (_, i) => placeholder(i))
      : emitEmbedding(l.code, index, layer, input, scaled, layout, runtime);
  return { placements, low: min, high: max };
}

function lowerForest(l: Lowering, index: number, layer: ForestLayer, input: Activations): Activations {
  const runtime = l.options.weights === 'runtime';
  const { roots, scores, base } = layer;
  const tables = roots.length;
  const rows = Math.ceil(scores.length / base.length / tables);
  const entryBytes = runtime ? base.length * SCORE_BYTES : 0;
  const cost = tables * (LOOKUP_NS + rows * RANGE_NS);
  l.layouts.push({ layer: index, words: [], products: 0, entryBytes, cost, lookups: { tables, rows } });
  if (tables <= MAX_LOOKUP_TABLES && tables * rows <= MAX_LOOKUP_ENTRIES[l.options.weights])
    return emitForest(l.code, index, layer, input, runtime);
  // Far too many entries are not even made.
  const count = layer.result === 'verdict' ? 2 : base.length;
  const { lo, hi } = elementRange(layer.output.element);
  return { placements: Array.from({ length: count }, (_, i) => placeholder(i)), low: lo, high: hi };
}

/** Bytes of a score in an entry. */
const SCORE_BYTES = 7;
/** What an entry of ranges costs BMv2, which tries one after the other. */
const RANGE_NS = 60;

/** What a table costs BMv2. */
const LOOKUP_NS = 1100;
/** Tables of one layer: each costs a packet a microsecond. */
export const MAX_LOOKUP_TABLES = 256;
/** Entries of one layer and version. As constants far fewer: p4c's time is quadratic in them, 10 s for a thousand. */
export const MAX_LOOKUP_ENTRIES: Readonly<Record<LowerOptions['weights'], number>> = {
  runtime: 2 ** 16,
  static: 1024,
};

/** Shift and lanes of layers whose weights may be replaced: retrained weights rarely need more than this beyond. */
const HEADROOM_SHIFT = 1;
const HEADROOM_BITS = 1;

/** Layers with weights get a table; the constants of the others are part of the program. */
function lowerMatrix(l: Lowering, index: number, jobs: readonly MatrixJob[]): Activations {
  const layer = l.model.layers[index]!;
  const weighted = layer.kind === 'dense' || layer.kind === 'conv2d';
  const runtime = weighted && l.options.weights === 'runtime';
  const laid = jobs.map((job, j) => {
    const layout = layoutOf(l, index, j, job.spec, runtime);
    return { job, layout, spec: atLayout(job.spec, layout) };
  });
  const entryBytes = runtime
    ? laid.reduce((sum, { spec, layout }) => sum + entryBytesOf(spec, layout), 0)
    : 0;
  if (weighted) l.code.beginLayer(index, entryBytes);
  const placements: Placement[] = [];
  const words: LaneWords[] = [];
  let products = 0;
  for (const [j, { job, layout, spec }] of laid.entries()) {
    words.push({ ...layout, cost: layout.cost * job.positions.length });
    products += productsOf(job, layout);
    const name = `l${index}${jobs.length === 1 ? '' : `_${j}`}`;
    // Far too much code is not even made: what is needed of it is known.
    const rows =
      products > v1model.maxProducts
        ? job.positions.map(() => placeholders(spec))
        : emitMatrix(l.code, name, spec, layout, job.positions, runtime);
    for (const [p, position] of job.positions.entries())
      for (const [row, element] of position.outputs.entries()) placements[element] = rows[p]![row]!;
  }
  const cost = words.reduce((sum, w) => sum + w.cost, 0);
  l.layouts.push({ layer: index, words, products, entryBytes, cost });
  const { min, max } =
    'requantiser' in layer ? layer.requantiser : layer.kind === 'add' ? layer : { min: 0, max: 0 };
  return { placements, low: min, high: max };
}

const placeholder = (i: number): Placement => place(`none${i}`, ELEMENT_BITS, 0);

const placeholders = (spec: MatrixSpec): Placement[] =>
  Array.from({ length: spec.rows }, (_, row) => placeholder(row));

function layoutOf(l: Lowering, index: number, job: number, spec: MatrixSpec, runtime: boolean): LaneWords {
  const { envelope, laneFloors, lanes } = l.options;
  const { name, kind } = l.model.layers[index]!;
  const place = { file: l.model.file, layer: name };
  if (!isExact(spec))
    refuse(
      'unsupported-layer',
      {
        kind,
        target: v1model.name,
        reason: 'its sums, less the lower end of the clamp, need more than 53 bits',
      },
      place,
    );
  const given = envelope?.find((e) => e.layer === index)?.words[job];
  if (given === undefined)
    return chooseLayout(runtime ? atShift(spec, spec.shift + HEADROOM_SHIFT) : spec, {
      floor: laneFloors.get(index) ?? 0,
      maxRows: lanes === 'off' ? 1 : Number.POSITIVE_INFINITY,
      headroom: runtime ? HEADROOM_BITS : 0,
    });
  const what = misfit(spec, given);
  if (what !== undefined) refuse('envelope-exceeded', { what }, place);
  return given;
}

/** A word of weights a group, of start values a kind of position, three of the second line, and one of ties. */
function entryBytesOf(spec: MatrixSpec, layout: LaneWords): number {
  const bits = layout.words.reduce((sum, word) => {
    const words =
      groupsRead(spec, layout.group, word) +
      spec.constants.size +
      (layout.twoSided ? 3 : 0) +
      (layout.odd === undefined ? 0 : 1);
    return sum + words * word.width;
  }, 0);
  return bits / 8;
}

function productsOf({ spec, positions }: MatrixJob, layout: LaneWords): number {
  // By run: how many products a position makes of it, over all words.
  const ofRun = spec.runs.map((run) =>
    groupsOf(run.columns, layout.group).reduce(
      (n, columns) => n + layout.words.filter((word) => readsAnyOf(spec, word, columns)).length,
      0,
    ),
  );
  return positions.reduce(
    (sum, { runs }) => sum + runs.reduce((n, run, r) => n + (run === undefined ? 0 : ofRun[r]!), 0),
    0,
  );
}

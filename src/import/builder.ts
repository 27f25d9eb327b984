import { type Diagnostic, diagnostic, type Place, refuse } from '../diagnostics/index.ts';
import type { InputAffine, Layer, Model, ValueId } from '../model/model.ts';
import type { RealRange } from '../model/real-range.ts';
import { fitRequantiser, type Requantiser, type SourceRounding } from '../model/requantiser.ts';
import { elementCount, elementRange, type Interval, type TensorType } from '../model/tensor.ts';
import type { TfliteRounding } from '../model/tflite-rounding.ts';
import { isVerdict } from '../model/verdict.ts';
import type { SourceTensor } from './result.ts';
import { simplify } from './simplify.ts';

/**
 * A value of the model under construction, and how the source sees it: `type.shape` may be another view of the same
 * row-major elements than the layer's own output shape, since reshaping moves nothing.
 */
export interface Activation {
  readonly value: ValueId;
  readonly type: TensorType;
}

/** Element type, scale and zero point of a tensor. */
export type Quantisation = Pick<TensorType, 'element' | 'scale' | 'zeroPoint'>;

type Unnamed<L> = L extends Layer ? Omit<L, 'name'> : never;

/** What a source leaves open, and which part of it is meant. */
export interface ImportOptions {
  /**
   * Widest multiplier of a requantiser, in bits. By default as wide as equality with the source needs (22 to 27 bits
   * for common layers); 16 bits are off by one step at about one accumulator in 5,000, and the import says so.
   */
  readonly multiplierBits?: number;
  /** Name of the tensor at which the imported part of an ONNX or TFLite graph begins: its only input if absent. */
  readonly inputTensor?: string;
  /** Name of the tensor at which it ends: the graph's only output if absent. */
  readonly outputTensor?: string;
  /** Of ONNX: the reals that a float input takes, which give it a grid of 8 bits where the graph has none. */
  readonly inputRange?: RealRange;
  /** The same of a float output; reals beyond it saturate. */
  readonly outputRange?: RealRange;
  /** Of trees in ONNX: no feature is ever missing, so that splits for missing values may be passed over. */
  readonly missing?: 'never';
  /** Of TFLite files: how the runtime rounds whose integers are wanted. By default what the file's converter suggests. */
  readonly tfliteRounding?: TfliteRounding;
}

/** Of all tensors that are made of others. */
const MOST_MOVED = 2 ** 24;
/** A constant is made at once, and in numbers of 64 bits: as much as so many elements that only are to be moved. */
export const CONSTANT_COST = 8;

/** Collects layers and diagnostics of one import; every importer ends in it. */
export class ModelBuilder {
  readonly diagnostics: Diagnostic[] = [];
  /** Whether anything in the source quantises: a network in float32 is told so at its first operator. */
  quantises = true;
  /** The source's input is float. */
  readsReals = false;
  /** Elements that may still be moved or computed while the file is read. */
  #budget = MOST_MOVED;
  /** Whether the source has decision trees. */
  hasTrees = false;
  /** Names of the classes, where an operator has them. */
  classes: readonly string[] | undefined;
  readonly #name: string;
  readonly #file: string;
  readonly #options: ImportOptions;
  readonly #layers: Layer[] = [];
  readonly #names = new Set<string>();
  #sources = new Map<ValueId, SourceTensor>();
  #input: TensorType | undefined;
  /** Of the input as the source has it, whatever its readers see its elements as. */
  #rowShape: readonly number[] = [];
  #inputAffine: InputAffine | undefined;

  constructor(name: string, file: string, options: ImportOptions = {}) {
    this.#name = name;
    this.#file = file;
    this.#options = options;
  }

  get file(): string {
    return this.#file;
  }

  /** What a file holds may be moved, too. @param elements of its constants */
  allow(elements: number): void {
    this.#budget += 2 * CONSTANT_COST * elements;
  }

  /** @throws DiagnosticError `too-large` where a file has more moved and computed than its size can be worth */
  spend(elements: number): void {
    this.#budget -= elements;
    if (this.#budget < 0)
      refuse('too-large', { what: 'has more elements moved and folded than any network', limit: MOST_MOVED });
  }

  get options(): ImportOptions {
    return this.#options;
  }

  /** What is known of the model's input so far. */
  get input(): TensorType | undefined {
    return this.#input;
  }

  /** @param affine what reals go through before they are on this grid */
  setInput(type: TensorType, affine?: InputAffine): Activation {
    this.#input = type;
    this.#rowShape = type.shape;
    this.#inputAffine = affine;
    return { value: 0, type };
  }

  place(layer: string, tensor?: string): Place {
    return { file: this.#file, layer, ...(tensor !== undefined && { tensor }) };
  }

  /** Appends a layer; a name that is taken gets a number. */
  add(name: string, layer: Unnamed<Layer>): Activation {
    let unique = name;
    for (let n = 2; this.#names.has(unique); n++) unique = `${name}_${n}`;
    this.#names.add(unique);
    this.#layers.push({ name: unique, ...layer });
    return { value: this.#layers.length, type: layer.output };
  }

  /** The layer that makes a value, as it is so far. */
  layer(value: ValueId): Layer | undefined {
    return this.#layers[value - 1];
  }

  /** q-values that the layer which makes it gives, clamps of it included. */
  valuesOf({ value, type }: Activation): Interval {
    const layer = this.layer(value);
    if (layer === undefined || !('requantiser' in layer)) return elementRange(type.element);
    return { lo: layer.requantiser.min, hi: layer.requantiser.max };
  }

  /** What is known of a value by now. */
  typeOf(value: ValueId): TensorType {
    return value === 0 ? this.#input! : this.#layers[value - 1]!.output;
  }

  /** Scale and zero point of the input, which its reader tells; layers before that one moved its elements, and have them too. */
  setGrid(scale: number, zeroPoint: number): void {
    this.#input = { ...this.#input!, scale, zeroPoint };
    for (const [i, layer] of this.#layers.entries())
      if (Number.isNaN(layer.output.scale))
        this.#layers[i] = { ...layer, output: { ...layer.output, scale, zeroPoint } };
  }

  /** Says which tensor of the source holds a value; the first one is what all others are made of. */
  record(value: ValueId, source: SourceTensor): void {
    // A verdict's class and margin are no tensor of any source.
    if (!isVerdict(this.#layers[value - 1]) && !this.#sources.has(value)) this.#sources.set(value, source);
  }

  /** Tensors of the source by value; by that of the finished model once there is one. */
  get sources(): ReadonlyMap<ValueId, SourceTensor> {
    return this.#sources;
  }

  /** The requantiser of a layer, under the options of this import. */
  fit(
    sources: readonly SourceRounding[],
    ranges: readonly Interval[],
    min: number,
    max: number,
  ): Requantiser {
    return fitRequantiser(sources, ranges, min, max, 0, this.#options.multiplierBits);
  }

  /** Warns where the layer's integers are not those of the source everywhere. */
  reportExactness(name: string, { exactness, multiplier }: Requantiser): void {
    if (exactness.accumulators === 0) return;
    const args = { ...exactness, of: multiplier.length };
    this.diagnostics.push(diagnostic('rounding-differs', args, this.place(name)));
  }

  /**
   * The activation as a value whose own shape is the view's: for layers that read images. Where the producer makes an
   * image of another shape itself, a layer that changes nothing but the shape goes between.
   */
  reshaped(activation: Activation): ValueId {
    const { value, type } = activation;
    const own = value === 0 ? this.#input! : this.#layers[value - 1]!.output;
    if (sameShape(own.shape, type.shape)) return value;
    if (this.#retype(value, type)) return value;
    return this.clamped('reshape', activation).value;
  }

  /** A layer that copies its input within `[min, max]`: exact, for scale and zero point stay. */
  clamped(name: string, { value, type }: Activation, min?: number, max?: number): Activation {
    const range = elementRange(type.element);
    const requantiser: Requantiser = {
      multiplier: [1],
      offset: [type.zeroPoint],
      shift: 0,
      min: min ?? range.lo,
      max: max ?? range.hi,
      exactness: { channels: 0, accumulators: 0, total: range.hi - range.lo + 1 },
    };
    return this.add(name, { kind: 'requantise', inputs: [value], output: type, requantiser });
  }

  /** Gives a value another shape if neither its maker nor any reader depends on the one it has. */
  #retype(value: ValueId, type: TensorType): boolean {
    const readsImage = (layer: Layer) => layer.inputs.includes(value) && isWindowed(layer);
    if (this.#layers.some(readsImage)) return false;
    if (value === 0) {
      this.#input = { ...this.#input!, shape: type.shape };
      return true;
    }
    const maker = this.#layers[value - 1]!;
    if (isWindowed(maker) || this.#hasOwnShape(maker)) return false;
    this.#layers[value - 1] = { ...maker, output: { ...maker.output, shape: type.shape } };
    return true;
  }

  /** Whether more than the number of elements hangs on the output's shape. */
  #hasOwnShape({ kind, inputs, output }: Layer): boolean {
    if (kind === 'transpose' || kind === 'argmax') return true;
    if (kind !== 'add' && kind !== 'mul') return false;
    const shapes = inputs.map((v) => (v === 0 ? this.#input! : this.#layers[v - 1]!.output).shape);
    return shapes.some((shape) => elementCount(shape) < elementCount(output.shape));
  }

  /** The finished model, whose output is `output`: layers that nothing reads are gone, clamps are folded. */
  finish(output: Activation): Model {
    // Only for looks: the bytes of the output are the same in either shape.
    if (output.value !== 0) this.#retype(output.value, output.type);
    // Of integers that are but moved and compared no reader says what they stand for: for themselves.
    if (Number.isNaN(this.#input!.scale)) this.setGrid(1, 0);
    const model = {
      name: this.#name,
      file: this.#file,
      input: this.#input!,
      ...(!sameShape(this.#rowShape, this.#input!.shape) && { rowShape: this.#rowShape }),
      ...(this.#inputAffine && { inputAffine: this.#inputAffine }),
      ...(this.readsReals && { readsReals: true as const }),
      layers: this.#layers,
    };
    const { model: simplified, values, folded } = simplify(model, output.value);
    this.#sources = movedSources(this.#sources, values, folded);
    return simplified;
  }
}

/** A value that took over a clamp is no longer what its own tensor holds, but what that of the clamp does. */
function movedSources(
  sources: ReadonlyMap<ValueId, SourceTensor>,
  values: ReadonlyMap<ValueId, ValueId>,
  folded: ReadonlySet<ValueId>,
): Map<ValueId, SourceTensor> {
  const moved = new Map<ValueId, SourceTensor>();
  for (const [old, now] of values) {
    const source = sources.get(old);
    if (source !== undefined) moved.set(now, source);
    else if (folded.has(old)) moved.delete(now);
  }
  return moved;
}

const isWindowed = ({ kind }: Layer): boolean =>
  kind === 'conv2d' || kind === 'maxPool' || kind === 'averagePool' || kind === 'pad';

/** Size for size: neither is broadcast. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);

/** The same elements under another shape of as many. */
export const viewed = ({ value, type }: Activation, shape: readonly number[]): Activation => {
  if (elementCount(type.shape) !== elementCount(shape))
    throw new Error('a view keeps the number of elements');
  return { value, type: { ...type, shape } };
};

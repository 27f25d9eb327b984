import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { type ByKind, ofKind } from '../../model/by-kind.ts';
import { READS_BEFORE, readsBefore } from '../../model/cut.ts';
import { type ForestLayer, type Layer, lutTable, type Model, valueType } from '../../model/model.ts';
import { requantise } from '../../model/requantiser.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { wideRefusals } from '../../model/wide-layers.ts';
import { type Activation, byteActivation, constantActivation, mapActivation } from './activation.ts';
import { averageLinear, convLinear, denseLinear, type Linear } from './linear.ts';
import type { SumLayer, TableProgram } from './program.ts';
import { lowerSums } from './sums.ts';
import { lowerForest } from './trees.ts';

/** Layers `[from, to)` on a target that is named in refusals; its sums have as many bits as that, at most 48. */
export interface TableOptions {
  readonly from: number;
  readonly to: number;
  readonly target: string;
  readonly bits: number;
  /** Bits of the scores of forests; by default those of sums. */
  readonly scoreBits?: number;
}

/** How layers of sums become tables. */
export interface Lowering extends TableOptions {
  /** What the bytes of the packet stand for; by default themselves. */
  readonly inputs?: readonly Activation[];
  /** Whether scores of forests may lose lower bits that do not fit. */
  readonly roundsScores?: boolean;
  /** @returns no layer where a sum needs more than `bits`, but how many */
  sums(
    linear: Linear,
    layer: number,
    inputs: readonly Activation[],
  ): { readonly layer?: SumLayer; readonly activations: readonly Activation[]; readonly need: number };
}

/** Layers as tables, or what forbids it. */
export interface Lowered {
  readonly program?: TableProgram;
  /** Of a program: what stands for each value that was met. */
  readonly values?: ReadonlyMap<number, readonly Activation[]>;
  readonly diagnostics: Diagnostic[];
}

/** What becomes of a layer: sums of its inputs, a new meaning of keys that are there, a verdict, or a refusal. */
type Form =
  | { readonly kind: 'sums'; readonly linear: Linear }
  | { readonly kind: 'trees'; readonly forest: ForestLayer }
  | { readonly kind: 'keys'; readonly activations: readonly Activation[] }
  | { readonly kind: 'verdict' }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Lowers layers to exact tables: equal to the reference, bit for bit.
 * @returns no program, but the reasons, where a layer cannot be looked up
 */
export const lowerToTables = (model: Model, options: TableOptions): Lowered =>
  lowerWith(model, {
    ...options,
    sums: (linear, layer, inputs) => lowerSums(linear, layer, inputs, options.bits),
  });

/** The same by other sums than the exact ones. */
// Long: what each form of a layer becomes.
export function lowerWith(model: Model, options: Lowering): Lowered {
  const { from, to, target, bits, scoreBits = bits, inputs: given, sums } = options;
  const wide = wideRefusals(model, from, to, target);
  if (wide.length > 0) return { diagnostics: wide };
  const layers: SumLayer[] = [];
  const values = new Map<number, readonly Activation[]>([[from, given ?? inputActivations(model, from)]]);
  let verdict: number | undefined;
  let comparedSums: TableProgram['comparedSums'];
  for (let i = from; i < to; i++) {
    const layer = model.layers[i]!;
    const place = { file: model.file, layer: layer.name };
    const refused = (reason: string) => ({
      diagnostics: [diagnostic('unsupported-layer', { kind: layer.kind, target, reason }, place)],
    });
    const inputs = layer.inputs.map((v) => values.get(v));
    if (readsBefore(layer, from)) return refused(READS_BEFORE);
    const form = ofKind(formOf, layer, model, inputs as readonly (readonly Activation[])[]);
    switch (form.kind) {
      case 'refused':
        return refused(form.reason);
      case 'verdict':
        verdict = i;
        break;
      case 'keys':
        values.set(i + 1, form.activations);
        break;
      case 'trees': {
        const score = { bits: scoreBits, rounded: options.roundsScores ?? false };
        const lowered = lowerForest(form.forest, i, inputs[0]!, score);
        if (lowered.activations.length === 0) return refused(scoresRefusal(lowered.need, scoreBits));
        if (lowered.layer !== undefined) layers.push(lowered.layer);
        values.set(i + 1, lowered.activations);
        if (lowered.stepBits === undefined) break;
        verdict = i;
        comparedSums = { stepBits: lowered.stepBits };
        break;
      }
      case 'sums': {
        const lowered = sums(form.linear, i, inputs[0]!);
        if (lowered.layer === undefined)
          return refused(`its sums need ${lowered.need} bits, and have ${bits}`);
        if (lowered.layer.tables.length > 0) layers.push(lowered.layer);
        values.set(i + 1, lowered.activations);
      }
    }
  }
  // An argmax compares what it reads, a forest its own sums.
  const end = verdict === undefined || comparedSums !== undefined ? to : model.layers[verdict]!.inputs[0]!;
  return {
    program: {
      from,
      to,
      layers,
      outputs: values.get(end)!,
      ...(verdict !== undefined && { verdict }),
      ...(comparedSums && { comparedSums }),
    },
    values,
    diagnostics: [],
  };
}

/** The elements of the packet. */
export const inputActivations = (model: Model, value: number): Activation[] => {
  const { element, shape } = valueType(model, value);
  return Array.from({ length: elementCount(shape) }, (_, i) => byteActivation(element, i));
};

/** Entries that a table of two activations of 8 bits would have. */
const PAIR_ENTRIES = 2 ** 16;

const scoresRefusal = (need: number, bits: number): string =>
  `the scores of its trees need ${need} bits, and have ${bits}: --calibrate ROWS rounds them, and tells on how many rows that changes the class`;

const ofTwo = (): Form => ({
  kind: 'refused',
  reason:
    `it reads two activations at once, for which a table has ${PAIR_ENTRIES.toLocaleString('en')} entries an element, ` +
    'and adds of such are none of the look-ups before them',
});

type Read = readonly (readonly Activation[])[];

const formOf: ByKind<Form, [Model, Read]> = {
  dense: (layer, model) => ({ kind: 'sums', linear: denseLinear(layer, typeOf(model, layer)) }),
  conv2d: (layer, model) => ({ kind: 'sums', linear: convLinear(layer, typeOf(model, layer)) }),
  averagePool: (layer, model) => ({ kind: 'sums', linear: averageLinear(layer, typeOf(model, layer)) }),
  requantise(layer, model, [x]) {
    const { zeroPoint } = typeOf(model, layer);
    const f = (q: number) => requantise(layer.requantiser, 0, q - zeroPoint);
    return { kind: 'keys', activations: x!.map((a) => mapActivation(a, f)) };
  },
  lut(layer, model, [x]) {
    const { lo } = elementRange(typeOf(model, layer).element);
    const activations = x!.map((a, i) => {
      const at = 256 * lutTable(layer, i, x!.length);
      return mapActivation(a, (q) => layer.table[at + q - lo]!);
    });
    return { kind: 'keys', activations };
  },
  gather(layer, _model, inputs) {
    const all = inputs.flat();
    const activations = Array.from(layer.sources, (s) => (s < 0 ? constantActivation(layer.value) : all[s]!));
    return { kind: 'keys', activations };
  },
  pad(layer, model, [x]) {
    const [channels, height, width] = typeOf(model, layer).shape as [number, number, number];
    const [top, left] = layer.pads;
    const [, rows, columns] = layer.output.shape as [number, number, number];
    const activations = Array.from({ length: channels * rows * columns }, (_, i) => {
      const y = (Math.floor(i / columns) % rows) - top;
      const column = (i % columns) - left;
      const inside = y >= 0 && y < height && column >= 0 && column < width;
      const c = Math.floor(i / (rows * columns));
      return inside ? x![(c * height + y) * width + column]! : constantActivation(layer.value);
    });
    return { kind: 'keys', activations };
  },
  transpose(layer, _model, [x]) {
    const shape = layer.axes.map((axis) => layer.from[axis]!);
    const strides = layer.from.map((_, d) => layer.from.slice(d + 1).reduce((a, b) => a * b, 1));
    const activations = x!.map((_, i) => {
      let rest = i;
      let at = 0;
      for (let d = shape.length - 1; d >= 0; d--) {
        at += (rest % shape[d]!) * strides[layer.axes[d]!]!;
        rest = Math.floor(rest / shape[d]!);
      }
      return x![at]!;
    });
    return { kind: 'keys', activations };
  },
  argmax: () => ({ kind: 'verdict' }),
  maxPool: () => ({
    kind: 'refused',
    reason: 'it compares activations with each other, which are there as the keys of tables alone',
  }),
  add: ofTwo,
  mul: ofTwo,
  softmax: () => ({ kind: 'refused', reason: 'it divides by a sum of exponentials, which no table holds' }),
  forest: (forest) => ({ kind: 'trees', forest }),
  embedding: ({ rows, keyBytes }) => ({
    kind: 'refused',
    reason: `its keys of ${keyBytes} bytes choose one of ${rows} rows, which the lanes lowering looks up (--lowering lanes)`,
  }),
};

const typeOf = (model: Model, layer: Layer) => valueType(model, layer.inputs[0]!);

import { importTflite } from '../../src/import/tflite/index.ts';
import type { Model } from '../../src/model/model.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import type { Random } from '../support/random.ts';
import { type OperatorSpec, type OptionSpec, type TensorSpec, writeTflite } from './tflite-writer.ts';

/** A tensor of activations in a test. */
export interface Grid {
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zero: number;
  readonly kind?: 'int8' | 'uint8' | 'int16';
}

export const activation = (name: string, { shape, scale, zero, kind = 'int8' }: Grid): TensorSpec => ({
  name,
  shape,
  scale,
  zero,
  kind,
});

/** A constant of whole numbers, such as axes or pads. */
export const ints = (
  name: string,
  data: readonly number[],
  shape: readonly number[] = [data.length],
): TensorSpec => ({ name, kind: 'int32', shape, data });

export interface Step {
  readonly op: string;
  /** Beside the activation: constants, or the numbers of other tensors. */
  readonly with?: readonly TensorSpec[];
  readonly options?: readonly OptionSpec[];
  readonly out: Grid;
}

/** A chain of operators, each reading the output of the one before. Tensor 0 is the input. */
export function chain(input: Grid, steps: readonly Step[]): Uint8Array {
  const tensors: TensorSpec[] = [activation('x', input)];
  const operators: OperatorSpec[] = [];
  let last = 0;
  for (const [i, step] of steps.entries()) {
    const constants = (step.with ?? []).map((t) => tensors.push(t) - 1);
    const out = tensors.push(activation(`y${i}`, step.out)) - 1;
    operators.push({ op: step.op, in: [last, ...constants], out: [out], options: step.options ?? [] });
    last = out;
  }
  return writeTflite({ tensors, operators, inputs: [0], outputs: [last] });
}

export const load = (bytes: Uint8Array): Model => importTflite(bytes, 'm.tflite').model;

/** Runs signed q-values. */
export const run = (model: Model, row: readonly number[]): number[] =>
  Array.from(
    interpret(
      model,
      Uint8Array.from(row, (q) => q & 0xff),
    ),
    (q) => (model.layers.at(-1)!.output.element === 'int8' ? (q << 24) >> 24 : q),
  );

export const float = Math.fround;

export const int8s = (r: Random, count: number): number[] =>
  Array.from({ length: count }, () => r.int(-128, 127));

export const scaleOf = (r: Random, least: number, most: number): number =>
  float(least * (most / least) ** r.next());

export const weights = (
  r: Random,
  shape: readonly number[],
  channels = 1,
  axis = 0,
): TensorSpec & { data: number[]; scale: number[] } => ({
  name: 'w',
  kind: 'int8',
  shape,
  axis,
  data: int8s(
    r,
    shape.reduce((a, b) => a * b, 1),
  ),
  scale: Array.from({ length: channels }, () => scaleOf(r, 0.002, 0.02)),
});

export const biases = (r: Random, count: number): TensorSpec & { data: number[] } => ({
  name: 'b',
  kind: 'int32',
  shape: [count],
  scale: 1,
  data: Array.from({ length: count }, () => r.int(-4000, 4000)),
});

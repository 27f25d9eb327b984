import { elementCount } from '../../../model/tensor.ts';
import { movedBy } from '../../lower/gather.ts';
import { gathered } from '../movement.ts';
import type { NodeReader } from '../node-reader.ts';
import { withoutBatch } from '../shape.ts';
import type { Quantised, Value } from '../values.ts';

/** Elements from `begin`, every `step`-th, as many as `sizes` say; the tensor's axes with the batch. */
function taken(
  c: NodeReader,
  input: Quantised,
  begin: readonly number[],
  sizes: readonly number[],
  steps: readonly number[],
): Quantised {
  const batch = c.tensor(0).shape.length - input.shape.length;
  if (begin.slice(0, batch).some((at) => at !== 0) || sizes.slice(0, batch).some((size) => size !== 1))
    c.refuseOption('begin', `[${begin.join(', ')}]`, 'the whole batch, of one');
  const own = (list: readonly number[]) => list.slice(batch);
  const shape = own(sizes);
  const [first, step] = [own(begin), own(steps)];
  const fits = shape.every((size, i) => {
    const last = first[i]! + (size - 1) * step[i]!;
    return size >= 1 && Math.min(first[i]!, last) >= 0 && Math.max(first[i]!, last) < input.shape[i]!;
  });
  if (!fits) c.refuseShape(`a part of [${input.shape.join(', ')}]`, shape);
  const moved = movedBy(shape, input.shape, (place) => place.map((at, i) => first[i]! + at * step[i]!));
  const seen = withoutBatch(c.output.shape);
  const fitting = elementCount(seen) === elementCount(shape) && seen.length > 0 ? seen : shape;
  return gathered(c, [input], { ...moved, shape: fitting });
}

/** Inputs: value, begin, size (-1: the rest). */
export function slice(c: NodeReader): Value {
  const input = c.activation(0);
  const { shape } = c.tensor(0);
  const begin = c.integers(1, 'the begin');
  const sizes = c.integers(2, 'the size').map((size, i) => (size < 0 ? shape[i]! - begin[i]! : size));
  return taken(
    c,
    input,
    begin,
    sizes,
    sizes.map(() => 1),
  );
}

/** What is taken along an axis. */
interface Cut {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** One entry of the lists of a STRIDED_SLICE; without begin and end the axis is taken whole. */
interface Entry {
  readonly begin: number | undefined;
  readonly end: number | undefined;
  readonly step: number;
  readonly isShrunk: boolean;
  /** The end counts from where it begins. */
  readonly isOffset: boolean;
}

const whole: Entry = { begin: undefined, end: undefined, step: 1, isShrunk: false, isOffset: false };

/** Entries by axis of the input: an ellipsis stands for those that are left, a new axis for none. */
function entriesOf(c: NodeReader, rank: number): Entry[] {
  const begins = c.integers(1, 'the begin');
  const ends = c.integers(2, 'the end');
  const steps = c.integers(3, 'the strides');
  const has = (field: number, i: number) => (c.optionInt(field, 0) & (1 << i)) !== 0;
  if (ends.length !== begins.length || steps.length !== begins.length)
    c.refuseShape(
      `${begins.length} ends and strides, as many as begins`,
      `${ends.length} and ${steps.length}`,
    );
  const isNew = (i: number) => has(3, i) && !has(2, i);
  const named = begins.filter((_, i) => !has(2, i) && !isNew(i)).length;
  const entries = begins.flatMap((begin, i): Entry[] => {
    if (has(2, i)) return Array<Entry>(Math.max(0, rank - named)).fill(whole);
    if (isNew(i)) return [];
    return [
      {
        begin: has(0, i) ? undefined : begin,
        end: has(1, i) ? undefined : ends[i]!,
        step: steps[i]!,
        isShrunk: has(4, i),
        isOffset: c.option(5, 0) !== 0,
      },
    ];
  });
  if (entries.length > rank) c.refuseShape(`a begin for each of ${rank} axes`, begins);
  return [...entries, ...Array<Entry>(rank - entries.length).fill(whole)];
}

function cutOf(c: NodeReader, { begin, end, step, isShrunk, isOffset }: Entry, size: number): Cut {
  if (step === 0) c.refuseOption('strides', '0', 'any but 0');
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const bounded = (at: number) => Math.max(low, Math.min(high, at));
  const within = (at: number) => bounded(at < 0 ? at + size : at);
  const start = begin === undefined ? (step > 0 ? 0 : size - 1) : within(begin);
  if (isShrunk) return { start, step, size: 1 };
  const last = step > 0 ? size : -1;
  const stop = end === undefined ? last : isOffset ? bounded(start + end) : within(end);
  return { start, step, size: Math.max(0, Math.ceil((stop - start) / step)) };
}

/** Inputs: value, begin, end, strides. Options: masks of begin, end, ellipsis, new axis, shrunk axis; whether ends count from begins. */
export function stridedSlice(c: NodeReader): Value {
  const value = c.value(0);
  const sizes = value?.kind === 'integers' ? [value.values.length] : c.tensor(0).shape;
  const cuts = entriesOf(c, sizes.length).map((entry, axis) => cutOf(c, entry, sizes[axis]!));
  if (value?.kind !== 'integers')
    return taken(
      c,
      c.activation(0),
      cuts.map((cut) => cut.start),
      cuts.map((cut) => cut.size),
      cuts.map((cut) => cut.step),
    );
  const [{ start, step, size }] = cuts as [Cut];
  const values = Array.from({ length: size }, (_, i) => value.values[start + i * step]);
  if (values.some((v) => v === undefined))
    c.refuseShape(`a part of ${value.values.length} numbers`, `${start}`);
  return { kind: 'integers', values: values.filter((v) => v !== undefined) };
}

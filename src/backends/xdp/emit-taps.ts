import { elementRange } from '../../model/tensor.ts';
import { elementAt, hasBorder, rowBytes } from './buffers.ts';
import type { MatrixPlan } from './plan.ts';

/** Taps in one straight run of memory: a row of the window, or the whole vector. */
export interface Runs {
  readonly count: number;
  readonly length: number;
  /** Bytes from one run to the next. */
  readonly stride: number;
}

export function runs(p: MatrixPlan): Runs {
  if (p.layer.kind === 'dense') {
    if (!hasBorder(p.from)) return { count: 1, length: p.taps, stride: p.taps };
    const { channels, height, width } = p.from;
    return { count: height, length: width * channels, stride: rowBytes(p.from) };
  }
  const [height, width] = p.layer.kernel;
  return { count: height, length: width * p.from.channels, stride: rowBytes(p.from) };
}

/** Longest run of taps that is written out; beyond it a loop costs less than the code it saves. */
const UNROLL = 32;

/** Taps of which the code has a copy each; see `overTaps`. */
export function unrolledTaps(p: MatrixPlan): number {
  const { count, length } = runs(p);
  const inner = length <= UNROLL ? length : PARTLY + (length % PARTLY);
  return inner * (count * length <= UNROLL ? count : Math.min(count, PARTLY + (count % PARTLY)));
}

/** Copies of the body of a longer loop. */
const PARTLY = 8;

/** C expressions for one block: where it reads and writes, and where its numbers begin. */
export interface BlockPlace {
  /** Pointer to the first tap. */
  readonly from: string;
  /** Whether `from` is the packet, whose int8 activations are signed. */
  readonly direct: boolean;
  /** Lvalues of the block's channels; fewer than its lanes where the last word is not full. */
  readonly targets: readonly string[];
  readonly start: string;
  readonly top: string;
  readonly weights: string;
  readonly multiplier: string;
  readonly offset: string;
}

/** int8 activations come off the wire signed; in memory they are unsigned. */
const loadInput = (p: MatrixPlan, at: BlockPlace, index: string): string =>
  at.direct && p.input.element === 'int8' ? `${at.from}[${index}] ^ 0x80` : `${at.from}[${index}]`;

/** Loops over the taps with `i` the tap's weight index and its activation in `v`. */
export function overTaps(p: MatrixPlan, at: BlockPlace, body: readonly string[]): string[] {
  const { count, length, stride } = runs(p);
  const unroll = (n: number) =>
    n <= UNROLL ? '#pragma clang loop unroll(full)' : `#pragma clang loop unroll_count(${PARTLY})`;
  const inner = (index: string) => [
    unroll(length),
    `\t\tfor (int t = 0; t < ${length}; t++) {`,
    `\t\t\t__u64 v = ${loadInput(p, at, index)};`,
    ...body.map((line) => `\t\t\t${line}`),
    '\t\t}',
  ];
  if (count === 1) return inner('t');
  return [unroll(count * length), `\t\tfor (int r = 0; r < ${count}; r++)`, ...inner(`r * ${stride} + t`)];
}

/** Byte of a channel's activation from where the layer writes: a convolution writes one pixel, a dense layer all elements. */
export const placeOf = (p: MatrixPlan, channel: number): number =>
  p.layer.kind === 'dense' ? elementAt(p.to, channel) : channel;

/** Scales one sum, and clamps it if that has not been done for the whole word. */
export function store(
  p: MatrixPlan,
  target: string,
  value: string,
  multiplier: string,
  offset: string,
  clamped: boolean,
): string {
  const scaled = `${value} * ${multiplier} + ${offset}`;
  if (clamped) return `\t\t${target} = (${scaled}) >> ${p.shift};`;
  const { lo } = elementRange(p.layer.output.element);
  const { min, max } = p.layer.requantiser;
  return `\t\t${target} = intransit_clamp((__s64)(${scaled}) >> ${p.shift}, ${min}, ${max}) - ${lo};`;
}

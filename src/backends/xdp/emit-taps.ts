import { elementRange } from '../../model/tensor.ts';
import { elementAt, rowBytes } from './buffers.ts';
import type { MatrixPlan } from './plan.ts';

/** One loop over the taps. */
interface Level {
  readonly count: number;
  /** Bytes from one activation to the next. */
  readonly stride: number;
}

/** The loops over the taps of one output, outermost first: rows of a window, pixels, channels; what lies in a row is one. */
export function tapLevels(p: MatrixPlan): readonly Level[] {
  const [height, width] = p.layer.kind === 'conv2d' ? p.layer.kernel : [p.from.height, p.from.width];
  const [down, right] = (p.layer.kind === 'conv2d' ? p.layer.dilations : undefined) ?? [1, 1];
  const levels: Level[] = [];
  for (const level of [
    { count: height, stride: down * rowBytes(p.from) },
    { count: width, stride: right * p.from.channels },
    { count: p.from.channels / p.groups, stride: 1 },
  ]) {
    const outer = levels.at(-1);
    if (level.count === 1) continue;
    if (outer?.stride === level.count * level.stride)
      levels[levels.length - 1] = { count: outer.count * level.count, stride: level.stride };
    else levels.push(level);
  }
  return levels.length > 0 ? levels : [{ count: 1, stride: 1 }];
}

/** Longest run of taps that is written out; beyond it a loop costs less than the code it saves. */
const UNROLL = 32;

/** Copies of the body of a longer loop. */
const PARTLY = 8;

/** Taps of which the code has a copy each; see `overTaps`. */
export function unrolledTaps(p: MatrixPlan): number {
  let taps = 1;
  let copies = 1;
  for (const { count } of [...tapLevels(p)].reverse()) {
    taps *= count;
    copies *= taps <= UNROLL ? count : Math.min(count, PARTLY + (count % PARTLY));
  }
  return copies;
}

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
  readonly numbers: BlockNumbers;
}

/** Pointers to the numbers of a block's channels. */
export interface BlockNumbers {
  readonly multiplier: string;
  readonly offset: string;
  readonly pivot: string;
  readonly below: string;
  readonly ties: string;
}

/** Declares the pointers to a block's numbers, named as they are. */
export function declareNumbers(p: MatrixPlan, { numbers }: Pick<BlockPlace, 'numbers'>): string {
  const names = [
    'multiplier',
    'offset',
    ...(p.below ? (['pivot', 'below'] as const) : []),
    ...(p.odd === undefined ? [] : (['ties'] as const)),
  ] as const;
  return `\t\tconst __u64 ${names.map((name) => `*${name} = ${numbers[name]}`).join(', ')};`;
}

/** int8 activations come off the wire signed; in memory they are unsigned. */
const loadInput = (p: MatrixPlan, at: BlockPlace, index: string): string =>
  at.direct && p.input.element === 'int8' ? `${at.from}[${index}] ^ 0x80` : `${at.from}[${index}]`;

/** Names of the loops' variables, outermost first. */
const VARIABLES = ['r', 's', 't'] as const;

/**
 * Loops over the taps, the activation in `v`.
 * @param body lines for one tap, from the C expression of its index among the weights
 */
export function overTaps(p: MatrixPlan, at: BlockPlace, body: (tap: string) => readonly string[]): string[] {
  const levels = tapLevels(p);
  const names = VARIABLES.slice(-levels.length);
  const product = (from: number) => levels.slice(from).reduce((taps, { count }) => taps * count, 1);
  const sum = (factor: (level: number) => number) =>
    names.map((name, i) => (factor(i) === 1 ? name : `${name} * ${factor(i)}`)).join(' + ');
  const tap = sum((i) => product(i + 1));
  const loops = levels.flatMap(({ count }, i) => [
    product(i) <= UNROLL ? '#pragma clang loop unroll(full)' : `#pragma clang loop unroll_count(${PARTLY})`,
    `\t\tfor (int ${names[i]} = 0; ${names[i]} < ${count}; ${names[i]}++)${i === levels.length - 1 ? ' {' : ''}`,
  ]);
  return [
    ...loops,
    `\t\t\t__u64 v = ${loadInput(
      p,
      at,
      sum((i) => levels[i]!.stride),
    )};`,
    ...body(levels.length === 1 ? tap : `(${tap})`).map((line) => `\t\t\t${line}`),
    '\t\t}',
  ];
}

/** Byte of a channel's activation from where the layer writes: a convolution writes one pixel, a dense layer all elements. */
export const placeOf = (p: MatrixPlan, channel: number): number =>
  p.layer.kind === 'dense' ? elementAt(p.to, channel) : channel;

/** Scales one sum, and clamps it if that has not been done for the whole word. */
export function store(
  p: MatrixPlan,
  target: string,
  value: string,
  channel: number,
  clamped: boolean,
): string {
  const at = (part: keyof BlockNumbers) => `${part}[${channel}]`;
  const scaled = p.below
    ? `intransit_two_lines(${value}, ${at('multiplier')}, ${at('offset')}, ${at('pivot')}, ${at('below')})`
    : `${value} * ${at('multiplier')} + ${at('offset')}`;
  const shifted = (type: string) =>
    p.odd === undefined
      ? `${type}(${scaled}) >> ${p.shift}`
      : `intransit_to_even(${scaled}, ${p.shift}, ${p.odd}, ${at('ties')})`;
  if (clamped) return `\t\t${target} = ${shifted('')};`;
  const { lo } = elementRange(p.layer.output.element);
  const { min, max } = p.layer.requantiser;
  return `\t\t${target} = intransit_clamp(${shifted('(__s64)')}, ${min}, ${max}) - ${lo};`;
}

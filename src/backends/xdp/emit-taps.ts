import { elementRange } from '../../model/tensor.ts';
import { elementAt, elementType, rowElements } from './buffers.ts';
import type { MatrixPlan } from './plan.ts';

/** One loop over the taps. */
interface Level {
  readonly count: number;
  /** Elements from one activation to the next. */
  readonly stride: number;
}

/** The loops over the taps of one output, outermost first: rows of a window, pixels, channels; what lies in a row is one. */
export function tapLevels(p: MatrixPlan): Levels {
  const [height, width] = p.layer.kind === 'conv2d' ? p.layer.kernel : [p.from.height, p.from.width];
  const [down, right] = (p.layer.kind === 'conv2d' ? p.layer.dilations : undefined) ?? [1, 1];
  const levels: Level[] = [];
  for (const level of [
    { count: height, stride: down * rowElements(p.from) },
    { count: width, stride: right * p.from.channels },
    { count: p.from.channels / p.groups, stride: 1 },
  ]) {
    const outer = levels.at(-1);
    if (level.count === 1) continue;
    if (outer?.stride === level.count * level.stride)
      levels[levels.length - 1] = { count: outer.count * level.count, stride: level.stride };
    else levels.push(level);
  }
  return isSome(levels) ? levels : [{ count: 1, stride: 1 }];
}

/** Longest run of taps that is written out; beyond it a loop costs less than the code it saves. */
const UNROLL = 32;

/** Copies of the body of a longer loop. */
const PARTLY = 8;

/**
 * Whether outer loops stay loops that walk pointers. Left to itself, clang keeps the place of each tap of an unrolled body in
 * a register of its own there, and runs out of stack; a single loop, or what is written out whole, it sees through.
 */
const walksPointers = (levels: readonly Level[]): boolean =>
  levels.length > 1 && product(levels) > UNROLL && levels.some(({ count }) => count > PARTLY);

const product = (levels: readonly Level[]): number => levels.reduce((taps, { count }) => taps * count, 1);

/** Taps of which the code has a copy each; see `overTaps`. */
export function unrolledTaps(p: MatrixPlan): number {
  const levels = tapLevels(p);
  if (walksPointers(levels)) return writtenOut(levels);
  let taps = 1;
  let copies = 1;
  for (const { count } of [...levels].reverse()) {
    taps *= count;
    copies *= taps <= UNROLL ? count : Math.min(count, PARTLY + (count % PARTLY));
  }
  return copies;
}

/** Iterations of the loops that walk pointers over the taps of one output. */
export function pointerSteps(p: MatrixPlan): number {
  const levels = tapLevels(p);
  return walksPointers(levels) ? Math.ceil(p.taps / writtenOut(levels)) : 0;
}

function writtenOut(levels: readonly Level[]): number {
  if (product(levels) <= UNROLL) return product(levels);
  return levels.length > 1 ? writtenOut(levels.slice(1)) : PARTLY + (levels[0]!.count % PARTLY);
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
const loadInput = (p: MatrixPlan, at: BlockPlace, base: string, index: string): string =>
  at.direct && p.input.element === 'int8' ? `${base}[${index}] ^ 0x80` : `${base}[${index}]`;

/** Names of the loops' variables, outermost first. */
const VARIABLES = ['r', 's', 't'] as const;

/** `r * 20 + t`: the sum of the variables, each times its factor. */
const weighted = (names: readonly string[], factor: (level: number) => number): string =>
  names.map((name, i) => (factor(i) === 1 ? name : `${name} * ${factor(i)}`)).join(' + ');

/**
 * Loops over the taps, the activation in `v`, the weights at `k`.
 * @param perTap weights of one tap
 * @param body lines for one tap, from the C expression of its index among the weights
 */
export function overTaps(
  p: MatrixPlan,
  at: BlockPlace,
  perTap: number,
  body: (tap: string) => readonly string[],
): string[] {
  const levels = tapLevels(p);
  if (walksPointers(levels)) return overPointers(p, at, perTap, body);
  return loopsOver(p, at, at.from, levels, (taps) =>
    taps <= UNROLL ? 'unroll(full)' : `unroll_count(${PARTLY})`,
  )(body);
}

/** A nest of loops over places that are sums of its variables. */
const loopsOver =
  (
    p: MatrixPlan,
    at: BlockPlace,
    base: string,
    levels: readonly Level[],
    how: (taps: number) => string,
  ): ((body: (tap: string) => readonly string[]) => string[]) =>
  (body) => {
    const names = VARIABLES.slice(-levels.length);
    const tap = weighted(names, (i) => product(levels.slice(i + 1)));
    const loops = levels.flatMap(({ count }, i) => [
      `#pragma clang loop ${how(product(levels.slice(i)))}`,
      `\t\tfor (int ${names[i]} = 0; ${names[i]} < ${count}; ${names[i]}++)${i === levels.length - 1 ? ' {' : ''}`,
    ]);
    const place = weighted(names, (i) => levels[i]!.stride);
    return [
      ...loops,
      `\t\t\t__u64 v = ${loadInput(p, at, base, place)};`,
      ...body(levels.length === 1 ? tap : `(${tap})`).map((line) => `\t\t\t${line}`),
      '\t\t}',
    ];
  };

/**
 * Two pointers, `x` to the activations and `k` to the weights, walk on behind each run of taps that is written out. They are
 * opaque, so whatever the kernel, no more is live than they, a counter a loop, and the sums.
 */
function overPointers(
  p: MatrixPlan,
  at: BlockPlace,
  perTap: number,
  body: (tap: string) => readonly string[],
): string[] {
  const walk = (activations: number, weights: number) => [
    ...(activations === 0 ? [] : [`\t\tx += ${activations};`, '\t\tINTRANSIT_OPAQUE(x);']),
    ...(weights === 0 ? [] : [`\t\tk += ${weights};`, '\t\tINTRANSIT_OPAQUE(k);']),
  ];
  const span = ([{ count, stride }]: Levels) => count * stride;
  const loop = (name: string, count: number, lines: readonly string[]) => [
    '#pragma clang loop unroll(disable)',
    `\t\tfor (int ${name} = 0; ${name} < ${count}; ${name}++) {`,
    ...lines,
    '\t\t}',
  ];
  /** Leaves `k` behind these levels, and `x` behind them and `further` elements. */
  const over = (levels: Levels, further: number): string[] => {
    const taps = product(levels);
    if (taps <= UNROLL)
      return [
        ...loopsOver(p, at, 'x', levels, () => 'unroll(full)')(body),
        ...walk(span(levels) + further, perTap * taps),
      ];
    const [{ count, stride }, ...inner] = levels;
    if (isSome(inner))
      return [...loop(`i${inner.length}`, count, over(inner, stride - span(inner))), ...walk(further, 0)];
    const rest = count % PARTLY;
    return [
      ...loop('i0', Math.floor(count / PARTLY), over([{ count: PARTLY, stride }], 0)),
      ...(rest > 0 ? over([{ count: rest, stride }], further) : walk(further, 0)),
    ];
  };
  return [`\t\tconst ${elementType(p.from)} *x = ${at.from};`, '', ...over(tapLevels(p), 0)];
}

type Levels = readonly [Level, ...Level[]];

const isSome = (levels: readonly Level[]): levels is Levels => levels.length > 0;

/** Place of a channel's activation from where the layer writes: a convolution writes one pixel, a dense layer all elements. */
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

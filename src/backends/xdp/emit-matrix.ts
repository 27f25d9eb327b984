import type { BitLayout } from '../../passes/bits.ts';
import { commentText } from '../common/comment.ts';
import { elementType, imageShape, pixelAt, rowElements } from './buffers.ts';
import { bitBody, describeBits, outputsCallback } from './emit-bits.ts';
import { byInputBody, inputCallback, laneBody } from './emit-lanes.ts';
import { callPositions, pixelPlace, pixelPointer, positionCallback } from './emit-loop.ts';
import { plainBody } from './emit-plain.ts';
import { type BlockPlace, placeOf } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/**
 * C of a dense layer or a convolution. Sums of a block of words stay in registers while the inputs go by, so that a
 * multiply costs one load. Large layers run their blocks by `bpf_loop`, large images their rows or positions: the verifier
 * walks its body but once or twice.
 */
export function emitMatrix(p: MatrixPlan, direct: boolean, weights: 'runtime' | 'static'): string {
  if (p.bits !== undefined) return emitBits(p, p.bits);
  const how = p.lanes
    ? `${p.lanes.lanes} lanes of ${p.lanes.laneBits} bits, ${p.lanes.words} words`
    : 'one multiply a weight';
  const isConv = p.layer.kind === 'conv2d';
  const lanes = p.byInput ? p.lanes : undefined;
  const all = lanes
    ? byInputBody(p, lanes)
    : blocks(p, direct, isConv && weights === 'runtime' && (p.loop === 'plain' || p.groups > 1));
  const body = isConv ? overPositions(p, all) : all;
  return [
    `/* ${commentText(p.layer.name)}: ${p.layer.kind}, ${p.taps} taps, ${p.layer.bias.length} outputs; ${how} */`,
    ...(p.looped > 0 ? [...blockCallback(p, direct), ''] : []),
    ...(lanes ? [...inputCallback(p, lanes), ''] : []),
    ...(p.loop === 'plain' ? [] : positionCallback(p, atPosition(p, all))),
    `static __always_inline void layer${p.index}(const ${elementType(p.from)} *from, ${elementType(p.to)} *to, const struct intransit_weights *w${lanes ? ', __u64 *sums' : ''})`,
    '{',
    ...body,
    '}',
  ].join('\n');
}

function emitBits(p: MatrixPlan, bits: BitLayout): string {
  return [
    `/* ${commentText(p.layer.name)}: ${p.layer.kind}, ${p.taps} taps, ${p.layer.bias.length} outputs; ${describeBits(bits)} */`,
    ...(p.looped > 0 ? [...outputsCallback(p, bits), ''] : []),
    `static __always_inline void layer${p.index}(const __u8 *from, __u8 *to, const struct intransit_weights *w, __u64 *sums)`,
    '{',
    ...bitBody(p, bits),
    '}',
  ].join('\n');
}

/** The loops over the output positions. */
function overPositions(p: MatrixPlan, body: readonly string[]): string[] {
  if (p.loop !== 'plain') return callPositions(p);
  const [, height, width] = imageShape(p.layer.output.shape);
  return [
    '#pragma clang loop unroll(disable)',
    `\tfor (int py = 0; py < ${height}; py++)`,
    '#pragma clang loop unroll(disable)',
    `\tfor (int px = 0; px < ${width}; px++) {`,
    ...atPosition(p, body),
    '\t}',
  ];
}

/** Inside, `in` and `out` point to this position's pixels. */
function atPosition(p: MatrixPlan, body: readonly string[]): string[] {
  if (p.layer.kind !== 'conv2d') throw new Error('layer has no positions');
  const [strideY, strideX] = p.layer.strides;
  const origin = pixelAt(p.from, -p.layer.pads[0], -p.layer.pads[1]);
  const source = `${origin} + py * ${strideY * rowElements(p.from)} + px * ${strideX * p.from.channels}`;
  if (p.loop !== 'plain')
    return [
      ...pixelPointer(`const ${elementType(p.from)}`, 'in', 'from', source),
      ...pixelPointer(elementType(p.to), 'out', 'to', pixelPlace(p.to)),
      ...overGroups(p, body),
    ];
  return [
    `\t\tconst ${elementType(p.from)} *in = from + ${source};`,
    `\t\t${elementType(p.to)} *out = to + ${pixelPlace(p.to)};`,
    '',
    ...overGroups(p, body),
  ];
}

/** The loop over the groups of a convolution; `in` and `out` move on to the group's channels. */
function overGroups(p: MatrixPlan, body: readonly string[]): string[] {
  if (p.groups === 1) return [...body];
  const channels = p.layer.bias.length / p.groups;
  return [
    '#pragma clang loop unroll(disable)',
    `\tfor (int group = 0; group < ${p.groups}; group++, in += ${p.from.channels / p.groups}, out += ${channels}) {`,
    ...body,
    '\t}',
  ];
}

/** Pointer to the first tap of a dense layer. */
function denseFrom(p: MatrixPlan): string {
  const origin = pixelAt(p.from, 0, 0);
  return origin === 0 ? 'from' : `(from + ${origin})`;
}

/**
 * All blocks, one after the other.
 * @param opaque hide from clang that the pointer to the weights is the same at each position: it would compute the places
 *   of all blocks in front of the loop, and run out of stack
 */
function blocks(p: MatrixPlan, direct: boolean, opaque: boolean): string[] {
  const isConv = p.layer.kind === 'conv2d';
  const from = isConv ? 'in' : denseFrom(p);
  const out: string[] = [];
  if (p.looped > 0)
    out.push(
      `\tstruct intransit_loop loop = { .weights = w, .from = ${from}, .to = ${isConv ? 'out' : 'to'} };`,
      '',
      `\tbpf_loop(${p.looped}, layer${p.index}_block, &loop, 0);`,
    );
  let first = p.looped * p.blocks[0]!;
  const outs = p.layer.bias.length / p.groups;
  const words = p.lanes?.words ?? outs;
  // Of the group, where there are groups.
  const index = (perGroup: number, at: number) => (p.groups === 1 ? `${at}` : `group * ${perGroup} + ${at}`);
  for (const size of p.blocks.slice(p.looped)) {
    const lanes = p.lanes?.lanes ?? 1;
    const channels = Math.min(size * lanes, outs - first * lanes);
    const target = (c: number) => `${isConv ? 'out' : 'to'}[${placeOf(p, first * lanes + c)}]`;
    const targets = Array.from({ length: channels }, (_, c) => target(c));
    const pointers = numbersAt(
      p,
      index(words, first),
      index(words * p.taps, first * p.taps),
      index(outs, first * lanes),
      opaque ? 'here' : 'w',
    );
    out.push(
      '\t{',
      ...(opaque ? ['\t\tconst struct intransit_weights *here = w;', '', '\t\tINTRANSIT_OPAQUE(here);'] : []),
      ...blockBody(p, size, { from, direct, targets, ...pointers }),
      '\t}',
    );
    first += size;
  }
  return out;
}

/**
 * The body of `bpf_loop` over blocks. The index is checked although the helper keeps to it, as the verifier does not
 * know.
 */
function blockCallback(p: MatrixPlan, direct: boolean): string[] {
  const size = p.blocks[0]!;
  const channels = size * (p.lanes?.lanes ?? 1);
  const targets = Array.from({ length: channels }, (_, c) => `to[${c}]`);
  const pointers = numbersAt(p, `block * ${size}`, `block * ${size * p.taps}`, `block * ${channels}`);
  return [
    `static long layer${p.index}_block(__u32 block, struct intransit_loop *loop)`,
    '{',
    '\tconst struct intransit_weights *w = loop->weights;',
    `\tconst ${elementType(p.from)} *from = loop->from;`,
    `\t${elementType(p.to)} *to = loop->to;`,
    '',
    `\tif (block >= ${p.looped})`,
    '\t\treturn 1;',
    `\tto += block * ${channels};`,
    '\t{',
    ...blockBody(p, size, { from: 'from', direct, targets, ...pointers }),
    '\t}',
    '\treturn 0;',
    '}',
  ];
}

const blockBody = (p: MatrixPlan, size: number, at: BlockPlace): string[] =>
  p.lanes === undefined ? plainBody(p, at) : laneBody(p, p.lanes, size, at);

/** Pointers to a block's numbers, from C expressions of its first word, weight and channel. */
function numbersAt(p: MatrixPlan, word: string, weight: string, channel: string, weights = 'w') {
  const array = (part: string, at: string) => `${weights}->layer${p.index}_${part} + ${at}`;
  return {
    start: array('start', word),
    top: array('top', word),
    weights: array('weights', weight),
    numbers: {
      multiplier: array('multiplier', channel),
      offset: array('offset', channel),
      pivot: array('pivot', channel),
      below: array('below', channel),
      ties: array('ties', channel),
    },
  };
}

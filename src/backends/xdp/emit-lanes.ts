import type { LaneLayout } from '../../passes/lanes.ts';
import { elementType } from './buffers.ts';
import { type BlockPlace, declareNumbers, overTaps, store } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/** Sums of one block of `size` words in registers, then requantised word by word. */
export function laneBody(p: MatrixPlan, lanes: LaneLayout, size: number, at: BlockPlace): string[] {
  const words = Array.from({ length: size }, (_, k) => k);
  const window = lanes.requantisation === 'window';
  const out = [
    `\t\tconst __u64 *start = ${at.start}, *k = ${at.weights};`,
    declareNumbers(p, at),
    ...(window ? [`\t\tconst __u64 *top = ${at.top};`] : []),
    `\t\t__u64 ${words.map((k) => `a${k} = start[${k}]`).join(', ')};`,
    '',
    // Left alone, clang gathers the products of many taps first and runs out of registers, then out of stack.
    ...overTaps(p, at, size, (tap) =>
      words.map(
        (k) => `a${k} += v * k[${tap} * ${size} + ${k}]; asm volatile("" : "+r"(a${k}) : : "memory");`,
      ),
    ),
    '',
  ];
  for (const k of words)
    out.push(...storeWord(p, lanes, k, at.targets.slice(k * lanes.lanes, (k + 1) * lanes.lanes)));
  return out;
}

/**
 * The body of `bpf_loop` over inputs: one input into all sums, which are in memory; none if it is zero. The index is checked
 * although the helper keeps to it, as the verifier does not know.
 */
export function inputCallback(p: MatrixPlan, lanes: LaneLayout): string[] {
  return [
    `static long layer${p.index}_input(__u32 input, struct intransit_loop *loop)`,
    '{',
    '\tconst struct intransit_weights *w = loop->weights;',
    `\tconst ${elementType(p.from)} *from = loop->from;`,
    '\tconst __u64 *k;',
    '\t__u64 *sums = loop->to;',
    '\t__u64 v;',
    '',
    `\tif (input >= ${p.taps})`,
    '\t\treturn 1;',
    '\tv = from[input];',
    '\tif (!v)',
    '\t\treturn 0;',
    `\tk = w->layer${p.index}_weights + input * ${lanes.words};`,
    '#pragma clang loop unroll(full)',
    `\tfor (int i = 0; i < ${lanes.words}; i++) {`,
    '\t\tsums[i] += v * k[i];',
    '\t\tasm volatile("" : : : "memory");',
    '\t}',
    '\treturn 0;',
    '}',
  ];
}

/**
 * Starts the sums, runs the inputs into them, and requantises word by word.
 */
export function byInputBody(p: MatrixPlan, lanes: LaneLayout): string[] {
  const array = (part: string) => `w->layer${p.index}_${part}`;
  const numbers = (channel: string) => ({
    multiplier: `${array('multiplier')} + ${channel}`,
    offset: `${array('offset')} + ${channel}`,
    pivot: `${array('pivot')} + ${channel}`,
    below: `${array('below')} + ${channel}`,
    ties: `${array('ties')} + ${channel}`,
  });
  const window = lanes.requantisation === 'window';
  const word = (index: string, channel: string, count: number) => [
    `\t\t__u64 a0 = sums[${index}];`,
    ...(window ? [`\t\tconst __u64 *top = ${array('top')} + ${index};`] : []),
    declareNumbers(p, { numbers: numbers(channel) }),
    '',
    ...storeWord(
      p,
      lanes,
      0,
      Array.from({ length: count }, (_, lane) => `to[${channel} + ${lane}]`),
    ),
  ];
  const whole = Math.floor(p.layer.bias.length / lanes.lanes);
  const rest = p.layer.bias.length % lanes.lanes;
  return [
    '\tstruct intransit_loop loop = { .weights = w, .from = from, .to = (__u8 *)sums };',
    '',
    '#pragma clang loop unroll_count(8)',
    `\tfor (int i = 0; i < ${lanes.words}; i++) {`,
    `\t\tsums[i] = ${array('start')}[i];`,
    '\t\tasm volatile("" : : : "memory");',
    '\t}',
    `\tbpf_loop(${p.taps}, layer${p.index}_input, &loop, 0);`,
    '#pragma clang loop unroll(disable)',
    `\tfor (int i = 0; i < ${whole}; i++) {`,
    ...word('i', `i * ${lanes.lanes}`, lanes.lanes),
    '\t}',
    ...(rest > 0 ? ['\t{', ...word(`${whole}`, `${whole * lanes.lanes}`, rest), '\t}'] : []),
  ];
}

/** Requantises the channels of a block's word and stores them. */
export function storeWord(
  p: MatrixPlan,
  lanes: LaneLayout,
  word: number,
  places: readonly string[],
): string[] {
  const out: string[] = [];
  const window = lanes.requantisation === 'window';
  if (window) {
    let ones = 0n;
    for (let lane = 0; lane < lanes.lanes; lane++) ones |= 1n << BigInt(lane * lanes.laneBits);
    const masks = `${lanes.laneBits - 1}, 0x${ones.toString(16)}ULL`;
    out.push(`\t\ta${word} = intransit_clamp_lanes(a${word}, top[${word}], ${masks});`);
  }
  places.forEach((place, lane) => {
    const channel = word * lanes.lanes + lane;
    const at = lane * lanes.laneBits;
    const bits = lane === lanes.lanes - 1 ? 64 - at : window ? lanes.laneBits - 1 : lanes.laneBits;
    const value = `intransit_lane(a${word}, ${at}, ${bits})`;
    out.push(store(p, place, value, channel, window));
  });
  return out;
}

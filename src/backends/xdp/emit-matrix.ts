import { elementRange } from '../../model/tensor.ts';
import { elementAt, hasBorder, imageShape, pixelAt, rowBytes } from './buffers.ts';
import type { MatrixPlan } from './plan.ts';

/** Taps in one straight run of memory: a row of the window, or the whole vector. */
interface Runs {
  readonly count: number;
  readonly length: number;
  /** Bytes from one run to the next. */
  readonly stride: number;
}

function runs(p: MatrixPlan): Runs {
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

/**
 * C of a dense layer or a convolution. Sums of a block of words stay in registers while the inputs go by, so that a
 * multiply costs one load.
 */
export function emitMatrix(p: MatrixPlan, direct: boolean): string {
  const lines: string[] = [];
  const lanes = p.lanes;
  const how = lanes
    ? `${lanes.lanes} lanes of ${lanes.laneBits} bits, ${lanes.words} words`
    : 'one multiply a weight';
  lines.push(
    `/* ${p.layer.name}: ${p.layer.kind}, ${p.taps} taps, ${p.layer.bias.length} outputs; ${how} */`,
  );
  lines.push(
    `static __always_inline void layer${p.index}(const __u8 *from, __u8 *to, const struct intransit_weights *w)`,
  );
  lines.push('{');
  if (p.layer.kind === 'conv2d') lines.push(...overPositions(p, blocks(p, direct)));
  else lines.push(...blocks(p, direct));
  lines.push('}');
  return lines.join('\n');
}

/** The loops over the output positions; inside, `in` and `out` point to this position's pixels. */
function overPositions(p: MatrixPlan, body: readonly string[]): string[] {
  if (p.layer.kind !== 'conv2d') return [...body];
  const [, height, width] = imageShape(p.layer.output.shape);
  const [strideY, strideX] = p.layer.strides;
  const origin = pixelAt(p.from, -p.layer.pads[0], -p.layer.pads[1]);
  return [
    '#pragma clang loop unroll(disable)',
    `\tfor (int py = 0; py < ${height}; py++)`,
    '#pragma clang loop unroll(disable)',
    `\tfor (int px = 0; px < ${width}; px++) {`,
    `\t\tconst __u8 *in = from + ${origin} + py * ${strideY * rowBytes(p.from)} + px * ${strideX * p.from.channels};`,
    `\t\t__u8 *out = to + ${pixelAt(p.to, 0, 0)} + py * ${rowBytes(p.to)} + px * ${p.to.channels};`,
    '',
    ...body,
    '\t}',
  ];
}

function blocks(p: MatrixPlan, direct: boolean): string[] {
  const out: string[] = [];
  const isConv = p.layer.kind === 'conv2d';
  const origin = pixelAt(p.from, 0, 0);
  const from = origin === 0 ? 'from' : `(from + ${origin})`;
  const names = isConv ? { from: 'in', to: 'out' } : { from, to: 'to' };
  let first = 0;
  for (const size of p.blocks) {
    out.push(...(p.lanes ? laneBlock(p, first, size, names, direct) : plainOutput(p, first, names, direct)));
    first += size;
  }
  return out;
}

interface Names {
  readonly from: string;
  readonly to: string;
}

/** int8 activations come off the wire signed; in memory they are unsigned. */
const loadInput = (p: MatrixPlan, direct: boolean, index: string, from: string): string =>
  direct && p.input.element === 'int8' ? `${from}[${index}] ^ 0x80` : `${from}[${index}]`;

/** Loops over the taps with `i` the tap's weight index and its activation in `v`. */
function overTaps(p: MatrixPlan, names: Names, direct: boolean, body: readonly string[]): string[] {
  const { count, length, stride } = runs(p);
  const unroll = (n: number) =>
    n <= UNROLL ? '#pragma clang loop unroll(full)' : '#pragma clang loop unroll_count(8)';
  const inner = (index: string) => [
    unroll(length),
    `\t\tfor (int t = 0; t < ${length}; t++) {`,
    `\t\t\t__u64 v = ${loadInput(p, direct, index, names.from)};`,
    ...body.map((line) => `\t\t\t${line}`),
    '\t\t}',
  ];
  if (count === 1) return inner('t');
  return [unroll(count * length), `\t\tfor (int r = 0; r < ${count}; r++)`, ...inner(`r * ${stride} + t`)];
}

function laneBlock(p: MatrixPlan, first: number, size: number, names: Names, direct: boolean): string[] {
  const lanes = p.lanes!;
  const { count, length } = runs(p);
  const array = (part: string) => `w->layer${p.index}_${part}`;
  const words = Array.from({ length: size }, (_, k) => k);
  const tap = count === 1 ? 't' : `(r * ${length} + t)`;
  const out = [
    `\t{ /* words ${first}..${first + size - 1} */`,
    `\t\tconst __u64 *k = ${array('weights')} + ${first * p.taps};`,
    `\t\t__u64 ${words.map((k) => `a${k} = ${array('start')}[${first + k}]`).join(', ')};`,
    '',
    ...overTaps(p, names, direct, [
      ...words.map(
        (k) => `a${k} += v * k[${tap} * ${size} + ${k}]; asm volatile("" : "+r"(a${k}) : : "memory");`,
      ),
    ]),
    '',
  ];
  for (const k of words) out.push(...storeWord(p, lanes, first + k, `a${k}`, names.to));
  out.push('\t}');
  return out;
}

/** Requantises the channels of one word and stores them. */
function storeWord(
  p: MatrixPlan,
  lanes: NonNullable<MatrixPlan['lanes']>,
  word: number,
  sum: string,
  to: string,
): string[] {
  const out: string[] = [];
  const array = (part: string) => `w->layer${p.index}_${part}`;
  const window = lanes.requantisation === 'window';
  const used = Math.min(lanes.lanes, p.layer.bias.length - word * lanes.lanes);
  if (window) {
    let ones = 0n;
    for (let lane = 0; lane < lanes.lanes; lane++) ones |= 1n << BigInt(lane * lanes.laneBits);
    out.push(
      `\t\t${sum} = intransit_clamp_lanes(${sum}, ${array('top')}[${word}], ${lanes.laneBits - 1}, 0x${ones.toString(16)}ULL);`,
    );
  }
  for (let lane = 0; lane < used; lane++) {
    const channel = word * lanes.lanes + lane;
    const at = lane * lanes.laneBits;
    const bits = lane === lanes.lanes - 1 ? 64 - at : window ? lanes.laneBits - 1 : lanes.laneBits;
    const value = `intransit_lane(${sum}, ${at}, ${bits})`;
    out.push(store(p, channel, value, to, window));
  }
  return out;
}

function store(p: MatrixPlan, channel: number, value: string, to: string, window: boolean): string {
  const array = (part: string) => `w->layer${p.index}_${part}[${channel}]`;
  const scaled = `${value} * ${array('multiplier')} + ${array('offset')}`;
  // A convolution writes one pixel; a dense layer all elements, which may be viewed as an image.
  const at = p.layer.kind === 'dense' ? elementAt(p.to, channel) : channel;
  if (window) return `\t\t${to}[${at}] = (${scaled}) >> ${p.shift};`;
  const { lo } = elementRange(p.layer.output.element);
  const { min, max } = p.layer.requantiser;
  return `\t\t${to}[${at}] = intransit_clamp((__s64)(${scaled}) >> ${p.shift}, ${min}, ${max}) - ${lo};`;
}

function plainOutput(p: MatrixPlan, channel: number, names: Names, direct: boolean): string[] {
  const { count, length } = runs(p);
  const tap = count === 1 ? 't' : `r * ${length} + t`;
  return [
    '\t{',
    `\t\tconst ${p.narrow ? '__s8' : '__s16'} *k = w->layer${p.index}_weights + ${channel * p.taps};`,
    `\t\t__s64 sum = w->layer${p.index}_start[${channel}];`,
    '',
    ...overTaps(p, names, direct, [`sum += (__s64)v * k[${tap}];`, 'INTRANSIT_OPAQUE(sum);']),
    store(p, channel, 'sum', names.to, false),
    '\t}',
  ];
}

import { elementRange } from '../../model/tensor.ts';
import { type BitLayout, WORD_BITS } from '../../passes/bits.ts';
import { storeWord } from './emit-lanes.ts';
import { declareNumbers } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/** Words whose counts are added up without a loop. */
const WRITTEN_OUT = 24;

/** Words of an iteration where there are more. */
const CHUNK = 12;

/** Words whose counts share fields of four bits. */
const SHARED = 3;

/** C of a dense layer that counts bits: its inputs are packed into `sums`, then outputs go one by one, or word by word of lanes. */
export function bitBody(p: MatrixPlan, bits: BitLayout): string[] {
  const { full, rest } = iterations(p, bits);
  const body = (index: string, outputs: number) => [
    '\t\tconst __u64 *x = sums;',
    '',
    ...outputsBody(p, bits, index, outputs),
  ];
  return [
    ...packInputs(p, bits),
    ...(p.looped > 0
      ? [
          '\tstruct intransit_loop loop = { .weights = w, .from = (const __u8 *)sums, .to = to };',
          '',
          `\tbpf_loop(${p.looped}, layer${p.index}_outputs, &loop, 0);`,
        ]
      : full > 0
        ? [
            '#pragma clang loop unroll(disable)',
            `\tfor (int i = 0; i < ${full}; i++) {`,
            ...body('i', outputsTogether(p, bits)),
            '\t}',
          ]
        : []),
    ...(rest > 0 ? ['\t{', ...body(`${full}`, rest), '\t}'] : []),
  ];
}

/** Outputs of an iteration: those of a word, whose sums are clamped together. */
export const outputsTogether = (p: MatrixPlan, bits: BitLayout): number =>
  bits.outputs === undefined ? p.lanes!.lanes : 1;

function iterations(p: MatrixPlan, bits: BitLayout) {
  const together = outputsTogether(p, bits);
  return { full: Math.floor(p.layer.bias.length / together), rest: p.layer.bias.length % together };
}

/** The body of `bpf_loop` over outputs. The index is checked although the helper keeps to it, as the verifier does not know. */
export const outputsCallback = (p: MatrixPlan, bits: BitLayout): string[] => [
  `static long layer${p.index}_outputs(__u32 i, struct intransit_loop *loop)`,
  '{',
  '\tconst struct intransit_weights *w = loop->weights;',
  '\tconst __u64 *x = (const __u64 *)loop->from;',
  '\t__u8 *to = loop->to;',
  '',
  `\tif (i >= ${p.looped})`,
  '\t\treturn 1;',
  '\t{',
  ...outputsBody(p, bits, 'i', outputsTogether(p, bits)),
  '\t}',
  '\treturn 0;',
  '}',
];

/** Where the planes of an input stand in its byte, less `minus`. */
export function planeBits({ planes, levels: { least, step } }: BitLayout, lo: number) {
  const base = least - lo;
  // Of two values the highest bit in which they differ is 1 in the larger.
  if (planes === 1) return { minus: 0, at: [Math.floor(Math.log2(base ^ (base + step)))] };
  const shift = Math.log2(step);
  const minus = base % (2 ** planes * step) === 0 ? 0 : base;
  return { minus, at: Array.from({ length: planes }, (_, b) => shift + b) };
}

function packInputs(p: MatrixPlan, bits: BitLayout): string[] {
  const { minus, at } = planeBits(bits, elementRange(p.input.element).lo);
  const whole = Math.floor(p.taps / WORD_BITS);
  const rest = p.taps % WORD_BITS;
  const planes = at.map((_, b) => b);
  const less = minus === 0 ? '' : ` - 0x${minus.toString(16).padStart(2, '0').repeat(8)}ULL`;
  const word = (index: string, groups: number, last: number) => [
    `\t\t__u64 v, ${planes.map((b) => `p${b} = 0`).join(', ')};`,
    '',
    ...Array.from({ length: groups }, (_, g) => [
      `\t\tv = in[${g}]${less};`,
      ...planes.map((b) => {
        const mask = g === groups - 1 && last < 8 ? ` & ${2 ** last - 1}` : '';
        return `\t\tp${b} |= (intransit_gather_bits(v, ${at[b]})${mask}) << ${8 * g};`;
      }),
    ]).flat(),
    ...planes.map((b) => `\t\tsums[${b * bits.words} + ${index}] = p${b};`),
  ];
  return [
    '\tconst __u64 *in = (const __u64 *)from;',
    '',
    ...(whole > 0
      ? [
          '#pragma clang loop unroll(disable)',
          `\tfor (int i = 0; i < ${whole}; i++, in += 8) {`,
          ...word('i', 8, 8),
          '\t}',
        ]
      : []),
    ...(rest > 0 ? ['\t{', ...word(`${whole}`, Math.ceil(rest / 8), ((rest - 1) % 8) + 1), '\t}'] : []),
  ];
}

/** Some outputs from the packed inputs at `x`. @param index C of the iteration */
function outputsBody(p: MatrixPlan, bits: BitLayout, index: string, outputs: number): string[] {
  const together = outputsTogether(p, bits);
  const first = together === 1 ? index : `${index} * ${together}`;
  const array = (part: string, at: string) => `w->layer${p.index}_${part} + ${at}`;
  const words = bits.words * (bits.ternary ? 2 : 1);
  const weights = [
    `\t\tconst __u64 *k = ${array('weights', `${index} * ${words * together}`)};`,
    '\t\t__u64 count;',
  ];
  if (bits.outputs !== undefined) {
    const { least, step } = bits.outputs;
    const isUpper = `intransit_is_below(count, *(${array('limit', first)}))`;
    const low = least - elementRange(p.layer.output.element).lo;
    return [...weights, '', ...counting(p, bits), `\t\tto[${first}] = ${low} + ${step} * ${isUpper};`];
  }
  const lanes = Array.from({ length: outputs }, (_, lane) => lane);
  const numbers = {
    multiplier: array('multiplier', first),
    offset: array('offset', first),
    pivot: array('pivot', first),
    below: array('below', first),
    ties: array('ties', first),
  };
  return [
    ...weights,
    `\t\tconst __u64 *factor = ${array('factor', first)};`,
    `\t\t__u64 a0 = *(${array('start', index)});`,
    ...lanes.flatMap((lane) => [
      '',
      ...counting(p, bits),
      `\t\ta0 += count * factor[${lane}];`,
      '\t\tINTRANSIT_OPAQUE(a0);',
      ...(lane === outputs - 1 ? [] : [`\t\tk += ${words};`, '\t\tINTRANSIT_OPAQUE(k);']),
    ]),
    '\t\t{',
    ...(p.lanes!.requantisation === 'window' ? [`\t\tconst __u64 *top = ${array('top', index)};`] : []),
    declareNumbers(p, { numbers }),
    '',
    ...storeWord(
      p,
      p.lanes!,
      0,
      lanes.map((lane) => `to[${first} + ${lane}]`),
    ),
    '\t\t}',
  ];
}

/** Most that a byte of a word's counts holds, of all planes together. */
const byteMost = ({ planes, words }: BitLayout): number => 8 * words * (2 ** planes - 1);

/** Sets `count`: of all planes, each twice the one below it. */
function counting(p: MatrixPlan, bits: BitLayout): string[] {
  const { planes, words } = bits;
  const order = Array.from({ length: planes }, (_, b) => planes - 1 - b);
  if (byteMost(bits) <= 255) {
    const lines = order.flatMap((b, i) => [
      ...(i === 0 ? ['\t\tcount = 0;'] : ['\t\tcount <<= 1;']),
      ...countWords(bits, b * words, 0, words),
    ]);
    const most = p.taps * (2 ** planes - 1);
    return [
      ...lines,
      most <= 255
        ? '\t\tcount = count * 0x0101010101010101ULL >> 56;'
        : '\t\tcount = intransit_total(intransit_wide_counts(count));',
    ];
  }
  const wide = (lines: readonly string[]) => [
    '\t\tcount = 0;',
    ...lines,
    '\t\twide += intransit_wide_counts(count);',
  ];
  const plane = (b: number): string[] => {
    if (words <= WRITTEN_OUT) return wide(countWords(bits, b * words, 0, words));
    const chunks = Math.floor(words / CHUNK);
    const per = bits.ternary ? 2 : 1;
    return [
      `\t\ty = x + ${b * words};`,
      '\t\tl = k;',
      '#pragma clang loop unroll(disable)',
      `\t\tfor (int i = 0; i < ${chunks}; i++) {`,
      ...wide(countWords(bits, 0, 0, CHUNK, 'y', 'l')).map((line) => `\t${line}`),
      `\t\t\ty += ${CHUNK};`,
      '\t\t\tINTRANSIT_OPAQUE(y);',
      `\t\t\tl += ${CHUNK * per};`,
      '\t\t\tINTRANSIT_OPAQUE(l);',
      '\t\t}',
      ...(words % CHUNK > 0 ? wide(countWords(bits, 0, 0, words % CHUNK, 'y', 'l')) : []),
    ];
  };
  return [
    '\t\t{',
    '\t\t__u64 wide = 0;',
    ...(words > WRITTEN_OUT ? ['\t\tconst __u64 *y, *l;', ''] : ['']),
    ...order.flatMap((b, i) => [...(i === 0 ? [] : ['\t\twide <<= 1;']), ...plane(b)]),
    '\t\tcount = intransit_total(wide);',
    '\t\t}',
  ];
}

/** Adds the counts of some words to the bytes of `count`. */
function countWords(
  bits: BitLayout,
  plane: number,
  first: number,
  words: number,
  x = 'x',
  k = 'k',
): string[] {
  const different = (i: number) =>
    bits.ternary
      ? `(${x}[${plane + i}] ^ ${k}[${2 * i}]) & ${k}[${2 * i + 1}]`
      : `${x}[${plane + i}] ^ ${k}[${i}]`;
  const lines: string[] = [];
  for (let i = first; i < first + words; i += SHARED) {
    const some = Array.from({ length: Math.min(SHARED, first + words - i) }, (_, j) => i + j);
    const nibbles = some.map((word) => `intransit_nibble_counts(${different(word)})`).join(' + ');
    lines.push(`\t\tcount += intransit_byte_counts(${nibbles});`, '\t\tINTRANSIT_OPAQUE(count);');
  }
  return lines;
}

/** How a layer's bits are laid out, in words. */
export const describeBits = ({ planes, words, ternary }: BitLayout): string =>
  `bits counted, ${words} words${planes > 1 ? ` of each of ${planes} bits` : ''}${ternary ? ' and as many masks' : ''} an output`;

import { readFileSync } from 'node:fs';
import Handlebars from 'handlebars';
import { valueType } from '../../model/model.ts';
import { formatTensorType, tensorBytes } from '../../model/tensor.ts';
import { isVerdict } from '../../model/verdict.ts';
import { commentText } from '../common/comment.ts';
import {
  type BufferCopy,
  bufferBytes,
  elementBytesOf,
  hasBorder,
  isRowMajor,
  movesChannels,
  pageBytes,
  pixelAt,
  rowElements,
  type ValueBuffer,
  wordOf,
} from './buffers.ts';
import { emitElementwise } from './emit-elementwise.ts';
import { emitMatrix } from './emit-matrix.ts';
import { emitRuns, findRuns, NO_IDIOM, placesOf, type Run } from './emit-moves.ts';
import { type LayerPlan, sumWords, type XdpPlan } from './plan.ts';
import { type WeightArray, weightArrays, weightSlots } from './weights.ts';

const skeleton = Handlebars.compile(
  readFileSync(new URL('../../../templates/xdp.c.hbs', import.meta.url), 'utf8'),
  { noEscape: true, strict: true, knownHelpersOnly: true },
);

/** The C file that clang is called on. */
export const PROGRAM_FILE = 'program.c';

/** The program's C source. The same plan gives the same bytes. */
export const emitXdp = (plan: XdpPlan): string => skeleton(xdpView(plan));

/** What the skeleton's places are filled with. */
export function xdpView(plan: XdpPlan) {
  const { model, options: o } = plan;
  const arrays = weightArrays(plan);
  const counts = plan.layers.some((p) => p.kind === 'matrix' && p.bits !== undefined);
  return {
    file: PROGRAM_FILE,
    title: `${commentText(model.name)}, layers ${o.from}..${o.to} of ${model.layers.length}`,
    summary: plan.layers.map(
      (p) =>
        `layer ${p.index} ${commentText(p.layer.name)}: ${p.layer.kind} -> ${formatTensorType(p.layer.output)}`,
    ),
    defines: [
      `PORT ${o.port}`,
      `FIRST_LAYER ${o.from}`,
      `NEXT_LAYER ${o.to}`,
      `LAYER_COUNT ${model.layers.length}`,
      `INPUT_ELEMENT INTRANSIT_ELEMENT_${plan.input.element.toUpperCase()}`,
      `INPUTS ${tensorBytes(plan.input)}`,
      `OUTPUT_ELEMENT INTRANSIT_ELEMENT_${plan.output.element.toUpperCase()}`,
      `OUTPUTS ${tensorBytes(plan.output)}`,
      `SLOTS ${weightSlots(plan)}`,
      `SCRATCH_BYTES ${firstPageBytes(plan)}`,
      `RESULT_AT ${resultAt(plan)}`,
      // Class and margin of the whole model: what early exit looks at.
      ...(o.to === model.layers.length && isVerdict(model.layers.at(-1)) ? ['VERDICT 1'] : []),
    ],
    weights:
      (counts ? '#include "intransit_bits.h"\n\n' : '') +
      (o.weights === 'runtime' ? runtimeWeights : staticWeights)(arrays) +
      pagesMap(plan),
    layers: plan.layers.map((p) =>
      p.kind === 'matrix' ? emitMatrix(p, readsPayload(plan, p), o.weights) : emitElementwise(p),
    ),
    body: inferBody(plan).map((line) => `\t${line}`),
  };
}

/**
 * Over a plain vector, or an image of one channel, a matrix layer reads the packet itself; but not at places that the
 * verifier does not know, as then it loses the packet's bounds.
 */
function readsPayload(plan: XdpPlan, p: LayerPlan): boolean {
  if (p.kind !== 'matrix' || p.layer.inputs[0] !== plan.options.from) return false;
  return isRowMajor(p.from) && elementBytesOf(p.from) === 1 && p.loop === 'plain';
}

/** Whether the program lays the value out in memory. */
export const readsBuffer = (plan: XdpPlan, value: number): boolean =>
  plan.layers.some((p) => p.layer.inputs.includes(value) && !readsPayload(plan, p));

/** The moves that lay a value out a second time. */
export function copyRuns(plan: XdpPlan, { value, buffer }: BufferCopy): readonly Run[] {
  const { shape } = valueType(plan.model, value);
  return findRuns(placesOf(plan.buffers.get(value)!, shape), placesOf(buffer, shape));
}

/** Where the result lies in the order of the wire: its buffer, or behind all buffers if channels are moved. */
function resultAt(plan: XdpPlan): number {
  const b = plan.buffers.get(plan.options.to)!;
  return movesChannels(b) ? pageBytes(plan)[0]! : b.offset;
}

/** Scratch memory of the program, in bytes. */
export function programScratchBytes(plan: XdpPlan): number {
  const others = pageBytes(plan).slice(1);
  return firstPageBytes(plan) + others.length * Math.max(0, ...others);
}

/** Of the first page, in which there is room for more than buffers. */
export function firstPageBytes(plan: XdpPlan): number {
  return sumsAt(plan) + Math.max(...plan.layers.map((p) => 8 * sumWords(p)));
}

/** Where sums lie that are not in registers: in the first page, behind all else. Each layer's in turn. */
function sumsAt(plan: XdpPlan): number {
  const moved = movesChannels(plan.buffers.get(plan.options.to)!) ? tensorBytes(plan.output) : 0;
  return pageBytes(plan)[0]! + Math.ceil(moved / 8) * 8;
}

/** The pages but the first, which is the program's scratch memory wherever it fits. */
function pagesMap(plan: XdpPlan): string {
  const others = pageBytes(plan).slice(1);
  if (others.length === 0) return '';
  return [
    '',
    '',
    'struct intransit_page {',
    `\t__u8 bytes[${Math.max(...others)}];`,
    '} __attribute__((aligned(8)));',
    '',
    '/* More activations: a value of a per-CPU map has 32 kB at most. */',
    'struct {',
    '\t__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);',
    `\t__uint(max_entries, ${others.length});`,
    '\t__type(key, __u32);',
    '\t__type(value, struct intransit_page);',
    '} pages SEC(".maps");',
  ].join('\n');
}

const pageOf = (b: ValueBuffer): string => (b.page === 0 ? 'bytes' : `bytes${b.page}`);

/** C of the place of an element of a buffer. */
const byteOf = (b: ValueBuffer, at: number): string =>
  elementBytesOf(b) === 1
    ? `${pageOf(b)} + ${b.offset + at}`
    : `(__u16 *)(${pageOf(b)} + ${b.offset + 2 * at})`;

const startOf = (b: ValueBuffer): string => byteOf(b, 0);

const structOf = (arrays: readonly WeightArray[], qualifier = ''): string[] =>
  arrays.map(
    (a) =>
      `\t${qualifier}__${a.type} ${a.name}[${a.values.length}] __attribute__((aligned(8))); /* ${a.description} */`,
  );

function runtimeWeights(arrays: readonly WeightArray[]): string {
  if (arrays.length === 0) return 'struct intransit_weights {\n\t__u64 none;\n};';
  return [
    'struct intransit_weights {',
    ...structOf(arrays),
    '};',
    '',
    '/* Versions of the weights side by side. */',
    'struct {',
    '\t__uint(type, BPF_MAP_TYPE_ARRAY);',
    '\t__uint(max_entries, INTRANSIT_SLOTS);',
    '\t__type(key, __u32);',
    '\t__type(value, struct intransit_weights);',
    '} weights SEC(".maps");',
  ].join('\n');
}

/** Constants that the compiler folds into the code. */
function staticWeights(arrays: readonly WeightArray[]): string {
  const literal = (a: WeightArray, v: bigint) =>
    a.type === 'u64' ? `0x${BigInt.asUintN(64, v).toString(16)}ULL` : `${v}`;
  const values = (a: WeightArray) => {
    const literals = a.values.map((v) => literal(a, v));
    const lines: string[] = [];
    for (let i = 0; i < literals.length; i += 8) lines.push(`\t\t${literals.slice(i, i + 8).join(', ')},`);
    return `\t.${a.name} = {\n${lines.join('\n')}\n\t},`;
  };
  if (arrays.length === 0)
    return 'struct intransit_weights {\n\t__u64 none;\n};\n\nstatic const struct intransit_weights weights;';
  return [
    'struct intransit_weights {',
    ...structOf(arrays),
    '};',
    '',
    // clang puts a small constant in a section for merging, which libbpf does not load.
    'static const struct intransit_weights weights SEC(".rodata") = {',
    ...arrays.map(values),
    '};',
  ].join('\n');
}

function inferBody(plan: XdpPlan): string[] {
  const out: string[] = [];
  const { from, weights } = plan.options;
  if (weights === 'runtime' && weightArrays(plan).length > 0)
    out.push(
      'const struct intransit_weights *w = bpf_map_lookup_elem(&weights, &slot);',
      '',
      'if (!w)',
      '\treturn -1;',
    );
  else if (weights === 'static') out.push('const struct intransit_weights *w = &weights;', '');
  else out.push('const struct intransit_weights *w = 0;', '');
  for (let page = 1; page < pageBytes(plan).length; page++)
    out.push(
      `__u32 page${page} = ${page - 1};`,
      `__u8 *bytes${page} = bpf_map_lookup_elem(&pages, &page${page});`,
      '',
      `if (!bytes${page})`,
      '\treturn -1;',
    );
  const copies = plan.copies.map(({ value, buffer }) => [value, buffer] as const);
  for (const [value, buffer] of [...plan.buffers, ...copies])
    if (hasBorder(buffer) && buffer.fill !== 0) out.push(...fill(value, buffer));
  if (readsBuffer(plan, from)) out.push(...copyInput(plan));
  out.push(...copyAgain(plan, from));
  for (const p of plan.layers) {
    const buffers = p.kind === 'matrix' ? [p.from] : p.from;
    const inputs = buffers.map((b) => (readsPayload(plan, p) ? 'payload' : startOf(b)));
    const sums = sumWords(p) > 0 ? [`(__u64 *)(bytes + ${sumsAt(plan)})`] : [];
    out.push(`layer${p.index}(${[...inputs, startOf(p.to), 'w', ...sums].join(', ')});`);
    out.push(...copyAgain(plan, p.index + 1));
  }
  out.push(...moveChannelsOut(plan));
  return out;
}

/** Lays a value out for those readers that want it otherwise. */
const copyAgain = (plan: XdpPlan, value: number): string[] =>
  plan.copies
    .filter((copy) => copy.value === value)
    .flatMap((copy) => {
      const from = `(${startOf(plan.buffers.get(value)!)})`;
      const loops = emitRuns(copyRuns(plan, copy), from, `(${startOf(copy.buffer)})`);
      return loops.map((line) => line.replace(/^\t/, ''));
    });

/** Fills a buffer and so its border; the layer that writes the value writes over the rest. */
const fill = (value: number, b: ValueBuffer): string[] => [
  '#pragma clang loop unroll_count(8)',
  `for (int i = 0; i < ${Math.ceil(bufferBytes(b) / 8)}; i++) { /* border of value ${value} */`,
  `\t((__u64 *)(${startOf(b)}))[i] = 0x${wordOf(b, b.fill)}ULL;`,
  `\t${NO_IDIOM}`,
  '}',
];

/** Payload (channels outermost) to buffer (channels innermost, unsigned, with border). */
function copyInput(plan: XdpPlan): string[] {
  const b = plan.buffers.get(plan.options.from)!;
  if (b.channels === 1 && elementBytesOf(b) === 1) return copyRows(plan, b);
  const sign = { uint8: '', int8: ' ^ 0x80', uint16: '', int16: ' ^ 0x8000' }[plan.input.element];
  const [target, payload] =
    elementBytesOf(b) === 1
      ? [
          `${pageOf(b)}[${b.offset + pixelAt(b, 0, 0)} + y * ${rowElements(b)} + x * ${b.channels} + c]`,
          'payload',
        ]
      : [
          `(${byteOf(b, pixelAt(b, 0, 0))})[y * ${rowElements(b)} + x * ${b.channels} + c]`,
          '((const __u16 *)payload)',
        ];
  return [
    `for (int c = 0; c < ${b.channels}; c++)`,
    `\tfor (int y = 0; y < ${b.height}; y++)`,
    `\t\tfor (int x = 0; x < ${b.width}; x++) {`,
    `\t\t\t${target} = ${payload}[(c * ${b.height} + y) * ${b.width} + x]${sign};`,
    `\t\t\t${NO_IDIOM}`,
    '\t\t}',
  ];
}

/** Rows of one channel that lie in the packet as in the buffer: one, if nothing stands between them. */
export const copiedRows = (b: ValueBuffer): readonly [rows: number, width: number] =>
  hasBorder(b) ? [b.height, b.width] : [1, b.height * b.width];

/** One channel: rows lie in the packet as in the buffer, so a word is moved at a time. */
function copyRows(plan: XdpPlan, b: ValueBuffer): string[] {
  const [rows, width] = copiedRows(b);
  const words = Math.floor(width / 8);
  const signed = plan.input.element === 'int8';
  const to = `(${byteOf(b, pixelAt(b, 0, 0))} + y * ${rowElements(b)})`;
  const from = `(payload + y * ${width})`;
  const loop = (from: number, to: number, statement: string) => [
    '#pragma clang loop unroll_count(4)',
    `\tfor (int x = ${from}; x < ${to}; x++) {`,
    `\t\t${statement}`,
    `\t\t${NO_IDIOM}`,
    '\t}',
  ];
  const word = `((__u64 *)${to})[x] = ((const __u64 *)${from})[x]${signed ? ' ^ 0x8080808080808080ULL' : ''};`;
  const byte = `${to}[x] = ${from}[x]${signed ? ' ^ 0x80' : ''};`;
  return [
    '#pragma clang loop unroll(disable)',
    `for (int y = 0; y < ${rows}; y++) {`,
    ...(words > 0 ? loop(0, words, word) : []),
    ...(width % 8 > 0 ? loop(8 * words, width, byte) : []),
    '}',
  ];
}

/** Buffer (channels innermost) to the wire's order (channels outermost). */
function moveChannelsOut(plan: XdpPlan): string[] {
  const b = plan.buffers.get(plan.options.to)!;
  if (!movesChannels(b)) return [];
  const pixels = b.height * b.width;
  const move =
    elementBytesOf(b) === 1
      ? `bytes[${resultAt(plan)} + c * ${pixels} + p] = ${pageOf(b)}[${b.offset} + p * ${b.channels} + c];`
      : `((__u16 *)(bytes + ${resultAt(plan)}))[c * ${pixels} + p] = (${startOf(b)})[p * ${b.channels} + c];`;
  return [`for (int c = 0; c < ${b.channels}; c++)`, `\tfor (int p = 0; p < ${pixels}; p++)`, `\t\t${move}`];
}

import { isBroadcast } from '../../model/broadcast.ts';
import { elementCount, elementRange } from '../../model/tensor.ts';
import { commentText } from '../common/comment.ts';
import {
  elementType,
  imageShape,
  isRowMajor,
  liesAlike,
  pixelAt,
  rowElements,
  type ValueBuffer,
} from './buffers.ts';
import { forestBody } from './emit-forest.ts';
import { embeddingBody, gatherBody, padBody, softmaxBody, transposeBody } from './emit-lookup.ts';
import { callPositions, pixelPlace, pixelPointer, positionCallback, rowPlace } from './emit-loop.ts';
import { type ElementwisePlan, sumWords } from './plan.ts';

/** C of a layer without weights. All values are unsigned activations in scratch memory. */
export function emitElementwise(p: ElementwisePlan): string {
  const parameters = p.from.map((b, i) => `const ${elementType(b)} *from${i}`).join(', ');
  const lines = body(p);
  return [
    `/* ${commentText(p.layer.name)}: ${p.layer.kind} */`,
    ...(p.loop === 'plain' ? [] : positionCallback(p, lines)),
    `static __always_inline void layer${p.index}(${parameters}, ${elementType(p.to)} *to, const struct intransit_weights *w${sumWords(p) > 0 ? ', __u64 *sums' : ''})`,
    '{',
    ...(p.loop === 'plain' ? lines : callPositions(p)),
    '}',
  ].join('\n');
}

/** All of the layer, or what it does at one position. */
function body(p: ElementwisePlan): string[] {
  const { layer } = p;
  switch (layer.kind) {
    case 'maxPool':
      return overWindows(p, ['__s64 most = 0;'], 'most = intransit_max(most, in[at]);', 'most');
    case 'averagePool':
      return overWindows(
        p,
        ['__s64 sum = 0;'],
        `sum += in[at];`,
        requantised(p, `sum - ${sumOffset(p)}`, poolChannel(p)),
      );
    case 'requantise':
      return overElements(p, ([x]) => requantised(p, `(__s64)${x} - ${unsignedZero(p, 0)}`));
    case 'add': {
      const { shift, min, max } = layer;
      const term = (x: string, i: number) =>
        `((__s64)${x} - ${unsignedZero(p, i)}) * (__s64)w->layer${p.index}_multiplier[${i}]`;
      return overElements(p, (inputs) => {
        const sum = `${inputs.map(term).join(' + ')} + (__s64)w->layer${p.index}_offset[0]`;
        return `intransit_clamp(${shifted(p, sum, shift)}, ${min}, ${max}) - ${leastOf(p)}`;
      });
    }
    case 'mul':
      return overElements(p, (inputs) => {
        const factors = inputs.map((x, i) => `((__s64)${x} - ${unsignedZero(p, i)})`);
        return requantised(p, factors.join(' * '));
      });
    case 'softmax':
      return softmaxBody({ ...p, layer }, walkStart, walkOn);
    case 'gather':
      return gatherBody({ ...p, layer });
    case 'argmax':
      return argmax(p);
    case 'forest':
      return forestBody({ ...p, layer, forest: p.forest! });
    case 'lut': {
      const table = layer.table.length > 256 ? `TABLE * 256 + ` : '';
      return overElements(p, ([x], at) => `w->layer${p.index}_table[${table.replace('TABLE', at)}${x}]`);
    }
    case 'pad':
      return padBody({ ...p, layer });
    case 'transpose':
      return transposeBody({ ...p, layer });
    case 'embedding':
      return embeddingBody({ ...p, layer }, (acc) => requantised(p, acc), walkStart, walkOn);
  }
}

const leastOf = (p: ElementwisePlan): number => elementRange(p.layer.output.element).lo;

/** The zero point among unsigned activations. */
const unsignedZero = (p: ElementwisePlan, input: number): number =>
  p.inputs[input]!.zeroPoint - elementRange(p.inputs[input]!.element).lo;

/** What the unsigned zero points of a whole window add to its sum; the border holds the zero point as well. */
const sumOffset = (p: ElementwisePlan): number =>
  p.layer.kind === 'averagePool' ? unsignedZero(p, 0) * p.layer.kernel[0] * p.layer.kernel[1] : 0;

/** Where the divisor depends on the position, so do the numbers. */
const poolChannel = (p: ElementwisePlan): string =>
  p.layer.kind === 'averagePool' && p.layer.divisors.length > 1
    ? `py * ${imageShape(p.layer.output.shape)[2]} + px`
    : '0';

function requantised(p: ElementwisePlan, acc: string, channel = '0'): string {
  if (!('requantiser' in p.layer)) throw new Error('layer has no requantiser');
  const { min, max } = p.layer.requantiser;
  const number = (part: string) => `w->layer${p.index}_${part}[${channel}]`;
  const scaled = p.below
    ? `(__s64)intransit_two_lines(${acc}, ${['multiplier', 'offset', 'pivot', 'below'].map(number).join(', ')})`
    : `(${acc}) * (__s64)${number('multiplier')} + (__s64)${number('offset')}`;
  return `intransit_clamp(${shifted(p, scaled, p.shift, channel)}, ${min}, ${max}) - ${leastOf(p)}`;
}

const shifted = (p: ElementwisePlan, scaled: string, shift: number, channel = '0'): string =>
  p.odd === undefined
    ? `(${scaled}) >> ${shift}`
    : `intransit_to_even(${scaled}, ${shift}, ${p.odd}, w->layer${p.index}_ties[${channel}])`;

/**
 * Loops over all elements, or those of a position or a row, which lie one after the other.
 * @param resultOf C of an element of the output, from those of the inputs and the index of its table
 */
function overElements(
  p: ElementwisePlan,
  resultOf: (inputs: readonly string[], table: string) => string,
): string[] {
  const broadcast = p.from.map((_, i) => isBroadcast(p.inputs[i]!.shape, p.layer.output.shape));
  if (p.loop !== 'plain') {
    const place = p.loop === 'rows' ? rowPlace : pixelPlace;
    const inputPlace = (b: ValueBuffer, i: number) => (broadcast[i] ? `${pixelAt(b, 0, 0)}` : place(b));
    return [
      ...p.from.flatMap((b, i) =>
        pixelPointer(`const ${elementType(b)}`, `in${i}`, `from${i}`, inputPlace(b, i)),
      ),
      ...pixelPointer(elementType(p.to), 'out', 'to', place(p.to)),
      '#pragma clang loop unroll_count(4)',
      `\tfor (int i = 0; i < ${p.to.channels * (p.loop === 'rows' ? p.to.width : 1)}; i++) {`,
      `\t\tout[i] = ${resultOf(
        p.from.map((_, i) => `in${i}[i]`),
        'i',
      )};`,
      '\t}',
    ];
  }
  const value = resultOf(
    p.from.map((_, i) => `from${i}[at${i}]`),
    'at_table',
  );
  const count = elementCount(p.layer.output.shape);
  if (isFlatLoop(p)) {
    const indices = p.from.map((_, i) => `at${i} = i`).join(', ');
    return [
      '#pragma clang loop unroll_count(4)',
      `\tfor (int i = 0; i < ${count}; i++) {`,
      `\t\tint ${indices};`,
      '',
      `\t\tto[i] = ${value};`,
      '\t}',
    ];
  }
  // Borders or views of other shapes: each side is walked in row-major order, for itself.
  const sides = p.from.map((b, i) => ({ b, name: `${i}` })).filter((_, i) => !broadcast[i]);
  const walks = [...sides, { b: p.to, name: '_to' }];
  const slow = slowSides(p);
  return [
    ...walks.map(({ b, name }) => walkStart(b, name)),
    ...slow.map(({ name }) => `\tint at${name} = 0, step${name} = 0;`),
    '',
    '#pragma clang loop unroll(disable)',
    `\tfor (int i = 0; i < ${count}; i++) {`,
    `\t\tto[at_to] = ${value};`,
    ...walks.flatMap(({ b, name }) => walkOn(b, name)),
    ...slow.flatMap(({ name, each }) => [
      `\t\tif (++step${name} == ${each}) {`,
      `\t\t\tstep${name} = 0;`,
      `\t\t\tat${name}++;`,
      '\t\t}',
    ]),
    '\t}',
  ];
}

/** What stays for several elements: an operand that is the same at all positions, the table of a channel. */
export function slowSides({ layer, inputs }: ElementwisePlan): { name: string; each: number }[] {
  const { shape } = layer.output;
  const count = elementCount(shape);
  const operands = inputs.flatMap((input, i) =>
    isBroadcast(input.shape, shape) ? [{ name: `${i}`, each: count / shape[0]! }] : [],
  );
  if (layer.kind !== 'lut' || layer.table.length === 256) return operands;
  return [...operands, { name: '_table', each: (count * 256) / layer.table.length }];
}

/** Whether one index is the place of an element in all buffers. */
export const isFlatLoop = (p: ElementwisePlan): boolean =>
  slowSides(p).length === 0 && p.from.every((b) => liesAlike(b, p.to));

const walkStart = (b: ValueBuffer, name: string): string =>
  `\tint at${name} = ${pixelAt(b, 0, 0)}${isRowMajor(b) ? '' : `, x${name} = 0, y${name} = 0`};`;

/** The byte of the next element: one pixel on, at the end of a row to the next, at the last to the next channel. */
function walkOn(b: ValueBuffer, name: string): string[] {
  if (isRowMajor(b)) return [`\t\tat${name}++;`];
  const [at, x, y] = [`at${name}`, `x${name}`, `y${name}`];
  return [
    `\t\t${at} += ${b.channels};`,
    `\t\tif (++${x} == ${b.width}) {`,
    `\t\t\t${x} = 0;`,
    `\t\t\t${at} += ${rowElements(b) - b.width * b.channels};`,
    `\t\t\tif (++${y} == ${b.height}) {`,
    `\t\t\t\t${y} = 0;`,
    `\t\t\t\t${at} += ${1 - b.height * rowElements(b)};`,
    '\t\t\t}',
    '\t\t}',
  ];
}

/** Loops over output positions (but for a body of theirs), channels and taps; `in[at]` is the tap. */
function overWindows(p: ElementwisePlan, start: readonly string[], tap: string, result: string): string[] {
  const layer = p.layer;
  if (layer.kind !== 'maxPool' && layer.kind !== 'averagePool') throw new Error('layer has no window');
  const from = p.from[0]!;
  const [channels, height, width] = imageShape(layer.output.shape);
  const [kh, kw] = layer.kernel;
  const [sy, sx] = layer.strides;
  const origin = pixelAt(from, -layer.pads[0], -layer.pads[1]);
  const source = `${origin} + py * ${sy * rowElements(from)} + px * ${sx * from.channels}`;
  const [down, right] = layer.dilations ?? [1, 1];
  const loop = (variable: string, count: number) => [
    '#pragma clang loop unroll(disable)',
    `\tfor (int ${variable} = 0; ${variable} < ${count}; ${variable}++)`,
  ];
  const overChannels = loop('c', channels).map((line, i) => (i === 0 ? line : `${line} {`));
  const [before, input, output] =
    p.loop === 'plain'
      ? [[...loop('py', height), ...loop('px', width)], `from0 + ${source}`, `to[${pixelPlace(p.to)} + c]`]
      : [
          [
            ...pixelPointer(`const ${elementType(from)}`, 'pixel', 'from0', source),
            ...pixelPointer(elementType(p.to), 'out', 'to', pixelPlace(p.to)),
          ],
          'pixel',
          'out[c]',
        ];
  return [
    ...before,
    ...(p.loop === 'elements' ? ['\t{'] : overChannels),
    `\t\tconst ${elementType(from)} *in = ${input} + c;`,
    ...start.map((line) => `\t\t${line}`),
    '#pragma clang loop unroll(full)',
    `\t\tfor (int r = 0; r < ${kh}; r++)`,
    '#pragma clang loop unroll(full)',
    `\t\tfor (int t = 0; t < ${kw}; t++) {`,
    `\t\t\tint at = r * ${down * rowElements(from)} + t * ${right * from.channels};`,
    `\t\t\t${tap}`,
    '\t\t}',
    `\t\t${output} = ${result};`,
    '\t}',
  ];
}

/**
 * Element and index are compared as one number, the index reversed, so that the first of equals is the largest. To select
 * the index by a mask would fork the verifier's walk: it follows both values of a sign that meets a known number.
 */
function argmax(p: ElementwisePlan): string[] {
  const from = p.from[0]!;
  const walks = !isRowMajor(from);
  return [
    `\t__s64 best = -512 * 65536, second = best;`,
    ...(walks ? [walkStart(from, '0')] : []),
    '',
    `#pragma clang loop ${walks ? 'unroll(disable)' : 'unroll_count(4)'}`,
    `\tfor (int i = 0; i < ${elementCount(p.inputs[0]!.shape)}; i++) {`,
    `\t\t__s64 key = ((__s64)from0[${walks ? 'at0' : 'i'}] << 16) + (0xffff - i);`,
    '\t\t__s64 most = intransit_max(best, key);',
    '',
    '\t\tsecond = intransit_max(second, best + key - most);',
    '\t\tbest = most;',
    ...(walks ? walkOn(from, '0') : []),
    '\t}',
    '\tto[0] = 0xffff - (best & 0xffff);',
    '\tto[1] = intransit_clamp((best >> 16) - (second >> 16), 0, 255);',
  ];
}

import type { Layer, Model, Window } from '../../model/model.ts';
import { inputType, outputType, valueType } from '../../model/model.ts';
import type { Requantiser } from '../../model/requantiser.ts';
import { elementCount, type TensorType } from '../../model/tensor.ts';
import { commentText } from '../common/comment.ts';
import { forestBody } from './emit-forest.ts';
import { embeddingBody, gatherBody, lutBody, padBody, softmaxBody, transposeBody } from './emit-lookup.ts';

/**
 * The layers as plain C for the host, one multiply a weight: the yardstick of `bench`, and a second witness of the integers
 * in the tests. The program reads rows on stdin; `run` writes their outputs to stdout, `time N` prints the nanoseconds of N
 * inferences over the rows in turn, and of N times eight multiplies that do not wait for each other.
 */
export function emitNative(model: Model): string {
  const out: string[] = [
    '#include <stdint.h>',
    '#include <stdio.h>',
    '#include <stdlib.h>',
    '#include <time.h>',
    '',
    'static inline int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }',
    ...(model.layers.some(hasTies) ? TO_EVEN : []),
    '',
  ];
  for (const [i, layer] of model.layers.entries()) out.push(...constants(layer, i));
  for (const [i, layer] of model.layers.entries()) out.push(...layerFunction(model, layer, i));
  out.push(...entryPoints(model));
  return out.join('\n');
}

const hasTies = (layer: Layer): boolean =>
  'requantiser' in layer
    ? layer.requantiser.ties !== undefined
    : layer.kind === 'add' && layer.ties !== undefined;

const TO_EVEN = [
  'static inline int64_t to_even(int64_t x, int shift, int odd, int64_t part) { return ((x >> shift & 1) == odd ? x - part : x) >> shift; }',
];

const cType = (t: TensorType): string => `${t.element}_t`;

function array(type: string, name: string, values: Iterable<number>): string {
  const literals = Array.from(values, (v) => `${v}${type === 'int64_t' ? 'LL' : ''}`);
  return `static const ${type} ${name}[${literals.length}] = {${literals.join(', ')}};`;
}

function constants(layer: Layer, i: number): string[] {
  const out: string[] = [];
  if (layer.kind === 'dense' || layer.kind === 'conv2d') {
    const narrow = layer.weights.every((w) => w >= -128 && w <= 127);
    out.push(
      array(narrow ? 'int8_t' : 'int16_t', `w${i}`, layer.weights),
      array('int32_t', `b${i}`, layer.bias),
    );
  }
  if ('requantiser' in layer) {
    out.push(
      array('int64_t', `m${i}`, layer.requantiser.multiplier),
      array('int64_t', `r${i}`, layer.requantiser.offset),
    );
    const { below, ties } = layer.requantiser;
    if (ties !== undefined) out.push(array('int64_t', `e${i}`, ties.part));
    if (below !== undefined)
      out.push(array('int64_t', `p${i}`, below.pivot), array('int64_t', `s${i}`, below.offset));
  }
  if (layer.kind === 'lut' || layer.kind === 'embedding') out.push(array('int16_t', `t${i}`, layer.table));
  if (layer.kind === 'forest') {
    const { feature, threshold, low, high } = layer.nodes;
    out.push(
      array('int32_t', `o${i}`, layer.roots),
      array('int16_t', `f${i}`, feature),
      array('int16_t', `t${i}`, threshold),
      array('int32_t', `l${i}`, low),
      array('int32_t', `h${i}`, high),
      array('int64_t', `s${i}`, layer.scores),
      array('int64_t', `b${i}`, layer.base),
    );
  }
  if (layer.kind === 'gather') out.push(array('int32_t', `g${i}`, layer.sources));
  if (layer.kind === 'softmax')
    out.push(array('int64_t', `e${i}`, layer.exponentials), array('int64_t', `n${i}`, layer.numerators));
  return out;
}

function scaled(r: Requantiser, i: number, channel: string, acc: string): string {
  const offset =
    r.below === undefined
      ? `r${i}[${channel}]`
      : `((${acc}) < p${i}[${channel}] ? s${i}[${channel}] : r${i}[${channel}])`;
  const sum = `(int64_t)(${acc}) * m${i}[${channel}] + ${offset}`;
  const shifted =
    r.ties === undefined ? `(${sum}) >> ${r.shift}` : toEven(sum, r.shift, r.ties.odd, `e${i}[${channel}]`);
  return `clamp(${shifted}, ${r.min}, ${r.max})`;
}

const toEven = (sum: string, shift: number, odd: 0 | 1, part: string): string =>
  `to_even(${sum}, ${shift}, ${odd}, ${part})`;

function layerFunction(model: Model, layer: Layer, i: number): string[] {
  const inputs = layer.inputs.map((v, k) => `const ${cType(valueType(model, v))} *x${k}`).join(', ');
  return [
    '',
    `/* ${commentText(layer.name)} */`,
    `static void layer${i}(${inputs}, ${cType(layer.output)} *y)`,
    '{',
    ...body(model, layer, i).map((line) => `\t${line}`),
    '}',
  ];
}

// Long: a case a kind of layer, each with its text.
function body(model: Model, layer: Layer, i: number): string[] {
  const input = inputType(model, layer);
  const zero = input.zeroPoint;
  const count = elementCount(layer.output.shape);
  switch (layer.kind) {
    case 'dense': {
      const taps = layer.weights.length / layer.bias.length;
      return [
        `for (int o = 0; o < ${count}; o++) {`,
        `\tint32_t acc = b${i}[o];`,
        `\tfor (int t = 0; t < ${taps}; t++) acc += w${i}[o * ${taps} + t] * (x0[t] - ${zero});`,
        `\ty[o] = ${scaled(layer.requantiser, i, 'o', 'acc')};`,
        '}',
      ];
    }
    case 'conv2d': {
      const inGroup = input.shape[0]! / layer.groups;
      const outGroup = layer.bias.length / layer.groups;
      const [kh, kw] = layer.kernel;
      const taps = [
        `for (int g = 0; g < ${inGroup}; g++) {`,
        `\tint ci = c / ${outGroup} * ${inGroup} + g;`,
        `\tacc += w${i}[((c * ${inGroup} + g) * ${kh} + ky) * ${kw} + kx] * (${pixel(input, 'ci')} - ${zero});`,
        '}',
      ];
      return windows(
        layer,
        input,
        layer,
        `int32_t acc = b${i}[c];`,
        taps,
        scaled(layer.requantiser, i, 'c', 'acc'),
      );
    }
    case 'maxPool':
      return windows(
        layer,
        input,
        layer,
        'int acc = -256;',
        [`if (${pixel(input, 'c')} > acc) acc = ${pixel(input, 'c')};`],
        'acc',
      );
    case 'averagePool': {
      const divisors = layer.countPadding
        ? '0'
        : layer.divisors.map((d, k) => `(n == ${d}) * ${k}`).join(' + ');
      const taps = [`acc += ${pixel(input, 'c')} - ${zero};`, 'n++;'];
      return windows(
        layer,
        input,
        layer,
        'int32_t acc = 0, n = 0;',
        taps,
        scaled(layer.requantiser, i, divisors, 'acc'),
      );
    }
    case 'requantise':
      return [
        `for (int o = 0; o < ${count}; o++) y[o] = ${scaled(layer.requantiser, i, '0', `x0[o] - ${zero}`)};`,
      ];
    case 'add': {
      const [ma, mb] = layer.multipliers;
      const zb = valueType(model, layer.inputs[1]!).zeroPoint;
      const [a, b] = operands(model, layer);
      const sum = `(${a} - ${zero}) * ${ma}LL + (${b} - ${zb}) * ${mb}LL + ${layer.offset}LL`;
      const { ties, shift } = layer;
      const shifted =
        ties === undefined ? `(${sum}) >> ${shift}` : toEven(sum, shift, ties.odd, `${ties.part}LL`);
      return [`for (int o = 0; o < ${count}; o++) y[o] = clamp(${shifted}, ${layer.min}, ${layer.max});`];
    }
    case 'mul': {
      const [a, b] = operands(model, layer);
      const product = `(${a} - ${zero}) * (${b} - ${valueType(model, layer.inputs[1]!).zeroPoint})`;
      return [`for (int o = 0; o < ${count}; o++) y[o] = ${scaled(layer.requantiser, i, '0', product)};`];
    }
    case 'softmax':
      return softmaxBody(layer, i);
    case 'gather':
      return gatherBody(
        layer,
        i,
        layer.inputs.map((v) => elementCount(valueType(model, v).shape)),
      );
    case 'pad':
      return padBody(layer, input);
    case 'transpose':
      return transposeBody(layer);
    case 'lut':
      return lutBody(layer, i, input);
    case 'embedding':
      return embeddingBody(layer, i, scaled(layer.requantiser, i, '0', 'acc'));
    case 'forest':
      return forestBody(layer, i);
    case 'argmax':
      return [
        // Of one element alone the margin is the most there is.
        'int best = 0, second = -512;',
        `for (int k = 1; k < ${elementCount(input.shape)}; k++) if (x0[k] > x0[best]) best = k;`,
        `for (int k = 0; k < ${elementCount(input.shape)}; k++) if (k != best && x0[k] > second) second = x0[k];`,
        'y[0] = best;',
        'y[1] = clamp(x0[best] - second, 0, 255);',
      ];
  }
}

/** C of the elements of both inputs; one of an element a channel repeats it. */
const operands = (model: Model, layer: Layer): [string, string] => {
  const each = (k: 0 | 1) =>
    elementCount(layer.output.shape) / elementCount(valueType(model, layer.inputs[k]!).shape);
  return [`x0[o / ${each(0)}]`, `x1[o / ${each(1)}]`];
};

const pixel = (input: TensorType, channel: string): string =>
  `x0[(${channel} * ${input.shape[1]} + iy) * ${input.shape[2]} + ix]`;

/** Loops over the output's positions and the taps inside the image. */
function windows(
  w: Window,
  input: TensorType,
  layer: Layer,
  start: string,
  tap: string[],
  result: string,
): string[] {
  const [channels, height, width] = layer.output.shape;
  return [
    `for (int c = 0; c < ${channels}; c++)`,
    `for (int oy = 0; oy < ${height}; oy++)`,
    `for (int ox = 0; ox < ${width}; ox++) {`,
    `\t${start}`,
    `\tfor (int ky = 0; ky < ${w.kernel[0]}; ky++) {`,
    `\t\tint iy = oy * ${w.strides[0]} + ky * ${w.dilations?.[0] ?? 1} - ${w.pads[0]};`,
    `\t\tif (iy < 0 || iy >= ${input.shape[1]}) continue;`,
    `\t\tfor (int kx = 0; kx < ${w.kernel[1]}; kx++) {`,
    `\t\t\tint ix = ox * ${w.strides[1]} + kx * ${w.dilations?.[1] ?? 1} - ${w.pads[1]};`,
    `\t\t\tif (ix < 0 || ix >= ${input.shape[2]}) continue;`,
    ...tap.map((line) => `\t\t\t${line}`),
    '\t\t}',
    '\t}',
    `\ty[(c * ${height} + oy) * ${width} + ox] = ${result};`,
    '}',
  ];
}

function entryPoints(model: Model): string[] {
  const inputBytes = elementCount(model.input.shape);
  const outputBytes = elementCount(outputType(model).shape);
  const last = model.layers.length;
  const name = (v: number) => (v === 0 ? 'in' : v === last ? 'out' : `v${v}`);
  const calls = model.layers.map((layer, i) => {
    const inputs = layer.inputs.map((v) => `(const void *)${name(v)}`);
    return `\tlayer${i}(${[...inputs, `(void *)${name(i + 1)}`].join(', ')});`;
  });
  const buffers = model.layers
    .slice(0, -1)
    .map((l, i) => `\tuint8_t v${i + 1}[${elementCount(l.output.shape)}];`);
  return [
    '',
    'static void intransit_infer(const uint8_t *in, uint8_t *out)',
    '{',
    ...buffers,
    ...calls,
    '}',
    '',
    'static double now(void)',
    '{',
    '\tstruct timespec t;',
    '',
    '\tclock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);',
    '\treturn t.tv_sec * 1e9 + t.tv_nsec;',
    '}',
    '',
    'int main(int argc, char **argv)',
    '{',
    `\tstatic uint8_t rows[1 << 26], out[${outputBytes}];`,
    `\tlong count = fread(rows, 1, sizeof(rows), stdin) / ${inputBytes}, n = argc > 2 ? atol(argv[2]) : 0;`,
    '\tuint64_t m = 0x9e3779b97f4a7c15ULL, a[8] = {1, 2, 3, 4, 5, 6, 7, 8};',
    '\tdouble start, layers;',
    '',
    '\tfor (long i = 0; n == 0 && i < count; i++) {',
    `\t\tintransit_infer(rows + i * ${inputBytes}, out);`,
    '\t\tfwrite(out, 1, sizeof(out), stdout);',
    '\t}',
    '\tif (n == 0) return 0;',
    '\tstart = now();',
    '\tfor (long i = 0; i < n; i++) {',
    `\t\tintransit_infer(rows + i % count * ${inputBytes}, out);`,
    '\t\t__asm__ volatile("" : : "r"(out) : "memory");',
    '\t}',
    '\tlayers = now() - start;',
    '\t__asm__ volatile("" : "+r"(m));',
    '\tstart = now();',
    '\tfor (long i = 0; i < n; i++) {',
    ...Array.from({ length: 8 }, (_, k) => `\t\ta[${k}] *= m; __asm__ volatile("" : "+r"(a[${k}]));`),
    '\t}',
    '\tprintf("%f %f\\n", layers, now() - start);',
    '\treturn 0;',
    '}',
    '',
  ];
}

import { elementRange } from '../../model/tensor.ts';
import { bufferBytes, imageShape, pixelAt, rowBytes } from './buffers.ts';
import type { ElementwisePlan } from './plan.ts';

/** C of a layer without weights. All values are unsigned activations in scratch memory. */
export function emitElementwise(p: ElementwisePlan): string {
  const parameters = p.inputs.map((_, i) => `const __u8 *from${i}`).join(', ');
  return [
    `/* ${p.layer.name}: ${p.layer.kind} */`,
    `static __always_inline void layer${p.index}(${parameters}, __u8 *to, const struct intransit_weights *w)`,
    '{',
    ...body(p),
    '}',
  ].join('\n');
}

function body(p: ElementwisePlan): string[] {
  switch (p.layer.kind) {
    case 'maxPool':
      return overWindows(p, ['__s64 most = 0;'], 'most = intransit_max(most, in[at]);', 'most');
    case 'averagePool':
      return overWindows(p, ['__s64 sum = 0;'], `sum += in[at];`, requantised(p, `sum - ${sumOffset(p)}`));
    case 'requantise':
      return overElements(p, requantised(p, `(__s64)from0[i] - ${unsignedZero(p, 0)}`));
    case 'add': {
      const { shift, min, max } = p.layer;
      const term = (i: number) =>
        `((__s64)from${i}[i] - ${unsignedZero(p, i)}) * (__s64)w->layer${p.index}_multiplier[${i}]`;
      const sum = `${term(0)} + ${term(1)} + (__s64)w->layer${p.index}_offset[0]`;
      return overElements(p, `intransit_clamp((${sum}) >> ${shift}, ${min}, ${max}) - ${leastOf(p)}`);
    }
    case 'argmax':
      return argmax(p);
  }
}

const leastOf = (p: ElementwisePlan): number => elementRange(p.layer.output.element).lo;

/** The zero point among unsigned activations. */
const unsignedZero = (p: ElementwisePlan, input: number): number =>
  p.inputs[input]!.zeroPoint - elementRange(p.inputs[input]!.element).lo;

/** What the unsigned zero points of a whole window add to its sum; the border holds the zero point as well. */
const sumOffset = (p: ElementwisePlan): number =>
  p.layer.kind === 'averagePool' ? unsignedZero(p, 0) * p.layer.kernel[0] * p.layer.kernel[1] : 0;

function requantised(p: ElementwisePlan, acc: string): string {
  if (p.layer.kind !== 'requantise' && p.layer.kind !== 'averagePool')
    throw new Error('layer has no requantiser');
  const { shift, min, max } = p.layer.requantiser;
  const scaled = `(${acc}) * (__s64)w->layer${p.index}_multiplier[0] + (__s64)w->layer${p.index}_offset[0]`;
  return `intransit_clamp((${scaled}) >> ${shift}, ${min}, ${max}) - ${leastOf(p)}`;
}

function overElements(p: ElementwisePlan, value: string): string[] {
  // Element for element in memory: both sides lie alike, their borders included.
  const bytes = bufferBytes(p.to);
  return [
    '#pragma clang loop unroll_count(4)',
    `\tfor (int i = 0; i < ${bytes}; i++)`,
    `\t\tto[i] = ${value};`,
  ];
}

/** Loops over output positions, channels and taps; `in[at]` is the tap. */
function overWindows(p: ElementwisePlan, start: readonly string[], tap: string, result: string): string[] {
  const layer = p.layer;
  if (layer.kind !== 'maxPool' && layer.kind !== 'averagePool') throw new Error('layer has no window');
  const from = p.from[0]!;
  const [channels, height, width] = imageShape(layer.output.shape);
  const [kh, kw] = layer.kernel;
  const [sy, sx] = layer.strides;
  const origin = pixelAt(from, -layer.pads[0], -layer.pads[1]);
  const loop = (variable: string, count: number) => [
    '#pragma clang loop unroll(disable)',
    `\tfor (int ${variable} = 0; ${variable} < ${count}; ${variable}++)`,
  ];
  return [
    ...loop('py', height),
    ...loop('px', width),
    ...loop('c', channels).map((line, i) => (i === 0 ? line : `${line} {`)),
    `\t\tconst __u8 *in = from0 + ${origin} + py * ${sy * rowBytes(from)} + px * ${sx * from.channels} + c;`,
    ...start.map((line) => `\t\t${line}`),
    '#pragma clang loop unroll(full)',
    `\t\tfor (int r = 0; r < ${kh}; r++)`,
    '#pragma clang loop unroll(full)',
    `\t\tfor (int t = 0; t < ${kw}; t++) {`,
    `\t\t\tint at = r * ${rowBytes(from)} + t * ${from.channels};`,
    `\t\t\t${tap}`,
    '\t\t}',
    `\t\tto[${pixelAt(p.to, 0, 0)} + py * ${rowBytes(p.to)} + px * ${p.to.channels} + c] = ${result};`,
    '\t}',
  ];
}

function argmax(p: ElementwisePlan): string[] {
  const from = p.from[0]!;
  const count = from.channels * from.height * from.width;
  return [
    '\t__s64 best = from0[0], second = -256, index = 0;',
    '',
    '#pragma clang loop unroll_count(4)',
    `\tfor (int i = 1; i < ${count}; i++) {`,
    '\t\t__s64 v = from0[i];',
    '\t\t__s64 larger = (best - v) >> 63;',
    '',
    '\t\tINTRANSIT_OPAQUE(larger);',
    '\t\tsecond = intransit_max(second, (best & larger) | (v & ~larger));',
    '\t\tbest = (v & larger) | (best & ~larger);',
    '\t\tindex = (i & larger) | (index & ~larger);',
    '\t}',
    '\tto[0] = index;',
    '\tto[1] = intransit_clamp(best - second, 0, 255);',
  ];
}

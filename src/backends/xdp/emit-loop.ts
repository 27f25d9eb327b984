import { elementType, imageShape, pixelAt, rowElements, type ValueBuffer } from './buffers.ts';
import type { LayerPlan } from './plan.ts';
import { RECIPROCAL_SHIFT } from './reciprocal.ts';

/** Pointers that a loop's body works on, by their names in it and in the struct that brings them there. */
interface Work {
  readonly struct: string;
  readonly inputs: readonly (readonly [local: string, field: string, type: string])[];
  readonly to: string;
}

function workOf(p: LayerPlan): Work {
  const struct = 'intransit_loop';
  const to = elementType(p.to);
  if (p.kind === 'matrix') return { struct, inputs: [['from', 'from', elementType(p.from)]], to };
  const [first, ...more] = p.from;
  if (more.length === 0) return { struct, inputs: [['from0', 'from', elementType(first!)]], to };
  const inputs = p.from.map((b, i) => [`from${i}`, `from${i}`, elementType(b)] as const);
  return { struct: `layer${p.index}_work`, inputs, to };
}

/**
 * The body of `bpf_loop` over the output's positions, its rows or its elements: inside, `py` and `px` are the position, `c` an
 * element's channel. All are checked although they keep to the image, as the verifier does not know.
 */
export function positionCallback(p: LayerPlan, body: readonly string[]): string[] {
  const work = workOf(p);
  const { struct, inputs, to } = work;
  return [
    ...(inputs.length > 1 ? workStruct(work) : []),
    `static long layer${p.index}_position(__u32 index, struct ${struct} *work)`,
    '{',
    ...(p.layer.kind === 'maxPool' ? [] : ['\tconst struct intransit_weights *w = work->weights;']),
    ...inputs.map(([local, field, type]) => `\tconst ${type} *${local} = work->${field};`),
    `\t${to} *to = work->to;`,
    ...placeOfIndex(p),
    ...(p.loop === 'rows' && hasColumns(p)
      ? [
          '#pragma clang loop unroll(disable)',
          `\tfor (__u64 px = 0; px < ${imageShape(p.layer.output.shape)[2]}; px++) {`,
        ]
      : ['\t{']),
    ...body,
    '\t}',
    '\treturn 0;',
    '}',
    '',
  ];
}

const workStruct = ({ struct, inputs, to }: Work): string[] => [
  `struct ${struct} {`,
  '\tconst struct intransit_weights *weights;',
  ...inputs.map(([, field, type]) => `\tconst ${type} *${field};`),
  `\t${to} *to;`,
  '};',
  '',
];

function placeOfIndex(p: LayerPlan): string[] {
  const [channels, height, width] = imageShape(p.layer.output.shape);
  const check = [`\tif (index >= ${loopCount(p)})`, '\t\treturn 1;'];
  switch (p.loop) {
    case 'plain':
      throw new Error('layer is not looped over');
    case 'rows':
      return ['\t__u64 py = index;', '', ...check];
    case 'positions':
      return ['\t__u64 py, px;', '', ...check, ...divide('index', width, height, 'py', 'px')];
    case 'elements':
      return [
        '\t__u64 position, c, py, px;',
        '',
        ...check,
        ...divide('index', channels, height * width, 'position', 'c'),
        ...divide('position', width, height, 'py', 'px'),
      ];
  }
}

/** Whether each position is computed for itself; else a row is a row of elements. */
const hasColumns = (p: LayerPlan): boolean => p.kind === 'matrix' || 'kernel' in p.layer;

/** C of `quotient` and `remainder`. */
function divide(
  dividend: string,
  divisor: number,
  most: number,
  quotient: string,
  remainder: string,
): string[] {
  if (most === 1) return [`\t${quotient} = 0;`, `\t${remainder} = ${dividend};`];
  if (divisor === 1) return [`\t${quotient} = ${dividend};`, `\t${remainder} = 0;`];
  const reciprocal = Math.ceil(2 ** RECIPROCAL_SHIFT / divisor);
  return [
    `\t${quotient} = (__u64)${dividend} * ${reciprocal} >> ${RECIPROCAL_SHIFT};`,
    `\t${remainder} = ${dividend} - ${quotient} * ${divisor};`,
    // Or clang sees through, and adds up places of which the verifier does not know the bounds.
    `\tINTRANSIT_OPAQUE(${quotient});`,
    `\tINTRANSIT_OPAQUE(${remainder});`,
    `\tif (${remainder} >= ${divisor})`,
    '\t\treturn 1;',
  ];
}

/** Iterations of the loop. */
export function loopCount(p: LayerPlan): number {
  const [channels, height, width] = imageShape(p.layer.output.shape);
  if (p.loop === 'rows') return height;
  return height * width * (p.loop === 'elements' ? channels : 1);
}

/** Runs `positionCallback`. */
export function callPositions(p: LayerPlan): string[] {
  const { struct, inputs } = workOf(p);
  const pointers = inputs.map(([local, field]) => `.${field} = ${local}`);
  return [
    `\tstruct ${struct} work = { .weights = w, ${pointers.join(', ')}, .to = to };`,
    '',
    `\tbpf_loop(${loopCount(p)}, layer${p.index}_position, &work, 0);`,
  ];
}

/** C of the byte at which the row begins, from the buffer's beginning. */
export const rowPlace = (b: ValueBuffer): string => `${pixelAt(b, 0, 0)} + py * ${rowElements(b)}`;

/** Likewise of the position's pixel. */
export const pixelPlace = (b: ValueBuffer): string => `${rowPlace(b)} + px * ${b.channels}`;

/** A pointer to a pixel. Opaque, or clang adds small numbers by `|`, and the verifier loses the bounds. */
export const pixelPointer = (type: string, name: string, base: string, place: string): string[] => [
  `\t${type} *${name} = ${base} + ${place};`,
  '',
  `\tINTRANSIT_OPAQUE(${name});`,
];

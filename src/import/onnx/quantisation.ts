import { refuse } from '../../diagnostics/index.ts';
import type { ElementType } from '../../model/tensor.ts';
import type { Activation, Quantisation } from '../builder.ts';
import type { NodeReader } from './node-reader.ts';
import { DataType, dataTypeName } from './tensor-data.ts';
import type { Quantised } from './values.ts';

/** Scales and zero points as two inputs of a node give them: one each, or one an index of an axis. */
export interface Parameters {
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  /** Of the zero points, which is that of the quantised tensor; absent if they are. */
  readonly dataType: number | undefined;
}

/** Values, and so zero points, by quantised type; int32 is for biases. */
export const zeroPointRange: ReadonlyMap<number, readonly [lo: number, hi: number]> = new Map([
  [DataType.uint8, [0, 255]],
  [DataType.int8, [-128, 127]],
  [DataType.uint4, [0, 15]],
  [DataType.int4, [-8, 7]],
  [DataType.int16, [-(2 ** 15), 2 ** 15 - 1]],
  [DataType.uint16, [0, 2 ** 16 - 1]],
  [DataType.int32, [-(2 ** 31), 2 ** 31 - 1]],
]);

/** @throws DiagnosticError if they are no constants, a scale is not above zero, or a zero point is out of range */
export function readParameters(c: NodeReader, scaleAt: number, zeroPointAt: number): Parameters {
  const scale = c.constant(scaleAt, 'the scale');
  const scales = Array.from(scale.values);
  const bad = (at: number, what: string): never => refuse('bad-quantisation', { what }, c.place(at));
  if (scale.dataType !== DataType.float)
    bad(scaleAt, `the scale is ${dataTypeName(scale.dataType)}; float (float32) is supported`);
  const wrong = scales.find((s) => !(s > 0 && Number.isFinite(s)));
  if (wrong !== undefined) bad(scaleAt, `scale ${wrong} is not above zero and finite`);
  if (scales.length === 0) bad(scaleAt, 'there is no scale');
  if (c.optional(zeroPointAt) === undefined)
    return { scales, zeroPoints: scales.map(() => 0), dataType: undefined };

  const zeroPoint = c.constant(zeroPointAt, 'the zero point');
  const zeroPoints = Array.from(zeroPoint.values);
  const range = zeroPointRange.get(zeroPoint.dataType);
  if (range === undefined)
    return bad(zeroPointAt, `the zero point is ${dataTypeName(zeroPoint.dataType)}, not int8 or uint8`);
  const outside = zeroPoints.find((z) => z < range[0] || z > range[1]);
  if (outside !== undefined)
    bad(zeroPointAt, `zero point ${outside} is outside ${range[0]}..${range[1]} of its type`);
  if (zeroPoints.length !== scales.length)
    bad(zeroPointAt, `there are ${scales.length} scales but ${zeroPoints.length} zero points`);
  return { scales, zeroPoints, dataType: zeroPoint.dataType };
}

/** The element type of an activation. */
export function elementOf(c: NodeReader, dataType: number, input: number): ElementType {
  if (dataType === DataType.uint8) return 'uint8';
  if (dataType === DataType.int8) return 'int8';
  if (dataType === DataType.uint16) return 'uint16';
  if (dataType === DataType.int16) return 'int16';
  const what =
    `activations are ${dataTypeName(dataType)}: quantise them to uint8, int8, uint16 or int16 ` +
    '(of quantize_static: activation_type=QuantType.QUInt8)';
  return refuse('bad-quantisation', { what }, c.place(input));
}

/**
 * Parameters of an activation: one scale, one zero point.
 * @param absent the element type where there is no zero point to tell it
 */
export function readQuantisation(
  c: NodeReader,
  scaleAt: number,
  zeroPointAt: number,
  absent: number = DataType.uint8,
): Quantisation {
  const { scales, zeroPoints, dataType } = readParameters(c, scaleAt, zeroPointAt);
  if (scales.length > 1)
    refuse('bad-quantisation', { what: 'activations need one scale, these have several' }, c.place(scaleAt));
  const element = elementOf(c, dataType ?? absent, zeroPointAt);
  return { element, scale: scales[0]!, zeroPoint: zeroPoints[0]! };
}

/**
 * The activation under the scale and zero point with which a node reads it. The graph input has none until its first
 * reader tells them; every other reader must agree.
 */
export function readAs(
  c: NodeReader,
  { activation }: Quantised,
  { scales, zeroPoints }: Pick<Parameters, 'scales' | 'zeroPoints'>,
  scaleAt: number,
): Activation {
  if (scales.length > 1)
    refuse('bad-quantisation', { what: 'activations need one scale, these have several' }, c.place(scaleAt));
  const scale = scales[0]!;
  const zeroPoint = zeroPoints[0]!;
  const { value, type } = activation;
  const { builder } = c;
  // Of the input, which may have been moved, the first reader tells.
  if (Number.isNaN(builder.typeOf(value).scale)) builder.setGrid(scale, zeroPoint);
  const known = Number.isNaN(type.scale) ? builder.typeOf(value) : value === 0 ? builder.input! : type;
  if (known.scale !== scale || known.zeroPoint !== zeroPoint) {
    const what =
      `is made with scale ${known.scale} and zero point ${known.zeroPoint}, ` +
      `but read with ${scale} and ${zeroPoint}`;
    refuse('bad-quantisation', { what }, c.place(0));
  }
  return { value, type: { ...type, scale, zeroPoint } };
}

import { refuse } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { boundedCount, movedBy } from '../../lower/gather.ts';
import { axisOf, dimsOf, dimsText, integersAt, isFixed, valueAt } from '../dims.ts';
import { between } from '../interpolated.ts';
import { moveValues } from '../moves.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Value } from '../values.ts';

/** To the nearest neighbour, pixels repeated or left out; or between neighbours, where weights of whole numbers say how much of each. */
export function resize(c: NodeReader): Value {
  const x = valueAt(c, 0);
  const dims = dimsOf(x);
  const mode = c.string('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') c.refuseAttribute('mode', mode, 'nearest, linear');
  if (mode === 'linear') c.requireInt('antialias', 0);
  c.ignore('cubic_coeff_a', 'exclude_outside', 'extrapolation_value', 'antialias', 'nearest_mode');
  const old = isOld(c);
  const transformation = old ? 'asymmetric' : c.string('coordinate_transformation_mode', 'half_pixel');
  const { shape, scales } = sizesOf(c, dims);
  const places = dims.map((size, axis) =>
    Array.from({ length: shape[axis]! }, (_, at) =>
      coordinate(c, transformation, at, scales[axis]!, size, shape[axis]!),
    ),
  );
  if (mode === 'linear')
    return isFixed(x)
      ? c.refuseAttribute('mode', mode, 'nearest, of constants')
      : between(c, x, dims, places);
  const nearest = old ? 'floor' : c.string('nearest_mode', 'round_prefer_floor');
  const tables = places.map((along, axis) =>
    along.map((from) => Math.max(0, Math.min(dims[axis]! - 1, rounded(c, nearest, from)))),
  );
  return moveValues(
    c,
    [x],
    movedBy(shape, dims, (place) => place.map((at, axis) => tables[axis]![at]!)),
  );
}

const isOld = (c: NodeReader): boolean => c.operator === 'Upsample' || c.opset < 11;

/** The new dimensions, and how many times larger each is for the places of its pixels. */
function sizesOf(c: NodeReader, dims: readonly number[]) {
  const scalesAt = isOld(c) ? 1 : 2;
  if (scalesAt === 2) c.optional(1);
  const axes = c.opset >= 18 ? c.ints('axes') : undefined;
  if (c.opset >= 18) {
    const policy = c.string('keep_aspect_ratio_policy', 'stretch');
    if (policy !== 'stretch') c.refuseAttribute('keep_aspect_ratio_policy', policy, 'stretch');
  }
  const perAxis = (list: readonly number[]) => {
    if (axes === undefined) return list;
    const all = dims.map(() => Number.NaN);
    for (const [i, axis] of axes.entries()) all[axisOf(c, axis, dims.length)] = list[i]!;
    return all;
  };
  const given = c.operator === 'Upsample' && c.opset < 9 ? c.floats('scales') : scalesOf(c, scalesAt);
  const sizes = scalesAt === 2 && c.optional(3) !== undefined ? integersAt(c, 3, 'the sizes') : undefined;
  const shape = sizes
    ? perAxis(sizes).map((s, i) => (Number.isNaN(s) ? dims[i]! : s))
    : perAxis(given ?? dims.map(() => 1)).map((s, i) =>
        Number.isNaN(s) ? dims[i]! : Math.floor(dims[i]! * s),
      );
  if (shape.length !== dims.length || shape.some((s) => !(s >= 1)))
    refuse(
      'shape-mismatch',
      { expected: `sizes of ${dims.length} axes`, actual: dimsText(shape) },
      c.place(0),
    );
  boundedCount(shape, elementCount(dims));
  const own = sizes === undefined ? perAxis(given ?? []) : [];
  const scales = dims.map((size, axis) => {
    const scale = own[axis];
    return scale === undefined || Number.isNaN(scale) ? shape[axis]! / size : scale;
  });
  return { shape, scales };
}

function scalesOf(c: NodeReader, index: number): readonly number[] | undefined {
  if (c.optional(index) === undefined) return undefined;
  const { values } = c.constant(index, 'the scales');
  return values.length === 0 ? undefined : Array.from(values);
}

function coordinate(
  c: NodeReader,
  mode: string,
  at: number,
  scale: number,
  size: number,
  to: number,
): number {
  switch (mode) {
    case 'asymmetric':
      return at / scale;
    case 'half_pixel':
      return (at + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return to > 1 ? (at + 0.5) / scale - 0.5 : 0;
    case 'align_corners':
      return to > 1 ? (at * (size - 1)) / (to - 1) : 0;
    default:
      return c.refuseAttribute(
        'coordinate_transformation_mode',
        mode,
        'asymmetric, half_pixel, pytorch_half_pixel, align_corners',
      );
  }
}

function rounded(c: NodeReader, mode: string, x: number): number {
  switch (mode) {
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    case 'round_prefer_floor':
      return x === Math.floor(x) + 0.5 ? Math.floor(x) : Math.round(x);
    case 'round_prefer_ceil':
      return Math.round(x);
    default:
      return c.refuseAttribute('nearest_mode', mode, 'floor, ceil, round_prefer_floor, round_prefer_ceil');
  }
}

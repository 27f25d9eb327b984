import { refuse } from '../../../diagnostics/index.ts';
import type { NodeReader } from '../node-reader.ts';
import { readAs } from '../quantisation.ts';
import { DataType, decodeTensor } from '../tensor-data.ts';
import { type Quantised, realActivation, type Value } from '../values.ts';

/** A Constant node: a tensor, or a number or list in an attribute of its own. */
export function constant(c: NodeReader): Value {
  const name = c.node.output[0] ?? c.name;
  const tensor = c.tensorAttribute('value');
  if (tensor !== undefined) return decodeTensor(tensor, name, c.place());
  const make = (values: readonly number[], dims: readonly number[], dataType: number): Value => ({
    kind: 'constant',
    name,
    dims,
    dataType,
    values: dataType === DataType.float ? Float32Array.from(values) : Float64Array.from(values),
  });
  if (c.has('value_float')) return make([c.float('value_float', 0)], [], DataType.float);
  if (c.has('value_int')) return make([c.int('value_int', 0)], [], DataType.int64);
  const floats = c.floats('value_floats');
  if (c.has('value_floats') && floats) return make(floats, [floats.length], DataType.float);
  const ints = c.ints('value_ints');
  if (c.has('value_ints') && ints) return make(ints, [ints.length], DataType.int64);
  return refuse('onnx-malformed', { reason: 'a Constant without a numeric value' }, c.place());
}

/** Between reals nothing changes; the accumulators of an integer product are reals of scale 1 here. */
export function cast(c: NodeReader): Value {
  // Of 8-bit floats only.
  c.ignore('saturate', 'round_mode');
  const x = c.input(0);
  const to = c.int('to', 0);
  if (x.kind === 'real' && to === DataType.float) return x;
  if (x.kind === 'constant') {
    const number = castNumber(to);
    if (number !== undefined) return { ...x, dataType: to, values: Float64Array.from(x.values, number) };
  }
  // Whatever number a whole number is cast to, trees compare the same.
  if (x.kind === 'floatInput' && c.builder.hasTrees && NUMBERS.has(to)) return x;
  // The integers of the input itself, taken for reals: a grid of whole steps, which a factor behind it makes finer.
  if (x.kind === 'quantised' && to === DataType.float && c.builder.quantises && isUngridded(c, x))
    return realActivation(readAs(c, x, { scales: [1], zeroPoints: [0] }, 0));
  if (x.kind === 'quantised' && to === DataType.float)
    return c.refuseFloat(0, 'a Cast takes its integers for reals; the network behind it is not quantised');
  return c.refuseAttribute('to', to, 'float (1) of an integer product');
}

/** How a number of a constant becomes one of another type; undefined for types that no arithmetic of shapes has. */
function castNumber(to: number): ((x: number) => number) | undefined {
  switch (to) {
    case DataType.float:
      return Math.fround;
    case DataType.double:
      return (x) => x;
    case DataType.int64:
      return Math.trunc;
    case DataType.int32:
      return (x) => Math.trunc(x) | 0;
    case DataType.bool:
      return (x) => Number(x !== 0);
    default:
      return undefined;
  }
}

const NUMBERS: ReadonlySet<number> = new Set([
  DataType.float,
  DataType.double,
  DataType.int32,
  DataType.int64,
]);

/** The input, or what moves its elements; nobody has told another scale than one for it. */
function isUngridded({ builder }: NodeReader, { activation: { value, type } }: Quantised): boolean {
  const { scale } = builder.typeOf(value);
  return (value === 0 || Number.isNaN(type.scale)) && (Number.isNaN(scale) || scale === 1);
}

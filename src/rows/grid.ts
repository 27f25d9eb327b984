import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import type { InputAffine } from '../model/model.ts';
import { roundHalfEven } from '../model/requantiser.ts';
import { elementRange, encodeElements, type TensorType } from '../model/tensor.ts';
import type { Numbers } from './numbers.ts';

/** Rows as bytes of the element type, and what is to be said of them. */
export interface Elements {
  readonly bytes: Uint8Array;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Rows as elements of a tensor. Whole numbers are the integers of its type and must fit it; reals go through its grid as
 * QuantizeLinear does: `q = clamp(round_half_even(x / scale) + zero point)`, in float32; before that through what the
 * network itself does to them.
 *
 * @throws DiagnosticError `rows-value` with the place of a number that does not fit or is none
 */
export function toElements(
  numbers: Numbers,
  type: TensorType,
  file: string,
  affine?: InputAffine | undefined,
): Elements {
  const { values, whole } = numbers;
  if (!whole) return quantised(affine === undefined ? numbers : scaled(numbers, affine), type, file);
  const asIs =
    (type.element === 'uint8' && values instanceof Uint8Array) ||
    (type.element === 'int8' && values instanceof Int8Array);
  if (asIs && ArrayBuffer.isView(values))
    return { bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength), diagnostics: [] };
  return { bytes: encodeElements(type.element, integers(numbers, type, file)), diagnostics: [] };
}

/** In float32, as the network's own multiplication and addition. */
function scaled(numbers: Numbers, { factors, offsets }: InputAffine): Numbers {
  const width = factors.length;
  const values = Float32Array.from({ length: numbers.values.length }, (_, i) =>
    Math.fround(
      Math.fround(Math.fround(numbers.values[i]!) * Math.fround(factors[i % width]!)) +
        Math.fround(offsets[i % width]!),
    ),
  );
  return { ...numbers, values };
}

function integers({ values, place }: Numbers, type: TensorType, file: string): Int32Array {
  const { lo, hi } = elementRange(type.element);
  const out = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= lo && value <= hi))
      refuse(
        'rows-value',
        { where: place(i), what: `${value} is no ${type.element} (${lo}..${hi})`, whole: true },
        { file },
      );
    out[i] = value;
  }
  return out;
}

function quantised({ values, place }: Numbers, type: TensorType, file: string): Elements {
  const { element, scale, zeroPoint } = type;
  const { lo, hi } = elementRange(element);
  if (!(scale > 0)) refuse('rows-no-grid', { element }, { file });
  const out = new Int32Array(values.length);
  let clamped = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value))
      refuse('rows-value', { where: place(i), what: 'NaN is no number', whole: false }, { file });
    const q = roundHalfEven(Math.fround(Math.fround(value) / scale)) + zeroPoint;
    if (q < lo || q > hi) clamped++;
    out[i] = Math.max(lo, Math.min(hi, q));
  }
  const real = (q: number) => Number((scale * (q - zeroPoint)).toPrecision(5));
  const args = { clamped, of: values.length, lo: real(lo), hi: real(hi) };
  return {
    bytes: encodeElements(element, out),
    diagnostics: clamped === 0 ? [] : [diagnostic('rows-clamped', args, { file })],
  };
}

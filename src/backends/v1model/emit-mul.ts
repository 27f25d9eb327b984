import type { MulLayer } from '../../model/model.ts';
import type { TensorType } from '../../model/tensor.ts';
import { binary, cast, type Expression, literal, reference, shift, slice } from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import type { Code } from './code.ts';
import {
  type Constants,
  emitRequantisation,
  emitSides,
  joined,
  requantisationOf,
  startWords,
} from './emit-matrix.ts';
import { atLayout, chooseLayout, type LaneWords, rowOffset } from './lane-words.ts';
import { gatherElements, operandPlaces, productSpec } from './matrix-layers.ts';

/** What `emitMul` has made: where its outputs lie, how their products lay in words, and at how many pixels. */
export interface Products {
  readonly activations: Activations;
  readonly layout: LaneWords;
  readonly positions: number;
}

/**
 * The elements of a pixel are multiplied one by one, each product shifted to a lane of its own, and requantised together as
 * the sums of a matrix are.
 * @param maxRows lanes of a word at most
 */
export function emitMul(
  code: Code,
  name: string,
  layer: MulLayer,
  inputs: readonly [Activations, Activations],
  types: readonly [TensorType, TensorType],
  maxRows: number,
): Products {
  const pixels = gatherElements(layer.output);
  const [a, b] = inputs;
  const { spec, ...numbers } = productSpec(layer, a, b, types, pixels[0]!.length);
  const layout = chooseLayout(spec, { floor: 0, maxRows, headroom: 0 });
  const scaled = atLayout(spec, layout);
  const [fromA, fromB] = operandPlaces(layer, [a.placements.length, b.placements.length]);
  const constant: Constants = (_, width, value) => literal(value, width);
  const placements: Placement[] = [];
  for (const [w, word] of layout.words.entries()) {
    const start = startWords(scaled, layout, word).get('')!;
    const requantisation = requantisationOf(scaled, layout, word, false);
    for (const [p, pixel] of pixels.entries()) {
      const field = code.field(`${name}_${p}_${w}`, word.width);
      const elements = pixel.slice(word.firstRow, word.firstRow + word.rows);
      const terms = elements.map((e, row) => {
        const [ua, ub] = [a.placements[fromA(e)]!, b.placements[fromB(e)]!];
        return shift(productOf(ua, ub, numbers, word.width), '<<', rowOffset(layout, row));
      });
      code.assign(field, joined([literal(start, word.width), ...terms], '+'));
      emitSides(code, field, w, scaled, word, requantisation, constant);
      for (const [row, placement] of emitRequantisation(code, field, requantisation).entries())
        placements[elements[row]!] = placement;
    }
  }
  const { min, max } = layer.requantiser;
  return { activations: { placements, low: min, high: max }, layout, positions: pixels.length };
}

/** `ua * (ub * ofProduct + ofA) + ub * ofB` */
function productOf(
  a: Placement,
  b: Placement,
  { ofProduct, ofA, ofB }: { ofProduct: number; ofA: number; ofB: number },
  width: number,
): Expression {
  const element = (p: Placement) => cast(slice(reference(p.field, p.width), p.offset, ELEMENT_BITS), width);
  const times = (e: Expression, factor: number) => binary(e, '*', literal(BigInt(factor), width));
  const inner = binary(times(element(b), ofProduct), '+', literal(BigInt(ofA), width));
  return binary(binary(element(a), '*', inner), '+', times(element(b), ofB));
}

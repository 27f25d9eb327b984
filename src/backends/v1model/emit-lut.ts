import { type LutLayer, lutTable } from '../../model/model.ts';
import { elementRange, type TensorType } from '../../model/tensor.ts';
import {
  binary,
  cast,
  concat,
  type Expression,
  literal,
  reference,
  select,
  shift,
  slice,
} from '../common/expression.ts';
import { type Activations, ELEMENT_BITS, type Placement } from './activations.ts';
import { type Code, fieldName, lanesOf } from './code.ts';
import { constantsOf, joined } from './emit-matrix.ts';
import { v1model } from './limits.ts';

/** Entries of a table, and so bits of a plane. */
const ENTRIES = 256;
/** A table is as wide as the widest field. */
const WIDTH = v1model.maxWidthBits;
const PLANES = WIDTH / ENTRIES;

/**
 * A table of 256 elements by a shift an element. P4's shifts on BMv2 go by at most 255 bits, so the table lies in planes: bit
 * `256 * b + x` of it is bit b of entry x, and shifted by x it has the entry's bits at the feet of the planes. The bits of many
 * elements are put side by side in each plane, and one product gathers them all: plane b times `2^b` falls on the topmost.
 */
export function emitLut(
  code: Code,
  index: number,
  layer: LutLayer,
  input: Activations,
  type: TensorType,
  runtime: boolean,
): Activations {
  const { low, high } = outputRange(layer, runtime);
  const first = input.low - elementRange(type.element).lo;
  const count = input.placements.length;
  const constant = constantsOf(code, runtime);
  const tables = Array.from({ length: layer.table.length / ENTRIES }, (_, t) => {
    const entries = Array.from(
      { length: input.high - input.low + 1 },
      (_, u) => layer.table[t * ENTRIES + first + u]! - low,
    );
    return constant(t === 0 ? `lut_${index}` : `lut_${index}_${t}`, WIDTH, planesOf(entries));
  });
  const tableOf = (element: number) => lutTable(layer, element, count);
  const placements: Placement[] = [];
  for (const [w, word] of wordsOf(input.placements, tableOf).entries()) {
    const field = code.field(`l${index}_${w}`, word.width);
    const chunks = chunksOf(word.slots).map((chunk) => {
      const base = chunk[0]!.offset;
      const bits = chunk.map(({ source, offset, elements }) => {
        const table = tables[tableOf(elements[0]!)]!;
        const x = slice(reference(source.field, source.width), source.offset, ELEMENT_BITS);
        return shift(binary(select(table, x), '&', literal(FEET, WIDTH)), '<<', offset - base);
      });
      const bytes = slice(binary(unionOf(bits), '*', literal(GATHER, WIDTH)), WIDTH - ENTRIES, ENTRIES);
      return toWidth(raise(bytes, base), word.width);
    });
    code.assign(field, unionOf(chunks));
    for (const { elements, offset } of word.slots)
      for (const e of elements)
        placements[e] = { field: fieldName(field), width: word.width, offset, pitch: word.pitch };
  }
  return { placements, low, high };
}

/** p4c puts no mask behind an or, as it does behind a sum. */
const unionOf = (terms: readonly Expression[]): Expression => joined(terms, '|');

/** Measured on BMv2 1.15: ns of an element, of the product of a chunk, and of storing a word. */
const ELEMENT_NS = 300;
const CHUNK_NS = 700;
const STORE_NS = 300;

/** Estimated ns of one inference. */
export const lutCost = ({ placements }: Activations): number =>
  wordsOf(placements, () => 0).reduce(
    (sum, { slots }) => sum + slots.length * ELEMENT_NS + chunksOf(slots).length * CHUNK_NS + STORE_NS,
    0,
  );

/** Of a table that may be replaced, all that its type has. */
function outputRange({ table, output }: LutLayer, runtime: boolean): { low: number; high: number } {
  const { lo, hi } = elementRange(output.element);
  return runtime ? { low: lo, high: hi } : { low: Math.min(...table), high: Math.max(...table) };
}

const planes = Array.from({ length: PLANES }, (_, b) => b * ENTRIES);
const FEET = lanesOf(planes, 1n);
const GATHER = planes.reduce((sum, plane, b) => sum + (1n << BigInt(WIDTH - ENTRIES - plane + b)), 0n);

function planesOf(entries: readonly number[]): bigint {
  const bytes = new Uint8Array(WIDTH / 8);
  for (const [x, entry] of entries.entries())
    for (let b = 0; b < PLANES; b++) {
      const bit = b * ENTRIES + x;
      if (entry & (1 << b)) bytes[bytes.length - 1 - (bit >> 3)]! |= 1 << (bit & 7);
    }
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

/** Elements that lie at one place, and where theirs is. */
interface Slot {
  readonly source: Placement;
  readonly elements: number[];
  readonly offset: number;
}

interface Word {
  readonly width: number;
  readonly pitch: number;
  readonly slots: readonly Slot[];
}

/**
 * Lanes of one field stay as far apart as they are, so that the next layer takes them in groups; elements of fields of
 * their own are put together.
 */
function wordsOf(placements: readonly Placement[], tableOf: (element: number) => number): Word[] {
  const fields = new Map<string, Map<number, Slot>>();
  for (const [e, source] of placements.entries()) {
    const taken = fields.get(source.field)?.get(source.offset);
    // One element that stands for two of different tables is looked up in both.
    const other = taken !== undefined && tableOf(taken.elements[0]!) !== tableOf(e);
    const home = other ? `${source.field} by table ${tableOf(e)}` : source.field;
    const slots = fields.get(home) ?? new Map<number, Slot>();
    fields.set(home, slots);
    const slot = slots.get(source.offset) ?? { source, elements: [], offset: source.offset };
    slots.set(source.offset, slot);
    slot.elements.push(e);
  }
  const all = [...fields.values()].map((slots) => [...slots.values()]);
  const words = all
    .filter((slots) => slots.length > 1)
    .map((slots): Word => {
      const { width, pitch } = slots[0]!.source;
      return { width, pitch, slots: slots.sort((a, b) => a.offset - b.offset) };
    });
  const alone = all.filter((slots) => slots.length === 1).flat();
  for (let at = 0; at < alone.length; at += ENTRIES / ELEMENT_BITS) {
    const part = alone.slice(at, at + ENTRIES / ELEMENT_BITS);
    // The first on top, as in the packet.
    const slots = part
      .map((slot, i) => ({ ...slot, offset: (part.length - 1 - i) * ELEMENT_BITS }))
      .reverse();
    words.push({ width: part.length * ELEMENT_BITS, pitch: ELEMENT_BITS, slots });
  }
  return words;
}

/** Elements whose bits fit one plane, ascending. */
function chunksOf(slots: readonly Slot[]): Slot[][] {
  const chunks: Slot[][] = [];
  for (const slot of slots) {
    const chunk = chunks.at(-1);
    if (chunk !== undefined && slot.offset - chunk[0]!.offset <= ENTRIES - ELEMENT_BITS) chunk.push(slot);
    else chunks.push([slot]);
  }
  return chunks;
}

/** P4's shifts by constants go by 256 bits at most as well; concatenations have no limit. */
const raise = (e: Expression, bits: number): Expression => (bits === 0 ? e : concat(e, literal(0, bits)));

const toWidth = (e: Expression, width: number): Expression =>
  width < e.width ? slice(e, 0, width) : cast(e, width);

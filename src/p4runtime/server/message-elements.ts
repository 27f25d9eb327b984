import type { MessageShape } from '../proto/shape.ts';
import { exhausted, invalid } from './fault.ts';

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5];
const LONGEST_VARINT = 10;
/** The deepest message of the standard is a type within types; nobody needs more. */
const MOST_NESTING = 32;

/**
 * Counts the fields of a message in protobuf's binary format, those of messages in it included, in one pass and without
 * making anything: two bytes are enough for an empty message, which takes hundreds once it is decoded.
 * @returns at most `most` @throws Fault RESOURCE_EXHAUSTED where there are more, INVALID_ARGUMENT where it is no message
 */
export function countElements(bytes: Uint8Array, shape: MessageShape, most: number): number {
  let at = 0;
  let count = 0;
  const varint = (end: number): number => {
    let value = 0;
    for (let i = 0; i < LONGEST_VARINT && at < end; i++) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw invalid('the message is cut off, or none');
  };
  const found = (elements: number): void => {
    count += elements;
    if (count > most) throw exhausted(`the message has more than ${most} elements`);
  };
  const skip = (wire: number, end: number): void => {
    if (wire === VARINT) varint(end);
    else if (wire === FIXED64) at += 8;
    else if (wire === FIXED32) at += 4;
    else throw invalid('the message has a field of no known kind');
    if (at > end) throw invalid('the message is cut off, or none');
  };
  const walk = (inner: MessageShape, end: number, depth: number): void => {
    if (depth > MOST_NESTING) throw invalid(`the message is nested deeper than ${MOST_NESTING}`);
    while (at < end) {
      const tag = varint(end);
      const wire = tag % 8;
      found(1);
      if (wire !== DELIMITED) {
        skip(wire, end);
        continue;
      }
      const length = varint(end);
      const to = at + length;
      if (!(to <= end)) throw invalid('the message is cut off, or none');
      const what = inner.field(Math.floor(tag / 8));
      // Numbers in a row take a byte each, or more.
      if (what === 'packed') found(length);
      else if (what !== undefined) walk(what, to, depth + 1);
      at = to;
    }
  };
  walk(shape, bytes.length, 0);
  return count;
}

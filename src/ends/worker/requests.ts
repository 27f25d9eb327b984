import { cutReader } from '../../model/cut.ts';
import { type Model, valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { isPieceOf } from '../../wire/fragments.ts';
import {
  elementTypes,
  HEADER_BYTES,
  HEADER_VERSION,
  type Header,
  MAGIC,
  type PacketOutcome,
} from '../../wire/index.ts';

/** A version of a model, in the terms of a packet. */
export interface Held {
  readonly layerCount: number;
  /** By cursor: the tensor that a packet must bring; none where the model cannot be cut. */
  readonly inputs: readonly (HeldInput | undefined)[];
}

/** What a request must carry at some cursor: the element type by its number on the wire, and how many bytes of it. */
export interface HeldInput {
  readonly elementType: number;
  readonly elements: number;
}

/** By the cursor; undefined where the model may not be cut before that layer. */
export function heldInputs(model: Model): (HeldInput | undefined)[] {
  return model.layers.map((_, cursor) => {
    if (cutReader(model, cursor) !== undefined) return undefined;
    const type = valueType(model, cursor);
    return { elementType: elementTypes[type.element], elements: tensorBytes(type) };
  });
}

/**
 * Why a request cannot be computed by the version that it names, in the words and the order of the devices on the path; or what
 * it brings.
 */
export function examine(h: Header, held: Held, zones: ReadonlySet<number>): PacketOutcome | HeldInput {
  const input = held.inputs[h.nextLayer];
  if (input === undefined) return 'cursor_elsewhere';
  const fits = h.layerCount === held.layerCount && h.elementType === input.elementType;
  if (!fits || !isPieceOf(input.elements, h)) return 'bad_shape';
  if (h.trustZone !== 0 && !zones.has(h.trustZone)) return 'zone_refused';
  return input;
}

/** Why a payload is no packet of ours. @pre `decodePacket` refused it */
export function malformation(payload: Buffer): PacketOutcome {
  if (payload.length < HEADER_BYTES) return 'truncated';
  if (payload.readUInt16BE(0) !== MAGIC || payload[2] !== HEADER_VERSION) return 'bad_magic';
  return payload.length < HEADER_BYTES + payload.readUInt16BE(14) ? 'truncated' : 'oversized';
}

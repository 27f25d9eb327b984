import protobuf from 'protobufjs/minimal.js';
import type { FieldPlan, MessagePlan } from './field-plan.ts';

const DELIMITED = 2;

interface Piece {
  readonly field: FieldPlan | undefined;
  readonly bytes: Uint8Array;
}

/** A field of a message, its tag included. */
function pieceOf(reader: protobuf.Reader, bytes: Uint8Array, plan: MessagePlan): Piece {
  const begin = reader.pos;
  const tag = reader.uint32();
  const wire = tag & 7;
  const field = plan.byId.get(tag >>> 3);
  if (wire !== DELIMITED || field?.type.kind !== 'message' || field.rule === 'map') {
    reader.skipType(wire);
    return { field, bytes: bytes.subarray(begin, reader.pos) };
  }
  const inner = settleOneofs(field.type.message, reader.bytes());
  return { field, bytes: protobuf.Writer.create().uint32(tag).bytes(inner).finish() };
}

/**
 * A message in which of each oneof only the member is left that was written last, as protobuf has it. protobufjs keeps
 * all of them; nobody sends two, so this is done only where two were found.
 */
export function settleOneofs(plan: MessagePlan, bytes: Uint8Array): Uint8Array {
  const reader = protobuf.Reader.create(bytes);
  const pieces: Piece[] = [];
  const last = new Map<string, number>();
  while (reader.pos < reader.len) {
    const piece = pieceOf(reader, bytes, plan);
    if (piece.field?.oneof !== undefined) last.set(piece.field.oneof, piece.field.id);
    pieces.push(piece);
  }
  const kept = pieces.filter(({ field }) => field?.oneof === undefined || last.get(field.oneof) === field.id);
  return Buffer.concat(kept.map((piece) => piece.bytes));
}

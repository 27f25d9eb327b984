/**
 * A reply to a probe has the worker's own model, version and layers in its header, and behind it the rows that wait there: 32 bits,
 * the most significant byte first.
 */
const QUEUE_BYTES = 4;

/** The payload of a reply to a probe. */
export function encodeQueue(rows: number): Uint8Array {
  const bytes = new Uint8Array(QUEUE_BYTES);
  new DataView(bytes.buffer).setUint32(0, rows);
  return bytes;
}

/** Rows that wait at the worker; undefined where the payload is that of no reply. */
export function decodeQueue(payload: Uint8Array): number | undefined {
  if (payload.length !== QUEUE_BYTES) return undefined;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}

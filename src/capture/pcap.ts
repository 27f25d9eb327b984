import { CaptureError, type CaptureNotes, type Frame, MOST_FRAME } from './frame.ts';
import { linkTypeOf } from './link-type.ts';

const FILE_HEADER = 24;
const RECORD_HEADER = 16;

/** First four bytes, read in the file's own order, to nanoseconds of a step of its clock. */
const MAGIC: Readonly<Record<number, bigint>> = { 2712847316: 1000n, 2712812621: 1n };

/** 0xa1b2c3d4 (microseconds) or 0xa1b23c4d (nanoseconds), in either byte order. */
export const isPcap = (bytes: Uint8Array): boolean => orderOf(bytes) !== undefined;

function orderOf(bytes: Uint8Array): { little: boolean; stepNs: bigint } | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const little of [true, false]) {
    const stepNs = MAGIC[view.getUint32(0, little)];
    if (stepNs !== undefined) return { little, stepNs };
  }
  return undefined;
}

/** The frames of a pcap file. A file that ends within a frame gives those before it. @throws CaptureError */
export function* readPcap(bytes: Uint8Array, notes: CaptureNotes): Generator<Frame> {
  const order = orderOf(bytes);
  if (order === undefined) throw new CaptureError('is no pcap file');
  if (bytes.length < FILE_HEADER) throw new CaptureError('ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { little, stepNs } = order;
  // The upper bits of the word tell of frame check sequences.
  const number = view.getUint32(20, little) & 0xffff;
  const link = linkTypeOf(number);
  for (let at = FILE_HEADER; at < bytes.length; ) {
    if (at + RECORD_HEADER > bytes.length) {
      notes.cut = true;
      return;
    }
    const captured = view.getUint32(at + 8, little);
    if (captured > MOST_FRAME)
      throw new CaptureError(`byte ${at}: a frame of ${captured} bytes: the file is damaged`);
    const data = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + captured);
    if (data.length < captured) {
      notes.cut = true;
      return;
    }
    if (link === undefined) notes.unknownLinks.set(number, (notes.unknownLinks.get(number) ?? 0) + 1);
    else
      yield {
        timeNs:
          BigInt(view.getUint32(at, little)) * 1_000_000_000n +
          BigInt(view.getUint32(at + 4, little)) * stepNs,
        link,
        data,
        length: Math.max(view.getUint32(at + 12, little), captured),
      };
    at += RECORD_HEADER + captured;
  }
}

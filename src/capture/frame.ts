import type { LinkType } from './link-type.ts';

/** A captured frame. */
export interface Frame {
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
  readonly link: LinkType;
  /** What was captured of it, from the link header on. */
  readonly data: Uint8Array;
  /** Bytes that it had on the wire. */
  readonly length: number;
}

/** A fault of a capture file, with the byte at which it was found. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
}

/** What a reader met besides frames. */
export interface CaptureNotes {
  /** The file ends within a frame. */
  cut: boolean;
  /** Frames of links that are not understood, by their LINKTYPE number. */
  readonly unknownLinks: Map<number, number>;
}

/** Larger frames are damage: the largest that capture tools write by default is 262,144 bytes. */
export const MOST_FRAME = 1 << 20;

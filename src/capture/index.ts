import { CaptureError, type CaptureNotes, type Frame } from './frame.ts';
import { isPcap, readPcap } from './pcap.ts';
import { isPcapng, readPcapng } from './pcapng.ts';

export { CaptureError, type CaptureNotes, type Frame } from './frame.ts';
export type { LinkType } from './link-type.ts';

/** For a reader to fill in: nothing has been met yet. */
export const newNotes = (): CaptureNotes => ({ cut: false, unknownLinks: new Map() });

/** The frames of a pcap or pcapng file, in its order. @throws CaptureError, also while it is walked */
export function readCapture(bytes: Uint8Array, notes: CaptureNotes): Generator<Frame> {
  if (bytes.length === 0) throw new CaptureError('is empty');
  if (isPcap(bytes)) return readPcap(bytes, notes);
  if (isPcapng(bytes)) return readPcapng(bytes, notes);
  throw new CaptureError('is neither pcap nor pcapng');
}

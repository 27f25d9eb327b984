import type { Frame } from '../capture/index.ts';
import { linkStart } from './packet.ts';

const ETHERNET_HEADER = 14;
const TYPES: Readonly<Record<number, number>> = { 4: 0x0800, 6: 0x86dd };

/**
 * A captured frame as a device would see it that has only Ethernet: other links get a header with addresses of zeros, and
 * the type that they tell or that the IP version shows. Frames without one stay what they are.
 */
export function asEthernet<F extends Pick<Frame, 'link' | 'data' | 'length'>>(frame: F): F {
  if (frame.link === 'ethernet') return frame;
  const { data } = frame;
  const start = linkStart(frame.link, data);
  // Cut within its own header: too short for Ethernet as well.
  if (start === undefined) return { ...frame, link: 'ethernet', data: new Uint8Array(0), length: 0 };
  const type = start.type ?? TYPES[(data[start.at] ?? 0) >> 4] ?? 0;
  const bytes = new Uint8Array(ETHERNET_HEADER + data.length - start.at);
  new DataView(bytes.buffer).setUint16(12, type);
  bytes.set(data.subarray(start.at), ETHERNET_HEADER);
  return { ...frame, link: 'ethernet', data: bytes, length: frame.length - start.at + ETHERNET_HEADER };
}

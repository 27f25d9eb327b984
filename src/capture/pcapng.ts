import { CaptureError, type CaptureNotes, type Frame, MOST_FRAME } from './frame.ts';
import { linkTypeOf } from './link-type.ts';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;
const MOST_INTERFACES = 4096;

interface Interface {
  readonly number: number;
  readonly snapLength: number;
  /** Nanoseconds of a time stamp: `ticks * numerator / denominator + offset`. */
  readonly toNs: (ticks: bigint) => bigint;
}

/** Tells it from a classic pcap by the type of its first block, which reads the same in both byte orders. */
export const isPcapng = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === SECTION;

/**
 * The frames of a pcapng file: enhanced and simple packet blocks of any number of sections and interfaces. Other blocks
 * are skipped. A simple packet block has no time stamp and gets 0. @throws CaptureError
 */
export function* readPcapng(bytes: Uint8Array, notes: CaptureNotes): Generator<Frame> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let little = true;
  let interfaces: Interface[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 12 > bytes.length) {
      notes.cut = true;
      return;
    }
    const isSection = view.getUint32(at) === SECTION;
    if (isSection) {
      little = sectionIsLittle(view, at);
      interfaces = [];
    }
    const type = view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || length > MOST_FRAME + 65_536)
      throw new CaptureError(`byte ${at}: a block of ${length} bytes: the file is damaged`);
    if (at + length > bytes.length) {
      notes.cut = true;
      return;
    }
    const body = new DataView(bytes.buffer, bytes.byteOffset + at + 8, length - 12);
    if (!isSection && type === INTERFACE) {
      if (interfaces.length === MOST_INTERFACES)
        throw new CaptureError(`has more than ${MOST_INTERFACES} interfaces`);
      interfaces.push(interfaceOf(body, little, at));
    } else if (!isSection && (type === ENHANCED_PACKET || type === SIMPLE_PACKET)) {
      const frame =
        type === ENHANCED_PACKET
          ? enhanced(body, little, interfaces, at)
          : simple(body, little, interfaces, at);
      const link = linkTypeOf(frame.number);
      if (link !== undefined) yield { timeNs: frame.timeNs, link, data: frame.data, length: frame.length };
      else notes.unknownLinks.set(frame.number, (notes.unknownLinks.get(frame.number) ?? 0) + 1);
    }
    at += length;
  }
}

function sectionIsLittle(view: DataView, at: number): boolean {
  if (view.getUint32(at + 8, true) === BYTE_ORDER) return true;
  if (view.getUint32(at + 8, false) === BYTE_ORDER) return false;
  throw new CaptureError(`byte ${at}: a section without a byte order`);
}

function interfaceOf(body: DataView, little: boolean, at: number): Interface {
  if (body.byteLength < 8) throw new CaptureError(`byte ${at}: an interface block that is too short`);
  let resolution = 6;
  let offset = 0n;
  for (let option = 8; option + 4 <= body.byteLength; ) {
    const code = body.getUint16(option, little);
    const length = body.getUint16(option + 2, little);
    if (code === 0 || option + 4 + length > body.byteLength) break;
    if (code === OPTION_TIME_RESOLUTION && length === 1) resolution = body.getUint8(option + 4);
    if (code === OPTION_TIME_OFFSET && length === 8)
      offset = body.getBigInt64(option + 4, little) * 1_000_000_000n;
    option += 4 + Math.ceil(length / 4) * 4;
  }
  // The highest bit chooses powers of two instead of ten.
  const ticksPerSecond = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
  return {
    number: body.getUint16(0, little),
    snapLength: body.getUint32(4, little),
    toNs: (ticks) => (ticks * 1_000_000_000n) / ticksPerSecond + offset,
  };
}

function enhanced(body: DataView, little: boolean, interfaces: readonly Interface[], at: number) {
  if (body.byteLength < 20) throw new CaptureError(`byte ${at}: a packet block that is too short`);
  const source = interfaces[body.getUint32(0, little)];
  if (source === undefined)
    throw new CaptureError(`byte ${at}: a packet of an interface that was not described`);
  const ticks = (BigInt(body.getUint32(4, little)) << 32n) | BigInt(body.getUint32(8, little));
  const captured = body.getUint32(12, little);
  if (captured > body.byteLength - 20)
    throw new CaptureError(`byte ${at}: a packet that is longer than its block`);
  return {
    number: source.number,
    timeNs: source.toNs(ticks),
    data: new Uint8Array(body.buffer, body.byteOffset + 20, captured),
    length: Math.max(body.getUint32(16, little), captured),
  };
}

function simple(body: DataView, little: boolean, interfaces: readonly Interface[], at: number) {
  const source = interfaces[0];
  if (source === undefined || body.byteLength < 4)
    throw new CaptureError(`byte ${at}: a packet of an interface that was not described`);
  const length = body.getUint32(0, little);
  const limit = source.snapLength === 0 ? length : Math.min(length, source.snapLength);
  const captured = Math.min(limit, body.byteLength - 4);
  return {
    number: source.number,
    timeNs: 0n,
    data: new Uint8Array(body.buffer, body.byteOffset + 4, captured),
    length,
  };
}

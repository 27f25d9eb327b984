import type { ElementType } from '../model/tensor.ts';
import {
  elementTypes,
  flagTurnRound,
  flagUnsure,
  HEADER_BYTES,
  HEADER_VERSION,
  type HeaderFieldName,
  headerFields,
  MAGIC,
  packetKinds,
} from './header.ts';

/** Every field as a number, `jobId` as a bigint. */
export type Header = { readonly [N in HeaderFieldName]: N extends 'jobId' ? bigint : number };

/** A packet of ours: its header, and the activations behind it. */
export interface InferencePacket {
  readonly header: Header;
  readonly activations: Uint8Array;
}

/** Where each field begins, in bytes. */
const offsets: ReadonlyMap<HeaderFieldName, number> = (() => {
  const map = new Map<HeaderFieldName, number>();
  let at = 0;
  for (const f of headerFields) {
    map.set(f.name, at);
    at += f.bits / 8;
  }
  return map;
})();

/** Bytes from the beginning of the header. */
export const fieldOffset = (name: HeaderFieldName): number => offsets.get(name)!;

/** Header and activations as one UDP payload. @throws RangeError if a field does not fit its width. */
export function encodePacket({ header, activations }: InferencePacket): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + activations.length);
  const view = new DataView(bytes.buffer);
  for (const { name, bits } of headerFields) {
    const value = header[name];
    if (value < 0 || value >= 2 ** bits) throw new RangeError(`${name} = ${value} does not fit ${bits} bits`);
    const at = fieldOffset(name);
    if (bits === 8) view.setUint8(at, Number(value));
    else if (bits === 16) view.setUint16(at, Number(value));
    else if (bits === 32) view.setUint32(at, Number(value));
    else view.setBigUint64(at, BigInt(value));
  }
  bytes.set(activations, HEADER_BYTES);
  return bytes;
}

/** Each field's reader, with its place: looked up once, as a flood of packets is to cost little. */
const readers = headerFields.map(({ name, bits }) => {
  const at = fieldOffset(name);
  const read = (view: DataView): number | bigint => {
    if (bits === 8) return view.getUint8(at);
    if (bits === 16) return view.getUint16(at);
    return bits === 32 ? view.getUint32(at) : view.getBigUint64(at);
  };
  return { name, read };
});

/** Reads a UDP payload; `undefined` if it is not ours, or not whole. Bytes behind the activations are refused too. */
export function decodePacket(payload: Uint8Array): InferencePacket | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (view.getUint16(fieldOffset('magic')) !== MAGIC) return undefined;
  if (view.getUint8(fieldOffset('headerVersion')) !== HEADER_VERSION) return undefined;
  if (payload.length !== HEADER_BYTES + view.getUint16(fieldOffset('elementCount'))) return undefined;
  const header: Record<string, number | bigint> = {};
  for (const { name, read } of readers) header[name] = read(view);
  // Every field has been read, each as wide as it is declared.
  return { header: header as unknown as Header, activations: payload.subarray(HEADER_BYTES) };
}

/** What a request needs beyond the defaults. */
export interface RequestOptions {
  readonly modelId: number;
  readonly modelVersion: number;
  readonly layerCount: number;
  readonly element: ElementType;
  readonly jobId?: bigint;
  readonly sequence?: number;
  readonly nextLayer?: number;
  readonly trustZone?: number;
  readonly turnRound?: boolean;
  readonly unsure?: boolean;
}

/** Asks a worker for its state, with the layers that one knows of its model: a request without activations, of a kind of its own. */
export function probePacket(
  o: Pick<RequestOptions, 'modelId' | 'layerCount'> & { readonly jobId: bigint },
): InferencePacket {
  const request = requestPacket(new Uint8Array(0), { ...o, modelVersion: 0, element: 'uint8' });
  return { ...request, header: { ...request.header, kind: packetKinds.probe } };
}

/** A whole tensor as one request. */
export function requestPacket(activations: Uint8Array, o: RequestOptions): InferencePacket {
  const header: Header = {
    magic: MAGIC,
    headerVersion: HEADER_VERSION,
    kind: packetKinds.request,
    flags: (o.turnRound ? flagTurnRound : 0) | (o.unsure ? flagUnsure : 0),
    modelId: o.modelId,
    modelVersion: o.modelVersion,
    nextLayer: o.nextLayer ?? 0,
    layerCount: o.layerCount,
    elementType: elementTypes[o.element],
    trustZone: o.trustZone ?? 0,
    elementCount: activations.length,
    jobId: o.jobId ?? 0n,
    sequence: o.sequence ?? 0,
    fragmentIndex: 0,
    fragmentCount: 1,
    reserved: 0,
  };
  return { header, activations };
}

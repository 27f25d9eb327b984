import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';
import type { Config, Message } from './proto/messages.ts';
import { decodeValue, toBigInt } from './values.ts';

/** A packet from the device, its metadata by the names in the controller header `packet_in`. */
export interface DecodedPacketIn {
  readonly payload: Uint8Array;
  readonly metadata: Readonly<Record<string, bigint>>;
}

/** @throws P4RuntimeError `bad-answer` on metadata that the program does not have, `bad-value` on too many bits */
export function decodePacketIn(index: P4InfoIndex, packet: Message<'PacketIn'>): DecodedPacketIn {
  const fields = index.headers.find('packet_in')?.fields;
  const metadata = packet.metadata.map(({ metadataId, value }) => {
    const field = fields?.find(metadataId);
    if (field === undefined)
      throw refusal(
        'bad-answer',
        `the device sent packet metadata ${metadataId}, which packet_in does not have`,
      );
    return [field.name, decodeValue(field, value)] as const;
  });
  return { payload: packet.payload, metadata: Object.fromEntries(metadata) };
}

/** Values of one item: a number, or of a struct or tuple those of its members. */
export type DigestItem = bigint | boolean | readonly DigestItem[] | { readonly [member: string]: DigestItem };

export interface DecodedDigest {
  readonly name: string;
  readonly items: readonly DigestItem[];
}

/** A list of a digest by names. @throws P4RuntimeError `bad-answer` where it does not fit the type in the P4Info */
export function decodeDigest(index: P4InfoIndex, list: Message<'DigestList'>): DecodedDigest {
  const digest = index.digests.get(list.digestId);
  const { typeSpec } = digest.info;
  return { name: digest.name, items: list.data.map((data) => decodeData(index, typeSpec, data)) };
}

function decodeData(
  index: P4InfoIndex,
  type: Config<'P4DataTypeSpec'> | undefined,
  data: Message<'P4Data'>,
): DigestItem {
  if (data.bool !== undefined) return data.bool;
  if (data.bitstring !== undefined) return decodeBits(type, data.bitstring);
  const { struct, tuple } = data;
  if (struct !== undefined) {
    const members = index.p4info.typeInfo?.structs?.[type?.struct?.name ?? '']?.members;
    if (members?.length !== struct.members.length) throw misfit();
    return Object.fromEntries(
      members.map(({ name, typeSpec }, i) => [name, decodeData(index, typeSpec, struct.members[i]!)]),
    );
  }
  if (tuple !== undefined) return tuple.members.map((m, i) => decodeData(index, type?.tuple?.members[i], m));
  throw refusal('bad-answer', 'the device sent a digest of a type that is not decoded');
}

function decodeBits(type: Config<'P4DataTypeSpec'> | undefined, bytes: Uint8Array): bigint {
  const bitwidth = type?.bitstring?.bit?.bitwidth;
  return bitwidth === undefined ? toBigInt(bytes) : decodeValue({ name: 'a digest', bitwidth }, bytes);
}

const misfit = () =>
  refusal('bad-answer', 'the device sent a digest that does not fit its type in the P4Info');

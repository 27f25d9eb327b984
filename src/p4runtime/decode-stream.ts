import { type DataValue, decodeData } from './data.ts';
import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';
import type { Message } from './proto/messages.ts';
import { decodeAny } from './values.ts';

/** A packet from the device, its metadata by the names in the controller header `packet_in`; strings where the type is one. */
export interface DecodedPacketIn {
  readonly payload: Uint8Array;
  readonly metadata: Readonly<Record<string, bigint | string>>;
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
    return [field.name, decodeAny(field, value)] as const;
  });
  return { payload: packet.payload, metadata: Object.fromEntries(metadata) };
}

/** One list of a digest: each item is what the program packed for one packet. */
export interface DecodedDigest {
  readonly name: string;
  readonly items: readonly DataValue[];
}

/** A list of a digest by names. @throws P4RuntimeError `bad-answer` where it does not fit the type in the P4Info */
export function decodeDigest(index: P4InfoIndex, list: Message<'DigestList'>): DecodedDigest {
  const digest = index.digests.get(list.digestId);
  const { typeSpec } = digest.info;
  return { name: digest.name, items: list.data.map((data) => decodeData(index, typeSpec, data)) };
}

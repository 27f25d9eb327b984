/**
 * The inference header: UDP payload of every packet that carries activations. This is its only definition: the codec
 * (`codec.ts`), the C struct (`ebpf/intransit_wire.h`) and the P4 header (`p4/intransit_wire.p4`) are made from it.
 * All fields are big-endian and whole bytes; the activations follow, one byte an element, of 16-bit types two, little-endian.
 */

/** One field, unsigned; a whole number of bytes. */
export interface HeaderField {
  readonly name: string;
  readonly bits: 8 | 16 | 32 | 64;
  readonly description: string;
}

const field = <N extends string, B extends HeaderField['bits']>(name: N, bits: B, description: string) =>
  ({ name, bits, description }) as const;

/** The header in the order of the wire, big endian; codec, C struct, P4 header and docs come from it. */
export const headerFields = [
  field('magic', 16, 'Always 0x49a7; anything else is not ours'),
  field('headerVersion', 8, 'Layout of this header: 1'),
  field('kind', 8, 'Request, result, error, probe, challenge or proof'),
  field('flags', 16, 'Bit set, see the flags'),
  field('modelId', 16, 'Which model; unique in the network'),
  field('modelVersion', 16, 'Which weights; a packet is computed by one version from end to end'),
  field('nextLayer', 8, 'The cursor: index of the first layer not yet computed'),
  field('layerCount', 8, 'Layers of the whole model; the cursor of a result'),
  field('elementType', 8, 'Type of the activations'),
  field('trustZone', 8, 'Zone that a device must be in to compute this packet; 0 is any'),
  field('elementCount', 16, 'Bytes of the activations in this packet; with types of one byte their number'),
  field('jobId', 64, "The application's agent, workflow or job; returned as sent"),
  field('sequence', 32, 'Number of the request within the job; returned as sent'),
  field('fragmentIndex', 8, 'Which part of the tensor this is, from 0'),
  field('fragmentCount', 8, 'Parts of the tensor; 1 is all of it'),
  field('reserved', 16, 'Zero'),
] as const satisfies readonly HeaderField[];

/** As the C struct and the P4 header have it, in snake case. */
export type HeaderFieldName = (typeof headerFields)[number]['name'];

/** Of the header, without the activations behind it. */
export const HEADER_BYTES = headerFields.reduce((bytes, f) => bytes + f.bits / 8, 0);
/** Layers that a cursor counts: `nextLayer` of a result is the number of them. */
export const MOST_LAYERS = 2 ** 8 - 1;

/** First two bytes of the inference header; a packet to our port without them counts as `bad_magic`. */
export const MAGIC = 0x49a7;
/** The only one that is read; a packet of another counts as `bad_magic` and is passed on untouched. */
export const HEADER_VERSION = 1;

/** UDP destination port of requests unless a deployment names another; a registered port that nobody claims. */
export const DEFAULT_PORT = 18858;

/** By their numbers on the wire. */
export const packetKinds = { request: 1, result: 2, error: 3, probe: 4, challenge: 5, proof: 6 } as const;

/** What a challenge carries, and a proof brings back. */
export const TOKEN_BYTES = 16;

/**
 * A worker answers by at most so many times the bytes of the request, UDP payloads both, until the sender has proved that it
 * receives at the address that it names. As in QUIC (RFC 9000, 8.1).
 */
export const MOST_AMPLIFICATION = 3;
/** Of two bytes the low one stands first. */
export const elementTypes = { uint8: 1, int8: 2, uint16: 3, int16: 4 } as const;

/** The device that computes the last layer sends the packet back where it came from. */
export const flagTurnRound = 0x0001;

/**
 * A verdict in the network had a margin below its threshold: the input goes on, untouched but for this flag, to a larger
 * model. In a result: the larger model has answered.
 */
export const flagUnsure = 0x0002;

/** In a result: a worker computed the last layers, not the network. */
export const flagWorker = 0x0004;

/** In an error: the version is on its way to the node, so asking again will do. */
export const flagComing = 0x0008;

/** Ethernet, IPv4 without options and UDP, in bytes: what stands before the header. */
export const OUTER_BYTES = 14 + 20 + 8;

/** Bytes of the IPv4 packet that carries so many bytes of activations: what must fit the MTU. */
export const ipv4Bytes = (activations: number): number => OUTER_BYTES - 14 + HEADER_BYTES + activations;

/**
 * What became of a packet: index of the device's counter, and why it was passed on untouched. A packet is counted once.
 */
export const packetOutcomes = [
  { name: 'computed', description: 'All layers that the device holds were computed' },
  { name: 'foreign', description: 'Not UDP over IPv4 to the inference port' },
  { name: 'ip_fragment', description: 'An IPv4 fragment: the activations may be elsewhere' },
  { name: 'ip_options', description: 'IPv4 header with options' },
  { name: 'truncated', description: 'Shorter than its own length fields say' },
  { name: 'bad_magic', description: 'To our port, but without the magic or of another header version' },
  { name: 'not_request', description: 'No request: a result, error, probe, challenge or proof' },
  { name: 'unknown_model', description: 'The device holds no such model' },
  { name: 'unknown_version', description: 'The device holds other versions of the model' },
  { name: 'cursor_elsewhere', description: 'The next layer is not where this device begins' },
  { name: 'bad_shape', description: 'Element type, element count or layer count are not those of the model' },
  { name: 'oversized', description: 'More bytes behind the activations than the header accounts for' },
  { name: 'tensor_fragment', description: 'One part of a tensor that the layer needs whole' },
  { name: 'zone_refused', description: 'The device may not compute for this trust zone' },
  { name: 'unsure', description: 'The margin of the verdict is below the threshold: left to a larger model' },
  { name: 'failed', description: 'The device could not finish, for example for lack of headroom' },
  { name: 'bad_checksum', description: 'The UDP checksum does not fit the packet' },
  { name: 'shed', description: 'The budget of its version is spent: left to another node' },
] as const;

/** What became of a packet at a node; its place in `packetOutcomes` is its number on the wire and in counters. */
export type PacketOutcome = (typeof packetOutcomes)[number]['name'];

/** Its place among `packetOutcomes`, which is its cell of the counter. */
export const outcomeIndex = (name: PacketOutcome): number => packetOutcomes.findIndex((v) => v.name === name);

/**
 * What a program in the kernel and whoever drives it agree on: slots, the words of `models`, structs, maps. This is the only
 * definition: `ebpf/intransit_abi.h`, the codecs and the policy for pushed programs come from it.
 */
import { packetOutcomes } from '../wire/header.ts';
import { defineStruct, type Struct } from './struct.ts';

/** Programs that a device runs side by side, each for one shape of models. */
export const PROGRAMS = 16;
/** Versions of weights that a program holds side by side at most. */
export const PROGRAM_SLOTS = 16;
/** Slots of a device: those of its first program, then those of its second, and so on. */
export const DEVICE_SLOTS = PROGRAMS * PROGRAM_SLOTS;
/** Entries of the table `models`: for each model its versions by number, and the current one. */
export const MODEL_ENTRIES = 256;

/** First slot of a program on the device. */
export const firstSlotOf = (program: number): number => program * PROGRAM_SLOTS;

/** The program that a slot of the device belongs to. */
export const programOf = (slot: number): number => Math.floor(slot / PROGRAM_SLOTS);

/** What a word says of its version. */
export const wordStates = {
  ready: 1,
  /** The entry was made for other layers than those of its program. */
  otherLayers: 2,
  /** The slot lacks some layer's weights, or they are being written. */
  noWeights: 3,
} as const;
/** What the word of a version says of its weights. */
export type WordState = keyof typeof wordStates;

/** A word of `models`: one version that is here, read and written as a whole, so that nobody sees half of one. */
export const wordFields = [
  { name: 'modelId', at: 0, bits: 16 },
  { name: 'modelVersion', at: 16, bits: 16 },
  { name: 'slot', at: 32, bits: 8 },
  { name: 'threshold', at: 40, bits: 8 },
  { name: 'state', at: 48, bits: 4 },
  /** Whether it is the version of requests that name none, rather than of those that name it. */
  { name: 'current', at: 52, bits: 1 },
  /** Whether its slot has a budget. */
  { name: 'limited', at: 53, bits: 1 },
  /** Set only while a packet is under way: its UDP checksum is one of the pseudo-header alone. */
  { name: 'partial', at: 63, bits: 1 },
] as const;
/** A field in the 64 bits of a word. */
export type WordField = (typeof wordFields)[number]['name'];

/**
 * Words stand in buckets. A version may stand in either of two, which follow from model id and the version asked for; so no word
 * is ever moved, and a look-up sees eight words at most.
 */
export const BUCKET_WORDS = 4;
/** Of the number of a bucket: `models` is a hash table of buckets of words. */
export const BUCKET_BITS = 10;
/** Buckets of the table, one entry of `models` each. */
export const BUCKETS = 2 ** BUCKET_BITS;
/** Odd numbers whose products with a key have well-mixed high bits. */
export const bucketFactors = [0x9e3779b1, 0x85ebca77] as const;

/** What becomes of a packet that is forwarded; `balance`: what its shard says. */
export const nextHopKinds = { none: 0, cross: 1, route: 2, drop: 3, balance: 4 } as const;

/** Of the number of a shard: jobs are spread over shards, which are shared out among those that do the same. */
export const SHARD_BITS = 9;
/** Of a group. */
export const SHARDS = 2 ** SHARD_BITS;
/** Groups of shards of a device: one for each model and layer whose requests are balanced. */
export const SHARD_GROUPS = 16;
/** Odd, near 2^64 over the golden ratio: numbers that follow each other come to lie far apart in the high bits of their products. */
export const SHARD_FACTOR = 0x9e3779b97f4a7c15n;

/** The shard of a job, the same on every device. @param jobId of 64 bits */
export function shardOf(jobId: bigint): number {
  const folded = jobId ^ (jobId >> 32n);
  return Number(BigInt.asUintN(64, folded * SHARD_FACTOR) >> BigInt(64 - SHARD_BITS));
}

/** What is counted of each slot, beside the outcomes of the device's packets. */
export const slotOutcomes = ['computed', 'unsure', 'shed', 'refused'] as const;
/** What became of a request for the version in a slot. */
export type SlotOutcome = (typeof slotOutcomes)[number];

/** Value of the maps that forward; `kind` says whether the rest is read. */
export const nextHop = defineStruct({
  name: 'next_hop',
  description: 'What becomes of a packet that is forwarded: an entry of a table.',
  fields: [
    { name: 'kind', type: 'u8' },
    // Of a request that is balanced.
    { name: 'group', type: 'u8' },
    { name: 'port', type: 'u16' },
    { name: 'source_mac', type: 'mac' },
    { name: 'destination_mac', type: 'mac' },
  ],
});

/** Key of `steer`. */
export const steerKey = defineStruct({
  name: 'steer_key',
  description: 'Which requests are steered: those of a model by their next layer.',
  fields: [
    { name: 'model_id', type: 'u16' },
    { name: 'next_layer', type: 'u8' },
    { name: 'unused', type: 'u8' },
  ],
});

/** Of the map `shards`. */
export const shardKey = defineStruct({
  name: 'shard_key',
  description: 'Which requests of a group: those of the jobs of a shard.',
  fields: [
    { name: 'model_id', type: 'u16' },
    { name: 'shard', type: 'u16' },
    { name: 'group', type: 'u8' },
    { name: 'unused', type: 'u8' },
  ],
});

/** Key of `ipv4_lpm`, as the kernel's LPM tries have it: the length in bits, then the address. */
export const lpmKey = defineStruct({
  name: 'lpm_key',
  description: 'A prefix of destinations.',
  fields: [
    { name: 'prefix', type: 'u32' },
    { name: 'destination', type: 'be32' },
  ],
});

/** A record of the ring buffer `refused`. */
export const refusal = defineStruct({
  name: 'refusal',
  description: 'A request that was refused for what is in it; numbers in the byte order of the host.',
  fields: [
    { name: 'outcome', type: 'u8' },
    { name: 'next_layer', type: 'u8' },
    { name: 'trust_zone', type: 'u8' },
    { name: 'unused', type: 'u8' },
    { name: 'model_id', type: 'u16' },
    { name: 'model_version', type: 'u16' },
    { name: 'source', type: 'u32' },
  ],
});

/** Value of `inferences`, one a CPU. */
export const slotCounts = defineStruct({
  name: 'slot_counts',
  description: 'Requests for the version in a slot, by what became of them.',
  fields: slotOutcomes.map((name) => ({ name, type: 'u64' as const })),
});

/** Value of `budgets`; an interval of 0 is no budget. */
export const budget = defineStruct({
  name: 'budget',
  description:
    'Inferences that a slot may make: one each `interval` ns, and as many at once as fit into `burst` ns.',
  fields: [
    { name: 'interval', type: 'u64' },
    { name: 'burst', type: 'u64' },
    // When the next one would be due if they came evenly; written by programs.
    { name: 'due', type: 'u64' },
  ],
});

/** All that stand in the C header, in its order. */
export const structs: readonly Struct[] = [nextHop, steerKey, shardKey, lpmKey, refusal, slotCounts, budget];

/** `enum bpf_map_type`. */
export const mapTypes = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_ARRAY: 6,
  LPM_TRIE: 11,
  DEVMAP: 14,
  RINGBUF: 27,
} as const;

/** `BPF_F_...`. */
export const mapFlags = { BPF_F_NO_PREALLOC: 1, BPF_F_MMAPABLE: 0x400 } as const;

/** A map of the kernel, as programs and agent have it. */
export interface MapModel {
  readonly name: string;
  readonly description: string;
  readonly type: keyof typeof mapTypes;
  readonly flag?: keyof typeof mapFlags;
  readonly entries: number;
  /** Absent for ring buffers, whose entries are bytes. */
  readonly key?: 'u32' | Struct;
  readonly value?: 'u32' | 'u64' | 'bucket' | Struct;
}

const PORTS = 512;
const FORWARDING_ENTRIES = 1024;
/** Whole pages, on machines with large ones too. */
const REFUSED_BYTES = 65_536;
const ONE_BYTE = 256;

/** Maps of a device, whatever programs it runs: all of them work on the same. */
export const deviceMaps = [
  {
    name: 'models',
    description: 'The versions that are here, in buckets of words.',
    type: 'ARRAY',
    flag: 'BPF_F_MMAPABLE',
    entries: BUCKETS,
    key: 'u32',
    value: 'bucket',
  },
  {
    name: 'model_ids',
    description:
      'Models of which some version is meant to be here: tells an unknown version from an unknown model.',
    type: 'HASH',
    entries: MODEL_ENTRIES,
    key: 'u32',
    value: 'u32',
  },
  {
    name: 'first_layers',
    description: 'Layer -> non-zero where some program here begins.',
    type: 'ARRAY',
    entries: ONE_BYTE,
    key: 'u32',
    value: 'u32',
  },
  {
    name: 'programs',
    description: 'The programs behind the dispatcher.',
    type: 'PROG_ARRAY',
    entries: PROGRAMS,
    key: 'u32',
    value: 'u32',
  },
  {
    name: 'handed',
    description: 'The word that the dispatcher found, for the program that it jumps to.',
    type: 'PERCPU_ARRAY',
    entries: 1,
    key: 'u32',
    value: 'u64',
  },
  {
    name: 'zones',
    description: 'Trust zone -> non-zero where this device may compute. Zone 0 is any.',
    type: 'ARRAY',
    entries: ONE_BYTE,
    key: 'u32',
    value: 'u32',
  },
  {
    name: 'ports',
    description:
      'Interface -> where its packets go if nothing else says so. An interface that is not here is no port.',
    type: 'HASH',
    entries: PORTS,
    key: 'u32',
    value: nextHop,
  },
  {
    name: 'steer',
    description: 'Next layer of a model -> the next hop to a device that computes it.',
    type: 'HASH',
    entries: FORWARDING_ENTRIES,
    key: steerKey,
    value: nextHop,
  },
  {
    name: 'shards',
    description: 'Shard of jobs -> next hop, of requests that are balanced.',
    type: 'HASH',
    flag: 'BPF_F_NO_PREALLOC',
    entries: SHARDS * SHARD_GROUPS,
    key: shardKey,
    value: nextHop,
  },
  {
    name: 'ipv4_lpm',
    description: 'Destination -> next hop.',
    type: 'LPM_TRIE',
    flag: 'BPF_F_NO_PREALLOC',
    entries: FORWARDING_ENTRIES,
    key: lpmKey,
    value: nextHop,
  },
  { name: 'tx', description: 'Port -> interface.', type: 'DEVMAP', entries: PORTS, key: 'u32', value: 'u32' },
  {
    name: 'tell_refusals',
    description: 'Whether anybody wants to hear of refused requests,',
    type: 'ARRAY',
    entries: 1,
    key: 'u32',
    value: 'u32',
  },
  {
    name: 'refused',
    description: 'and what there is to tell. Full, it takes no more.',
    type: 'RINGBUF',
    entries: REFUSED_BYTES,
  },
  {
    name: 'outcomes',
    description: 'Packets by their outcome.',
    type: 'PERCPU_ARRAY',
    entries: packetOutcomes.length,
    key: 'u32',
    value: 'u64',
  },
  {
    name: 'inferences',
    description: 'Requests by slot.',
    type: 'PERCPU_ARRAY',
    entries: DEVICE_SLOTS,
    key: 'u32',
    value: slotCounts,
  },
  {
    name: 'budgets',
    description: 'Budgets by slot.',
    type: 'ARRAY',
    entries: DEVICE_SLOTS,
    key: 'u32',
    value: budget,
  },
] as const satisfies readonly MapModel[];

/** As the kernel's object file has it. */
export type DeviceMapName = (typeof deviceMaps)[number]['name'];

/** Bytes of a map's keys and values. */
export function mapSizes({ key, value }: MapModel): { readonly key: number; readonly value: number } {
  const size = (type: MapModel['value']): number =>
    type === undefined
      ? 0
      : type === 'u32'
        ? 4
        : type === 'u64'
          ? 8
          : type === 'bucket'
            ? 8 * BUCKET_WORDS
            : type.bytes;
  return { key: size(key), value: size(value) };
}

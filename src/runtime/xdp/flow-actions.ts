/** What the maps of ebpf/intransit_flow_act.h hold: actions of classes, rates, counts, and what user space is told. */

import type { Entry } from '../../backends/common/entries.ts';
import type { ClassCounts } from '../../backends/common/flow/outcomes.ts';
import { classes, classMeter, MARK, treat, treatWays } from '../../backends/common/flow/tables.ts';
import type { Init } from '../../p4runtime/index.ts';

export type { ClassCounts };

/** `enum intransit_way_kind`, as far as classes have ways. */
const ways = { none: 0, cross: 1, drop: 3 } as const;

/** What is done with packets of flows of a class. */
export interface ClassAction {
  /** As the port says, to a port, or nowhere. */
  readonly way: keyof typeof ways;
  /** Of `cross`. */
  readonly port: number;
  /** DSCP that packets get; undefined leaves what they have. */
  readonly dscp: number | undefined;
  /** Session whose ports get copies, 0 for none. */
  readonly session: number;
  /** Whether the controller hears of flows that become this class. */
  readonly tell: boolean;
}

/** Of `struct intransit_flow_class`. */
export const CLASS_BYTES = 8;

/** `struct intransit_flow_class`; of undefined, one without an entry. */
export function encodeClass(action: ClassAction | undefined): Buffer {
  const bytes = Buffer.alloc(CLASS_BYTES);
  if (action === undefined) return bytes;
  bytes.writeUInt8(1);
  bytes.writeUInt8(ways[action.way], 1);
  bytes.writeUInt8(action.dscp === undefined ? 0 : MARK | action.dscp, 2);
  bytes.writeUInt8(action.tell ? 1 : 0, 3);
  bytes.writeUInt16LE(action.port, 4);
  bytes.writeUInt16LE(action.session, 6);
  return bytes;
}

/** Undefined where there is no entry. */
export function decodeClass(bytes: Buffer): ClassAction | undefined {
  if (bytes.readUInt8(0) === 0) return undefined;
  const way = (Object.keys(ways) as (keyof typeof ways)[]).find((w) => ways[w] === bytes.readUInt8(1));
  const mark = bytes.readUInt8(2);
  return {
    way: way ?? 'none',
    port: bytes.readUInt16LE(4),
    dscp: mark === 0 ? undefined : mark & 0x3f,
    session: bytes.readUInt16LE(6),
    tell: bytes.readUInt8(3) === 1,
  };
}

/** The entry of `classes` for an action. */
export function classEntry(cell: number, action: ClassAction): Entry {
  const way = { none: treatWays.port, cross: treatWays.redirect, drop: treatWays.drop }[action.way];
  const mark = action.dscp === undefined ? 0 : MARK | action.dscp;
  return {
    table: classes,
    keys: [cell],
    action: treat,
    parameters: [way, action.port, mark, action.session, action.tell ? 1 : 0],
  };
}

/** Bytes that packets of a class may have: a second, and at once. */
export interface ClassRate {
  readonly bytesPerSecond: bigint;
  readonly burstBytes: bigint;
}

/** More credit would not fit 64 bits, counted in bytes times 10^9. */
export const MOST_BURST = 2n ** 32n;
/** 800 Gbit/s. */
export const MOST_RATE = 100_000_000_000n;
const NANO = 1_000_000_000n;
/** Of `struct intransit_flow_rate`. */
export const RATE_BYTES = 48;

/** `struct intransit_flow_rate`, its credit whole; of undefined, one without a limit. */
export function encodeRate(rate: ClassRate | undefined): Buffer {
  const bytes = Buffer.alloc(RATE_BYTES);
  if (rate === undefined) return bytes;
  const { bytesPerSecond, burstBytes } = rate;
  const burst = burstBytes * NANO;
  // A rate of 0 would be none at all: the least that there is lets nothing through beyond the burst for years.
  const perSecond = bytesPerSecond > 0n ? bytesPerSecond : 1n;
  bytes.writeBigUInt64LE(perSecond, 8);
  bytes.writeBigUInt64LE(burst, 16);
  bytes.writeBigUInt64LE((burst + perSecond - 1n) / perSecond, 24);
  bytes.writeBigUInt64LE(burst, 32);
  return bytes;
}

/** Undefined where there is no limit. */
export function decodeRate(bytes: Buffer): ClassRate | undefined {
  const bytesPerSecond = bytes.readBigUInt64LE(8);
  return bytesPerSecond === 0n ? undefined : { bytesPerSecond, burstBytes: bytes.readBigUInt64LE(16) / NANO };
}

/** The cell of the meter for a rate. */
export function rateEntity(cell: number, rate: ClassRate): Init<'Entity'> {
  const [cir, cburst] = [rate.bytesPerSecond, rate.burstBytes];
  const config = { cir, cburst, pir: cir, pburst: cburst };
  return { meterEntry: { meterId: classMeter.id, index: { index: BigInt(cell) }, config } };
}

/** @param sums of the map `class_counts` */
export const classCounts = ([
  packets = 0n,
  bytes = 0n,
  limitedPackets = 0n,
  limitedBytes = 0n,
]: readonly bigint[]): ClassCounts => ({ packets, bytes, limitedPackets, limitedBytes });

/** A flow that became a class. */
export interface ToldVerdict {
  readonly kind: 'verdict';
  readonly class: number;
  readonly margin: number;
  readonly ipVersion: number;
  readonly protocol: number;
  /** 16 bytes, of IPv4 the last four. */
  readonly client: Buffer;
  readonly clientPort: number;
  readonly server: Buffer;
  readonly serverPort: number;
  readonly features: Buffer;
}

/** A flow that has ended, and its verdict; times in units of the definition's clock. */
export interface ToldEnd extends Omit<ToldVerdict, 'kind'> {
  readonly kind: 'end';
  readonly packets: bigint;
  readonly begun: bigint;
  readonly seen: bigint;
}

/** A flow that a larger model is to be asked about. */
export interface FlowQuestion extends Omit<ToldVerdict, 'kind'> {
  readonly kind: 'question';
  /** Where the flow lies, and its word there: what an answer is written back by. */
  readonly place: bigint;
  readonly word: bigint;
}

/** A packet for a session; cut to 2048 bytes. */
export interface PacketCopy {
  readonly kind: 'copy';
  readonly session: number;
  readonly frame: Buffer;
}

const [HEAD, PLACE_AT] = [64, 48];
const ENDING = 24;
const kinds = { told: 1, copy: 2, ended: 3, asks: 4 } as const;

/** What the map `telling` says that is wanted: INTRANSIT_FLOW_WANTED_... */
export const WANTED = { verdicts: 1n, endings: 2n } as const;

/** A record of the ring `told`; undefined for what no program of ours tells. */
export function decodeRecord(record: Buffer): ToldVerdict | ToldEnd | FlowQuestion | PacketCopy | undefined {
  if (record.length < HEAD) return undefined;
  const rest = record.subarray(HEAD);
  switch (record.readUInt8(0)) {
    case kinds.told:
      return { kind: 'verdict', ...flowOf(record), features: rest };
    case kinds.ended: {
      const at = rest.length - ENDING;
      const [packets, begun, seen] = [0, 8, 16].map((i) => rest.readBigUInt64LE(at + i)) as [
        bigint,
        bigint,
        bigint,
      ];
      return { kind: 'end', ...flowOf(record), features: rest.subarray(0, at), packets, begun, seen };
    }
    case kinds.asks: {
      const [place, word] = [record.readBigUInt64LE(PLACE_AT), record.readBigUInt64LE(PLACE_AT + 8)];
      return { kind: 'question', ...flowOf(record), features: rest, place, word };
    }
    case kinds.copy:
      return { kind: 'copy', session: record.readUInt16LE(6), frame: rest };
    default:
      return undefined;
  }
}

function flowOf(record: Buffer): Omit<ToldVerdict, 'kind' | 'features'> {
  const ipVersion = record.readUInt8(3);
  return {
    class: record.readUInt8(1),
    margin: record.readUInt8(2),
    ipVersion,
    protocol: record.readUInt8(4),
    client: address(record, 16, ipVersion),
    clientPort: record.readUInt16LE(8),
    server: address(record, 32, ipVersion),
    serverPort: record.readUInt16LE(10),
  };
}

function address(record: Buffer, at: number, version: number): Buffer {
  const bytes = Buffer.alloc(16);
  const [high, low] = [record.readBigUInt64LE(at), record.readBigUInt64LE(at + 8)];
  if (version === 4) bytes.writeBigUInt64BE(high, 8);
  else {
    bytes.writeBigUInt64BE(high);
    bytes.writeBigUInt64BE(low, 8);
  }
  return bytes;
}

import { entityKey } from '../entity-key.ts';
import type { Init, Message } from '../proto/messages.ts';
import type { Change, DevicePipeline, DeviceSink, P4Device } from './device.ts';

const ZERO = { byteCount: 0n, packetCount: 0n } as const;

/** A device without a data plane: takes everything, and lets tests and demonstrations play the part of the traffic. */
export class MemoryDevice implements P4Device {
  /** Changes in the order in which they were applied. */
  readonly applied: Change[] = [];
  readonly packets: Message<'PacketOut'>[] = [];
  /** What meters have counted, by `entityKey` of the meter's entity: for tests to say. */
  readonly meterCounts = new Map<string, Init<'MeterCounterData'>>();
  readonly #entries: readonly Init<'TableEntry'>[];
  #sink: DeviceSink | undefined;
  #pipelines = 0;

  /** @param entries that the program brings along */
  constructor(entries: readonly Init<'TableEntry'>[] = []) {
    this.#entries = entries;
  }

  /** How often a pipeline was committed. */
  get commits(): number {
    return this.#pipelines;
  }

  attach(sink: DeviceSink): void {
    this.#sink = sink;
  }

  commit(_pipeline: DevicePipeline, keep: boolean, state: readonly Change[]): void {
    this.#pipelines++;
    if (!keep) this.applied.push(...state);
  }

  initialEntries({ index }: DevicePipeline): readonly Init<'TableEntry'>[] {
    return this.#entries.filter((e) => index.tables.find(e.tableId ?? 0) !== undefined);
  }

  apply(change: Change): void {
    this.applied.push(change);
    const { meterEntry, directMeterEntry, tableEntry } = change.entity;
    if (meterEntry?.counterData && meterEntry.index === undefined)
      this.#forgetCounts(meterEntry.meterId ?? 0);
    else if (meterEntry?.counterData) this.meterCounts.delete(entityKey({ meterEntry }));
    const entry = directMeterEntry?.counterData ? directMeterEntry.tableEntry : undefined;
    const cleared = tableEntry?.meterCounterData || change.type !== 'MODIFY' ? tableEntry : entry;
    if (cleared) this.meterCounts.delete(entityKey({ directMeterEntry: { tableEntry: cleared } }));
  }

  readMeterCounts(meterId: number, index: number): Init<'MeterCounterData'> {
    return this.#counts({ meterEntry: { meterId, index: { index } } });
  }

  readDirectMeterCounts(tableEntry: Init<'TableEntry'>): Init<'MeterCounterData'> {
    return this.#counts({ directMeterEntry: { tableEntry } });
  }

  /** It knows nothing of any extern, so an instance has one entry. */
  externKey(): string {
    return '';
  }

  #counts(meter: Init<'Entity'>): Init<'MeterCounterData'> {
    return this.meterCounts.get(entityKey(meter)) ?? { green: ZERO, yellow: ZERO, red: ZERO };
  }

  #forgetCounts(meterId: number): void {
    for (const key of this.meterCounts.keys())
      if (key.startsWith(`meter ${meterId} `)) this.meterCounts.delete(key);
  }

  packetOut(packet: Message<'PacketOut'>): void {
    this.packets.push(packet);
  }

  /** As if the data plane had sent a packet to the controller. */
  injectPacketIn(packet: Init<'PacketIn'>): void {
    this.#sink?.packetIn(packet);
  }

  injectDigest(digestId: number, data: Init<'P4Data'>): void {
    this.#sink?.digest(digestId, data);
  }

  injectIdleTimeout(entries: readonly Init<'TableEntry'>[]): void {
    this.#sink?.idleTimeout(entries);
  }
}

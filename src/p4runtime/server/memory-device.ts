import type { Init, Message } from '../proto/messages.ts';
import type { Change, DevicePipeline, DeviceSink, P4Device } from './device.ts';

/** A device without a data plane: takes everything, and lets tests and demonstrations play the part of the traffic. */
export class MemoryDevice implements P4Device {
  /** Changes in the order in which they were applied. */
  readonly applied: Change[] = [];
  readonly packets: Message<'PacketOut'>[] = [];
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

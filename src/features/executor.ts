import type { Frame } from '../capture/index.ts';
import { endsAreTold, type FeatureDefinition } from './definition.ts';
import { type Context, type Evaluator, evaluator } from './expression/index.ts';
import type { FieldValues } from './fields.ts';
import { type KeyOfPacket, keyOfPacket } from './flow-key.ts';
import { type ParsedPacket, parsePacket, transportOf, type Unparsed } from './packet.ts';

/**
 * What became of a packet. `classified`: its flow's features go to the model; `early`: its flow is not due; `late`: it
 * comes after its flow's end; else why it has no flow. Every packet has exactly one.
 */
export type Outcome = 'classified' | 'early' | 'late' | Unparsed;

/** Who sent a flow's first packet to whom. */
export interface FlowEnds {
  readonly protocol: number;
  readonly client: Uint8Array;
  readonly clientPort: number;
  readonly server: Uint8Array;
  readonly serverPort: number;
}

/** What became of a frame. */
export interface PacketResult {
  readonly outcome: Outcome;
  /** Rows that are due with it: its own, and at a flow's end those of flows that are over. */
  readonly rows: readonly FeatureRow[];
  /** The flow that it is counted to, if it has one. */
  readonly flow?: Flow;
}

/** A flow while it lives. Numbers count from 1 in the order of first packets. */
export interface Flow extends FlowEnds {
  readonly number: number;
  /** Packets so far. */
  readonly packets: number;
}

/** A row of features that is due. */
export interface FeatureRow {
  readonly flow: Flow;
  /** The frame that made it due, from 0; at a flow's end the last that belonged to it. */
  readonly frame: number;
  readonly features: Uint8Array;
}

/** A flow that is no more. */
export interface ForgottenFlow {
  /** How long before the last frame its last packet was, in units of the definition's clock. */
  readonly idle: number;
  /** Where flows are classified at their ends, and it had not ended: the row that is due. */
  readonly row: FeatureRow | undefined;
}

interface Slot {
  readonly key: string;
  readonly ends: FlowEnds;
  readonly number: number;
  readonly begun: number;
  /** Whether the client is the key's higher end. */
  readonly swapped: boolean;
  readonly state: Float64Array;
  packets: number;
  last: number;
  lastFrame: number;
  /** Directions that sent FIN, as bits; 3 or more: the flow has ended. */
  finished: number;
}

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
const BOTH_FINISHED = 3;

/**
 * Runs a definition over frames: the oracle of what the targets compute. Its flow table never fills: what a device has no
 * room for it is told (`forget`). Arrivals must be given as the device saw them, and are cut to the definition's clock.
 */
export class FeatureExecutor {
  readonly definition: FeatureDefinition;
  readonly #flows = new Map<string, Slot>();
  readonly #byNumber = new Map<number, Slot>();
  readonly #initial: readonly Evaluator[];
  readonly #update: readonly Evaluator[];
  readonly #most: readonly number[];
  readonly #features: readonly Evaluator[];
  readonly #clock: bigint;
  #numbers: ReadonlySet<number> | undefined;
  #frames = 0;
  #flowCount = 0;
  #latest = 0;
  #origin: bigint | undefined;

  constructor(definition: FeatureDefinition) {
    this.definition = definition;
    this.#initial = definition.state.map((s) => evaluator(s.initial));
    this.#update = definition.state.map((s) => evaluator(s.update));
    // An instant holds any arrival; what is not an instant stops at the largest of its width.
    this.#most = definition.state.map((s) =>
      s.type.kind === 'instant' ? Number.MAX_SAFE_INTEGER : 2 ** s.bits - 1,
    );
    this.#features = definition.features.map((f) => evaluator(f.value));
    this.#clock = BigInt(definition.clockNs);
    if (definition.occasion.kind === 'packets') this.#numbers = new Set(definition.occasion.numbers);
  }

  /** Flows that were begun. */
  get flows(): number {
    return this.#flowCount;
  }

  /**
   * One frame: its outcome, its flow, and the rows that are due with it.
   * @param packet what it is parsed to, for who knows it already
   */
  frame(
    frame: Pick<Frame, 'timeNs' | 'link' | 'data' | 'length'>,
    packet: ParsedPacket | Unparsed = parsePacket(frame),
  ): PacketResult {
    const number = this.#frames++;
    if (typeof packet === 'string') return { outcome: packet, rows: [] };
    if (!acceptsPacket(this.definition, packet.fields)) return { outcome: 'foreign', rows: [] };
    this.#latest = this.#now(frame.timeNs);
    return this.#packet(packet, this.#latest, number);
  }

  /**
   * A device has no place for a flow any more, or found none for its packet: whatever comes of it begins another.
   * @returns nothing if it is not known
   */
  forget(number: number): ForgottenFlow | undefined {
    const slot = this.#byNumber.get(number);
    if (slot === undefined) return undefined;
    this.#byNumber.delete(number);
    this.#flows.delete(slot.key);
    const isDue = endsAreTold(this.definition) && !hasEnded(slot);
    return { idle: this.#latest - slot.last, row: isDue ? this.#row(slot, undefined) : undefined };
  }

  /** Ends all flows: the rows that are due at their ends, in the order of their beginnings. */
  end(): readonly FeatureRow[] {
    if (!endsAreTold(this.definition)) return [];
    const rows = [...this.#flows.values()]
      .filter((slot) => !hasEnded(slot))
      .map((slot) => this.#row(slot, undefined));
    this.#flows.clear();
    this.#byNumber.clear();
    return rows.sort((a, b) => a.flow.number - b.flow.number);
  }

  #packet(packet: ParsedPacket, now: number, number: number): PacketResult {
    const key = keyOfPacket(this.definition, packet);
    const known = this.#flows.get(key.text);
    const atEnd = endsAreTold(this.definition);
    const rows: FeatureRow[] = [];
    const isOver = known !== undefined && this.#isOver(known, packet.fields, now);
    if (known !== undefined && !isOver && hasEnded(known)) {
      known.last = now;
      return { outcome: 'late', rows, flow: flowOf(known) };
    }
    if (isOver && atEnd && !hasEnded(known)) rows.push(this.#row(known, undefined));
    if (isOver) this.#byNumber.delete(known.number);
    const slot = known === undefined || isOver ? this.#begin(packet, key, now) : known;

    const context = this.#advance(slot, packet.fields, key.swapped, now);
    slot.lastFrame = number;
    if (atEnd) {
      if (this.definition.tcpClose) slot.finished |= finishing(context.fields);
      if (!hasEnded(slot)) return { outcome: 'early', rows, flow: flowOf(slot) };
      rows.push(this.#row(slot, undefined));
      return { outcome: 'classified', rows, flow: flowOf(slot) };
    }
    if (!this.#isDue(slot.packets)) return { outcome: 'early', rows, flow: flowOf(slot) };
    rows.push(this.#row(slot, context));
    return { outcome: 'classified', rows, flow: flowOf(slot) };
  }

  /** Applies the packet to the state: all updates see the state before it. */
  #advance(slot: Slot, fields: FieldValues, swapped: boolean, now: number): Context {
    const oriented = orient(fields, swapped !== slot.swapped);
    const before = Float64Array.from(slot.state);
    const context: Context = { fields: oriented, now, before, after: slot.state };
    if (slot.packets === 0)
      this.#initial.forEach((initial, i) => {
        before[i] = Math.min(this.#most[i]!, initial(context));
      });
    this.#update.forEach((update, i) => {
      slot.state[i] = Math.min(this.#most[i]!, update(context));
    });
    slot.packets++;
    slot.last = now;
    return context;
  }

  #begin(packet: ParsedPacket, { text, swapped }: KeyOfPacket, now: number): Slot {
    const { fields, source, destination } = packet;
    const slot = {
      key: text,
      number: ++this.#flowCount,
      ends: {
        protocol: fields['ip.protocol'],
        client: source,
        clientPort: fields['port.source'],
        server: destination,
        serverPort: fields['port.destination'],
      },
      begun: now,
      swapped,
      state: new Float64Array(this.definition.state.length),
      packets: 0,
      last: now,
      lastFrame: 0,
      finished: 0,
    };
    this.#flows.set(text, slot);
    this.#byNumber.set(slot.number, slot);
    return slot;
  }

  /** Whether the packet begins a new flow under the same key. A clock that steps back ends nothing. */
  #isOver(slot: Slot, fields: FieldValues, now: number): boolean {
    const { idleTimeout, activeTimeout } = this.definition;
    if (now - slot.last > idleTimeout || now - slot.begun > activeTimeout) return true;
    return hasEnded(slot) && (fields['tcp.flags'] & (SYN | ACK)) === SYN;
  }

  #isDue(packets: number): boolean {
    switch (this.definition.occasion.kind) {
      case 'every-packet':
        return true;
      case 'powers-of-two':
        return Number.isInteger(Math.log2(packets));
      case 'packets':
        return this.#numbers!.has(packets);
      case 'end':
        return false;
    }
  }

  #row(slot: Slot, context: Context | undefined): FeatureRow {
    // At a flow's end expressions name state alone: the checks hold that.
    const seen = context ?? { fields: NO_FIELDS, now: 0, before: slot.state, after: slot.state };
    return {
      flow: flowOf(slot),
      frame: slot.lastFrame,
      features: Uint8Array.from(this.#features, (feature) => feature(seen)),
    };
  }

  /** Counted from the first frame's second, so that it stays exact in a double. */
  #now(timeNs: bigint): number {
    this.#origin ??= timeNs - (timeNs % 1_000_000_000n);
    return Number((timeNs - this.#origin) / this.#clock);
  }
}

/** Whether a packet is one that a definition is of; others are foreign to it. */
export function acceptsPacket({ ipVersions, protocols }: FeatureDefinition, f: FieldValues): boolean {
  return protocols.includes(transportOf(f)) && (ipVersions as readonly number[]).includes(f['ip.version']);
}

const flowOf = (slot: Slot): Flow => ({ ...slot.ends, number: slot.number, packets: slot.packets });

const hasEnded = (slot: Slot): boolean => slot.finished >= BOTH_FINISHED;

function finishing(fields: FieldValues): number {
  const flags = fields['tcp.flags'];
  if (flags & RST) return BOTH_FINISHED;
  return flags & FIN ? 1 << fields.direction : 0;
}

/** The fields as the flow sees them: its client is who sent its first packet. */
function orient(fields: FieldValues, reply: boolean): FieldValues {
  if (!reply) return fields;
  return {
    ...fields,
    direction: 1,
    'port.client': fields['port.destination'],
    'port.server': fields['port.source'],
  };
}

const NO_FIELDS: FieldValues = new Proxy({} as FieldValues, { get: () => 0 });

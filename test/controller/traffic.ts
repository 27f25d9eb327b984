import type { Model } from '../../src/model/model.ts';
import { outputType } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import {
  decodePacket,
  encodeFrame,
  encodePacket,
  framePayload,
  requestPacket,
} from '../../src/wire/index.ts';

export const ADDRESSES = {
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  sourceIp: Uint8Array.of(192, 0, 2, 1),
  destinationIp: Uint8Array.of(192, 0, 2, 2),
  sourcePort: 40000,
  destinationPort: 18858,
};

export interface TrafficReport {
  readonly sent: number;
  readonly perSecond: number;
  readonly lost: number;
  /** Answers that are not those of the version that they name. */
  readonly wrong: number;
  /** Packets that came out without being computed. */
  readonly untouched: number;
  /** Answers by the version that they name. */
  readonly byVersion: Readonly<Record<number, number>>;
}

/** The answers of every version to the same rows. */
export class Answers {
  readonly rows: Uint8Array;
  readonly count: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly model: Model;
  readonly #byVersion = new Map<number, Uint8Array>();

  constructor(model: Model, rows: Uint8Array, versions: ReadonlyMap<number, Model>) {
    this.model = model;
    this.rows = rows;
    this.inputs = elementCount(model.input.shape);
    this.outputs = elementCount(outputType(model).shape);
    this.count = rows.length / this.inputs;
    for (const [version, m] of versions) this.#byVersion.set(version, interpretRows(m, rows));
  }

  of(version: number, row: number): Uint8Array | undefined {
    return this.#byVersion.get(version)?.subarray(row * this.outputs, (row + 1) * this.outputs);
  }

  /** Rows whose answers differ between two versions. */
  differing(a: number, b: number): number {
    let count = 0;
    for (let row = 0; row < this.count; row++)
      if (Buffer.compare(this.of(a, row)!, this.of(b, row)!) !== 0) count++;
    return count;
  }

  /** Requests that name no version, one a row; the sequence number is set anew for each. */
  payload(row: number, sequence: number, turnRound = false): Uint8Array {
    return encodePacket(
      requestPacket(this.rows.subarray(row * this.inputs, (row + 1) * this.inputs), {
        modelId: 1,
        modelVersion: 0,
        layerCount: this.model.layers.length,
        element: this.model.input.element,
        sequence,
        turnRound,
      }),
    );
  }

  /** @returns the version that the answer names, and whether the answer is that version's */
  judge(payload: Uint8Array): { version: number; right: boolean; computed: boolean; sequence: number } {
    const packet = decodePacket(payload)!;
    const { modelVersion: version, sequence, nextLayer, layerCount } = packet.header;
    const computed = nextLayer === layerCount;
    const expected = this.of(version, sequence % this.count);
    const right = expected !== undefined && Buffer.compare(expected, packet.activations) === 0;
    return { version, right, computed, sequence };
  }
}

/** A device of the path: what is sent goes in at port 1, what is heard of came out elsewhere. */
export interface PathDevice {
  listen(receive: (packet: { readonly packet: Uint8Array }) => void, fail: (error: Error) => void): void;
  send(port: number, frame: Uint8Array): void;
}

/** Fewer than the egress queue of BMv2 holds, so that no loss is the queue's. */
const MOST_UNDER_WAY = 48;
const TICK_MS = 5;

/**
 * Steady requests into the first of some devices, whose frames are carried from each to the next. A pause of this process
 * shows as a pause of the traffic, never as a burst that a queue would drop.
 */
export class Traffic {
  readonly #answers: Answers;
  readonly #path: readonly PathDevice[];
  readonly #byVersion: Record<number, number> = {};
  readonly #started = performance.now();
  #timer: NodeJS.Timeout;
  #sent = 0;
  #received = 0;
  #wrong = 0;
  #untouched = 0;

  constructor(path: readonly PathDevice[], answers: Answers, perSecond: number) {
    this.#answers = answers;
    this.#path = path;
    path.forEach((dataplane, i) => {
      const next = path[i + 1];
      dataplane.listen(
        ({ packet }) => (next === undefined ? this.#receive(packet) : next.send(1, packet)),
        (error) => {
          throw error;
        },
      );
    });
    const burst = Math.round((perSecond * TICK_MS) / 1000);
    this.#timer = setInterval(() => {
      const due = Math.round(((performance.now() - this.#started) * perSecond) / 1000) - this.#sent;
      const room = MOST_UNDER_WAY - (this.#sent - this.#received);
      for (let i = 0; i < Math.min(due, 4 * burst, room); i++) this.#send();
    }, TICK_MS);
  }

  #send(): void {
    const sequence = this.#sent++;
    const payload = this.#answers.payload(sequence % this.#answers.count, sequence);
    this.#path[0]!.send(1, encodeFrame(ADDRESSES, payload));
  }

  #receive(frame: Uint8Array): void {
    this.#received++;
    const { version, right, computed } = this.#answers.judge(framePayload(frame)!);
    if (!computed) this.#untouched++;
    else if (!right) this.#wrong++;
    this.#byVersion[version] = (this.#byVersion[version] ?? 0) + 1;
  }

  /** Ends the sending, and waits for what is under way. */
  async stop(patienceMs = 3_000): Promise<TrafficReport> {
    clearInterval(this.#timer);
    const seconds = (performance.now() - this.#started) / 1000;
    const until = performance.now() + patienceMs;
    while (this.#received < this.#sent && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return {
      sent: this.#sent,
      perSecond: Math.round(this.#sent / seconds),
      lost: this.#sent - this.#received,
      wrong: this.#wrong,
      untouched: this.#untouched,
      byVersion: this.#byVersion,
    };
  }
}

/** A worker that is asked what a larger model says of features: inference requests over UDP, one for each question. */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import {
  decodePacket,
  encodePacket,
  type Header,
  packetKinds,
  packetOutcomes,
  probePacket,
  requestPacket,
} from '../../wire/index.ts';

/** Where a worker listens, by an IPv4 address, and which of its models is meant. */
export interface LargerModelPlace {
  readonly address: string;
  readonly port: number;
  readonly modelId: number;
}

/** Class and margin, in the large model's own steps. */
export interface LargerVerdict {
  readonly class: number;
  readonly margin: number;
}

/** ms after which an answer is not waited for any more. */
const WAIT_MS = 1000;
/** ms between two looks at what has waited for too long. */
const LOOK_MS = 100;
/** ms between two questions how many layers the worker's model has. */
const PROBE_MS = 250;
/** ms between two looks whether all is answered. */
const IDLE_MS = 10;
/** Questions without an answer at a time: more get none. */
const MOST_PENDING = 65_536;
/** Class and margin. */
const VERDICT_BYTES = 2;

interface Pending {
  readonly features: Uint8Array;
  readonly deadline: number;
  readonly settle: (verdict: LargerVerdict | undefined) => void;
  /** Whether the worker has had a proof that this host listens. */
  proven: boolean;
}

/** One worker behind a socket of its own; an answer that takes longer than a second is no verdict. */
export class LargerModel implements Disposable {
  readonly #place: LargerModelPlace;
  readonly #socket: Socket;
  readonly #jobId = randomBytes(8).readBigUInt64BE();
  readonly #look: NodeJS.Timeout;
  /** By sequence number, the oldest first. */
  readonly #pending = new Map<number, Pending>();
  #sequence = 0;
  #layerCount: number | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  #trouble: string | undefined;
  #closed = false;

  constructor(place: LargerModelPlace) {
    this.#place = place;
    // The address is one already: nothing is to be looked up for each packet.
    this.#socket = createSocket({ type: 'udp4', lookup: (address, _, done) => done(null, address, 4) });
    this.#socket.on('message', (payload, from) => this.#receive(payload, from));
    // A worker that is gone is one that does not answer: what comes of it is told by that.
    this.#socket.on('error', (error) => {
      this.#trouble = error.message;
    });
    this.#socket.bind(0);
    this.#look = setInterval(() => this.#expire(), LOOK_MS);
    this.#probe();
  }

  /** Why questions had no answer, as the last of them showed; undefined where all had one. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Of the worker's model; undefined while it has not been heard of. */
  get layerCount(): number | undefined {
    return this.#layerCount;
  }

  /** Asks once. @param settle gets no verdict where no answer comes in time, or none that is a verdict */
  ask(features: Uint8Array, settle: (verdict: LargerVerdict | undefined) => void): void {
    if (this.#closed || this.#pending.size >= MOST_PENDING) {
      settle(undefined);
      return;
    }
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) >>> 0;
    const deadline = performance.now() + WAIT_MS;
    this.#pending.set(sequence, { features, deadline, settle, proven: false });
    if (this.#layerCount === undefined) this.#probe();
    else this.#send(sequence, features);
  }

  /** Whether the worker has been heard of within a time. */
  async isThere(timeoutMs: number): Promise<boolean> {
    for (const end = performance.now() + timeoutMs; performance.now() < end; ) {
      if (this.#layerCount !== undefined) return true;
      this.#probe();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.#layerCount !== undefined;
  }

  /** Waits until every question has an answer, or will get none: a second at most. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  }

  /** What waits gets no answer. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#look);
    for (const { settle } of this.#pending.values()) settle(undefined);
    this.#pending.clear();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(sequence: number, features: Uint8Array): void {
    const request = requestPacket(features, {
      ...this.#shape(),
      sequence,
      turnRound: true,
      unsure: true,
    });
    this.#transmit(encodePacket(request));
  }

  #shape() {
    const { modelId } = this.#place;
    const layerCount = this.#layerCount ?? 0;
    return { modelId, modelVersion: 0, layerCount, element: 'uint8', jobId: this.#jobId } as const;
  }

  /** Asks how many layers the worker's model has: each request says so. */
  #probe(): void {
    const now = performance.now();
    if (this.#closed || now - this.#probedAt < PROBE_MS) return;
    this.#probedAt = now;
    this.#transmit(encodePacket(probePacket(this.#shape())));
  }

  #transmit(packet: Uint8Array): void {
    const { address, port } = this.#place;
    this.#socket.send(packet, port, address, (error) => {
      if (error) this.#trouble = error.message;
    });
  }

  #receive(payload: Buffer, from: RemoteInfo): void {
    const { address, port, modelId } = this.#place;
    const packet = from.address === address && from.port === port ? decodePacket(payload) : undefined;
    if (packet === undefined || packet.header.jobId !== this.#jobId) return;
    const { header, activations } = packet;
    if (header.kind === packetKinds.probe) {
      this.#learn(header);
      return;
    }
    const pending = this.#pending.get(header.sequence);
    if (pending === undefined || header.modelId !== modelId) return;
    if (header.kind === packetKinds.challenge) {
      const proof = { header: { ...header, kind: packetKinds.proof }, activations };
      this.#transmit(encodePacket(proof));
      // A second challenge is no answer either; the question stays without one.
      if (!pending.proven) this.#send(header.sequence, pending.features);
      pending.proven = true;
    } else if (header.kind === packetKinds.result) {
      this.#pending.delete(header.sequence);
      const isVerdict = activations.length === VERDICT_BYTES;
      if (!isVerdict)
        this.#trouble = `the worker's model ends in ${activations.length} bytes, not in class and margin`;
      pending.settle(isVerdict ? { class: activations[0]!, margin: activations[1]! } : undefined);
    } else if (header.kind === packetKinds.error) this.#refused(header.sequence, activations[0] ?? 0);
  }

  #refused(sequence: number, reason: number): void {
    this.#trouble = `the worker refuses: ${packetOutcomes[reason]?.name ?? reason}`;
    this.#pending.get(sequence)?.settle(undefined);
    this.#pending.delete(sequence);
    // It may hold another model by now.
    this.#layerCount = undefined;
  }

  #learn({ modelId, layerCount }: Header): void {
    if (modelId !== this.#place.modelId || layerCount === 0) {
      this.#trouble = `the worker has no model ${this.#place.modelId}`;
      return;
    }
    const isNew = this.#layerCount === undefined;
    this.#layerCount = layerCount;
    if (isNew) for (const [sequence, { features }] of this.#pending) this.#send(sequence, features);
  }

  #expire(): void {
    if (this.#layerCount === undefined && this.#pending.size > 0) this.#probe();
    const now = performance.now();
    for (const [sequence, { deadline, settle }] of this.#pending) {
      if (deadline > now) return;
      this.#pending.delete(sequence);
      this.#trouble ??= 'the worker does not answer';
      settle(undefined);
    }
  }
}

import type { RemoteInfo, Socket } from 'node:dgram';
import { PROBE_REPLY_BYTES } from '../edge/sender.ts';
import { countIn } from '../edge/statistics.ts';
import type { ElementType } from '../model/tensor.ts';
import { encodeTensor } from '../wire/fragments.ts';
import {
  decodePacket,
  elementTypes,
  encodePacket,
  flagTurnRound,
  flagUnsure,
  flagWorker,
  type Header,
  type InferencePacket,
  packetKinds,
  type VerdictName,
  verdictIndex,
} from '../wire/index.ts';
import type { Finisher } from './finisher.ts';
import type { LargeModel } from './large-model.ts';
import { type Batch, type Computation, type Job, JobQueue } from './queue.ts';
import { Reassembly, type ReassemblyCounts, type ReassemblyLimits } from './reassembly.ts';
import { examine, type Held, malformation } from './requests.ts';

export interface WorkerStatistics {
  /** Packets that came in. */
  readonly received: number;
  /** Rows answered, by the cursor with which they came; `large` are those of the large model. */
  readonly answered: Readonly<Record<string, number>>;
  /** Requests answered by an error, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Payloads that are no packets of ours, by what is wrong. */
  readonly malformed: Readonly<Record<string, number>>;
  /** Results of the network that were sent on to who had asked. */
  readonly relayed: number;
  readonly probes: number;
  /** Packets that a worker has nothing to do with, such as errors. */
  readonly ignored: number;
  readonly fragments: Readonly<ReassemblyCounts> & { readonly pending: number };
  readonly batches: number;
  readonly largestBatch: number;
  readonly queue: number;
  readonly longestQueue: number;
  /** Packets that the system did not take. */
  readonly unsent: number;
}

export interface ServiceParts {
  readonly held: Held;
  readonly outputElement: ElementType;
  readonly finishers: ReadonlyMap<number, Finisher>;
  readonly large: LargeModel | undefined;
  /** Packets of a result. */
  readonly fragments: number;
  /** Rows of one run at most. */
  readonly batch: number;
  readonly reassembly: ReassemblyLimits;
}

/** Rows that wait at most, and their bytes: what comes on top is refused, and its sender tries again. */
const MOST_WAITING = 16_384;
const MOST_WAITING_BYTES = 64 * 2 ** 20;

/** One socket's packets: what is asked is queued, what is queued is computed, batch after batch. */
export class Service {
  readonly #socket: Socket;
  readonly #parts: ServiceParts;
  readonly #queue = new JobQueue(MOST_WAITING, MOST_WAITING_BYTES);
  readonly #reassembly: Reassembly;
  readonly #sweep: NodeJS.Timeout;
  readonly #answered: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  readonly #malformed: Record<string, number> = {};
  #received = 0;
  #relayed = 0;
  #probes = 0;
  #ignored = 0;
  #batches = 0;
  #largestBatch = 0;
  #longestQueue = 0;
  #unsent = 0;
  #stopped = false;
  #working: Promise<void> | undefined;

  constructor(socket: Socket, parts: ServiceParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#reassembly = new Reassembly(parts.reassembly);
    this.#sweep = setInterval(() => this.#reassembly.expire(performance.now()), 1000).unref();
  }

  receive(payload: Buffer, from: RemoteInfo): void {
    if (this.#stopped) return;
    this.#received++;
    const packet = decodePacket(payload);
    if (packet === undefined) {
      countIn(this.#malformed, malformation(payload));
      return;
    }
    const { kind, flags } = packet.header;
    if (kind === packetKinds.request) this.#request(packet, from);
    // The network has finished it on its way here. One that was turned round already is not passed back and forth.
    else if (kind === packetKinds.result && !(flags & flagTurnRound)) {
      this.#relayed++;
      this.#reply(packet, from, { flags: flags | flagTurnRound });
    } else if (kind === packetKinds.probe && packet.activations.length === 0) this.#probe(packet, from);
    else this.#ignored++;
  }

  #request(packet: InferencePacket, from: RemoteInfo): void {
    const { header, activations } = packet;
    const input = examine(header, this.#parts.held);
    if (typeof input === 'string') {
      this.#refuse(header, from, input);
      return;
    }
    let tensor: Uint8Array | undefined = activations;
    if (header.fragmentCount > 1) {
      const sender = `${from.address}:${from.port}`;
      tensor = this.#reassembly.add(sender, packet, input.elements, performance.now());
      if (tensor === undefined) return;
    }
    const computation: Computation =
      header.nextLayer === 0 && this.#parts.large !== undefined ? 'large' : header.nextLayer;
    if (!this.#queue.add(computation, { header, tensor, from })) {
      this.#refuse(header, from, 'failed');
      return;
    }
    this.#longestQueue = Math.max(this.#longestQueue, this.#queue.length);
    this.#working ??= this.#work();
  }

  /** Computes until nothing waits. What comes meanwhile makes the next batch: nothing waits for a batch to fill. */
  async #work(): Promise<void> {
    // The packets that the socket has at hand come first.
    await new Promise(setImmediate);
    const { batch } = this.#parts;
    for (let next = this.#queue.take(batch); next !== undefined; next = this.#queue.take(batch)) {
      await this.#compute(next);
      await new Promise(setImmediate);
    }
    this.#working = undefined;
  }

  async #compute({ computation, jobs }: Batch): Promise<void> {
    const { large, finishers } = this.#parts;
    const width = jobs[0]!.tensor.length;
    const rows = new Uint8Array(jobs.length * width);
    for (const [i, job] of jobs.entries()) rows.set(job.tensor, i * width);
    this.#batches++;
    this.#largestBatch = Math.max(this.#largestBatch, jobs.length);
    let results: Uint8Array;
    try {
      const computes = computation === 'large' ? large! : finishers.get(computation)!;
      results = await computes.run(rows, jobs.length);
    } catch {
      for (const { header, from } of jobs) this.#refuse(header, from, 'failed');
      return;
    }
    const size = results.length / jobs.length;
    for (const [i, job] of jobs.entries())
      this.#answer(job, computation, results.subarray(i * size, (i + 1) * size));
  }

  #answer({ header, from }: Job, computation: Computation, result: Uint8Array): void {
    countIn(this.#answered, computation);
    const { held, outputElement, fragments } = this.#parts;
    const unsure = computation === 'large' ? flagUnsure : 0;
    const answer: Header = {
      ...header,
      kind: packetKinds.result,
      flags: flagTurnRound | flagWorker | unsure,
      modelVersion: held.modelVersion,
      nextLayer: held.layerCount,
      elementType: elementTypes[outputElement],
    };
    for (const payload of encodeTensor(answer, result, fragments)) this.#send(payload, from);
  }

  #refuse(header: Header, from: RemoteInfo, reason: VerdictName): void {
    countIn(this.#refused, reason);
    const activations = Uint8Array.of(verdictIndex(reason));
    this.#reply({ header, activations }, from, { kind: packetKinds.error });
  }

  /** The worker's own model, version and layers, and how many rows wait. */
  #probe({ header }: InferencePacket, from: RemoteInfo): void {
    this.#probes++;
    const { modelId, modelVersion, layerCount } = this.#parts.held;
    const waiting = new Uint8Array(PROBE_REPLY_BYTES);
    new DataView(waiting.buffer).setUint32(0, this.#queue.length);
    const own = { modelId, modelVersion, layerCount, flags: flagTurnRound | flagWorker };
    this.#reply({ header, activations: waiting }, from, own);
  }

  #reply({ header, activations }: InferencePacket, to: RemoteInfo, change: Partial<Header>): void {
    const reply = { ...header, ...change, elementCount: activations.length };
    this.#send(encodePacket({ header: reply, activations }), to);
  }

  #send(payload: Uint8Array, to: RemoteInfo): void {
    this.#socket.send(payload, to.port, to.address, this.#onSent);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error) this.#unsent++;
  };

  countUnsent(): void {
    this.#unsent++;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweep);
    await this.#working;
  }

  statistics(): WorkerStatistics {
    return {
      received: this.#received,
      answered: { ...this.#answered },
      refused: { ...this.#refused },
      malformed: { ...this.#malformed },
      relayed: this.#relayed,
      probes: this.#probes,
      ignored: this.#ignored,
      fragments: { ...this.#reassembly.counts, pending: this.#reassembly.pending },
      batches: this.#batches,
      largestBatch: this.#largestBatch,
      queue: this.#queue.length,
      longestQueue: this.#longestQueue,
      unsent: this.#unsent,
    };
  }
}

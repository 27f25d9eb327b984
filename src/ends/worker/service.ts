import type { RemoteInfo, Socket } from 'node:dgram';
import type { WorkerLoad } from '../../doors/measures.ts';
import { encodeTensor } from '../../wire/fragments.ts';
import {
  decodePacket,
  elementTypes,
  encodePacket,
  flagComing,
  flagTurnRound,
  flagUnsure,
  flagWorker,
  HEADER_BYTES,
  type Header,
  type InferencePacket,
  MOST_AMPLIFICATION,
  outcomeIndex,
  type PacketOutcome,
  packetKinds,
} from '../../wire/index.ts';
import { countIn } from '../common/counts.ts';
import { encodeQueue } from '../common/probe.ts';
import type { Address } from './cookies.ts';
import type { Holdings } from './holdings.ts';
import { JobMoves } from './job-moves.ts';
import { Listeners } from './listeners.ts';
import { type Computation, LoadedVersion } from './loaded-version.ts';
import { Overload } from './overload.ts';
import { type Batch, type Job, JobQueue } from './queue.ts';
import { Reassembly, type ReassemblyCounts, type ReassemblyLimits } from './reassembly.ts';
import { examine, malformation } from './requests.ts';
import { SourceRates } from './source-rates.ts';

/** What a worker has counted since it began. */
export interface WorkerStatistics {
  /** Packets that came in. */
  readonly received: number;
  /** Rows answered, by the cursor with which they came; `large` are those of the large model. */
  readonly answered: Readonly<Record<string, number>>;
  /** Rows answered by each version that is held, by `MODEL/VERSION`. */
  readonly answeredBy: Readonly<Record<string, number>>;
  /** Requests answered by an error, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Payloads that are no packets of ours, by what is wrong. */
  readonly malformed: Readonly<Record<string, number>>;
  /** Results of the network that were sent on to who had asked. */
  readonly relayed: number;
  readonly probes: number;
  /** Requests that were answered by a challenge: their sender was to show first that it listens. */
  readonly challenged: number;
  /** Addresses that have shown it, and tokens that proved nothing. */
  readonly proven: number;
  readonly badProofs: number;
  /** Requests beyond what one host may ask in a second, dropped. */
  readonly limited: number;
  /** Runs of an engine that failed, by its message. */
  readonly engineErrors: Readonly<Record<string, number>>;
  /** Rows that waited when the time to end was over, and were refused. */
  readonly abandoned: number;
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

/** What the answering of requests is made of. */
export interface ServiceParts {
  readonly holdings: Holdings;
  /** Trust zones that it is in, beside 0. */
  readonly zones: ReadonlySet<number>;
  /** Requests a second of one host; more are dropped. */
  readonly sourceRate: number | undefined;
  /** Told of the first failure of each kind. */
  readonly onEngineError: (reason: string, rows: number, file?: string) => void;
  /** How long rows may wait before it says that it is overloaded, ms. */
  readonly overloadMs: number;
  /** Rows of one run at most. */
  readonly batch: number;
  readonly reassembly: ReassemblyLimits;
}

/** A request of a job that goes to another worker, with its whole tensor. */
export type ReleasedRow = Pick<Job, 'header' | 'tensor'>;

/** What a worker knew of a job that it has given away. */
export interface ReleasedJob {
  /** By model: the version of its requests that name none. */
  readonly versions: ReadonlyMap<number, number>;
  readonly rows: readonly ReleasedRow[];
}

/** Rows that wait at most, and their bytes: what comes on top is refused, and its sender tries again. */
const MOST_WAITING = 16_384;
const MOST_WAITING_BYTES = 64 * 2 ** 20;

/** The same of senders that have not shown that they listen; what comes on top is challenged. */
const MOST_UNPROVEN = 512;
const MOST_UNPROVEN_BYTES = 8 * 2 ** 20;

/** Every so many batches one is of those that have not shown it, whatever else waits. */
const UNPROVEN_TURN = 8;

/** Kinds of failures of an engine that are told apart. */
const MOST_ENGINE_ERRORS = 16;

/** One socket's packets: what is asked is queued, what is queued is computed, batch after batch. */
export class Service {
  readonly #socket: Socket;
  readonly #parts: ServiceParts;
  readonly #proven = new JobQueue<Computation>(MOST_WAITING, MOST_WAITING_BYTES);
  readonly #unproven = new JobQueue<Computation>(MOST_UNPROVEN, MOST_UNPROVEN_BYTES);
  readonly #listeners = new Listeners();
  readonly #moves = new JobMoves();
  readonly #rates: SourceRates | undefined;
  readonly #reassembly: Reassembly;
  readonly #overload: Overload;
  readonly #sweep: NodeJS.Timeout;
  readonly #answered: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  readonly #malformed: Record<string, number> = {};
  #received = 0;
  #relayed = 0;
  #probes = 0;
  #challenged = 0;
  #badProofs = 0;
  #limited = 0;
  #abandoned = 0;
  readonly #engineErrors: Record<string, number> = {};
  #ignored = 0;
  #batches = 0;
  #largestBatch = 0;
  #longestQueue = 0;
  #unsent = 0;
  #stopped = false;
  /** The socket may be gone: an engine that comes to its end later has nobody to tell. */
  #closed = false;
  #working: Promise<void> | undefined;

  constructor(socket: Socket, parts: ServiceParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#reassembly = new Reassembly(parts.reassembly);
    this.#rates = parts.sourceRate === undefined ? undefined : new SourceRates(parts.sourceRate);
    this.#overload = new Overload(parts.overloadMs, () => this.#waiting);
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
    if (this.#relay(packet, payload, from)) return;
    if (kind === packetKinds.request) this.#request(packet, from);
    // The network has finished it on its way here. One that was turned round already is not passed back and forth.
    else if (kind === packetKinds.result && !(flags & flagTurnRound)) {
      this.#relayed++;
      this.#reply(packet, from, { flags: flags | flagTurnRound });
    } else if (kind === packetKinds.probe && packet.activations.length === 0) this.#probe(packet, from);
    else if (kind === packetKinds.proof) this.#prove(packet, from);
    else this.#ignored++;
  }

  /** Requests of a job that went to another worker are sent on, and its answers back. @returns whether it was one */
  #relay(packet: InferencePacket, payload: Buffer, from: RemoteInfo): boolean {
    const { kind, jobId, sequence, modelId } = packet.header;
    if (this.#moves.size === 0) return false;
    const now = performance.now();
    const move = this.#moves.of(jobId, now);
    if (move === undefined) return false;
    const isFromThere = from.address === move.to.address && from.port === move.to.port;
    if (isFromThere) {
      // It asks this worker to show that it listens, as it asks any sender.
      if (kind === packetKinds.challenge) this.#reply(packet, from, { kind: packetKinds.proof });
      else if (kind === packetKinds.result || kind === packetKinds.error)
        this.#relayBack(packet, payload, now);
      return true;
    }
    if (kind !== packetKinds.request) return false;
    if (this.#rates?.take(from.address, now) === false) {
      this.#limited++;
      return true;
    }
    this.#moves.asked(jobId, sequence, { from, bytes: payload.length });
    const version = packet.header.modelVersion || (move.versions.get(modelId) ?? 0);
    this.#reply(packet, move.to, { modelVersion: version });
    this.#relayed++;
    return true;
  }

  #relayBack({ header }: InferencePacket, payload: Buffer, now: number): void {
    const asker = this.#moves.asker(header.jobId, header.sequence);
    if (asker === undefined) return;
    const { from, bytes } = asker;
    // An answer that is longer goes only to who has shown that it listens, from here too.
    if (payload.length > MOST_AMPLIFICATION * bytes && !this.#listeners.has(from, now))
      this.#challenge(header, from, now);
    else this.#send(payload, from);
  }

  /** Gives a job away: what waits of it waits here no more, and what still comes is sent on. */
  release(jobId: bigint, to: Address): ReleasedJob {
    const { holdings } = this.#parts;
    const versions = new Map(
      [...holdings.models].flatMap(([id, { current }]) =>
        current === undefined ? [] : [[id, current] as const],
      ),
    );
    this.#moves.add(jobId, { to, versions }, performance.now());
    const isOfJob = ({ header }: Job) => header.jobId === jobId;
    const rows = [...this.#proven.remove(isOfJob), ...this.#unproven.remove(isOfJob)].flatMap(
      ({ computation: { of }, jobs }) =>
        jobs.map(({ header, tensor, from }) => {
          of.settle('given away');
          const bytes = HEADER_BYTES * header.fragmentCount + tensor.length;
          this.#moves.asked(jobId, header.sequence, { from, bytes });
          return { header: { ...header, modelVersion: of.version }, tensor };
        }),
    );
    return { versions, rows };
  }

  /** Takes a job on, or back. @returns how many of its rows wait here now; the others were refused, and come again */
  accept(jobId: bigint, rows: readonly ReleasedRow[], by?: Address): number {
    this.#moves.remove(jobId);
    const arrivedAt = performance.now();
    let accepted = 0;
    for (const { header, tensor } of rows) {
      // A sender hears only the worker that it has asked.
      const from = by ?? this.#moves.asker(jobId, header.sequence)?.from;
      if (from === undefined) continue;
      const held = this.#parts.holdings.find(header);
      if (!(held instanceof LoadedVersion)) {
        this.#refuse(header, from, held.reason, held.coming);
        continue;
      }
      const input = examine(header, held, this.#parts.zones);
      const reason =
        typeof input === 'string' ? input : input.elements === tensor.length ? undefined : 'bad_shape';
      const queued =
        reason === undefined &&
        this.#proven.add(held.computation(header.nextLayer), { header, tensor, from, arrivedAt });
      if (!queued) {
        this.#refuse(header, from, reason ?? 'failed');
        continue;
      }
      held.take();
      accepted++;
    }
    if (accepted > 0) this.#working ??= this.#work();
    return accepted;
  }

  #request(packet: InferencePacket, from: RemoteInfo): void {
    const { header, activations } = packet;
    const now = performance.now();
    if (this.#rates?.take(from.address, now) === false) {
      this.#limited++;
      return;
    }
    const held = this.#parts.holdings.find(header);
    if (!(held instanceof LoadedVersion)) {
      this.#refuse(header, from, held.reason, held.coming);
      return;
    }
    const input = examine(header, held, this.#parts.zones);
    if (typeof input === 'string') {
      this.#refuse(header, from, input);
      return;
    }
    const proven = this.#listeners.has(from, now);
    if (!proven && this.#mustProve(header, input.elements, held)) {
      this.#challenge(header, from, now);
      return;
    }
    let tensor: Uint8Array | undefined = activations;
    if (header.fragmentCount > 1) {
      const sender = { name: `${from.address}:${from.port}`, host: from.address, proven };
      tensor = this.#reassembly.add(sender, packet, input.elements, now);
      if (tensor === undefined) return;
    }
    const computation = held.computation(header.nextLayer);
    const queue = proven ? this.#proven : this.#unproven;
    if (!queue.add(computation, { header, tensor, from, arrivedAt: now })) {
      if (proven) this.#refuse(header, from, 'failed');
      else this.#challenge(header, from, now);
      return;
    }
    held.take();
    this.#longestQueue = Math.max(this.#longestQueue, this.#waiting);
    this.#working ??= this.#work();
  }

  /** Whether the answer would be too long for a sender that may have lied about its address; or its fragments too many. */
  #mustProve({ fragmentCount }: Header, elements: number, { answerBytes }: LoadedVersion): boolean {
    const asked = elements + HEADER_BYTES * fragmentCount;
    return answerBytes > MOST_AMPLIFICATION * asked || (fragmentCount > 1 && this.#reassembly.isPressed);
  }

  #challenge(header: Header, from: Address, now: number): void {
    this.#challenged++;
    const activations = this.#listeners.challenge(from, now);
    this.#reply({ header, activations }, from, { kind: packetKinds.challenge });
  }

  /** Silence is the answer to a proof, good or bad: the request comes again. */
  #prove({ activations }: InferencePacket, from: RemoteInfo): void {
    if (!this.#listeners.prove(activations, from, performance.now())) this.#badProofs++;
  }

  get #waiting(): number {
    return this.#proven.length + this.#unproven.length;
  }

  /** Those that have shown that they listen go first; the others have a turn now and then. */
  #next(): Batch<Computation> | undefined {
    const { batch } = this.#parts;
    const [first, second] =
      this.#batches % UNPROVEN_TURN === 0 ? [this.#unproven, this.#proven] : [this.#proven, this.#unproven];
    return first.take(batch) ?? second.take(batch);
  }

  /** Computes until nothing waits. What comes meanwhile makes the next batch: nothing waits for a batch to fill. */
  async #work(): Promise<void> {
    // The packets that the socket has at hand come first.
    await new Promise(setImmediate);
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      await this.#compute(next);
      await new Promise(setImmediate);
    }
    this.#working = undefined;
  }

  async #compute({ computation, jobs }: Batch<Computation>): Promise<void> {
    const width = jobs[0]!.tensor.length;
    const rows = new Uint8Array(jobs.length * width);
    this.#overload.waited(performance.now() - jobs[0]!.arrivedAt);
    for (const [i, job] of jobs.entries()) rows.set(job.tensor, i * width);
    this.#batches++;
    this.#largestBatch = Math.max(this.#largestBatch, jobs.length);
    let results: Uint8Array;
    try {
      results = await computation.of.run(computation.from, rows, jobs.length);
    } catch (error) {
      this.#engineFailed(error, jobs.length, computation.of.file);
      for (const { header, from } of jobs) {
        this.#refuse(header, from, 'failed');
        computation.of.settle('failed');
      }
      return;
    }
    const size = results.length / jobs.length;
    const now = performance.now();
    for (const [i, job] of jobs.entries())
      this.#answer(job, computation, results.subarray(i * size, (i + 1) * size), now);
  }

  #engineFailed(error: unknown, rows: number, file: string): void {
    const message = (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
    const kinds = Object.keys(this.#engineErrors);
    const reason = kinds.length < MOST_ENGINE_ERRORS || kinds.includes(message) ? message : 'others';
    countIn(this.#engineErrors, reason);
    if (this.#engineErrors[reason] === 1) this.#parts.onEngineError(reason, rows, file);
  }

  #answer({ header, from, arrivedAt }: Job, computation: Computation, result: Uint8Array, now: number): void {
    const { of, from: start } = computation;
    countIn(this.#answered, start);
    const unsure = start === 'large' ? flagUnsure : 0;
    const answer: Header = {
      ...header,
      kind: packetKinds.result,
      flags: flagTurnRound | flagWorker | unsure,
      modelVersion: of.version,
      nextLayer: of.layerCount,
      elementType: elementTypes[of.outputElement],
    };
    for (const payload of encodeTensor(answer, result, of.fragments)) this.#send(payload, from);
    of.measures.answer(1000 * (now - arrivedAt), of.isVerdict ? result[1] : undefined);
    of.settle('answered');
  }

  /** @param coming whether asking again will do in a moment */
  #refuse(header: Header, from: Address, reason: PacketOutcome, coming = false): void {
    countIn(this.#refused, reason);
    const activations = Uint8Array.of(outcomeIndex(reason));
    const flags = coming ? header.flags | flagComing : header.flags & ~flagComing;
    this.#reply({ header, activations }, from, { kind: packetKinds.error, flags });
  }

  /** Model, current version and layers of the model that is asked for, else of the first one, and how many rows wait. */
  #probe({ header }: InferencePacket, from: RemoteInfo): void {
    this.#probes++;
    const { models } = this.#parts.holdings;
    const [modelId = 0, model] = models.has(header.modelId)
      ? [header.modelId, models.get(header.modelId)]
      : ([...models][0] ?? []);
    const modelVersion = model?.current ?? 0;
    const layerCount = model?.versions.get(modelVersion)?.layerCount ?? 0;
    const waiting = encodeQueue(this.#waiting);
    const own = { modelId, modelVersion, layerCount, flags: flagTurnRound | flagWorker };
    this.#reply({ header, activations: waiting }, from, own);
  }

  #reply({ header, activations }: InferencePacket, to: Address, change: Partial<Header>): void {
    const reply = { ...header, ...change, elementCount: activations.length };
    this.#send(encodePacket({ header: reply, activations }), to);
  }

  #send(payload: Uint8Array, to: Address): void {
    if (this.#closed) {
      this.#unsent++;
      return;
    }
    this.#socket.send(payload, to.port, to.address, this.#onSent);
  }

  readonly #onSent = (error: Error | null): void => {
    if (error) this.#unsent++;
  };

  countUnsent(): void {
    this.#unsent++;
  }

  /** Computes what waits, for at most `graceMs`; what then still waits is refused. Returns whether an engine is still at it. */
  async stop(graceMs: number): Promise<boolean> {
    this.#stopped = true;
    clearInterval(this.#sweep);
    this.#overload.close();
    const isLate = await this.#isLate(graceMs);
    for (const { header, from } of [...this.#proven.drain(), ...this.#unproven.drain()]) {
      this.#abandoned++;
      this.#refuse(header, from, 'failed');
    }
    this.#closed = true;
    return isLate;
  }

  /** Whether an engine is still at work after `graceMs`. */
  async #isLate(graceMs: number): Promise<boolean> {
    if (this.#working === undefined) return false;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<true>((over) => {
      timer = setTimeout(over, graceMs, true);
    });
    const isLate = await Promise.race([this.#working.then(() => false as const), late]);
    clearTimeout(timer);
    return isLate;
  }

  /** Ends with the batch that is being computed. */
  get working(): Promise<void> {
    return this.#working ?? Promise.resolve();
  }

  load(): WorkerLoad {
    return { ...this.#overload.load(), queue: this.#waiting, refused: { ...this.#refused } };
  }

  statistics(): WorkerStatistics {
    return {
      received: this.#received,
      answered: { ...this.#answered },
      answeredBy: Object.fromEntries(
        this.#parts.holdings.all().map((v) => [`${v.modelId}/${v.version}`, v.answered]),
      ),
      refused: { ...this.#refused },
      malformed: { ...this.#malformed },
      relayed: this.#relayed,
      probes: this.#probes,
      challenged: this.#challenged,
      proven: this.#listeners.length,
      badProofs: this.#badProofs,
      limited: this.#limited,
      engineErrors: { ...this.#engineErrors },
      abandoned: this.#abandoned,
      ignored: this.#ignored,
      fragments: { ...this.#reassembly.counts, pending: this.#reassembly.pending },
      batches: this.#batches,
      largestBatch: this.#largestBatch,
      queue: this.#waiting,
      longestQueue: this.#longestQueue,
      unsent: this.#unsent,
    };
  }
}
